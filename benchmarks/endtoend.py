"""What a person waits for: the data, the first step of a training, and source 004's protocol from the command to the scores."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from material import SIZE, seconds

SOURCE_MINUTES = 207  # source 004's four epochs on two cores (row 004.48 and those before it)
COMMAND = "import sys; from brain_tumor.cli.main import main; sys.argv[0] = 'brain-tumor'; main()"
FIRST_STEP = """
import os, time
import brain_tumor as bt
from brain_tumor.models.backend import load_keras
load_keras()
import keras

class First(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        os._exit(0)

bt.train(bt.Segmentation(split="ratio-25", model="unet-resnet18", epochs=1), bt.open_cohort("lgg"), callbacks=(First(),))
"""


def measure_data(root: str) -> dict:
    """Index the tree, build its caches and open them again; peak memory of all that. Then audit a slice split."""
    from brain_tumor.data import splits
    from brain_tumor.data.cache import open_store
    from brain_tumor.data.readers.lgg import read_cohort
    from brain_tumor.leakage.audit import audit
    from brain_tumor.leakage.manifests import of_cohort

    index = seconds(lambda: read_cohort(Path(root)))
    cohort = read_cohort(Path(root))

    def audit_slices() -> None:
        store = open_store(cohort)
        audit(of_cohort(splits.named("source-002", store.cases, store.slices), store))

    return {
        "patients": len(cohort),
        "slices": cohort.n_slices,
        "index_seconds": index,
        "native_cache_seconds": seconds(lambda: open_store(cohort)),
        "resized_cache_seconds": seconds(lambda: open_store(cohort, SIZE)),
        "reopen_seconds": seconds(lambda: open_store(cohort, SIZE)),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "audit_seconds": seconds(audit_slices),
    }


def start_up(root: str) -> dict:
    """Seconds from the command to what it says or does first: medians of three, caches built before."""
    with _home(root) as home:
        environment = {**os.environ, "BRAIN_TUMOR_HOME": home}
        waits = {
            "brain-tumor --help": [COMMAND, "--help"],
            "brain-tumor data --help": [COMMAND, "data", "--help"],
            "the first step of a training": [FIRST_STEP],
        }
        answer = {}
        for name, arguments in waits.items():
            spent = [seconds(lambda call=arguments: _run(call, environment)) for _ in range(4)][1:]
            answer[name] = sorted(spent)[1]
        return answer


def source_004(root: str, epochs: int) -> dict:
    """Source 004's protocol: train on 80 patients, score 15, from the command to the scores, in a fresh home."""
    with _home(root) as home:
        environment = {**os.environ, "BRAIN_TUMOR_HOME": home}
        train = ["train", "segmentation", "--split", "source-004", "--model", "unet-resnet18", "--epochs", str(epochs)]
        trained = seconds(lambda: _run([COMMAND, *train, "--batchnorm-momentum", "0.9"], environment))
        run = next((Path(home) / "runs").glob("lgg-*"))
        scored = seconds(lambda: _run([COMMAND, "evaluate", run.name], environment))
        scores = _dice(pd.read_csv(run / "scores.csv"))
    return {"epochs": epochs, "train_minutes": trained / 60, "evaluate_minutes": scored / 60, **scores}


def _dice(scores: pd.DataFrame) -> dict[str, float]:
    """The source's Dice at the size that the network works at, and the mean of patients at native size."""
    rows = scores.set_index(["protocol", "size"]).dice
    return {"slice_dice": rows["slice, empty = 1", SIZE], "patient_mean": rows["patient mean", scores["size"].max()]}


def _home(root: str) -> tempfile.TemporaryDirectory:
    """A home without runs or caches whose LGG data is ``root``."""
    folder = tempfile.TemporaryDirectory(prefix="brain-tumor-bench-")
    (Path(folder.name) / "data").mkdir()
    (Path(folder.name) / "data" / "kaggle_3m").symlink_to(Path(root).resolve())
    return folder


def _run(arguments: list[str], environment: dict[str, str]) -> None:
    started = time.perf_counter()
    answer = subprocess.run([sys.executable, "-c", *arguments], env=environment, capture_output=True, text=True)
    if answer.returncode:
        raise SystemExit(f"{' '.join(arguments[1:])}: after {time.perf_counter() - started:.0f} s\n{answer.stderr}")
