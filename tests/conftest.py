"""What several test files need: a home that is never the checkout, small cohorts, and the command line as a function."""

import ast
import contextlib
import functools
import importlib.util
import io
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import kernel  # of this folder
import numpy as np
import pytest
from PIL import Image

from brain_tumor.data import phantom

HERE = Path(__file__).parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_runtest_setup(item):
    """Long tests compare this process with others to the bit, so there this one computes as they do."""
    if "keras" in sys.modules and "not long" in item.config.getoption("markexpr"):
        spare_the_backend_once()


spare_the_backend_once = functools.cache(kernel.spare_the_backend)


def pytest_ignore_collect(collection_path, config):
    """Where only what asks a backend is run, other files need not be imported."""
    if config.getoption("markexpr") == "backend and not long" and collection_path.match("test_*.py"):
        return "mark.backend" not in collection_path.read_text(encoding="utf-8") or None
    return None


def pytest_collection_modifyitems(items):
    """Notebooks come first, then the rooms' tests from training on, and those of the whole at last.

    The last ones are short: so no process waits long for another at the end.
    """
    if any(item.path.suffix == ".ipynb" for item in items):
        from nbmake import nb_run

        from brain_tumor.report.pages import kernels

        assert issubclass(kernels.Client, nb_run.NotebookClient)
        nb_run.NotebookClient = kernels.Client  # or it may wait for an answer that is there until its time is over
    items.sort(key=_place, reverse=True)


def _place(item):
    inside = item.path.is_relative_to(HERE)
    return (not inside, item.path.parent.relative_to(HERE).as_posix() if inside else "")


@pytest.fixture(scope="session", autouse=True)
def quiet_away_from_the_checkout(tmp_path_factory):
    """No test sees or writes the datasets and runs of the checkout; no bars; wide tables; few draws; coarse pictures.

    A phantom is drawn once and copied into the homes of all who open it.
    """
    drawings, draw = tmp_path_factory.mktemp("drawings"), phantom.write_phantom

    def copy(folder, *arguments):
        drawing = drawings / "-".join(map(str, arguments))
        if not drawing.is_dir():
            draw(drawing, *arguments)
        return shutil.copytree(drawing, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phantom, "write_phantom", copy)
        patch.setenv("BRAIN_TUMOR_HOME", str(tmp_path_factory.mktemp("session_home")))
        patch.setenv("BRAIN_TUMOR_QUIET", "1")
        patch.setenv("COLUMNS", "250")
        for setting in kernel.cheaper_settings():  # tests/evaluation takes as many draws as users do
            patch.setattr(*setting)
        yield


@pytest.fixture(scope="session")
def trees():
    """The syntax tree of each module of the package, by its name: ``data/cohort.py``."""
    package = HERE.parent / "brain_tumor"
    paths = {path.relative_to(package).as_posix(): path for path in sorted(package.rglob("*.py"))}
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in paths.items()}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A fresh, empty ``BRAIN_TUMOR_HOME``."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("BRAIN_TUMOR_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def phantom_cohort(quiet_away_from_the_checkout):
    """Six small patients: enough sites, sizes and missing sequences to try anything on in seconds."""
    return phantom.open_phantom(patients=6, slices=(8, 12), size=64, seed=0)


@pytest.fixture
def small_phantom(monkeypatch):
    """The cohort ``phantom`` is those six patients: the usual 24 at full size take ten seconds to draw."""
    monkeypatch.setattr(phantom.open_phantom, "__defaults__", (6, (8, 12), 64, 0))


@pytest.fixture
def write_tree():
    """``write_tree(folder, {"TCGA_CS_0001_19960909": 3})``: a ``kaggle_3m`` tree of noise, 16 px wide, tumour on even slices."""

    def write(folder, cases, size=16, seed=0):
        rng = np.random.default_rng(seed)
        for case_id, n_slices in cases.items():
            (folder / case_id).mkdir(parents=True)
            for number in range(1, n_slices + 1):
                image = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
                image[0, 0] = number  # so that a test can see which slice it holds
                mask = np.zeros((size, size), np.uint8)
                mask[4 : 4 + number, 4:8] = 255 * (number % 2 == 0)
                Image.fromarray(image).save(folder / case_id / f"{case_id}_{number}.tif")
                Image.fromarray(mask).save(folder / case_id / f"{case_id}_{number}_mask.tif")
        rows = [",".join(["_".join(case_id.split("_")[:3]), "2", "", "61"]) for case_id in cases]
        (folder / "data.csv").write_text("\n".join(["Patient,RNASeqCluster,gender,age_at_initial_pathologic", *rows]) + "\n")
        return folder

    return write


@pytest.fixture
def tree(tmp_path, write_tree):
    """Two patients, of twelve and three slices, spelt as the real data is; the two folders above hold nothing else."""
    return write_tree(tmp_path / "source" / "data" / "kaggle_3m", {"TCGA_CS_0001_19960909": 12, "TCGA_HT_0002_19981126": 3})


@pytest.fixture(scope="session")
def stubs():
    """``stubs.py``: cohorts without pixels and runs without training, for those who ask what becomes of runs."""
    spec = importlib.util.spec_from_file_location("stubs", Path(__file__).with_name("stubs.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def users_settings():
    """Keras as an old ``keras.json`` or a cell of a notebook may leave it: ``users_settings()`` sets it and gives a function that
    reads it anew.
    """
    import keras

    def read():
        policy = keras.config.dtype_policy().name
        return policy, keras.config.floatx(), keras.config.image_data_format(), keras.config.epsilon()

    def change(policy, floatx, image_format, epsilon):
        keras.config.set_dtype_policy(policy)
        keras.config.set_floatx(floatx)
        keras.config.set_image_data_format(image_format)
        keras.config.set_epsilon(epsilon)

    before = read()

    def apply():
        change("mixed_float16", "float16", "channels_first", 1e-3)
        return read

    yield apply
    change(*before)


@pytest.fixture
def interrupted():
    """``with interrupted(2):``: Ctrl-C within that epoch (from 1), after its first step; the block must end with it."""
    from brain_tumor.training import stages

    advance = stages.Bar.advance

    @contextlib.contextmanager
    def within(epoch):
        def advance_or_stop(bar, steps=1, note=""):
            advance(bar, steps, note)
            if note.startswith(f"epoch {epoch}/"):
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(stages.Bar, "advance", advance_or_stop)
            yield

    return within


@dataclass
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str

    def refuses(self, *words):
        """Exit code 2, and one line on standard error that holds every word."""
        lines = self.err.splitlines()
        assert self.code == 2, self.out + self.err
        assert len(lines) == 1, self.err
        assert all(str(word) in lines[0] for word in words), lines[0]
        return True


def call_main(words) -> int:
    """Run the entry point in this process: its exit code."""
    from brain_tumor.cli.main import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["brain-tumor", *map(str, words)])
        try:
            main()
        except SystemExit as end:
            return end.code or 0
    return 0


@pytest.fixture
def command(capfd):
    """``command("data", "check")`` runs the entry point in this process and gives its :class:`Answer`."""

    def run(*words):
        capfd.readouterr()
        return Answer(call_main(words), *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def shared_command():
    """The same for fixtures that several tests share; it hears only what Python writes."""

    def run(*words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = call_main(words)
        return Answer(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="module")  # its event loop must not outlive its file: others run notebooks
def browser():
    """A headless Chromium; without it tests of pages are skipped aloud, and fail where ``CI=true``."""
    missing = "" if CHROMIUM else "Chromium (apt-get install chromium)"
    if importlib.util.find_spec("playwright") is None:
        missing = "the Python package playwright"
    if missing:
        needed = os.environ.get("CI") == "true"
        (pytest.fail if needed else pytest.skip)(f"NO BROWSER, no page was opened: {missing} is missing")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's own sandbox does not work for root, whom containers run as.
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [])
        yield chromium
        chromium.close()
