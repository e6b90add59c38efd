"""The house rules that a machine can hold: who imports whom, what never appears in code, what never enters git.

``ROOMS`` is the import table of the package, from the ground up. A room may import the rooms named beside it and its own
modules; any other arrow fails, and so does a room that is not in the table. The package itself names the modules that it offers,
and loads them when they are first used.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import brain_tumor

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = CHECKOUT / "brain_tumor"
MODULES = sorted(PACKAGE.rglob("*.py"))

FOUNDATION = {"errors", "files", "paths", "progress"}
# From the ground up (DESIGN section 4): a room may import the rooms listed before it, but for the exceptions below.
ORDER = (
    "data",
    "evaluation",
    "leakage",
    "predictions",
    "models",
    "training",
    "inference",
    "experiments",
    "records",
    "report",
    "serve",
    "studies",
    "cli",
)
STRANGERS = {
    "evaluation": {"data"},  # arrays and tables in, numbers out
    "leakage": {"evaluation"},
    "models": {"data", "evaluation", "leakage", "predictions"},
}
FACE = "face"  # one module that may import every room
# How the package itself names what it loads when it is first used, and the command line the module of a verb.
BY_NAME = {"f'{__name__}.{_OFFERED[name]}'", "f'{__package__}.{BESIDE.get(verb, verb)}'"}
ROOMS = {
    "errors": set(),
    "files": {"errors"},
    "paths": set(),
    "progress": set(),
    **{room: (FOUNDATION | set(ORDER[:place])) - STRANGERS.get(room, set()) for place, room in enumerate(ORDER)},
    FACE: FOUNDATION | set(ORDER) - {"cli", "studies"},  # only the command line knows the studies
}
ROOMS["studies"] |= {FACE}
FOUNDATION_LIBRARIES = {"filelock", "platformdirs", "rich"}  # these three and nothing else, whatever the rest may use
NO_KERAS = FOUNDATION | {
    "data",
    "evaluation",
    "leakage",
    "predictions",
}  # by import statement here, and by what really gets loaded further down
KERAS = {"keras", "tensorflow", "jax", "segmentation_models", "classification_models"}
BACKENDS = {"tensorflow", "jax"}
# Modules that need one backend: whoever uses one imports it where it is used. The first two name the backend itself.
OF_ONE_BACKEND = {
    "models/on_tensorflow.py",
    "models/on_jax.py",
    "models/fast.py",
    "models/shared_batchnorm.py",
    "training/resident.py",
}
BACKEND_MODULES = {
    "models/backend.py",
    "models/on_tensorflow.py",
    "models/on_jax.py",
    "models/shared_batchnorm.py",
    "training/parallel.py",
    "training/mirrored.py",
}
SIDE_BY_SIDE = {  # nothing with files
    "experiments/jobs.py": {"joblib.Parallel", "joblib.cpu_count", "joblib.delayed", "joblib.parallel_config"}
}
CODE_FROM_FILES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
CODE_FROM_FILES_CALLS = {"eval", "exec", "read_pickle", "to_pickle", "Lambda", "enable_unsafe_deserialization"}
DRAWERS = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
MODULE_LINES = 300

DATA_AND_WEIGHTS = {
    ".tif", ".tiff", ".nii", ".gz", ".dcm", ".npz", ".npy", ".webp", ".zip",
    ".h5", ".hdf5", ".keras", ".pkl", ".pickle", ".pt", ".pth", ".onnx", ".safetensors",
}  # fmt: skip
FILE_BYTES = 1_500_000
REPORTS_BYTES = 30_000_000


def name_of(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def room_of(module: Path) -> str:
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> set[str]:
    """Every dotted name that a module imports, at its top or inside a function; ``from a import b`` gives ``a.b``."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "importlib.import_module":
            # A literal, or this table could not be held; the package's own are held by what really gets loaded.
            names |= {ast.literal_eval(node.args[0])} if ast.unparse(node.args[0]) not in BY_NAME else set()
    return names


def rooms_imported(tree: ast.AST) -> set[str]:
    """``data``, ``files``, ... of every ``brain_tumor.data.readers.lgg``, ``brain_tumor.files``, ..."""
    inside = [name.split(".") for name in imports(tree) if name.startswith("brain_tumor.")]
    return {parts[1] for parts in inside} - {"__version__"}


def outside(tree: ast.AST) -> set[str]:
    return {name.split(".")[0] for name in imports(tree)}


@pytest.fixture(params=sorted({room_of(module) for module in MODULES}))
def room(request) -> str:
    return request.param


@pytest.fixture
def modules(room, trees) -> dict[str, ast.Module]:
    """The syntax tree of each module of a room, by its name."""
    return {name: tree for name, tree in trees.items() if room_of(PACKAGE / name) == room}


def test_imports_go_only_downward(room, modules):
    if room == "__init__":
        assert not any(map(rooms_imported, modules.values())), "the package itself imports nothing"
        return
    assert room in ROOMS, f"{room} is not in the import table"
    for name, tree in modules.items():
        arrows = rooms_imported(tree) - ROOMS[room] - {room}
        assert not arrows, f"{name} may not import {', '.join(sorted(arrows))}"


def test_foundation_stands_on_the_standard_library_and_three_more(room, modules):
    if room in FOUNDATION:
        for name, tree in modules.items():
            assert outside(tree) <= sys.stdlib_module_names | FOUNDATION_LIBRARIES | {"brain_tumor"}, name


def test_ground_floor_names_no_keras(room, modules):
    if room in NO_KERAS:
        for name, tree in modules.items():
            assert not outside(tree) & KERAS, name


def test_backends_are_imported_in_their_place_and_lazily(modules):
    of_one = {f"brain_tumor.{name.removesuffix('.py').replace('/', '.')}" for name in OF_ONE_BACKEND}
    for name, tree in modules.items():
        if name not in BACKEND_MODULES:
            assert not outside(tree) & BACKENDS, name
        if name not in OF_ONE_BACKEND:
            at_top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
            assert not outside(at_top) & BACKENDS, name
            assert not {other for other in imports(at_top) for one in of_one if other == one or other.startswith(f"{one}.")}, name


def test_no_file_can_run_code(modules):
    for name, tree in modules.items():
        names = imports(tree) - SIDE_BY_SIDE.get(name, set())
        assert not {other.split(".")[0] for other in names} & CODE_FROM_FILES, name
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                assert function not in CODE_FROM_FILES_CALLS, f"{name}, line {node.lineno}: {function}"
                for keyword in node.keywords:
                    refused = keyword.arg == "allow_pickle" and getattr(keyword.value, "value", True) is not False
                    assert not refused, f"{name}, line {node.lineno}: allow_pickle"


def test_a_module_is_one_noun_that_says_what_it_is_for(modules):
    for name, tree in modules.items():
        assert ast.get_docstring(tree), f"{name}: no docstring"
        assert len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) <= MODULE_LINES, name
        assert Path(name).name not in DRAWERS, name


def test_the_package_docstring_is_the_map():
    rooms = {path.name + "/" for path in PACKAGE.iterdir() if any(path.glob("*.py"))}
    rooms |= {path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
    table = re.findall(r"^``([a-z_]+/?)`` ", brain_tumor.__doc__, re.MULTILINE)
    assert sorted(table) == sorted(rooms)
    assert {room.rstrip("/") for room in rooms} == set(ROOMS)


def loaded_by(*modules: str) -> set[str]:
    """What a fresh interpreter has loaded after importing ``modules``."""
    program = f"import sys, {', '.join(modules)}; print('\\n'.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())


def test_importing_the_package_imports_no_room():
    assert {name for name in loaded_by("brain_tumor") if name.startswith("brain_tumor.")} == set()


def test_what_the_package_offers_is_there_and_its_own():
    for name, place in brain_tumor._OFFERED.items():
        module = PACKAGE / f"{place.replace('.', '/')}.py"
        names = {node.name for node in ast.parse(module.read_text()).body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        assert name in names, f"{place} has no {name}"
        assert name in dir(brain_tumor)


def test_importing_the_ground_floor_loads_no_keras():
    ground = [module for module in MODULES if room_of(module) in NO_KERAS and module.name != "__init__.py"]
    names = ["brain_tumor." + name_of(module).removesuffix(".py").replace("/", ".") for module in ground]
    assert not loaded_by(*names) & KERAS


# Runs each line of words as a command where nothing of Keras can be imported, and prints the exit codes.
WITHOUT_KERAS = f"""
import sys
from brain_tumor.cli.main import main
for line in open(sys.argv[1], encoding="utf-8").read().splitlines():
    sys.argv = ["brain-tumor", *line.split()]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code or 0
    print("ended with", code)
assert not set({sorted(KERAS)!r}) & set(sys.modules)
"""


def test_audit_score_and_data_run_where_keras_cannot_be_imported(write_tree, tmp_path):
    tree = write_tree(tmp_path / "kaggle_3m", {"TCGA_CS_0001_19960909": 3, "TCGA_HT_0002_19981126": 3})
    cases = sorted(path for path in tree.iterdir() if path.is_dir())
    (tmp_path / "split.csv").write_text(
        "file,part\n"
        + "".join(f"{tree}/{case.name}/{case.name}_1.tif,{part}\n" for case, part in zip(cases, ("train", "test"), strict=True))
    )
    (tmp_path / "labels.csv").write_text("case,slice,probability\n" + "".join(f"{cases[1].name},{n},0.{n}\n" for n in (1, 2, 3)))
    (tmp_path / "commands").write_text(
        f"audit {tmp_path}/split.csv\n"
        f"data profile --folder {tree}\n"
        f"score --truth {tree} --predictions {tree} --split {tmp_path}/split.json --out {tmp_path}/masks\n"
        f"score --truth {tree} --predictions {tmp_path}/labels.csv --split {tmp_path}/split.json --out {tmp_path}/labels\n"
    )
    content = {"name": "mine", "unit": "patient", "train": [cases[0].name], "validation": [], "test": [cases[1].name]}
    (tmp_path / "split.json").write_text(json.dumps(content))
    startup = {"PYTHONPATH": str(CHECKOUT / "tests" / "startup"), "ABSENT": " ".join(KERAS)}
    environment = {**os.environ, **startup, "BRAIN_TUMOR_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", WITHOUT_KERAS, tmp_path / "commands"]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert re.findall(r"ended with (\d)", answer.stdout) == ["0"] * 4, answer.stdout + answer.stderr
    assert "no leak" in answer.stdout and "patient mean" in answer.stdout and "AUC" in answer.stdout
    assert (tmp_path / "masks" / "score.html").is_file()


@pytest.fixture(scope="module")
def kept_files() -> list[Path]:
    """Every file that is in git, or would be after ``git add --all``."""
    if not shutil.which("git") or not (CHECKOUT / ".git").exists():
        pytest.skip("not a git checkout, so nothing can be committed from here")
    command = ["git", "-C", CHECKOUT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [path for name in sorted(set(listing.split("\0")) - {""}) if (path := CHECKOUT / name).is_file()]


def test_no_data_and_no_weights_are_committed(kept_files):
    assert [path for path in kept_files if path.suffix.lower() in DATA_AND_WEIGHTS] == []


def test_committed_files_are_small(kept_files):
    sizes = {path: path.stat().st_size for path in kept_files}
    assert [path for path, size in sizes.items() if size > FILE_BYTES] == []
    assert sum(size for path, size in sizes.items() if CHECKOUT / "reports" in path.parents) <= REPORTS_BYTES
