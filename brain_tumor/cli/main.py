"""The entry point: gathers the verbs, and turns refusals into one line and exit code 2."""

import importlib.util
import io
import logging
import sys
import warnings
from collections.abc import Callable
from typing import Any

import typer

from brain_tumor.errors import BrainTumorError, DataWarning, RunWarning
from brain_tumor.paths import installation

# Options that had another name until version 0.3.
RENAMED = {
    "--tune": "--validation", "--peak-rate": "--max-lr", "--rise": "--pct-start", "--average-flips": "--flip-tta",
    "--no-average-flips": "--no-flip-tta", "--lighting": "--gamma", "--missing": "--sequence-dropout",
}  # fmt: skip
OTHERS = warnings.formatwarning
# What needs no Keras, and what does: it is in the extra `train`.
LIGHT = ("data", "audit", "score")
TRAINING = (
    "train", "crossval", "grid", "search", "pretrain", "evaluate", "predict", "runs", "report", "demo", "notebooks", "reports",
)  # fmt: skip


def application(verb: str = "") -> typer.Typer:
    """All verbs, or for a light one only the light ones. They are imported here, so that a refusal while they load is one line.

    Args:
        verb: the one that is asked for.
    """
    from brain_tumor.cli import audit, data, score

    app = typer.Typer(
        help="Honest deep learning on brain-tumour MRI. Research use only.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.add_typer(data.app, name="data")
    app.command()(audit.audit)
    app.command()(score.score)
    if verb not in LIGHT:
        (_add_training if importlib.util.find_spec("keras") else _add_refusals)(app)
    return app


def _add_training(app: typer.Typer) -> None:
    from brain_tumor.cli import crossval, demo, evaluate, grid, predict, pretrain, report, search, train

    app.add_typer(train.app, name="train")
    app.add_typer(crossval.app, name="crossval")
    app.add_typer(grid.app, name="grid")
    app.add_typer(search.app, name="search")
    app.command()(pretrain.pretrain)
    app.command()(evaluate.evaluate)
    app.command()(predict.predict)
    app.command()(evaluate.runs)
    app.command()(report.report)
    app.command()(demo.demo)
    app.command()(report.notebooks)
    app.command()(report.reports)


def _add_refusals(app: typer.Typer) -> None:
    """In place of each verb that needs Keras, one that says how to get it."""
    lenient = {"allow_extra_args": True, "ignore_unknown_options": True}
    for verb in TRAINING:
        app.command(verb, help="Needs the extra train, which is not installed.", context_settings=lenient)(_refusal(verb))


def _refusal(verb: str) -> Callable[[], Any]:
    def refuse() -> None:
        raise BrainTumorError(f"{verb} needs Keras, which is not installed; {installation('train', 'cpu')}")

    return refuse


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may be no UTF-8, and a terminal may know ASCII only
            stream.reconfigure(errors="backslashreplace")
    for library in ("PIL", "nibabel.global"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # a refusal is one line, and it is ours
    warnings.formatwarning = _one_line
    for name in (word.partition("=")[0] for word in sys.argv[1:]):
        if name in RENAMED:
            _refuse(f"{name} is now {RENAMED[name]}")
    try:
        application(next(iter(sys.argv[1:]), ""))()
    except BrainTumorError as error:
        _refuse(str(error))
    except OSError as error:  # a full disk, a folder that may not be written
        _refuse(f"{error.filename or 'the system'}: {error.strerror or error}")


def _one_line(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    """A warning of ours without the line of code that gave it; any other as Python writes it."""
    ours = issubclass(category, DataWarning | RunWarning)
    return f"brain-tumor: {message}\n" if ours else OTHERS(message, category, filename, lineno, line)


def _refuse(reason: str) -> None:
    print(f"brain-tumor: {reason}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
