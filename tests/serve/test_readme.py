"""What README and Dockerfile promise of the server is tried: the examples, and the install and start lines."""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import threading
import venv
from pathlib import Path

import pytest
import waitress

from brain_tumor.serve.app import create_app

CHECKOUT = Path(__file__).resolve().parents[2]
ADDRESS = "http://127.0.0.1:8000"


def lines(beginning):
    """The indented lines of README that begin so."""
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.startswith(f"    {beginning}") and ADDRESS in line]


@pytest.fixture
def address(served):
    server = waitress.create_server(create_app(served), host="127.0.0.1", port=0, threads=4)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()


@pytest.mark.parametrize("beginning", ["curl", "python"])
def test_the_examples_of_the_readme(address, files, tmp_path, beginning):
    if not shutil.which(beginning.split()[0]):
        pytest.skip(f"NO {beginning}, the example of README was not run")
    (tmp_path / "slice.tif").write_bytes(files["slice.tif"])
    (example,) = lines(beginning)
    command = [word.replace(ADDRESS, address) for word in shlex.split(example)]
    command[0] = sys.executable if command[0] == "python" else command[0]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert json.loads(answer.stdout)["tumour"]["called"], answer.stderr


def dockerfile(instruction):
    text = (CHECKOUT / "Dockerfile").read_text(encoding="utf-8")
    return re.findall(rf"^{instruction} (.*)$", text, re.MULTILINE)


def test_the_image_runs_as_an_ordinary_user_and_holds_no_data():
    order = [line.split()[0] for line in (CHECKOUT / "Dockerfile").read_text().splitlines() if line and line[0] not in "# "]
    assert dockerfile("USER") == ["reader"] and order.index("USER") > order.index("RUN")
    copied = {word for line in dockerfile("COPY") for word in line.split()[:-1]}
    let_in = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_in == {"pyproject.toml", "README.md", "LICENSE", "brain_tumor"}
    assert json.loads(dockerfile("CMD")[0])[-2:] == ["--token", "new"]


def listing(folders):
    """Every file with its size and time, as an administrator's process could have changed it all the same."""
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [(path, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


@pytest.mark.long
def test_the_install_and_start_lines_of_the_dockerfile(tmp_path, files):
    """In a fresh environment, with the code read-only; the phantom's network stands for a packed one."""
    application = tmp_path / "app"
    application.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, application)
    shutil.copytree(CHECKOUT / "brain_tumor", application / "brain_tumor", ignore=shutil.ignore_patterns("__pycache__"))
    venv.create(tmp_path / "venv", with_pip=True)
    binaries = tmp_path / "venv" / "bin"
    (install,) = (line for line in dockerfile("RUN") if line.startswith("pip"))
    constraint = ["--constraint", str(CHECKOUT / "constraints.txt")]
    subprocess.run([binaries / "python", "-m", *shlex.split(install), *constraint], cwd=application, check=True, timeout=1500)
    code = [application, next((tmp_path / "venv").rglob("site-packages"))]
    for path in (path for folder in code for path in [*folder.rglob("*"), folder]):
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    before = listing(code)
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": f"{binaries}:{os.environ['PATH']}", "BRAIN_TUMOR_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= {"MPLCONFIGDIR": str(tmp_path), "KERAS_HOME": str(tmp_path), "HOME": str(tmp_path), "BRAIN_TUMOR_QUIET": "1"}
    train = [
        "train",
        "segmentation",
        "--cohort",
        "phantom",
        "--split",
        "ratio-25",
        "--model",
        "resunet",
        "--size",
        "32",
        "--epochs",
        "1",
    ]
    subprocess.run(["brain-tumor", *train], cwd=home, env=environment, check=True, timeout=900)
    subprocess.run(
        ["brain-tumor", "evaluate", "phantom"], cwd=home, env=environment, check=True, timeout=900, capture_output=True
    )
    start = [*json.loads(dockerfile("ENTRYPOINT")[0]), *json.loads(dockerfile("CMD")[0]), "--port", "0"]
    with subprocess.Popen(start, cwd=home, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            said = {}
            for line in server.stdout:
                said |= {"port": match[1]} if (match := re.search(r"http://.*:(\d+)/", line)) else {}
                said |= {"token": match[1]} if (match := re.match(r"token: (\S+)", line)) else {}
                if len(said) == 2:
                    break
            (tmp_path / "slice.tif").write_bytes(files["slice.tif"])
            place = f"http://127.0.0.1:{said['port']}/api/v1/predict"
            ask = ["curl", "-s", "-H", f"Authorization: Bearer {said['token']}", "-F", f"exam=@{tmp_path / 'slice.tif'}", place]
            answer = json.loads(subprocess.run(ask, capture_output=True, check=True, timeout=300).stdout)
            assert "tumour" in answer or answer["error"]["code"] == "unfamiliar"
        finally:
            server.kill()
    assert not [path for path in application.rglob("*") if path.stat().st_mode & stat.S_IWUSR]
    assert listing(code) == before, "nothing was written beside the code"
