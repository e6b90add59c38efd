"""A process of a training that is shared: trains a small recipe on the phantom, and says what came of it."""

import hashlib
import json
import os
import sys

import keras
import numpy as np


def main() -> None:
    """Arguments: the size of a batch and the epochs; variables say which process this is."""
    from brain_tumor.data.phantom import open_phantom
    from brain_tumor.experiments import run as experiment
    from brain_tumor.experiments.recipe import SegmentationRecipe
    from brain_tumor.training import batches, parallel
    from brain_tumor.training.plan import Stage

    world = parallel.world_of(os.environ)
    parallel.begin(world)
    rows, take = [], batches.SliceArrays.take

    def listen(arrays, chosen):
        rows.append(np.asarray(chosen).tolist())
        return take(arrays, chosen)

    batches.SliceArrays.take = listen
    recipe = SegmentationRecipe(
        cohort="phantom", split="ratio-33", validation=0.3, model="resunet", size=32, batch_size=int(sys.argv[1]),
        stages=(Stage("all", int(sys.argv[2]), 0.05, optimiser="sgd", schedule="constant"),), precision="float32",
        flip_tta=False, model_arguments=(("filters", (4, 8)),), batchnorm_momentum=0.9,
    )  # fmt: skip
    with parallel.guard():
        run = experiment.train(recipe, open_phantom(6, (8, 12), 64))
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
