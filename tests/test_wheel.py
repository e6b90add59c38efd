"""The package as a wheel: built from the checkout, installed elsewhere, used from another folder."""

import csv
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "brain_tumor")
RUN_MAIN = "import sys; from brain_tumor.cli.main import main; sys.argv[0] = 'brain-tumor'; main()"
IMPORT_ALL = """
import importlib, pkgutil, brain_tumor
from brain_tumor import paths
modules = [name for _, name, _ in pkgutil.walk_packages(brain_tumor.__path__, "brain_tumor.")]
for name in modules:
    importlib.import_module(name)
from brain_tumor.training.runs import environment
print(brain_tumor.__file__, len(modules), repr(environment()["commit"]), sep="\\n")
"""

pytestmark = pytest.mark.long


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy: a build in the checkout would leave its folders there, and find older ones."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy2
        copy(CHECKOUT / name, source / name)
    pip("wheel", source, "--no-deps", "--wheel-dir", out)
    (path,) = out.glob("brain_tumor-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """``installed(*arguments)`` runs Python where only the installed wheel can be ``brain_tumor``."""
    site, work = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    pip("install", wheel, "--no-deps", "--target", site)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BRAIN_TUMOR_")}
    environment |= {"PYTHONPATH": str(site), "XDG_DATA_HOME": str(work / "share"), "HOME": str(work), "COLUMNS": "250"}

    def run(*arguments):
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True)

    run.site, run.work = site, work
    return run


def test_the_wheel_holds_every_file_of_the_package(wheel):
    package = CHECKOUT / "brain_tumor"
    files = {path.relative_to(CHECKOUT).as_posix() for path in package.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    with zipfile.ZipFile(wheel) as archive:
        shipped = set(archive.namelist())
    assert files <= shipped
    assert {"brain_tumor/data/lgg_manifest.csv", "brain_tumor/report/templates/notebook/index.html.j2"} <= shipped
    assert not [name for name in shipped if name.startswith(("tests", "notebooks", "reports"))]


def test_every_module_is_imported_from_the_wheel(installed):
    answer = installed("-c", IMPORT_ALL)
    assert answer.returncode == 0, answer.stderr
    place, modules, commit = answer.stdout.splitlines()
    assert Path(place) == installed.site / "brain_tumor" / "__init__.py"
    assert int(modules) > 80
    assert commit == "'not committed'", "the commit of some other repository is not ours"


def test_the_command_line_works_and_writes_nothing_into_the_package(installed):
    help_text = installed("-c", RUN_MAIN, "--help")
    assert help_text.returncode == 0 and "audit" in help_text.stdout, help_text.stderr
    before = sorted(installed.site.rglob("*.[!p]*"))

    rng = np.random.default_rng(0)
    names = ["TCGA_CS_0001_19960909_1.png", "TCGA_CS_0001_19960909_2.png"]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (16, 16), dtype=np.uint8)).save(installed.work / name)
    with open(installed.work / "split.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([("file", "part"), *zip(names, ("train", "test"), strict=True)])
    audit = installed("-c", RUN_MAIN, "audit", "split.csv")
    assert audit.returncode == 1, audit.stderr
    assert "patients on both sides" in audit.stdout, audit.stderr

    runs = installed("-c", RUN_MAIN, "runs")
    assert runs.returncode == 0, runs.stderr
    assert "no runs yet" in runs.stdout
    (home,) = (installed.work / "share").iterdir()
    assert f"data and runs go to {home};" in audit.stderr + runs.stderr
    refusal = installed("-c", RUN_MAIN, "notebooks")
    assert refusal.returncode == 2 and refusal.stderr.startswith("brain-tumor: no notebooks here"), refusal.stderr
    assert sorted(installed.site.rglob("*.[!p]*")) == before


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """``bare(*words)`` runs the command line where the wheel was installed without extras: no Keras, no backend."""
    place = tmp_path_factory.mktemp("bare")
    venv.create(place / "venv", with_pip=True)
    python = place / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--only-binary", ":all:", wheel]
    answer = subprocess.run(install, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    names = ("BRAIN_TUMOR_", "PYTHON")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    environment |= {"BRAIN_TUMOR_HOME": str(place / "home"), "BRAIN_TUMOR_QUIET": "1", "COLUMNS": "200"}

    def run(*words):
        command = [place / "venv" / "bin" / "brain-tumor", *map(str, words)]
        return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)

    run.place, run.site = place, next((place / "venv" / "lib").glob("python*/site-packages"))
    return run


def test_without_extras_there_is_no_keras_and_the_environment_is_small(bare):
    there = {path.name for path in bare.site.iterdir()}
    assert not there & {"keras", "tensorflow", "jax", "segmentation_models", "classification_models"}
    size = sum(path.lstat().st_size for path in bare.site.rglob("*") if path.is_file())
    assert size < 800e6, f"{size / 1e6:,.0f} MB"  # with the extras train and cpu it is four times as large


def test_without_extras_a_wheel_audits_scores_and_reads_data(bare, write_tree):
    tree = write_tree(bare.place / "kaggle_3m", {"TCGA_CS_0001_19960909": 3, "TCGA_HT_0002_19981126": 3})
    first = "kaggle_3m/TCGA_CS_0001_19960909/TCGA_CS_0001_19960909"
    rows = [(f"{first}_1.tif", "train"), (f"{first}_2.tif", "test")]
    with open(bare.place / "split.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([("file", "part"), *rows])
    audit = bare("audit", "split.csv")
    assert audit.returncode == 1 and "patients on both sides" in audit.stdout, audit.stderr
    score = bare("score", "--truth", tree, "--predictions", tree)
    assert score.returncode == 0 and "patient mean" in score.stdout, score.stderr
    assert (bare.place / "kaggle_3m-score" / "score.html").is_file()
    profile = bare("data", "profile", "--folder", tree)
    assert profile.returncode == 0 and "patients" in profile.stdout, profile.stderr


def test_without_extras_training_says_what_to_install_and_never_the_bare_name(bare):
    refusal = bare("train", "segmentation", "--epochs", 1)
    assert refusal.returncode == 2 and len(refusal.stderr.splitlines()) == 1, refusal.stderr
    assert "train needs Keras" in refusal.stderr and "'keras>=" in refusal.stderr and "tensorflow" in refusal.stderr
    assert "pip install 'brain-tumor" not in refusal.stderr
    assert "Needs the extra train" in bare("--help").stdout
