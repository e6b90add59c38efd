"""What a network has learnt, handed on: the weights of a finished run as a file that another recipe names as its ``weights``.

So a network of volumes begins with what one of slices knows (row 001.04): ``weights="NAME.npz"``.
"""

import re
from pathlib import Path

from brain_tumor.errors import ModelError
from brain_tumor.experiments.run import finished_recipe, stored_split
from brain_tumor.models import saved, transfer, weights
from brain_tumor.training.runs import RunFolder

NAME = re.compile(r"[A-Za-z0-9][\w-]*")


def keep(run: RunFolder, name: str) -> tuple[Path, int]:
    """Write a run's weights, head included, among this home's weights; of several networks that answer together, the first one's.

    Args:
        name: of the file, without its ending.

    Returns:
        The file, and from how many patients' images it was learnt, those that choices were made on included.

    Raises:
        RunError: the run did not finish.
        ModelError: it outlines nothing, or the name is none of a file.
    """
    recipe = finished_recipe(run)
    if not recipe.LEARNS_MASKS:
        raise ModelError(f"{run.path.name}: outlines nothing; the weights of a network that outlines tumours are handed on")
    if not NAME.fullmatch(name):
        raise ModelError(f"the name {name!r}: expected letters, digits, - and _")
    split = stored_split(run)
    patients = sorted({key.split("/")[0] for key in (*split.train, *split.validation)})
    record = {"name": name, "normalisation": recipe.normalisation, "patients": patients, "run": run.path.name}
    model = saved.load(next(iter(saved.members(run.path)), run.path))
    path = weights.folder() / f"{name}{transfer.ENDING}"
    transfer.save(model, path, record | {"recipe": recipe.to_json(), "task": recipe.TASK}, head=True)
    return path, len(patients)
