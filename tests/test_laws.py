"""One place for a difference (DESIGN law 14): outside the tasks' own modules no code asks which task it serves."""

import ast

import pytest

TASKS = {"segmentation", "classification"}
OF_TASKS = {
    "experiments/tasks.py", "experiments/recipe.py", "experiments/segmentation.py", "experiments/classification.py",
    "report/pages/segmentation.py", "report/pages/classification.py",
    "records/upgrade.py",  # early records say their task by the name of their network
}  # fmt: skip
# What only one task's tables have: their columns, and their files as they are named and as code calls them.
COLUMNS = {"tp", "fp", "fn", "tn", "dice", "protocol", "probability", "accuracy", "measure"}
TABLES = {"slices.csv", "counts.csv"}
NAMES_OF_TABLES = {"SLICES", "COUNTS"}


def questions(tree: ast.AST) -> list[str]:
    """Every place where a module asks for a task: ``line 3: 'tp' in table``."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node)
    }
    return [f"line {node.lineno}: {ast.unparse(node)}" for node in ast.walk(tree) if id(node) not in docstrings and _asks(node)]


def _asks(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=str() as word):
            return word in TASKS
        case ast.Call(func=ast.Name("getattr"), args=[of, *_]):
            return ast.unparse(of).split(".")[-1] in ("recipe", "of_fold")
        case ast.Call(func=ast.Attribute(attr="is_file" | "exists", value=path)):
            return any(_is_table(part) for part in ast.walk(path))
        case ast.Compare(left=left, ops=operators, comparators=others):
            sides = [left, *others]
            membership = isinstance(operators[0], ast.In | ast.NotIn | ast.Eq | ast.NotEq)
            return any(isinstance(part, ast.Attribute) and part.attr == "TASK" for part in ast.walk(node)) or (
                membership and any(isinstance(side, ast.Constant) and side.value in COLUMNS for side in sides)
            )
    return False


def _is_table(node: ast.AST) -> bool:
    named = isinstance(node, ast.Attribute) and node.attr in NAMES_OF_TABLES
    return named or (isinstance(node, ast.Constant) and node.value in TABLES)


def test_no_module_asks_which_task_it_serves(trees):
    asked = {name: questions(tree) for name, tree in trees.items() if name not in OF_TASKS and not name.startswith("cli/")}
    assert {name: lines for name, lines in asked.items() if lines} == {}


@pytest.mark.parametrize(
    "code",
    [
        "if facts['recipe']['task'] == 'segmentation': pass",
        "tasks.of('classification')",
        "getattr(recipe, 'balance', 'none')",
        "getattr(run.recipe, 'balance')",
        "recipe.TASK == name",
        "name in (recipe.TASK,)",
        "'tp' in table",
        "'probability' not in table.columns",
        "value == 'dice'",
        "(folder / 'counts.csv').is_file()",
        "(folder / scoring.SLICES).exists()",
    ],
)
def test_such_a_question_would_be_noticed(code):
    assert questions(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    [
        '"""segmentation"""',
        "def of(task):\n    '''classification'''",
        "files.sha256_json([recipe.TASK, settings])",
        "'size' in table",
        "(folder / task.main).is_file()",
        "table['tp'].sum()",
        "tasks.of(recipe.TASK)",
    ],
)
def test_what_serves_every_task_passes(code):
    assert questions(ast.parse(code)) == []
