"""A process of TensorFlow with two devices that trains as two GPUs would, and beside it as one device does."""

import json
import sys

import keras
import numpy as np
import tensorflow as tf


def main(shared: bool) -> None:
    """Train a small recipe on the phantom; prints its losses, the hash of nothing, and what the saved network predicts."""
    if shared:
        processor = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    from brain_tumor.data.phantom import open_phantom
    from brain_tumor.experiments import run as experiment
    from brain_tumor.experiments.recipe import SegmentationRecipe
    from brain_tumor.models import saved
    from brain_tumor.training import mirrored
    from brain_tumor.training.plan import Stage

    if shared:
        mirrored.begin(["/cpu:0", "/cpu:1"])
    recipe = SegmentationRecipe(
        cohort="phantom", split="ratio-33", validation=0.3, model="resunet", size=32, batch_size=4, loss="bce", flip_tta=False,
        stages=(Stage("all", 2, 0.05, optimiser="sgd", schedule="constant"),), precision="float32",
        model_arguments=(("filters", (4,)),), batchnorm_momentum=0.9,
    )  # fmt: skip
    run = experiment.train(recipe, open_phantom(6, (8, 12), 64))
    if shared:
        tf.distribute.experimental_set_strategy(None)
    model = saved.load(run.path)  # a plain network, built anew
    weights = np.concatenate([keras.ops.convert_to_numpy(weight).ravel() for weight in model.weights])
    answer = model.predict_on_batch(np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32))
    facts = {
        "history": run.history.drop(columns="seconds").to_dict("list"),
        "weights": weights.tolist(),
        "answer": answer.ravel().tolist(),
    }
    print("FACTS " + json.dumps(facts), flush=True)


if __name__ == "__main__":
    main(sys.argv[1] == "shared")
