"""A free search: which settings of a recipe do best on patients set aside from its training. Nobody's test slice is looked at.

Optuna proposes settings (a tree of Parzen estimators: Bergstra et al. 2011, NeurIPS 24), each trial is an ordinary run, and the
loss on the validation part after the last epoch is minimised. The best of many trials on few patients flatters itself: its score
is that of a cross-validation on other patients, not the loss found here.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pandas as pd

from brain_tumor import files
from brain_tumor.data.cache import Store, open_store
from brain_tumor.data.cohort import Cohort
from brain_tumor.errors import BrainTumorError, ModelError, RunError
from brain_tumor.evaluation import scoring
from brain_tumor.evaluation.storage import read_table
from brain_tumor.experiments.recipe import Recipe, identity
from brain_tumor.experiments.run import content, run_folder, train
from brain_tumor.models import settings
from brain_tumor.paths import installation, runs_folder
from brain_tumor.progress import within
from brain_tumor.training import plan
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.runs import RunFolder

DESCRIPTION, TRIALS, JOURNAL = "search.json", "trials.csv", "journal.log"
MEASURE = "validation_loss"


class Range(NamedTuple):
    """From ``low`` to ``high``; in equal factors where ``log``."""

    low: float
    high: float
    log: bool = False


SPACE: dict[str, Range | tuple] = {
    "max_lr": Range(1e-4, 1e-2, log=True),
    "batch_size": (8, 16, 32),
    "strategy": plan.STRATEGIES,
    "optimiser": ("adamw", "sgd"),
    "flip": (True, False),
    "rotation_degrees": Range(0.0, 30.0),
    "gamma": Range(0.0, 0.5),
    "sequence_dropout": Range(0.0, 0.5),
}  # no balance: it changes what the loss says, and losses of two meanings cannot be ranked


def search(
    recipe: Recipe,
    cohort: Cohort,
    trials: int,
    vary: tuple[str, ...] = (),
    on_trial: Callable[[int, int, RunFolder], None] | None = None,
) -> Path:
    """Train and judge settings until there are ``trials``; those of an earlier call count, and an interrupted one goes on first.

    Args:
        recipe: what no trial changes; it has a validation part.
        trials: how many in all.
        vary: names of :data:`SPACE`; without any, all that this recipe has.
        on_trial: told the number, how many there are, and the run, before it is begun.

    Returns:
        The search's folder: ``search.json``, ``trials.csv`` (:func:`read`) and Optuna's journal.

    Raises:
        ModelError: no validation part, an unknown name, stages that no named strategy gives, or no Optuna.
        RunError, DataError, SplitError: as of any run.
    """
    if not recipe.validation:
        raise ModelError("a search is judged on the validation part: give a share of training patients, such as 0.15")
    names = vary or variable(recipe)
    for name in names:
        if name not in variable(recipe):
            raise ModelError(f"{name!r} cannot be varied here, expected some of {', '.join(variable(recipe))}")
        for option in () if isinstance(SPACE[name], Range) else SPACE[name]:
            varied(recipe, {name: option})  # what does not fit the recipe is refused before anything is written
    optuna = _optuna()
    store = open_store(cohort)
    folder = runs_folder() / search_name(recipe, names, store)
    folder.mkdir(parents=True, exist_ok=True)
    described = {"recipe": recipe.to_json(), "vary": list(names), "cohort": cohort.name, "phantom": cohort.phantom}
    files.write_json(folder / DESCRIPTION, described)
    journal = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
    study = optuna.create_study(
        study_name=folder.name, storage=optuna.storages.JournalStorage(journal), load_if_exists=True, direction="minimize"
    )
    state = optuna.trial.TrialState
    for trial in study.get_trials(deepcopy=False, states=(state.RUNNING,)):  # killed within
        study.tell(trial.number, state=state.FAIL)
        study.enqueue_trial(trial.params)
    while (finished := len(study.get_trials(deepcopy=False, states=(state.COMPLETE,)))) < trials:
        # The sampler's own draws are not kept: another seed for each trial, else a search that goes on would repeat itself.
        study.sampler = optuna.samplers.TPESampler(seed=recipe.seed + finished)
        trial = study.ask()
        candidate = varied(recipe, {name: _suggest(trial, name) for name in names})
        run = run_folder(candidate, store)
        if on_trial:
            on_trial(finished + 1, trials, run)
        try:
            with within(f"{finished + 1} of {trials}"):
                run = train(candidate, cohort)
        except BrainTumorError:
            study.tell(trial, state=state.FAIL)
            raise
        settings.clear_session()  # else each network stays in memory beside the next
        study.tell(trial, float(run.history[MEASURE].iloc[-1]))
        scoring.write({TRIALS: _table(study, recipe, store)}, folder)
    return folder


def variable(recipe: Recipe) -> tuple[str, ...]:
    """The names of :data:`SPACE` that mean something for this recipe; a strategy does where an encoder has learnt."""
    return tuple(name for name in SPACE if name != "strategy" or recipe.weights != "none")


def varied(recipe: Recipe, chosen: dict) -> Recipe:
    """The recipe with these settings.

    Raises:
        ModelError: no named strategy gives its stages.
    """
    options = plan.arguments(recipe.stages, recipe.NEW_LAYERS)
    if options is None:
        raise ModelError("these stages are of no named strategy, so they cannot be varied")
    moves = {field.name for field in fields(Augmentation)}
    options |= {name: value for name, value in chosen.items() if name in options}
    stages = plan.stages(**options, new_layers=recipe.NEW_LAYERS)
    augmentation = replace(recipe.augmentation, **{name: value for name, value in chosen.items() if name in moves})
    others = {name: value for name, value in chosen.items() if name not in options and name not in moves}
    return replace(recipe, stages=stages, augmentation=augmentation, **others)


def read(folder: Path) -> pd.DataFrame:
    """A row a trial, best first: ``trial``, each setting, ``validation_loss``, ``minutes`` and ``run``.

    Raises:
        RunError: no trial of that search is finished.
    """
    path = folder / TRIALS
    if not path.is_file():
        raise RunError(f"{folder}: no finished trial ({TRIALS})")
    return read_table(path)


def search_name(recipe: Recipe, names: tuple[str, ...], store: Store) -> str:
    """The folder's name: what a person looks for first, then a hash of all that decides it."""
    digest = files.sha256_json([recipe.TASK, identity(recipe), list(names), content(recipe, store, None)])[:8]
    return f"{store.cohort.name}-search-{recipe.model}-{recipe.size}-seed{recipe.seed}-{digest}"


def _suggest(trial: Any, name: str) -> Any:
    among = SPACE[name]
    if not isinstance(among, Range):
        return trial.suggest_categorical(name, among)
    return _rounded(trial.suggest_float(name, among.low, among.high, log=among.log))


def _rounded(value: float) -> float:
    """To three digits, as a person would type it."""
    return float(f"{value:.3g}")


def _table(study: Any, recipe: Recipe, store: Store) -> pd.DataFrame:
    rows = []
    for number, trial in enumerate((trial for trial in study.trials if trial.value is not None), 1):
        chosen = {name: _rounded(value) if isinstance(SPACE[name], Range) else value for name, value in trial.params.items()}
        run = run_folder(varied(recipe, chosen), store)
        minutes = round(run.description["training_seconds"] / 60, 1)
        rows.append({"trial": number, **chosen, MEASURE: round(trial.value, 5), "minutes": minutes, "run": run.path.name})
    return pd.DataFrame(rows).sort_values(MEASURE, kind="stable", ignore_index=True)


def _optuna() -> ModuleType:
    """Optuna, which only a search needs."""
    try:
        import optuna
    except ImportError:
        raise ModelError(f"a search needs Optuna: {installation('sweep')}") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
