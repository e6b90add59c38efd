"""Notebooks read like a textbook: a sentence before each short cell, no definitions, one cell of knobs, no outputs stored.

The knobs' test values lie in that cell's metadata (``nbmake.mock``), so a reader sees full-size values and tests run small.
"""

import ast
import itertools
import re
import statistics
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("*.ipynb"))
LONGEST_CELL, MEDIAN_CELL = 30, 12
HIDING_TAGS = {"skip-execution", "raises-exception"}
# A cell that draws patients; its pictures are left out of every published page.
PATIENT_TAG = "patient-pixels"


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def notebook(path) -> nbformat.NotebookNode:
    found = nbformat.read(path, as_version=4)
    nbformat.validate(found)
    return found


@pytest.fixture
def code_cells(notebook) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def lines(cell) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def tags(cell) -> set[str]:
    return set(cell.metadata.get("tags", ()))


def draws_patients(cell) -> bool:
    """Whether it calls a ``show_...`` of ``brain_tumor.report.figures``, or Matplotlib's ``imshow``."""
    calls = (node.func for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call))
    names = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls}
    return any(name.startswith("show_") or name == "imshow" for name in names)


def test_name_and_title(path, notebook):
    assert re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[0].source.startswith("# ")


def test_stored_without_outputs(code_cells):
    assert [cell.id for cell in code_cells if cell.outputs or cell.execution_count is not None] == []


def test_a_sentence_before_each_code_cell(notebook):
    pairs = itertools.pairwise(notebook.cells)
    assert [cell.source for before, cell in pairs if cell.cell_type == "code" and before.cell_type != "markdown"] == []


def test_cells_are_short(code_cells):
    lengths = [lines(cell) for cell in code_cells]
    assert min(lengths) > 0
    assert max(lengths) <= LONGEST_CELL
    assert statistics.median(lengths) <= MEDIAN_CELL


def test_nothing_is_defined(code_cells):
    for cell in code_cells:
        for node in ast.walk(ast.parse(cell.source)):  # plain Python: a magic or a shell line does not parse
            assert not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef), cell.source
            assigned = isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr)
            assert not (assigned and isinstance(node.value, ast.Lambda)), cell.source


def test_one_cell_of_knobs_whose_mocks_exist(notebook):
    knobs = [cell for cell in notebook.cells if "mock" in cell.metadata.get("nbmake", {})]
    assert len(knobs) == 1
    # nbmake sets names without looking: a mock of a renamed knob would leave the test at full size.
    assigned = {
        target.id
        for node in ast.parse(knobs[0].source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert set(knobs[0].metadata["nbmake"]["mock"]) <= assigned


def test_failures_cannot_hide(notebook, code_cells):
    assert not notebook.metadata.get("execution", {}).get("allow_errors")
    assert [cell.source for cell in code_cells if tags(cell) & HIDING_TAGS] == []


def test_cells_that_draw_patients_are_tagged(code_cells):
    assert [cell.source for cell in code_cells if draws_patients(cell) and PATIENT_TAG not in tags(cell)] == []
