"""The sidecar: every number travels with its protocol, interval, floor and run, from the notebook to the README."""

import html
import json
import math

import nbformat
import pytest

from brain_tumor import files
from brain_tumor.errors import DataError, RunError
from brain_tumor.experiments import run as experiment
from brain_tumor.paths import CHECKOUT
from brain_tumor.records import records, sidecar
from brain_tumor.records.sidecar import MIME, Sidecar
from brain_tumor.report.pages import index, page, readme, run as run_page


@pytest.fixture
def declared(phantom_cohort):
    """One score and one count."""
    numbers = Sidecar(phantom_cohort, "split ratio-50", runs=["some/folder/run-1"])
    numbers.add("Dice, patient mean", 0.8123, 0.7, 0.9, 0.0, protocol="64 px", headline=True)
    numbers.add("slices", 1234, unit="slices", headline=True)
    return numbers


def test_numbers_travel_as_json_and_are_shown_as_a_table(declared, phantom_cohort, store):
    bundle = declared._repr_mimebundle_()
    content = json.loads(json.dumps(bundle[MIME], allow_nan=False))
    assert (content["cohort"], content["phantom"], content["patients"]) == ("phantom", True, len(phantom_cohort))
    assert content["data_hash"] == store.data_hash
    assert content["runs"] == ["run-1"]
    assert content["numbers"][0]["floor"] == 0.0
    for word in ("0.812", "0.700 to 0.900", "0.000", "64 px", "1,234 slices", "split ratio-50", "run-1", "PHANTOM"):
        assert word in bundle["text/html"], word


def test_an_interval_that_cannot_be_told_is_none(declared):
    declared.add("Dice of one patient", 0.5, math.nan, math.nan, math.nan)
    number = declared.to_json()["numbers"][-1]
    assert (number["low"], number["high"], number["floor"]) == (None, None, None)
    assert sidecar.interval_text(number) == "–"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.65, "", "0.650"), (1, "", "1.000"), (95, "patients", "95 patients"), (12.5, "minutes", "12.5 minutes")],
)
def test_values_are_written_as_people_do(value, unit, text):
    assert sidecar.value_text({"value": value, "unit": unit}) == text


def notebook_with(*sidecars):
    outputs = [nbformat.v4.new_output("display_data", {MIME: content}) for content in sidecars]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("sidecar", outputs=outputs)])


def test_it_is_collected_from_the_executed_notebook(declared):
    content = declared.to_json()
    assert sidecar.collect(notebook_with(content)) == content
    for several in ([], [content, content]):
        with pytest.raises(RunError, match=f"{len(several)} sidecars"):
            sidecar.collect(notebook_with(*several))


@pytest.fixture
def published(declared, reports):
    """A report and a run of a real cohort, as publishing leaves them; and one of the phantom, which nothing may quote."""
    (reports / "runs").mkdir(parents=True)
    for name, phantom in (("01_real", False), ("02_phantom", True), ("runs/run-1", False)):
        more = {"phantom": phantom, "title": name, "date": "2026-01-01", "commit": "abc", "answer": "Yes <b>indeed</b>."}
        (reports / f"{name}.json").write_text(json.dumps(declared.to_json() | more))
        (reports / f"{name}.html").write_text("<p>report</p>")
    return reports


def test_the_index_lists_real_reports_with_interval_and_floor(published):
    text = index.write().read_text()
    assert 'href="01_real.html"' in text
    assert 'href="runs/run-1.html"' in text
    assert 'href="01_real.json"' in text
    assert "0.700 to 0.900" in text
    assert "&lt;b&gt;" in text, "words of a sidecar are escaped"
    assert "02_phantom" not in text
    assert page.external_requests(text) == []


def test_the_readme_quotes_headlines_of_real_reports_only(published):
    answer(published / "01_real.json", "It reaches 0.812 over 1,234 slices.")
    answer(published / "02_phantom.json", "It reaches 0.812.")
    answer(published / "runs" / "run-1.json", "It reaches 0.812.")
    old = f"before\n{readme.BEGIN}\nstale\n{readme.END}\nafter\n"
    text = readme.rewrite(old)
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "stale" not in text
    link = "[01](reports/01_real.html)"
    row = f"| Dice, patient mean | 0.812 | 0.700 to 0.900 | 0.000 | split ratio-50, 64 px | {link} |"
    assert row in text
    assert "1,234" not in text, "a count is no score"
    assert "02_phantom" not in text
    assert "runs/run-1" not in text, "one training is no result"
    assert readme.rewrite(text) == text
    answer(published / "01_real.json", "It reaches 0.8120 or 10.812.")
    assert "01_real" not in readme.rewrite(old), "the opening answer quotes neither number"
    with pytest.raises(DataError, match="no results block"):
        readme.rewrite("a README without one")


def answer(path, sentence):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"answer": sentence}))


def test_every_report_has_a_row_in_the_readme_before_any_has_two(reports, declared):
    """Five reports that quote three numbers each come to eight rows; a cell is cut where it is too wide."""
    reports.mkdir(parents=True)
    content = declared.to_json()
    score = content["numbers"][0] | {"protocol": "a rule, " * 20}
    numbers = [score | {"name": f"002.1{place}: {'score ' * 20}", "value": place / 10} for place in (1, 2, 3)]
    for page_number in range(1, 6):
        more = {"phantom": False, "title": "", "date": f"2026-01-0{page_number}", "commit": "", "numbers": numbers}
        (reports / f"0{page_number}_x.json").write_text(json.dumps(content | more | {"answer": "0.300, then 0.200, then 0.100"}))
        (reports / f"0{page_number}_x.html").write_text("<p>report</p>")
    rows = cells(readme.results_block())
    assert [row[-1][1:3] for row in rows] == ["01", "02", "03", "03", "04", "04", "05", "05"], "the newest give two"
    assert [row[1] for row in rows] == ["0.300", "0.300", *["0.300", "0.200"] * 3], "as the answer names them"
    assert all(len(cell) <= 60 for row in rows for cell in row)
    assert all(row[0].startswith("score score") and row[0].endswith("…") for row in rows)


def cells(text):
    """The cells of a Markdown table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_the_readme_of_this_checkout_quotes_its_reports():
    text = readme.README.read_text(encoding="utf-8")
    assert text == readme.rewrite(text), "run: brain-tumor reports"


def test_the_readme_is_short_and_its_results_are_a_small_table():
    text = readme.README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    rows = cells(text.partition(readme.BEGIN)[2].partition(readme.END)[0])
    assert 1 <= len(rows) <= 8
    assert [cell for row in rows for cell in row if len(cell) > 60] == []


def test_what_the_readme_leaves_out_is_in_the_index():
    """Every real report with its answer and its headline numbers, and the background and literature."""
    text = html.unescape((CHECKOUT / "reports" / "index.html").read_text(encoding="utf-8"))
    listed = index.all_reports()
    assert listed
    for content in listed:
        assert f'href="{content["page"]}"' in text and content["answer"] in text, content["page"]
        for number in index.headlines(content):
            assert number["name"] in text and number["shown"] in text, number["name"]
    for words in ("Ronneberger", "10.1038/s41598-021-01681-w", "Amazon SageMaker", "looked at many times"):
        assert words in text, words


def test_reports_of_this_checkout_keep_the_rules():
    found = sorted((CHECKOUT / "reports").glob("*.json")) + sorted((CHECKOUT / "reports" / "runs").glob("*.json"))
    for path in [path for path in found if path.stem != "demo"]:
        content, html = json.loads(path.read_text()), path.with_suffix(".html").read_text()
        assert not content["phantom"], path
        assert len(html.encode()) <= page.MAX_BYTES, path
        assert page.external_requests(html) == [], path
        assert all(set(number) >= {"name", "value", "low", "high", "floor", "unit", "protocol"} for number in content["numbers"])


def test_a_run_is_published_from_its_record_alone(make_run, reports):
    folder = records.commit_record(make_run(phantom=False))
    path = run_page.publish_record(folder)
    assert path == reports / "runs" / f"{folder.name}.html"
    html, content = path.read_text(), json.loads(path.with_suffix(".json").read_text())
    assert "data:image/jpeg" not in html, "a picture of a patient"
    assert "prepared otherwise" not in html
    assert page.external_requests(html) == []
    assert len(html) < page.MAX_BYTES
    for word in (
        "slice, empty = 1",
        "95 % interval",
        "floor",
        "of them without tumour",
        f"brain-tumor train --recipe reports/records/{folder.name}/run.json",
    ):
        assert word in html, word
    assert content["runs"] == [folder.name]
    assert [number["name"] for number in content["numbers"] if number["headline"]] == [
        "resunet Dice, slice, empty = 1",
        "resunet Dice, patient mean",
    ]


def test_the_page_of_a_run_of_preparation_1_says_so(make_run, make_classifier, reports):
    """Trained again today such a run would not give the same weights, so the page may not show the command without a word."""
    note = "inputs were prepared otherwise for training (preparation 1)"
    for run in (make_run(phantom=False), make_classifier(phantom=False)):
        folder = records.commit_record(run)
        facts = {name: value for name, value in files.read_json(folder / "run.json").items() if name != "preparation"}
        files.write_json(folder / "run.json", facts)
        text = run_page.publish_record(folder).read_text()
        assert (note in text) == (facts["recipe"]["task"] == "segmentation"), "a classifier learns no masks"


def test_the_page_of_ones_own_run_has_pictures_and_stays_at_home(make_run, reports, phantom_cohort, monkeypatch):
    monkeypatch.setattr(experiment, "trained_cohort", lambda _run: phantom_cohort)
    run = make_run()
    path = run_page.run_page(run)
    assert path.parent == reports / "local"
    html = path.read_text()
    assert "data:image/jpeg" in html
    assert "<title>PHANTOM" in html
    assert page.external_requests(html) == []
    monkeypatch.setattr(run_page, "_render", lambda *_: pytest.fail("drawn, though it may not be shown there"))
    for place in (reports / "mine.html", reports / "runs" / "mine.html"):
        with pytest.raises(RunError, match="not published"):
            run_page.run_page(run, place)


def test_an_unscored_run_has_no_page(make_run, reports):
    run = make_run()
    facts = run.description
    del facts["scored"]
    (run.path / "run.json").write_text(json.dumps(facts))
    with pytest.raises(RunError, match="brain-tumor evaluate"):
        run_page.run_page(run)


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        "<script>alert(1)</script>",
        '<link rel="stylesheet" href="style.css">',
        '<img src="https://example.org/a.png">',
        '<img src="a.png">',
        '<img srcset="a.png 2x">',
        "<style>@import 'x.css';</style>",
        "<style>p { background: url(https://example.org/a.png) }</style>",
        '<p style="background: url(a.png)">',
        '<iframe src="data:text/html,x"></iframe>',
        '<img src="data:image/png;base64,x" onerror="x()">',
    ],
)
def test_a_page_that_would_fetch_or_run_anything_is_not_saved(html, reports):
    assert page.external_requests(html)
    with pytest.raises(RunError, match="load"):
        page.save(html, reports / "a.html")
    assert not reports.exists()


def test_links_and_inline_images_are_no_requests():
    assert (
        page.external_requests(
            '<a href="https://doi.org/x">x</a><img src="data:image/png;base64,AA"><link rel="icon" href="data:,">'
        )
        == []
    )


def test_a_page_that_is_too_large_is_not_saved(reports):
    with pytest.raises(RunError, match="1,500,000"):
        page.save("x" * (page.MAX_BYTES + 1), reports / "a.html")


def test_a_private_page_goes_home_only(reports, tmp_path):
    for place in (reports / "local" / "a.html", reports / "demo.html", tmp_path / "elsewhere.html"):
        page.save("<p>x</p>", place, private="it shows patients")
    with pytest.raises(RunError, match="it shows patients"):
        page.save("<p>x</p>", reports / "local" / ".." / "a.html", private="it shows patients")
