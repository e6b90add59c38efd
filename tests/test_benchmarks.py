"""The benchmarks run from the command to the plot, on a few synthetic slices; without PyTorch they measure this project alone."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.long


def test_a_smoke_run_measures_every_section_and_draws_a_plot(tmp_path):
    path = tmp_path / "numbers.json"
    command = [sys.executable, CHECKOUT / "benchmarks" / "bench.py", "--quick", "--json", path]
    environment = {name: value for name, value in os.environ.items() if "THREADS" not in name}
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    numbers = json.loads(path.read_text())
    assert numbers["cohort"] == "PHANTOM" and "these numbers mean nothing" in answer.stdout
    assert {row["side"] for row in numbers["speed"]["rates"]} >= {"ours"}
    assert all(rate > 0 for row in numbers["speed"]["rates"] for rate in row["rates"])
    assert {row["without"] for row in numbers["gains"]} >= {"fused BatchNorm", "one-pass AdamW", "all of these"}
    assert [row["size"] for row in numbers["cost"]["by_size"]] == [64, 128, 256]
    assert numbers["cost"]["by_slices"][-1]["slices"] == 4 * numbers["cost"]["by_slices"][0]["slices"]
    assert numbers["start"].keys() >= {"brain-tumor --help", "the first step of a training"}
    assert path.with_suffix(".svg").read_text().startswith("<?xml")


def test_a_volume_is_predicted_in_a_process_of_its_own(tmp_path):
    path = tmp_path / "volume.json"
    command = [sys.executable, CHECKOUT / "benchmarks" / "volume.py", "--size", "96", "--planes", "70", "--json", path]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    facts = json.loads(path.read_text())
    assert facts["tiles"] == 1 and facts["answered"] == [70, 96, 96] and 0 < facts["peak_gb"] < 4
    assert facts["progress_calls"] == 1


def test_an_unknown_section_is_refused():
    command = [sys.executable, CHECKOUT / "benchmarks" / "bench.py", "--only", "luck"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 2 and "luck: expected some of" in " ".join(answer.stderr.split())
