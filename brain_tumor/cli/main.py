"""The entry point: gathers the verbs, and turns refusals into one line and exit code 2."""

import io
import logging
import sys
import warnings

import typer

from brain_tumor.errors import BrainTumorError, DataWarning

# Options that had another name until version 0.3.
RENAMED = {
    "--tune": "--validation", "--peak-rate": "--max-lr", "--rise": "--pct-start", "--average-flips": "--flip-tta",
    "--no-average-flips": "--no-flip-tta", "--lighting": "--gamma", "--missing": "--sequence-dropout",
}  # fmt: skip
OTHERS = warnings.formatwarning


def application() -> typer.Typer:
    """All verbs. They are imported here, so that a refusal while they load is one line too."""
    from brain_tumor.cli import audit, crossval, data, demo, evaluate, grid, predict, pretrain, report, search, train

    app = typer.Typer(
        help="Honest deep learning on brain-tumour MRI. Research use only.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.add_typer(data.app, name="data")
    app.add_typer(train.app, name="train")
    app.add_typer(crossval.app, name="crossval")
    app.add_typer(grid.app, name="grid")
    app.add_typer(search.app, name="search")
    app.command()(audit.audit)
    app.command()(pretrain.pretrain)
    app.command()(evaluate.evaluate)
    app.command()(predict.predict)
    app.command()(evaluate.runs)
    app.command()(report.report)
    app.command()(demo.demo)
    app.command()(report.notebooks)
    app.command()(report.reports)
    return app


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may be no UTF-8, and a terminal may know ASCII only
            stream.reconfigure(errors="backslashreplace")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # a refusal is one line, and it is ours
    warnings.formatwarning = _one_line
    for name in (word.partition("=")[0] for word in sys.argv[1:]):
        if name in RENAMED:
            _refuse(f"{name} is now {RENAMED[name]}")
    try:
        application()()
    except BrainTumorError as error:
        _refuse(str(error))
    except OSError as error:  # a full disk, a folder that may not be written
        _refuse(f"{error.filename or 'the system'}: {error.strerror or error}")


def _one_line(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    """A warning of ours without the line of code that gave it; any other as Python writes it."""
    return f"brain-tumor: {message}\n" if issubclass(category, DataWarning) else OTHERS(message, category, filename, lineno, line)


def _refuse(reason: str) -> None:
    print(f"brain-tumor: {reason}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
