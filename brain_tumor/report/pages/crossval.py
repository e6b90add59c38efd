"""A cross-validation as tables and as one HTML page: scores of all out-of-fold predictions, each fold's own, every patient."""

from pathlib import Path

import pandas as pd

from brain_tumor import files
from brain_tumor.errors import RunError
from brain_tumor.evaluation import scoring
from brain_tumor.evaluation.storage import read_table
from brain_tumor.experiments import ladder, out_of_fold, tasks
from brain_tumor.paths import commit, reports_folder
from brain_tumor.records import crossval as crossval_record, lookup, records
from brain_tumor.report import figures
from brain_tumor.report.figures.drawing import SERIES
from brain_tumor.report.pages import numbers, page, run_content, sections, views
from brain_tumor.report.pages.sections import Section

UNITS, FOLDS = "By unit of the folds", "Folds"
LEAKS = "Folds over slices leave each slice's neighbours in training: they measure that leak, not the network."
SELECTED = "Selected: notebook 08 chose this recipe on most of these patients."


def of_folder(folder: Path) -> list[Section]:
    """The sections of a finished cross-validation's folder or record."""
    facts = lookup.crossval_facts(folder)
    scores, by_fold = (read_table(folder / name) for name in (scoring.SCORES, out_of_fold.FOLD_SCORES))
    cases = read_table(folder / scoring.CASES)
    view = views.of(facts["recipe"]["task"])
    here = f"{facts['unit']}, {facts['folds']} folds"
    units = {here: scores} | crossval_record.other_units(folder, facts)
    names = {fold["fold"]: fold["split"] for fold in facts["runs"]}
    spared = never_tested(facts)
    parts = [
        Section(
            sections.PATIENTS,
            view.cases(cases),
            "Each patient as networks saw it that did not train on the slices in question.",
        ),
        Section(
            sections.SCORES,
            view.scores(scores),
            f"{facts['slices']:,} slices of {facts['patients']} patients, each predicted once.{spared} "
            f"{sections.dice_columns(scores)}",
        ),
        Section(
            FOLDS,
            _beside("fold", {names[fold]: rows for fold, rows in by_fold.groupby("fold")}, facts),
            "Each fold's own scores, with floors of its own training part; a fold of one patient has no interval.",
        ),
    ]
    parts += view.of_folds(folder, facts)
    if len(units) > 1:
        text = f"The same recipe on the same data, dealt out otherwise. {LEAKS}"
        parts.append(Section(UNITS, _beside("unit", units, facts), text))
    return parts


def never_tested(facts: dict) -> str:
    """A sentence about patients that no fold tests; nothing where there are none."""
    spared = facts["never_tested"]
    if not spared:
        return ""
    return f" Always in training, so never predicted: {', '.join(spared)}, of a site too small to be dealt into folds."


def local_page(folder: Path) -> Path:
    """The page of a cross-validation of this machine, in the git-ignored ``reports/local/``.

    Raises:
        RunError: it is not finished.
    """
    facts = lookup.crossval_facts(folder)
    if facts["status"] != "finished":
        raise RunError(f"{folder}: the cross-validation is {facts['status']}, not finished; give its command again to resume")
    private = "a cross-validation on the phantom" if facts["phantom"] else "it is for you alone"
    out = reports_folder() / "local" / f"{folder.name}{'.phantom' if facts['phantom'] else ''}.html"
    return page.save(_render(folder, facts), out, private)


def publish(record: Path) -> Path:
    """A record as ``reports/runs/<name>.html`` with its sidecar."""
    facts = lookup.crossval_facts(record)
    path = page.save(_render(record, facts), reports_folder() / "runs" / f"{record.name}.html")
    files.write_json(path.with_suffix(".json"), _content(record, facts))
    return path


def _render(folder: Path, facts: dict) -> str:
    histories = crossval_record.histories(folder)
    drawings = views.of(facts["recipe"]["task"]).fold_drawings(folder, facts)
    labels = [label for label, table in histories.items() if len(table)]
    curves = [
        figures.plot_history({label: histories[label] for label in labels[start : start + len(SERIES)]})
        for start in range(0, len(labels), len(SERIES))
    ]
    return page.render(
        "crossval.html",
        title=f"{'Phantom cross-validation' if facts['phantom'] else 'Cross-validation'} {folder.name}",
        phantom=facts["phantom"],
        name=folder.name,
        facts=facts,
        note=records.preparation_note(facts),
        command=records.retrain_command(folder) if folder.parent == records.records_folder() else None,
        content=_content(folder, facts),
        sections=of_folder(folder),
        figures=drawings,
        curves=curves,
        packages=facts["environment"]["packages"],
    )


def _main(scores: pd.DataFrame, facts: dict) -> pd.DataFrame:
    """The rows of a scores table that others are compared by, at the network's size."""
    task = tasks.of(facts["recipe"]["task"])
    at_size = scores[scores["size"] == facts["recipe"]["size"]] if "size" in scores else scores
    return at_size[at_size[task.scored[0]].isin(task.headlines)]


def _beside(label: str, scores: dict[str, pd.DataFrame], facts: dict) -> pd.DataFrame:
    """The main scores of several tables, one under the other."""
    view = views.of(facts["recipe"]["task"])
    parts = []
    for name, table in scores.items():
        rows = _main(table, facts)
        words = view.scores(rows)[["score", "95 % interval", "floor"]]
        words.insert(0, "measure", words.index)
        sizes = {column: rows[column].to_numpy() for column in ("patients", "slices") if column in rows}
        parts.append(words.assign(**sizes).set_axis([name] * len(words)))
    return pd.concat(parts).rename_axis(columns=label)


def _content(folder: Path, facts: dict) -> dict:
    """The page's sidecar."""
    recipe = facts["recipe"]
    task = tasks.of(recipe["task"])
    name, value = task.scored
    scores = read_table(folder / scoring.SCORES)
    main = _main(scores, facts)
    selected = ladder.is_selected(recipe)
    chosen_on = "selected, " if selected else ""
    listed: list[dict] = [
        {
            "name": f"{recipe['model']} {'' if value == 'value' else f'{value.capitalize()}, '}{row[name]}",
            "value": None if pd.isna(row[value]) else row[value],
            **{bound: None if pd.isna(row[bound]) else row[bound] for bound in ("low", "high", "floor")},
            "unit": "",
            "protocol": f"{chosen_on}seed {recipe['seed']}, {row.get('size', recipe['size'])} px, out of fold",
            "headline": index in main.index,
        }
        for index, row in scores.iterrows()
        if pd.notna(row[value]) or index in main.index
    ]
    at_size = f" at {recipe['size']} px" if "size" in scores else ""
    main_number = next(number for number in listed if number["headline"] and number["name"].endswith(task.headlines[-1]))
    notes = [LEAKS] * (facts["unit"] == "slice") + [SELECTED] * selected
    return {
        "title": f"Cross-validation {folder.name}",
        "answer": (
            f"{main_number['name']}{at_size}: {numbers.in_words(main_number)} over "
            f"{facts['patients']} patients, {facts['folds']} folds by {facts['unit']}, after {facts['seconds'] / 60:.0f} minutes "
            f"of training and inference. {' '.join([*notes, 'One training a fold; other seeds differ.'])}"
            f"{run_content.caution(facts)}"
        ),
        "cohort": recipe["cohort"],
        "commit": commit(),
        "data_hash": facts["data_hash"],
        "date": facts["ended"][:10],
        "environment": facts["environment"],
        "minutes": round(facts["seconds"] / 60, 1),
        "numbers": listed,
        "patients": facts["patients"],
        "phantom": facts["phantom"],
        "protocol": f"{facts['folds']} folds by {facts['unit']}, {run_content.shown(facts)}",
        "runs": [fold["run"] for fold in facts["runs"]],
        "slices": facts["slices"],
    }
