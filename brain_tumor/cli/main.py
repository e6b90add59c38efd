"""The entry point: loads the verb that is asked for, and turns refusals into one line and exit code 2."""

import importlib
import importlib.util
import io
import logging
import sys
import warnings

import typer

from brain_tumor.errors import BrainTumorError, DataWarning, RunWarning
from brain_tumor.paths import installation

# Options that had another name until version 0.3.
RENAMED = {
    "--tune": "--validation", "--peak-rate": "--max-lr", "--rise": "--pct-start", "--average-flips": "--flip-tta",
    "--no-average-flips": "--no-flip-tta", "--lighting": "--gamma", "--missing": "--sequence-dropout",
}  # fmt: skip
OTHERS = warnings.formatwarning
# What --help lists. The module of a verb is loaded when the verb is called, so that no other verb's imports are waited for.
VERBS = {
    "data": "Get, add, check, profile and export datasets.",
    "audit": "Look for leaks between the parts of a split: ours or anybody's.",
    "score": "Score what any tool predicted, and compare two sets of predictions.",
    "train": "Train a network; an interrupted run resumes when the same command is given again.",
    "ladder": "Train and score the segmentation recipe of notebook 08 for a number of steps.",
    "find-rate": "Suggest a learning rate: train for a moment at rates that rise.",
    "crossval": "Train and score every fold, then gather what was predicted out of fold.",
    "grid": "Train and score a table of experiments.",
    "search": "Look for good settings on patients set aside from training.",
    "pretrain": "Pretrain an encoder on classes of pictures, or a segmentation network on hidden parts of slices.",
    "evaluate": "Score a finished run on its test part, or compare it with another.",
    "predict": "Outline the tumour in one slice or one case, or tell which slices show one.",
    "model": "Pack a trained model into one file, and take one that was packed.",
    "serve": "Serve a page on this machine: drop an exam, see what a network outlines.",
    "bench": "Measure which precision, threads and batch train fastest on this machine.",
    "runs": "List the runs of this home with their state and scores.",
    "report": "Write one run, cross-validation or grid as a single HTML file.",
    "demo": "Train and score on a synthetic cohort, and write reports/demo.html.",
    "notebooks": "Run notebooks from top to bottom and say whether they work.",
    "reports": "Publish the notebooks and records as HTML, the index, and the README's results.",
}
# Verbs in the module of another, or of another spelling.
BESIDE = {"runs": "evaluate", "notebooks": "report", "reports": "report", "find-rate": "find_rate"}
WITHOUT_KERAS = ("data", "audit", "score")  # all others need the extra `train`


def application(verb: str = "") -> typer.Typer:
    """The command line with one verb that can be called, and of the others what ``--help`` says.

    Args:
        verb: the one that is asked for. It is imported here, so that a refusal while it loads is one line.
    """
    app = typer.Typer(
        help="Honest deep learning on brain-tumour MRI. Research use only.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    trains = verb in WITHOUT_KERAS or importlib.util.find_spec("keras") is not None
    for name, line in VERBS.items():
        if not (trains or name in WITHOUT_KERAS):
            _add_refusal(app, name)
        elif name == verb:
            _add(app, name)
        else:
            app.command(name, help=line)(_no_verb)
    return app


def _add(app: typer.Typer, verb: str) -> None:
    """Load a verb: a module's ``app`` where it is a group of verbs, else the function of its name."""
    module = importlib.import_module(f"{__package__}.{BESIDE.get(verb, verb)}")
    if hasattr(module, "app"):
        app.add_typer(module.app, name=verb)
    else:
        app.command(verb)(getattr(module, verb))


def _add_refusal(app: typer.Typer, verb: str) -> None:
    """In place of a verb that needs Keras, one that says how to get it."""

    def refuse() -> None:
        raise BrainTumorError(f"{verb} needs Keras, which is not installed; {installation('train', 'cpu')}")

    lenient = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command(verb, help="Needs the extra train, which is not installed.", context_settings=lenient)(refuse)


def _no_verb() -> None:
    """A verb that was not asked for, so nobody calls it."""


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files may be no UTF-8, and a terminal may know ASCII only
            stream.reconfigure(errors="backslashreplace")
    for library in ("PIL", "nibabel.global"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # a refusal is one line, and it is ours
    warnings.formatwarning = _one_line
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs")  # joblib renews one that holds much memory
    for name in (word.partition("=")[0] for word in sys.argv[1:]):
        if name in RENAMED:
            _refuse(f"{name} is now {RENAMED[name]}")
    try:
        application(next((word for word in sys.argv[1:] if not word.startswith("-")), ""))()
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
