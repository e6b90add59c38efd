"""Cross-validation: a run a fold, until every testable patient, slice or site was predicted by a network that never saw it.

A fold is an ordinary run on a named split, trained and scored as any other, in turn or side by side. Beside the runs a folder of
its own gathers them: ``crossval.json`` (what was asked, which runs answer, how far they are) and the tables of
:mod:`brain_tumor.experiments.out_of_fold`. A killed fold resumes as its run does; finished ones are taken as they are, those of a
record too: a cross-validation may go on at another machine, which has no more than what git keeps of the first.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from brain_tumor import files
from brain_tumor.data import splits
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import FileError, RunError
from brain_tumor.evaluation import scoring
from brain_tumor.experiments import capacity, out_of_fold, segmentation, tasks
from brain_tumor.experiments.jobs import side_by_side, threads_each
from brain_tumor.experiments.recipe import Recipe, identity
from brain_tumor.experiments.run import content, evaluate, make_split, on, run_folder, train
from brain_tumor.experiments.tasks import Task
from brain_tumor.inference import stored
from brain_tumor.models import settings
from brain_tumor.paths import runs_folder
from brain_tumor.progress import watched, within
from brain_tumor.training.runs import RunFolder, environment, now

DESCRIPTION = "crossval.json"
OnFold = Callable[[int, int, RunFolder], None]
Record = Callable[[Recipe, str], RunFolder | None]


def cross_validate(
    recipe: Recipe,
    cohort: Cohort,
    unit: str = "patient",
    folds: int | None = None,
    on_fold: OnFold | None = None,
    workers: int | None = None,
    record: Record | None = None,
) -> Path:
    """Train and score every fold that is not yet, then gather them; a finished cross-validation is returned as it is.

    Args:
        recipe: of every fold; its ``split`` says nothing, each fold has its own.
        unit: ``patient``, ``slice`` or ``site`` (each is left out once).
        folds: how many; None for 5, or for as many as there are sites.
        on_fold: told the fold's number, how many there are, and its run, before the fold is begun or taken.
        workers: how many folds are trained side by side (:mod:`brain_tumor.experiments.jobs`); None for the number with which
            this was begun, else for what fits (:mod:`brain_tumor.experiments.capacity`).
        record: a fold's recipe and the data hash -> the record of its scored run, None where there is none; asked for folds that
            have no run in this home. Records hold no predictions, so a cross-validation with such a fold stores none.

    Returns:
        Its folder.

    Raises:
        RunError: begun on other data, or the folds' runs do not cover the cohort; no table is written. Or a process has died.
        DataError, SplitError, ModelError: recipe or folds do not fit the cohort; nothing is written.
    """
    store, task, recipe = open_store(cohort), tasks.of(recipe.TASK), on(recipe, cohort)
    names = splits.fold_names(unit, folds, store.cases, store.slices)
    of_folds = [_fold(number, replace(recipe, split=name), store, record) for number, name in enumerate(names, 1)]
    folder = runs_folder() / crossval_name(recipe, unit, len(names), store)
    started, begun = now(), None
    if (folder / DESCRIPTION).is_file():
        earlier = read(folder)
        if earlier["status"] == "finished" and all((folder / name).is_file() for name in _tables(task, of_folds)):
            return folder
        started, begun = earlier["started"], earlier.get("workers", 1)  # earlier versions trained in turn
    workers = capacity.workers([fold.recipe for fold in of_folds], cohort, workers, begun)
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
        "started": started,
        "workers": workers,
        "environment": _environment(workers),
    }
    work, ending = Work(folder, cohort, of_folds, facts), "failed"
    try:
        if workers > 1:
            _train_side_by_side(work, workers, on_fold)
        else:
            _train_in_turn(work, on_fold)
        runs = [fold.run for fold in of_folds]
        gathered = out_of_fold.gather(runs, task, store, unit)
        if stored.PREDICTIONS in _tables(task, of_folds):
            out_of_fold.write_predictions(folder / stored.PREDICTIONS, runs, gathered[task.main], store, recipe.size)
        scoring.write(gathered, folder)
        ending = "finished"
    except KeyboardInterrupt:
        ending = "stopped"
        raise
    finally:
        if (folder / DESCRIPTION).is_file():
            work.note(ending)
    return folder


@dataclass(frozen=True)
class Fold:
    """One fold, numbered from 1, with the recipe that names its split; its run is a record where ``recorded``."""

    number: int
    recipe: Recipe
    split: splits.Split
    run: RunFolder
    recorded: bool = False

    @property
    def facts(self) -> dict:
        """What ``crossval.json`` says of it; seconds are of training and inference, over all sittings."""
        facts = self.run.description if self.run.exists else {}
        return {
            "fold": self.number,
            "split": self.recipe.split,
            "split_hash": self.split.hash,
            "run": self.run.path.name,
            "status": "scored" if "scored" in facts and self.run.status == "finished" else self.run.status,
            "seconds": round(facts.get("training_seconds", 0.0) + facts.get("inference_seconds", 0.0), 1),
        }

    @property
    def scored(self) -> bool:
        """Whether scoring the run left all that is gathered from it."""
        task = tasks.of(self.recipe.TASK)
        needed = [task.main, scoring.FLOORS]
        if task.predictions and not self.recorded:
            cases = sorted({key.split("/")[0] for key in self.split.test})
            needed += [f"{segmentation.PREDICTIONS}/{case_id}.npz" for case_id in cases]
        return self.facts["status"] == "scored" and all((self.run.path / name).is_file() for name in needed)


@dataclass(frozen=True)
class Work:
    """What a process needs to train a fold: it may be another one than that which gathers them.

    Attributes:
        folder: the cross-validation's.
        cohort: what is learnt from.
        folds: all of them, in order.
        facts: what ``crossval.json`` says besides the folds and how far they are.
    """

    folder: Path
    cohort: Cohort
    folds: list[Fold]
    facts: dict

    def note(self, status: str) -> None:
        """Write ``crossval.json``."""
        runs = [fold.facts for fold in self.folds]
        seconds = round(sum(fold["seconds"] for fold in runs), 1)
        files.write_json(
            self.folder / DESCRIPTION, self.facts | {"status": status, "ended": now(), "seconds": seconds, "runs": runs}
        )


def _environment(workers: int) -> dict[str, Any]:
    """What the folds are trained with, processes of their own included."""
    facts = environment()
    return facts | {"threads": facts["threads"] | {"intra_op": threads_each(workers)}} if workers > 1 else facts


def _train_in_turn(work: Work, on_fold: OnFold | None) -> None:
    for fold in work.folds:
        if on_fold:
            on_fold(fold.number, len(work.folds), fold.run)
        with within(f"fold {fold.number} of {len(work.folds)}"):
            _train(work, fold)


def _train_side_by_side(work: Work, workers: int, on_fold: OnFold | None) -> None:
    others = []
    for fold in work.folds:
        if on_fold:
            on_fold(fold.number, len(work.folds), fold.run)
        if fold.scored:
            _train(work, fold)  # which only looks whether it may be taken
        else:
            others.append(fold)
    epochs = sum(stage.epochs for fold in others for stage in fold.recipe.stages)
    with watched(
        f"epochs of {len(others)} fold{'s' * (len(others) != 1)}", epochs, lambda: sum(fold.run.epochs for fold in others)
    ):
        deque(side_by_side(_train, [(work, fold) for fold in others], workers), maxlen=0)


def _train(work: Work, fold: Fold) -> None:
    """Train and score a fold, as far as that is not done, in whatever process."""
    if fold.recorded:
        work.note("running")
        return
    if fold.run.status != "finished":
        settings.clear_session()  # else each fold's network stays in memory beside the next
    train(fold.recipe, work.cohort, on_start=lambda _run: work.note("running"))
    if not fold.scored:
        evaluate(fold.run, work.cohort)
    work.note("running")


def crossval_name(recipe: Recipe, unit: str, folds: int, store: Store) -> str:
    """The folder's name: what a person looks for first, then a hash of all that decides it."""
    by_content = content(recipe, store, None)
    shared = {name: value for name, value in identity(recipe).items() if name not in ("cohort", "split")}
    digest = files.sha256_json([recipe.TASK, shared, unit, folds, by_content])[:8]
    return f"{store.cohort.name}-crossval-{folds}-{unit}-{recipe.model}-{recipe.size}-seed{recipe.seed}-{digest}"


def tables(task: Task) -> tuple[str, ...]:
    """The files, besides its description, that every finished cross-validation holds; those of earlier versions hold no more."""
    more = [stored.PREDICTIONS] if task.predictions else []
    return (task.main, scoring.FLOORS, scoring.CASES, scoring.SCORES, out_of_fold.FOLD_SCORES, *more)


def _tables(task: Task, of_folds: list[Fold]) -> tuple[str, ...]:
    """Of :func:`tables`, those that these folds can give."""
    return tuple(name for name in tables(task) if name != stored.PREDICTIONS or not any(fold.recorded for fold in of_folds))


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


def _fold(number: int, recipe: Recipe, store: Store, record: Record | None) -> Fold:
    run, split = run_folder(recipe, store), make_split(recipe, store)
    recorded = record(recipe, store.data_hash) if record and not run.exists else None
    return Fold(number, recipe, split, recorded or run, bool(recorded))
