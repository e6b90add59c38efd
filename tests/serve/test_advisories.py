"""The packages of the extra `serve` have no known vulnerability, as far as the advisory service answers."""

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SERVED = ("blinker", "click", "flask", "itsdangerous", "jinja2", "markupsafe", "nibabel", "pillow", "waitress", "werkzeug")

pytestmark = pytest.mark.long


def test_no_advisory_speaks_of_what_the_server_runs(tmp_path):
    pins = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    chosen = [line for line in pins if re.split("==", line)[0].lower().replace("_", "-") in SERVED]
    assert len(chosen) == len(SERVED)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("\n".join(chosen) + "\n")
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    installed = subprocess.run([python, "-m", "pip", "-q", "install", "pip-audit"], capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"NO AUDIT of advisories, pip-audit cannot be had: {installed.stderr.strip().splitlines()[-1]}")
    command = [python, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off", "-r", requirements]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if answer.returncode and "No known vulnerabilities" not in answer.stderr and not answer.stdout.strip():
        pytest.skip(f"NO AUDIT of advisories, the service does not answer: {answer.stderr.strip().splitlines()[-1][:200]}")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert sys.version_info >= (3, 11)
