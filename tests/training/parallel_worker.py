"""A process of a training that is shared: trains a small recipe on the phantom, and says what came of it."""

import hashlib
import json
import os
import sys

import keras
import numpy as np


def main() -> None:
    """Arguments: the size of a batch, the epochs and the task; variables say which process this is."""
    from brain_tumor.data import phantom_brats
    from brain_tumor.data.phantom import open_phantom
    from brain_tumor.experiments import run as experiment
    from brain_tumor.experiments.recipe import ClassificationRecipe, SegmentationRecipe
    from brain_tumor.experiments.volumes_recipe import VolumesRecipe
    from brain_tumor.training import batches, parallel
    from brain_tumor.training.plan import Stage

    world = parallel.world_of(os.environ)
    parallel.begin(world)
    rows, take = [], batches.SliceArrays.take

    def listen(arrays, chosen):
        rows.append(np.asarray(chosen).tolist())
        return take(arrays, chosen)

    batches.SliceArrays.take = listen
    task = sys.argv[3]
    kind, changes = {
        "segmentation": (SegmentationRecipe, {"model": "resunet", "model_arguments": (("filters", (4,)),)}),
        "classification": (ClassificationRecipe, {"model": "plain"}),  # a ResNet makes much of rounding, on four slices
        "volumes": (VolumesRecipe, {"patch": 16, "planes": 4, "patches": 2, "model_arguments": (("filters", (4,)),)}),
    }[task]
    cohort = phantom_brats.open_phantom(6, (8, 32)) if task == "volumes" else open_phantom(6, (8, 12), 64)
    recipe = kind(
        cohort=cohort.name, split="ratio-33", validation=0.3, size=32, batch_size=int(sys.argv[1]),
        stages=(Stage("all", int(sys.argv[2]), 0.05, optimiser="sgd", schedule="constant"),), precision="float32",
        flip_tta=False, batchnorm_momentum=0.9, **changes,
    )  # fmt: skip
    with parallel.guard():
        run = experiment.train(recipe, cohort)
    if world.rank == 0:
        with parallel.alone():
            from brain_tumor.models import saved

            model = saved.load(run.path)
            weights = np.concatenate([keras.ops.convert_to_numpy(weight).ravel() for weight in model.weights])
        np.save(os.environ["WEIGHTS"], weights)
    facts = {"rows": rows, "history": run.history.drop(columns="seconds").to_dict("list"), "rank": world.rank}
    digest = hashlib.sha256((run.path / "model.json").read_bytes()).hexdigest() if world.rank == 0 else ""
    print("FACTS " + json.dumps(facts | {"model": digest, "devices": len(keras.distribution.list_devices())}), flush=True)


if __name__ == "__main__":
    main()
