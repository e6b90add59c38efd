"""Names are the field's standard terms, and variables are nouns (DESIGN section 2): old words do not come back."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
PACKAGE = CHECKOUT / "brain_tumor"
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
TEXTS = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md"]

# Old word -> present word.
RENAMED = {
    "tune": "validation", "window": "scaling", "peak_rate": "max_lr", "rise": "pct_start", "depth_factor": "layer_decay",
    "average_flips": "flip_tta", "lighting": "gamma", "thaw": "gradual", "shelf": "index", "listing": "manifest",
    "thinning": "a grid's every",
}  # fmt: skip
OLD = re.compile(rf"(?:^|_)({'|'.join(RENAMED)})(?:_|$)")
TRANSLATES = "records/upgrade.py"  # reads the records of earlier versions
ALLOWED = {
    "data/splits.py": {"tune"},  # how other people's files call a validation part
    "report/figures/scores.py": {"window"},  # of a running median
}
OPTIONS_OF_BEFORE = {"cli/main.py": "RENAMED"}  # a table that says the present name of each

# Participles that say nothing of what a variable holds.
SAY_NOTHING = {"found", "told", "called", "shown", "kept", "wanted"}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE if PACKAGE in path.parents else CHECKOUT).as_posix()


def identifiers(tree: ast.AST) -> Iterator[str]:
    """Every name that code defines or uses, and every string that could be one: a field, a choice, an option."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.alias(name=name):
                yield name
            case ast.keyword(arg=str() as name):
                yield name
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Constant(value=str() as word) if re.fullmatch(r"(--)?[\w-]+", word):
                yield word


def old_words(names: Iterable[str]) -> set[str]:
    """The old words among them, however they are spelt: ``PEAK_RATE``, ``peak-rate``, ``PeakRate``, ``--no-average-flips``."""
    spelt = (re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).replace("-", "_").lower() for name in names)
    return {match[1] for name in spelt for match in OLD.finditer(name)}


def variables(tree: ast.AST) -> Iterator[str]:
    """What code assigns, loops over or takes as an argument."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                yield name


def code_of(notebook: Path) -> str:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def test_the_package_uses_no_old_word(trees):
    old = {}
    for name, tree in trees.items():
        table = OPTIONS_OF_BEFORE.get(name)
        body = [node for node in tree.body if not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == table)]
        old[name] = old_words(identifiers(ast.Module(body, []))) - ALLOWED.get(name, set())
    assert {name: words for name, words in old.items() if words and name != TRANSLATES} == {}


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=name_of)
def test_notebooks_use_no_old_word(notebook):
    assert old_words(identifiers(ast.parse(code_of(notebook)))) == set()


@pytest.mark.parametrize("path", [*TEXTS, *NOTEBOOKS], ids=name_of)
def test_texts_name_no_old_option(path):
    text = path.read_text(encoding="utf-8")
    assert old_words([*re.findall(r"--[a-z][a-z-]+", text), *re.findall(r"`([\w-]+)`", text)]) == set()


def test_what_is_allowed_is_still_needed(trees):
    for name, words in ALLOWED.items():
        assert old_words(identifiers(trees[name])) == words


@pytest.mark.parametrize("name", ["tune", "PEAK_RATE", "--no-average-flips", "Shelf", "slice_window", "thinning", "depth-factor"])
def test_an_old_word_would_be_noticed(name):
    assert old_words([name])


@pytest.mark.parametrize("name", ["tuned", "otherwise", "windows", "fine_tuning", "rising"])
def test_other_words_pass(name):
    assert not old_words([name])


def test_variables_are_nouns(trees):
    assert {name: words for name, tree in trees.items() if (words := SAY_NOTHING & set(variables(tree)))} == {}


def test_every_kind_of_variable_is_read():
    code = "found = 1\ndef of(told, *, called=0): ...\n[0 for shown in ()]\nfor kept in (): ...\n(wanted := 1)"
    assert set(variables(ast.parse(code))) == SAY_NOTHING
