"""The same seed gives the same weights in another process too, while the machine is busy with a third."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import hashlib, sys
import keras, numpy as np
from brain_tumor.models import saved
from brain_tumor.training.augment import Augmentation
from brain_tumor.training.batches import SliceArrays, TrainingBatches
from brain_tumor.training.losses import LOSSES
from brain_tumor.training.optimisers import OneCycleAdamW
from brain_tumor.training.schedules import OneCycle

keras.utils.set_random_seed(3)
images = np.random.default_rng(0).integers(0, 255, (80, 64, 64, 3)).astype(np.uint8)
scaling = np.repeat(np.array([[0, 255, 0, 1]], np.float32).T[None].repeat(3, axis=2), 80, axis=0)
arrays = SliceArrays(images, (images[..., 0] > 200).astype(np.uint8), scaling, np.arange(80), reference=0)
model = saved.build(saved.describe("unet-resnet18", size=64), sys.argv[1])
model.compile(OneCycleAdamW(OneCycle(1e-3, 10, 0.3)), LOSSES["bce-dice"], jit_compile=keras.backend.backend() == "jax")
for epoch in range(2):
    batches = TrainingBatches(arrays, 16, Augmentation(), 0, epoch)
    for index in range(len(batches)):
        model.train_on_batch(*batches[index])
        print(hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()[:16])
"""


@pytest.mark.long
@pytest.mark.parametrize("number_format", ["float32", "mixed_bfloat16"])
def test_three_processes_of_one_seed_agree_at_every_step(number_format):
    # Without the thread counts of the test run: each process is set up by the package alone.
    environment = {name: value for name, value in os.environ.items() if "THREADS" not in name}
    command = [sys.executable, "-c", PROGRAM, number_format]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
    told = [process.communicate()[0].split() for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(told[0]) == 10
    assert told[0] == told[1] == told[2]
