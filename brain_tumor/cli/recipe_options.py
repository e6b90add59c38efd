"""A recipe's fields as options of the command line: their names, defaults, limits and help are said once, in the recipe."""

import inspect
import json
from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from brain_tumor.errors import ModelError
from brain_tumor.experiments import recipe as recipes
from brain_tumor.experiments.recipe import Recipe
from brain_tumor.models import memory
from brain_tumor.models.backend import load_keras
from brain_tumor.training import plan
from brain_tumor.training.augment import Augmentation

AUTO = "auto"
BATCH_HELP = "Slices a step: a number, or auto: what bench --remember found fastest here, else 16. It changes what a run learns."
STRATEGY_HELP = "Train everything; the new layers alone; those, then all, then all by depth; or at half size, then all."


def option(item: Field, default: Any = MISSING) -> inspect.Parameter:
    """A dataclass field made by :func:`brain_tumor.training.fields.setting` as a command's parameter."""
    limits = item.metadata
    kind: Any = Literal[limits["choices"]] if "choices" in limits else item.type
    bounds = {"min": limits.get("low", limits.get("above")), "max": limits.get("high", limits.get("below"))}
    about = {"help": limits.get("help")} | (bounds if item.type in (int, float) else {})
    if item.name == "batch_size":
        about = {"help": BATCH_HELP, "parser": _number_or_auto, "metavar": f"INTEGER|{AUTO}"}
    default = item.default if default is MISSING else default
    annotation = Annotated[kind, typer.Option(**about)]
    return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def options(kind: type[Recipe]) -> list[inspect.Parameter]:
    """Every option of a kind of recipe: its own fields, those of its stages, those of its augmentation."""
    parameters = []
    for item in fields(kind):
        if item.name == "stages":
            parameters += _stage_options()
        elif item.name == "augmentation":
            parameters += [option(part) for part in fields(Augmentation)]
        elif item.name == "model_arguments":
            annotation = Annotated[list[str], typer.Option("--model-argument", metavar="NAME=VALUE", help=item.metadata["help"])]
            parameters.append(inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, default=[], annotation=annotation))
        else:
            parameters.append(option(item))
    return parameters


def _stage_options() -> list[inspect.Parameter]:
    strategy = Annotated[Literal[plan.STRATEGIES], typer.Option(help=STRATEGY_HELP)]  # type: ignore[valid-type]
    named = {item.name: item for item in fields(plan.Stage)}
    chosen = [option(named["epochs"], recipes.EPOCHS), *(option(named[name]) for name in ("max_lr", *plan.OF_THE_OPTIMISER))]
    return [inspect.Parameter("strategy", inspect.Parameter.KEYWORD_ONLY, default="all", annotation=strategy), *chosen]


def add_commands(app: typer.Typer, work: Callable, about: dict[type[Recipe], str], but: tuple[str, ...] = ()) -> None:
    """A command a task: its options are those of ``work`` and those of the task's recipe, which ``work`` is called with.

    Keras is loaded when a command is called, so that ``--help`` does not wait for it.

    Args:
        about: the kind of recipe of each task -> what ``--help`` says of the command.
        but: options that the commands do without; the recipe keeps their defaults.
    """
    for kind, line in about.items():
        app.command(kind.TASK, help=line)(_command(kind, work, but))


def _command(kind: type[Recipe], work: Callable, but: tuple[str, ...]) -> Callable:
    parameters = [parameter for parameter in options(kind) if parameter.name not in but]
    own = [parameter for parameter in inspect.signature(work).parameters.values() if parameter.name != "recipe"]

    def command(**values: Any) -> None:
        load_keras()
        work(recipe=make(kind, {item.name: values.pop(item.name) for item in parameters}), **values)

    signature = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in (*own, *parameters)]
    command.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in signature}
    return command


def make(kind: type[Recipe], values: dict[str, Any]) -> Recipe:
    """The recipe that options describe; Keras must be loaded.

    Raises:
        ModelError: a value is beyond its limits.
    """
    own = tuple(_argument(text) for text in values.get("model_arguments", ()))
    size = batch_size(values.get("batch_size", Recipe.batch_size))
    return recipes.from_options(kind, **values | {"model_arguments": own, "batch_size": size})


def batch_size(value: int | str) -> int:
    """The batch that an option means; a recipe holds a number always. Keras must be loaded."""
    return (memory.batch_size() or Recipe.batch_size) if value == AUTO else int(value)


def _number_or_auto(value: str | int) -> int | str:
    """The value of ``--batch-size``, a word or the default."""
    if value == AUTO:
        return AUTO
    number = _number(str(value))
    if type(number) is not int or number < 1:
        raise typer.BadParameter(f"{value}, expected a whole number from 1, or {AUTO}")
    return number


def _argument(text: str) -> tuple[str, Any]:
    """``filters=8,16`` -> ``("filters", (8, 16))``."""
    name, _, value = text.partition("=")
    if not (name.isidentifier() and value):
        raise ModelError(f"--model-argument {text}: expected NAME=VALUE, such as filters=8,16")
    parts = [_number(part) for part in value.split(",")]
    return name, tuple(parts) if len(parts) > 1 else parts[0]


def _number(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def is_from_file(context: typer.Context, path: Path | None) -> bool:
    """Whether a verb is to take its recipe from a file; without file and task it prints its help and ends.

    Raises:
        ModelError: both a file and a task were given.
    """
    if context.invoked_subcommand is None and path is None:
        typer.echo(context.get_help())
        raise typer.Exit
    if context.invoked_subcommand and path:
        raise ModelError(f"--recipe {path}: the file says the task and all options, so leave out what follows it")
    return path is not None


def from_file(path: Path) -> Recipe:
    """The recipe in a JSON file: a recipe by itself, or the ``run.json`` or ``crossval.json`` of a run or record.

    A split that was a file is taken from ``split.json`` beside it, where the path that the recipe names is not here.

    Raises:
        RunError: no such file, or no recipe in it.
        ModelError: a value is beyond its limits.
    """
    from dataclasses import replace

    from brain_tumor import files
    from brain_tumor.errors import RunError
    from brain_tumor.experiments import tasks
    from brain_tumor.records import upgrade

    try:
        content = files.read_json(path)
        recipe = tasks.recipe_from_json(upgrade.recipe(content.get("recipe", content)) | _whole(content))
    except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise RunError(f"{path}: no recipe in JSON ({getattr(error, 'reason', '') or error})") from None
    beside = path.parent / "split.json"
    if recipe.split.endswith(".json") and not Path(recipe.split).is_file() and beside.is_file():
        return replace(recipe, split=str(beside))
    return recipe


def _whole(content: dict[str, Any]) -> dict[str, str]:
    """A cross-validation's recipe names no split; each fold has its own."""
    return {"split": recipes.Recipe.split} if "folds" in content else {}
