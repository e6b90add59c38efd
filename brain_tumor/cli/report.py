"""``brain-tumor report``, ``notebooks`` and ``reports``: runs and notebooks as pages that anyone can read."""

from pathlib import Path

import typer


def report(
    run: str = typer.Argument(
        help="A run, cross-validation, grid or screening by name, the start of it, or its folder; with --publish also a record."
    ),
    publish: bool = typer.Option(False, "--publish", help="Keep the run's record and write reports/runs/, without any picture."),
) -> None:
    """One run as a single HTML file: scores with interval and floor, every patient, curves, and pictures for you alone."""
    from brain_tumor.models.backend import load_keras

    load_keras()
    from brain_tumor.paths import readable
    from brain_tumor.records import crossval as crossval_record, records
    from brain_tumor.report.pages import index, readme, run as run_page
    from brain_tumor.studies import incomplete_exams
    from brain_tumor.studies.ingredients import screening
    from brain_tumor.studies.source_002 import tables as grid_tables
    from brain_tumor.training.runs import all_runs, find_run

    name = Path(run).name
    if screening.MARK.rstrip("-") in name and (screened := screening.find(name)):
        _report_screening(screened, publish)
        return
    if incomplete_exams.MARK.rstrip("-") in name and (answer := incomplete_exams.find(name)):
        if not publish:
            typer.echo(incomplete_exams.scores(incomplete_exams.read(answer)[1]).round(3).to_string())
            return
        typer.echo(f"record: {readable(incomplete_exams.commit(answer))}")
        typer.echo("next: brain-tumor reports 07, or 10 of volumes: its page; it first trains what is left")
        return
    grid = grid_tables.find(name) if grid_tables.MARK in name else None
    if grid:
        _report_grid(grid, publish)
        return
    if crossval_record.is_crossval(run):
        _report_crossval(run, publish)
        return
    if not publish:
        typer.echo(f"report: {readable(run_page.run_page(find_run(run)))}")
        return
    trained_here = any(folder.path.name.startswith(run) for folder in all_runs())
    recorded = any(path.name.startswith(run) for path in records.all_records())
    record = records.find_record(run) if recorded and not trained_here else records.commit_record(find_run(run))
    typer.echo(f"record: {readable(record)}")
    typer.echo(f"report: {readable(run_page.publish_record(record))}")
    index.write()
    readme.write()


def _report_crossval(name: str, publish: bool) -> None:
    from brain_tumor.experiments import crossval
    from brain_tumor.paths import readable
    from brain_tumor.records import crossval as crossval_record, records
    from brain_tumor.report.pages import crossval as crossval_page, index, readme

    folder = crossval_record.find(name, recorded=publish)
    if not publish:
        typer.echo(f"report: {readable(crossval_page.local_page(folder))}")
        return
    if crossval.read(folder)["status"] != "finished":
        for each in crossval_record.commit_folds(folder):
            typer.echo(f"record of a fold: {readable(each)}")
        typer.echo("the same cross-validation goes on from these, on any machine; its page comes when all folds are scored")
        return
    record = folder if folder.resolve().parent == records.records_folder() else crossval_record.commit_crossval(folder)
    typer.echo(f"record: {readable(record)}")
    for each in crossval_record.all_records():  # each tells of those that differ from it in the unit of their folds
        typer.echo(f"report: {readable(crossval_page.publish(each))}")
    index.write()
    readme.write()


def _report_screening(folder: Path, publish: bool) -> None:
    from brain_tumor.cli.console import print_sections
    from brain_tumor.paths import readable
    from brain_tumor.studies.ingredients import screening, table, tables

    if not publish:
        print_sections(folder.name, "a screening", tables.of_folder(folder, table.INGREDIENTS))
        return
    typer.echo(f"record: {readable(screening.commit(folder))}")
    typer.echo("next: brain-tumor reports 08, its page")


def _report_grid(folder: Path, publish: bool) -> None:
    from brain_tumor.cli.console import print_sections
    from brain_tumor.paths import readable
    from brain_tumor.studies.source_002 import tables as grid_tables

    if not publish:
        print_sections(folder.name, "a grid", grid_tables.of_folder(folder))
        return
    typer.echo(f"record: {readable(grid_tables.commit(folder))}")
    typer.echo("next: brain-tumor reports 06, its page")


def notebooks(
    paths: list[Path] = typer.Argument(None, help="Notebooks; all of them by default."),
    full: bool = typer.Option(False, "--full", help="As written, without a time limit; else with their test values."),
    out: Path = typer.Option(None, help="A folder for the executed copies."),
) -> None:
    """Run notebooks from top to bottom and say whether they work."""
    from brain_tumor.cli import outputs
    from brain_tumor.models.backend import load_keras

    outputs.check(outputs.Output("--out", out, ()))
    load_keras()
    from brain_tumor.report.pages import notebook

    chosen = paths or notebook.all_notebooks()
    notebook.run(chosen, full, out)
    typer.echo(f"{len(chosen)} notebooks ran {'at full size' if full else 'small'} without an error")


def reports(
    only: list[str] = typer.Argument(None, help="Beginnings of notebook names, such as 01 05; all by default."),
    local: bool = typer.Option(False, "--local", help="Keep the patients' pictures, in the git-ignored reports/local/."),
) -> None:
    """Publish the notebooks as HTML, then anew the page of each record that has one, the index, and the README's results."""
    from brain_tumor.models.backend import load_keras

    load_keras()
    from brain_tumor.paths import readable, reports_folder
    from brain_tumor.records import crossval as crossval_record, records
    from brain_tumor.report.pages import crossval as crossval_page, index, notebook, readme, run as run_page

    for path in notebook.all_notebooks():
        if not only or path.name.startswith(tuple(only)):
            typer.echo(readable(notebook.publish(path, local)))
    if local:
        return
    for folder in records.all_records():
        if (reports_folder() / "runs" / f"{folder.name}.html").is_file():  # `report RUN --publish` makes the first
            typer.echo(readable(run_page.publish_record(folder)))
    for folder in crossval_record.all_records():
        typer.echo(readable(crossval_page.publish(folder)))
    typer.echo(readable(index.write()))
    typer.echo(readable(readme.write()))
