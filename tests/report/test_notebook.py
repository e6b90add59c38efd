"""Notebooks to reports: run as written or small, patients' pictures replaced, numbers collected."""

import asyncio
import base64
import json
import os
import re
from queue import Empty
from types import SimpleNamespace

import nbclient
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from brain_tumor.data.cache import open_store
from brain_tumor.data.opening import open_cohort
from brain_tumor.errors import RunError
from brain_tumor.paths import CHECKOUT
from brain_tumor.records.sidecar import Sidecar
from brain_tumor.report import figures
from brain_tumor.report.figures.drawing import PIXELS_MIME
from brain_tumor.report.pages import kernels, notebook, page

TAGGED = {"tags": [notebook.TAG]}
OPEN = """
import sys
from brain_tumor.data.cache import open_store
from brain_tumor.data.opening import open_cohort
from brain_tumor.data.phantom import open_phantom
from brain_tumor.report import figures
from brain_tumor.records.sidecar import Sidecar
from brain_tumor.report.figures import drawing
drawing.PICTURE_DPI = 50  # as of the tests
cohort = open_cohort("lgg") if cohort_name == "lgg" else open_phantom(patients=2, slices=(8, 8), size=32)
store = open_store(cohort)
print("a note", "on", "stderr", sep="-", file=sys.stderr)
"""
SUMMARY = """
sidecar = Sidecar(cohort, "as is")
sidecar.add("patients", len(cohort), unit="patients")
sidecar.answer = "Like noise."
sidecar
"""


@pytest.fixture(autouse=True)
def kernels_as_users_have_them(tmp_path, monkeypatch):
    """Without tests/kernel.py, whose imports take longer than what these notebooks do."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))


@pytest.fixture
def written(tmp_path, home, reports, write_tree, monkeypatch):
    """A notebook that draws a patient, beside "real" data: noise with the names of patients."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))
    write_tree(home / "data" / "kaggle_3m", {"TCGA_CS_0001_19960909": 4, "TCGA_HT_0002_19981126": 5})
    cells = [
        new_markdown_cell("# What do two patients look like?\n\nTheir **question**."),
        new_code_cell("cohort_name = 'lgg'", metadata={"nbmake": {"mock": {"cohort_name": "phantom"}}}),
        new_code_cell(OPEN.strip()),
        new_code_cell("figures.show_gallery(store, [1])", metadata=TAGGED),
        new_code_cell(SUMMARY.strip()),
    ]
    path = tmp_path / "notebooks" / "77_noise.ipynb"
    path.parent.mkdir()
    nbformat.write(new_notebook(cells=cells), path)
    return path


def images_in(html: str) -> set[str]:
    return set(re.findall(r"data:image/\w+;base64,([A-Za-z0-9+/=\n]+)", html))


def test_a_published_report_shows_the_twin_and_no_patient(written, reports, home):
    real = base64.b64encode(figures.show_gallery(open_store(open_cohort("lgg")), [1]).encoded()).decode()
    path = notebook.publish(written)
    html, content = path.read_text(), json.loads((reports / "77_noise.json").read_text())

    assert path == reports / "77_noise.html"
    assert notebook.CAPTION in html
    assert len(images_in(html)) == 1
    middle = real[len(real) // 2 :][:200]  # the beginning of a JPEG says only how large it is
    assert real not in html
    assert middle not in html.replace("\n", "")
    assert "TCGA_CS_0001" not in html.split("<footer>")[0]

    assert (content["cohort"], content["phantom"], content["patients"]) == ("lgg", False, 2)
    assert content["title"] == "What do two patients look like?"
    assert {"commit", "date", "minutes", "data_hash", "environment", "runs"} <= set(content)
    assert page.external_requests(html) == []
    assert html.count("<h1>") == 1
    assert "Like noise." in html
    assert "a note-on-stderr" not in html
    assert sorted(folder.name for folder in home.iterdir()) == ["data"], "the twin leaves no run behind"

    local = notebook.publish(written, local=True)
    assert local == reports / "local" / "77_noise.html"
    assert real in local.read_text().replace("\n", ""), "the proof that this picture would have been found"
    assert notebook.CAPTION not in local.read_text()


def test_running_small_applies_the_test_values_and_full_does_not(written, tmp_path):
    for full, patients in ((False, "phantom"), (True, "lgg")):
        notebook.run([written], full, out=tmp_path / str(full))
        executed = nbformat.read(tmp_path / str(full) / written.name, as_version=4)
        assert executed.cells[-1].outputs[0].data["application/vnd.brain-tumor.sidecar+json"]["cohort"] == patients
        assert "execution" not in executed.cells[1].metadata, "no timestamps"


@pytest.mark.parametrize("losing", [1, 2])
def test_a_kernel_that_loses_a_cell_is_replaced_once(written, tmp_path, monkeypatch, losing):
    client_class = kernels.WatchfulClient(new_notebook()).create_kernel_manager().client_factory
    send, sent = client_class.execute, []

    def lose(client, code, *args, **options):
        sent.append(code)
        lost = len(sent) <= losing
        monkeypatch.setattr(kernels, "START_SECONDS", 1 if lost else 120)
        return "lost" if lost else send(client, code, *args, **options)

    monkeypatch.setattr(client_class, "execute", lose)
    if losing == 2:
        with pytest.raises(RunError, match="two kernels in turn did not begin a cell within"):
            notebook.run([written], full=True)
    else:
        notebook.run([written], full=True, out=tmp_path)
        assert nbformat.read(tmp_path / written.name, as_version=4).cells[-1].outputs


def test_an_answer_that_nothing_announces_is_read(monkeypatch):
    clock, answers = [0.0], []

    async def get_message(timeout):
        clock[0] += timeout
        answer = answers.pop(0)
        if answer is None:
            raise Empty
        return answer

    def execute(code, silent):
        answers.extend([None, {"parent_header": {}}, None, {"parent_header": {"msg_id": "this"}, "code": code}])
        return "this"

    async def started(_client):
        channels = {f"{name}_channel": SimpleNamespace(get_msg=get_message) for name in ("shell", "iopub")}
        return SimpleNamespace(execute=execute, **channels)

    async def asked():
        kernel = await kernels.Client(new_notebook()).async_start_new_kernel_client()
        for channel in (kernel.shell_channel, kernel.iopub_channel):
            answers[:] = [None, None, "late"]
            assert await channel.get_msg(timeout=None) == "late"
            answers[:] = [None, None, "too late"]
            with pytest.raises(Empty):
                await channel.get_msg(timeout=1.5)
            assert answers == ["too late"], "two looks, the second of half a second"
        answers.clear()
        assert (await kernel.execute_interactive("x = 1", silent=True))["code"] == "x = 1"

    monkeypatch.setattr(kernels, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    monkeypatch.setattr(nbclient.NotebookClient, "async_start_new_kernel_client", started)
    asyncio.run(asked())


BARS = """
from brain_tumor.progress import tracked
print("letters:", *tracked("abc", "spelling"))
"""


def test_a_bar_in_jupyter_leaves_nothing_in_the_page(tmp_path, reports, phantom_cohort, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("BRAIN_TUMOR_QUIET")
    monkeypatch.setattr(notebook, "QUIET", {})
    path = tmp_path / "79_bars.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Bars"), new_code_cell(BARS.strip())]), path)
    executed = notebook._execute(path, full=True)
    data = [output.get("data", {}) for output in executed.cells[1].outputs]
    assert any(notebook.WIDGET_MIME in each for each in data), "the bar is a widget while the cell runs"
    html = notebook.write_report(executed, facts_of(phantom_cohort), "79_bars").read_text()
    assert "letters: a b c" in html
    for trace in ("Output()", "widget", "0:00 left", "install"):
        assert trace not in html.split("</style>")[-1], trace


def test_a_failing_cell_stops_with_its_own_traceback(tmp_path):
    path = tmp_path / "78_broken.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), path)
    with pytest.raises(nbclient.exceptions.CellExecutionError, match="ZeroDivisionError"):
        notebook.run([path], full=True)


def executed_with(source, pixels=None, tags=()):
    data = {"text/plain": "x"} | ({PIXELS_MIME: {"pixels": pixels}, "image/jpeg": pixels} if pixels else {})
    cell = new_code_cell(source, metadata={"tags": list(tags)}, outputs=[new_output("display_data", data)])
    return new_notebook(cells=[new_markdown_cell("# Title"), cell])


def test_a_cell_that_draws_patients_must_be_tagged():
    twin = executed_with("x", "phantom")
    for untagged in (executed_with("show_anything(store)"), executed_with("figure", "patients")):
        with pytest.raises(RunError, match="lacks the tag"):
            notebook.with_twin_pictures(untagged, twin)


def test_a_twin_that_shows_patients_is_refused():
    tagged = executed_with("figures.show_gallery(store)", "patients", [notebook.TAG])
    with pytest.raises(RunError, match="twin shows patients"):
        notebook.with_twin_pictures(tagged, tagged)
    clean = notebook.with_twin_pictures(tagged, executed_with("x", "phantom", [notebook.TAG]))
    assert [output.data.get("image/jpeg") for output in clean.cells[1].outputs] == [None, "phantom"]
    assert tagged.cells[1].outputs[0].data["image/jpeg"] == "patients", "the executed notebook is left as it was"


def test_a_tagged_cell_that_shows_the_phantom_alone_keeps_its_own_pictures():
    twin = executed_with("x", "phantom", [notebook.TAG])
    own = executed_with("x", "phantom", [notebook.TAG])
    own.cells[1].outputs[0].data["image/jpeg"] = "at full size"
    clean = notebook.with_twin_pictures(own, twin)
    assert [output.data.get("image/jpeg") for output in clean.cells[1].outputs] == [None, "at full size"]
    own.cells[1].outputs.append(new_output("display_data", {"image/png": "whose?"}))
    mixed = notebook.with_twin_pictures(own, twin)
    assert [output.data.get("image/jpeg") for output in mixed.cells[1].outputs] == [None, "phantom"], (
        "one does not say whose it is"
    )


def facts_of(cohort):
    """The sidecar of a notebook without numbers."""
    more = {"title": "Title", "commit": "abc", "date": "2026-01-01", "minutes": 1.0, "notebook": "notebooks/x.ipynb"}
    return Sidecar(cohort).to_json() | more


def test_a_report_on_the_phantom_says_so_and_stays_at_home(reports, phantom_cohort):
    path = notebook.write_report(executed_with("x"), facts_of(phantom_cohort), "05_x")
    assert path == reports / "local" / "05_x.phantom.html"
    assert "<title>PHANTOM: Title" in path.read_text()
    assert [file.name for file in reports.iterdir()] == ["local"]
