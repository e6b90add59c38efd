"""``pyproject.toml``, ``environment.yml`` and the imports of the code say the same, and say why."""

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).resolve().parent.parent
TESTS = sorted((CHECKOUT / "tests").rglob("*.py"))
PYPROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, SETUPTOOLS = PYPROJECT["project"], PYPROJECT["tool"]["setuptools"]
CONDA_TEXT = (CHECKOUT / "environment.yml").read_text(encoding="utf-8")
CONSTRAINTS = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
CONDA_EXTRAS = ("train", "cpu", "jax", "sweep", "serve", "mha", "notebooks", "dev")  # what `make env` installs
PIP_LIST = next(entry["pip"] for entry in yaml.safe_load(CONDA_TEXT)["dependencies"] if isinstance(entry, dict))

CORE = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {name: [Requirement(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}
CONDA = [*CORE, *(requirement for name in CONDA_EXTRAS for requirement in EXTRAS[name])]
EVERY = [*CORE, *(requirement for extra in EXTRAS.values() for requirement in extra)]

LINUX = {"sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64", "python_version": "3.11"}

WRITTEN_BY_TESTS = {"uneven", "tumour_area"}  # into a temporary folder, to be imported from there
# The import name where it is not the name on the index.
IMPORTED_AS = {
    "image-classifiers": "classification_models",
    "opencv-python-headless": "cv2",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "segmentation-models": "segmentation_models",
}


def import_name(requirement: Requirement) -> str:
    return IMPORTED_AS.get(requirement.name, requirement.name.replace("-", "_"))


def third_party_imports(folder: str) -> set[str]:
    found = set()
    for path in (CHECKOUT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module":
                name = ast.unparse(node.args[0])
                if not name.startswith(("f'{__name__}.", "f'{__package__}.")):  # a module of the package itself
                    found.add(ast.literal_eval(name).split(".")[0])
    own = {path.stem for path in (CHECKOUT / folder).glob("*.py")} | WRITTEN_BY_TESTS  # such as tests/made_runs.py
    return found - sys.stdlib_module_names - own - {"brain_tumor"}


def test_conda_lists_what_make_env_installs():
    ours = {str(requirement) for requirement in CONDA}
    theirs = [str(Requirement(line)) for line in PIP_LIST if line != "-e ."]
    assert sorted(theirs) == sorted(ours)
    assert PIP_LIST[-1] == "-e ."


def test_conda_brings_the_same_python():
    conda = [Requirement(entry) for entry in yaml.safe_load(CONDA_TEXT)["dependencies"] if isinstance(entry, str)]
    assert {requirement.name: str(requirement.specifier) for requirement in conda} == {
        "python": str(Requirement("python" + PROJECT["requires-python"]).specifier),
        "pip": "",
    }


def test_every_line_of_the_conda_file_has_its_reason():
    lines = [line for line in CONDA_TEXT.splitlines() if line.lstrip().startswith("- ") and line.strip() != "- pip:"]
    assert [line for line in lines if not re.search(r" # \S.{9,}$", line)] == []
    assert len(lines) > len(PIP_LIST)


@pytest.mark.parametrize("requirement", EVERY, ids=str)
def test_versions_are_bounded_below_only(requirement):
    # An upper bound ages badly: it refuses versions nobody has tried.
    assert [specifier.operator for specifier in requirement.specifier] == [">="]


@pytest.mark.parametrize("requirement", CORE, ids=str)
def test_what_runs_these_tests_meets_the_bounds(requirement):
    assert importlib.metadata.version(requirement.name) in requirement.specifier


def pins() -> dict[str, str]:
    """The version of every package in ``constraints.txt``."""
    lines = [line for line in CONSTRAINTS if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def test_constraints_name_versions_and_no_place():
    lines = [line for line in CONSTRAINTS if not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []
    assert lines == sorted(lines, key=str.upper)
    assert "://" not in "\n".join(CONSTRAINTS)
    assert len(pins()) == len(lines) > len(CONDA)


def test_constraints_say_once_which_machine_they_are_for():
    assert [line for line in CONSTRAINTS if line.startswith("# For ")] == ["# For Python 3.11 on Linux x86_64"]


@pytest.mark.parametrize("requirement", CONDA, ids=str)
def test_every_requirement_is_pinned_within_its_bound(requirement):
    if requirement.marker and not requirement.marker.evaluate(LINUX):
        assert "darwin" in str(requirement.marker)
        return
    assert pins()[canonicalize_name(requirement.name)] in requirement.specifier


def test_make_env_installs_the_extras_that_are_pinned():
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"^EXTRAS \?= (.*)$", makefile, re.MULTILINE) == [",".join(CONDA_EXTRAS)]


def test_the_core_is_what_the_package_imports_and_no_more():
    core = {import_name(requirement) for requirement in CORE}
    optional = {import_name(requirement) for requirement in EVERY} - core
    assert third_party_imports("brain_tumor") - optional == core


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_tests_and_benchmarks_import_what_is_listed(folder):
    assert third_party_imports(folder) <= {import_name(requirement) for requirement in EVERY}


def test_every_other_file_of_the_package_is_shipped_with_it():
    package = CHECKOUT / "brain_tumor"
    there = {path for path in package.rglob("*.*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    shipped = set()
    for name, patterns in SETUPTOOLS["package-data"].items():
        folder = CHECKOUT / name.replace(".", "/")
        shipped |= {path for pattern in patterns for path in folder.glob(pattern)}
    assert there <= shipped


def test_tensorflow_can_be_taken_away():
    program = "import importlib.util, sys; assert importlib.util.find_spec('tensorflow') is None; import tensorflow"
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "tests" / "startup"), "ABSENT": "tensorflow"}
    answer = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert "ModuleNotFoundError" in answer.stderr
