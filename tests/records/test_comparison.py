"""Two runs on the same slices: who is better, or that it cannot be told; runs that were scored on other slices are refused."""

import pandas as pd
import pytest

from brain_tumor import files
from brain_tumor.errors import DataError, RunError
from brain_tumor.evaluation import intervals, protocols
from brain_tumor.records import comparison, records
from brain_tumor.report.pages import index, sections


def test_the_difference_is_that_of_the_scores(make_run):
    runs = [make_run(seed=seed, shift=seed + 1) for seed in (0, 1)]
    found = comparison.compare(runs[0].path, runs[1].path)
    scores = [pd.read_csv(run.path / "scores.csv") for run in runs]
    assert found.difference.tolist() == pytest.approx((scores[0].dice - scores[1].dice).tolist())
    assert (found.difference > 0).all(), "a smaller shift is the better prediction"
    assert set(found.verdict) == {intervals.NOT_DECIDABLE}, "three patients decide nothing"


def test_classifiers_are_compared_each_at_its_own_threshold(make_classifier):
    runs = [make_classifier(noise=0.05), make_classifier(seed=1, noise=0.6)]
    runs[1].update(threshold=0.9)
    found = comparison.compare(runs[0].path, runs[1].path).set_index("measure")
    slices = records.read_slices(runs[1].path)
    right = ((slices.probability > 0.9) == slices.tumour).mean()
    own = pd.read_csv(runs[0].path / "scores.csv").set_index("measure").value["accuracy"]
    assert found.difference["accuracy"] == pytest.approx(own - right)
    assert found.difference["AUC"] > 0


def test_other_working_sizes_are_compared_at_the_native_one(make_run):
    found = comparison.compare(make_run().path, make_run(size=16, shift=2).path)
    assert set(found["size"]) == {64}
    assert len(found) == len(protocols.PROTOCOLS)


def test_runs_on_other_slices_tasks_or_data_are_refused(make_run, make_classifier):
    run, other = make_run(), make_run(seed=1)
    with pytest.raises(RunError, match=r"a run of classification, .* is one of segmentation; expected the same task"):
        comparison.compare(run.path, make_classifier().path)
    counts = records.read_counts(other.path)
    counts[counts.case_id != counts.case_id[0]].to_csv(other.path / "counts.csv", index=False)
    with pytest.raises(RunError, match=r"scored on \d+ slices, .* on \d+, of which \d+ are the same") as refusal:
        comparison.compare(run.path, other.path)
    assert "\n" not in str(refusal.value)
    files.write_json(other.path / "run.json", other.description | {"data_hash": "f" * 64})
    with pytest.raises(RunError, match="scored on data ffffffffffff"):
        comparison.compare(run.path, other.path)


def test_a_margin_that_is_none_is_refused(make_run):
    run = make_run()
    with pytest.raises(DataError, match="margin"):
        comparison.compare(run.path, run.path, margin=-0.1)


def test_a_comparison_says_what_would_decide_it(make_run):
    runs = [make_run(seed=seed, shift=seed + 1) for seed in (0, 1)]
    found = comparison.compare(runs[0].path, runs[1].path, margin=0.1)
    section = sections.of_comparison(found, "one", "other", 0.1)
    assert section.title == "Against other"
    assert "paired by patient (3 patients)" in section.text and "margin of 0.1" in section.text
    assert (section.table.verdict == "not decidable").all()
    assert section.table["patients needed"].str.fullmatch(r"[\d,]+|over a million").all()
    assert "margin" not in sections.of_comparison(found, "one", "other", None).text


def test_the_other_may_be_a_run_or_a_record(make_run, reports, monkeypatch, tmp_path):
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))
    run = make_run(phantom=False)
    assert comparison.find(run.path.name[:-2]) == run.path
    record = records.commit_record(run)
    run.path.rename(tmp_path / "elsewhere")
    assert comparison.find(run.path.name[:-2]) == record
    with pytest.raises(RunError, match=r"nothing: no such run .*`brain-tumor runs` lists them"):
        comparison.find("nothing")


def test_a_run_that_is_not_scored_is_refused(make_run, monkeypatch, tmp_path):
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(tmp_path))
    run = make_run()
    (run.path / "scores.csv").unlink()
    with pytest.raises(RunError, match="not scored; brain-tumor evaluate"):
        comparison.find(run.path.name)


def test_what_retraining_on_the_mended_grid_changed(make_run, reports):
    assert comparison.retrained().empty
    record = records.commit_record(make_run(phantom=False, shift=2))
    older = record.rename(record.with_name("older"))
    facts = files.read_json(older / "run.json")
    files.write_json(older / "run.json", {name: value for name, value in facts.items() if name != "preparation"})
    assert comparison.retrained().empty, "it was not trained again yet"
    again = records.commit_record(make_run(phantom=False, shift=1))
    records.commit_record(make_run(phantom=False, seed=1))
    (row,) = comparison.retrained().itertuples()
    was, now = (
        pd.read_csv(folder / "scores.csv").query("protocol == 'patient mean' and size == 64").dice.item()
        for folder in (older, again)
    )
    assert (row.run, row.again, row.was, row.now) == ("older", again.name, pytest.approx(was), pytest.approx(now))
    assert row.low <= row.difference <= row.high and row.difference == pytest.approx(now - was, abs=2e-6) and now > was
    assert f"{row.was:.3f}</td>" in index.write().read_text()
