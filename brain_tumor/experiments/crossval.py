"""Cross-validation: a run a fold, until every testable patient, slice or site was predicted by a network that never saw it.

A fold is an ordinary run on a named split, trained and scored as any other. Beside the runs a folder of its own gathers them:
``crossval.json`` (what was asked, which runs answer, how far they are) and the tables of
:mod:`brain_tumor.experiments.out_of_fold`. A killed fold resumes as its run does; finished ones are taken as they are.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from brain_tumor import files
from brain_tumor.data import splits
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import FileError, RunError
from brain_tumor.evaluation import scoring
from brain_tumor.experiments import out_of_fold, segmentation, tasks
from brain_tumor.experiments.recipe import Recipe, identity
from brain_tumor.experiments.run import content, evaluate, make_split, on, run_folder, train
from brain_tumor.experiments.tasks import Task
from brain_tumor.inference import stored
from brain_tumor.models import settings
from brain_tumor.paths import runs_folder
from brain_tumor.progress import within
from brain_tumor.training.runs import RunFolder, environment, now

DESCRIPTION = "crossval.json"


def cross_validate(
    recipe: Recipe,
    cohort: Cohort,
    unit: str = "patient",
    folds: int | None = None,
    on_fold: Callable[[int, int, RunFolder], None] | None = None,
) -> Path:
    """Train and score every fold that is not yet, then gather them; a finished cross-validation is returned as it is.

    Args:
        recipe: of every fold; its ``split`` says nothing, each fold has its own.
        unit: ``patient``, ``slice`` or ``site`` (each is left out once).
        folds: how many; None for 5, or for as many as there are sites.
        on_fold: told the fold's number, how many there are, and its run, before the fold is begun or taken.

    Returns:
        Its folder.

    Raises:
        RunError: begun on other data, or the folds' runs do not cover the cohort; no table is written.
        DataError, SplitError, ModelError: recipe or folds do not fit the cohort; nothing is written.
    """
    store, task, recipe = open_store(cohort), tasks.of(recipe.TASK), on(recipe, cohort)
    names = splits.fold_names(unit, folds, store.cases, store.slices)
    recipes = [replace(recipe, split=name) for name in names]
    dealt = [make_split(of_fold, store) for of_fold in recipes]
    runs = [run_folder(of_fold, store) for of_fold in recipes]
    folder = runs_folder() / crossval_name(recipe, unit, len(names), store)
    began = now()
    if (folder / DESCRIPTION).is_file():
        earlier = read(folder)
        if earlier["status"] == "finished" and all((folder / name).is_file() for name in tables(task)):
            return folder
        began = earlier["started"]
    tested = store.slices.case_id.iloc[splits.testable_rows(unit, store.cases, store.slices)]
    facts = {
        "unit": unit,
        "folds": len(names),
        "recipe": _shared(recipe),
        **content(recipe, store, None),
        "phantom": cohort.phantom,
        "sequences": list(cohort.sequences),
        **({"caution": cohort.caution} if cohort.caution else {}),
        "patients": int(tested.nunique()),
        "slices": len(tested),
        "never_tested": sorted(set(store.cases.index) - set(tested)),
        "started": began,
        "environment": environment(),
    }

    def note(status: str) -> None:
        of_folds = [_fold(*fold) for fold in zip(range(1, len(names) + 1), names, dealt, runs, strict=True)]
        seconds = round(sum(fold["seconds"] for fold in of_folds), 1)
        ending = {"status": status, "ended": now(), "seconds": seconds, "runs": of_folds}
        files.write_json(folder / DESCRIPTION, facts | ending)

    ending = "failed"
    try:
        for number, (of_fold, run) in enumerate(zip(recipes, runs, strict=True), 1):
            if on_fold:
                on_fold(number, len(names), run)
            with within(f"fold {number} of {len(names)}"):
                if run.status != "finished":
                    settings.clear_session()  # else each fold's network stays in memory beside the next
                train(of_fold, cohort, on_start=lambda _run: note("running"))
                if not _scored(run, task, dealt[number - 1]):
                    evaluate(run, cohort)
            note("running")
        gathered = out_of_fold.gather(runs, task, store, unit)
        if task.predictions:
            out_of_fold.write_predictions(folder / stored.PREDICTIONS, runs, gathered[task.main], store, recipe.size)
        scoring.write(gathered, folder)
        ending = "finished"
    except KeyboardInterrupt:
        ending = "stopped"
        raise
    finally:
        if (folder / DESCRIPTION).is_file():
            note(ending)
    return folder


def crossval_name(recipe: Recipe, unit: str, folds: int, store: Store) -> str:
    """The folder's name: what a person looks for first, then a hash of all that decides it."""
    by_content = content(recipe, store, None)
    shared = {name: value for name, value in identity(recipe).items() if name not in ("cohort", "split")}
    digest = files.sha256_json([recipe.TASK, shared, unit, folds, by_content])[:8]
    return f"{store.cohort.name}-crossval-{folds}-{unit}-{recipe.model}-{recipe.size}-seed{recipe.seed}-{digest}"


def tables(task: Task) -> tuple[str, ...]:
    """The files, besides its description, that a finished cross-validation holds."""
    more = [stored.PREDICTIONS] if task.predictions else []
    more += [scoring.SUBGROUPS] if task.fold_tables else []
    return (task.main, scoring.FLOORS, scoring.CASES, scoring.SCORES, out_of_fold.FOLD_SCORES, *more)


def read(folder: Path) -> dict:
    """``crossval.json``.

    Raises:
        RunError: there is none, or it is damaged.
    """
    try:
        return files.read_json(folder / DESCRIPTION, ("recipe", "unit", "runs", "data_hash", "status", "started"))
    except FileNotFoundError:
        raise RunError(f"{folder}: no such cross-validation (no {DESCRIPTION})") from None
    except FileError as error:
        raise RunError(f"{error}; copy it again, or remove it and give the cross-validation's command again") from None


def all_crossvals(root: Path) -> list[Path]:
    """The folder of every cross-validation under ``root``, by name."""
    return [path.parent for path in sorted(root.glob(f"*/{DESCRIPTION}"))]


def _shared(recipe: Recipe) -> dict:
    """What all folds have in common: the recipe but for its split."""
    return {name: value for name, value in recipe.to_json().items() if name != "split"}


def _fold(number: int, name: str, split: splits.Split, run: RunFolder) -> dict:
    """A fold as ``crossval.json`` describes it; seconds are of training and inference, over all sittings."""
    facts = run.description if run.exists else {}
    return {
        "fold": number,
        "split": name,
        "split_hash": split.hash,
        "run": run.path.name,
        "status": "scored" if "scored" in facts and run.status == "finished" else run.status,
        "seconds": round(facts.get("training_seconds", 0.0) + facts.get("inference_seconds", 0.0), 1),
    }


def _scored(run: RunFolder, task: Task, split: splits.Split) -> bool:
    """Whether scoring the run left all that is gathered from it."""
    needed = [task.main, scoring.FLOORS]
    if task.predictions:
        cases = sorted({key.split("/")[0] for key in split.test})
        needed += [f"{segmentation.PREDICTIONS}/{case_id}.npz" for case_id in cases]
    return "scored" in run.description and all((run.path / name).is_file() for name in needed)
