"""How long an exam of BraTS's size takes a network of volumes, and how much memory.

    .venv/bin/python benchmarks/volume.py [--size 240] [--planes 155] [--json measured/volume.json]

The exam is drawn (:mod:`brain_tumor.data.phantom_brats`), the network is notebook 10's with random weights: neither changes what
is computed. A process of its own predicts, so its peak is that of reading, network and answer together.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

PATCH = {"size": 96, "depth": 64, "channels": 4, "regions": 3, "filters": (16, 32, 64, 128, 256), "halved": True}


def work(size: int, planes: int) -> None:
    """Draw an exam, predict it, and print what it took."""
    from brain_tumor.models.backend import load_keras

    load_keras()
    import numpy as np

    from brain_tumor.data import phantom, phantom_brats
    from brain_tumor.data.labels import REGIONS
    from brain_tumor.inference.predictor import Predictor
    from brain_tumor.inference.sliding import passes
    from brain_tumor.models import precision, saved

    area = phantom.TUMOUR_PX[2] * (size / phantom.NATIVE) ** 2
    images, _ = phantom_brats.draw_exam(np.random.default_rng(0), (planes, size), area, 0)
    number_format = precision.resolve("auto", of_volumes=True)
    model = saved.build(saved.describe("resunet3d", **PATCH), number_format)
    network = Predictor(
        model,
        normalisation="tissue",
        flip_tta=True,
        sequences=("t1", "t1ce", "t2", "flair"),
        reference=3,
        size=size,
        regions=REGIONS,
    )
    begun, shares = time.perf_counter(), []
    answer = network.predict(network.exam(images), shares.append)
    tile = network.tile(images.shape[:3])
    facts = {
        "voxels": [*images.shape], "tile": [*tile], "tiles": passes(images.shape[:3], tile), "mirrored": True,
        "precision": number_format, "minutes": round((time.perf_counter() - begun) / 60, 2),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2), "progress_calls": len(shares),
        "answered": [*answer.native.shape],
    }  # fmt: skip
    print(json.dumps(facts))


def main() -> None:
    """Measure in a process of its own, print, and perhaps write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=240)
    parser.add_argument("--planes", type=int, default=155)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.size, options.planes)
        return
    words = [sys.executable, __file__, "--worker", f"--size={options.size}", f"--planes={options.planes}"]
    done = subprocess.run(words, env=os.environ | {"BRAIN_TUMOR_QUIET": "1"}, stdout=subprocess.PIPE, text=True, check=True)
    facts = json.loads(done.stdout.splitlines()[-1])
    print(
        f"{' x '.join(map(str, facts['voxels']))} voxels in {facts['tiles']} tiles, mirrored: {facts['minutes']} minutes, "
        f"{facts['peak_gb']} GB at most"
    )
    if options.json:
        options.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
