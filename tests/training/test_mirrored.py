"""Two devices of TensorFlow learn what one does, and what is saved is a plain network that predicts alike."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

WORKER = Path(__file__).with_name("mirrored_worker.py")


def facts_of(home, how):
    environment = os.environ | {
        "KERAS_BACKEND": "tensorflow",
        "PYTHONPATH": str(WORKER.parents[2]),
        "BRAIN_TUMOR_HOME": str(home),
    }
    done = subprocess.run([sys.executable, str(WORKER), how], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("FACTS ")).removeprefix("FACTS "))


@pytest.mark.long
def test_two_devices_learn_what_one_learns_and_save_a_plain_network(tmp_path):
    alone, shared = (facts_of(tmp_path / how, how) for how in ("alone", "shared"))
    for measure in ("loss", "dice", "validation_loss", "validation_dice"):
        np.testing.assert_allclose(shared["history"][measure], alone["history"][measure], atol=1e-5)
    # BatchNorm's variance of two devices together is worked out in another order.
    np.testing.assert_allclose(shared["weights"], alone["weights"], atol=1e-4)
    np.testing.assert_allclose(shared["answer"], alone["answer"], atol=1e-3)
