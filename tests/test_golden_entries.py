"""No golden number lies unread: every entry of tests/golden is named in entries.toml, with the test module that compares it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import numpy as np
import pytest
from golden import GOLDEN
from safetensors import safe_open

TESTS = GOLDEN.parent
TABLE: dict[str, dict[str, list[str]]] = tomllib.loads((GOLDEN / "entries.toml").read_text(encoding="utf-8"))
FILES = sorted(str(path.relative_to(GOLDEN)) for path in GOLDEN.rglob("*") if path.suffix in (".npz", ".json", ".safetensors"))


@cache
def entries(file: str) -> frozenset[str]:
    """Names of arrays and tensors, or paths of keys."""
    path = GOLDEN / file
    if path.suffix == ".json":
        return frozenset(paths(json.loads(path.read_text(encoding="utf-8"))))
    if path.suffix == ".npz":
        return frozenset(np.load(path).files)
    with safe_open(path, framework="numpy") as tensors:
        return frozenset(tensors.keys())


def paths(value: Any, start: str = "") -> Iterator[str]:
    """Paths of keys, joined by dots, down to what is neither an object nor a list of objects."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from paths(inner, f"{start}.{key}" if start else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from paths(inner, start)
    else:
        yield start


def fits(entry: str, name: str) -> bool:
    """Whether a name of the table, `#` for a number and `*` or `?` for anything, means this entry."""
    pattern = "".join({"#": r"\d+", "*": ".*", "?": "."}.get(character, re.escape(character)) for character in name)
    return re.fullmatch(pattern, entry, re.DOTALL) is not None


@pytest.mark.parametrize("file", FILES)
def test_every_entry_is_compared_by_a_test(file):
    (groups,) = (groups for pattern, groups in TABLE.items() if fnmatchcase(file, pattern))
    names = [name for group in groups.values() for name in group]
    assert {entry for entry in entries(file) if not any(fits(entry, name) for name in names)} == set()


@pytest.mark.parametrize("pattern", TABLE)
def test_the_table_names_nothing_that_is_not_there(pattern):
    held = {entry for file in FILES if fnmatchcase(file, pattern) for entry in entries(file)}
    for module, names in TABLE[pattern].items():
        assert [name for name in names if not any(fits(entry, name) for entry in held)] == []
        assert module == "words" or (TESTS / module).is_file()
