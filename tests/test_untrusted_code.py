"""Nothing that a model's folder holds is run, wherever in the package it is read."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])


def calls(tree: ast.Module) -> list[ast.Call]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]


def reads_code(call: ast.Call) -> bool:
    """Whether a call may look for code in a folder: `X.from_pretrained`, and `AutoX.from_config`."""
    assert isinstance(call.func, ast.Attribute)
    of_auto = isinstance(call.func.value, ast.Name) and call.func.value.id.startswith("Auto")
    return call.func.attr == "from_pretrained" or (call.func.attr == "from_config" and of_auto)


def keyword(call: ast.Call, name: str) -> object:
    return next((ast.literal_eval(given.value) for given in call.keywords if given.arg == name), None)


def test_the_search_finds_calls():
    found = [call for file in FILES for call in calls(ast.parse(file.read_text())) if reads_code(call)]
    assert len(found) >= 5


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_remote_code_and_pickled_code_are_refused(file):
    tree = ast.parse(file.read_text())
    for call in calls(tree):
        if reads_code(call):
            assert keyword(call, "trust_remote_code") is False, f"line {call.lineno}"
        if ast.unparse(call.func) == "torch.load":
            assert keyword(call, "weights_only") is True, f"line {call.lineno}"
        assert ast.unparse(call.func) not in ("pickle.load", "pickle.loads"), f"line {call.lineno}"
