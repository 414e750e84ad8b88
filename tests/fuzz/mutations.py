"""What is done to a copy of a sound input; a seed and a number decide everything."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_LONG_NUMBER = "a number of 5,000 digits"
"""Stands for digits that `json.dumps` would not write."""
_VALUES = (
    *(None, True, -1, 0, 1, 3, 0.5, 2**16, 2**31, 2**63, 1e308, float("nan"), float("inf"), _LONG_NUMBER),
    *("", "x", "x" * 300, "\ud800", "../../etc/passwd", "9" * 5000, [], {}, [1], {"a": 1}),
)


def mutate(path: Path, seed: int, number: int) -> None:
    """Change a file, or one or two files of a folder, in place."""
    rng = random.Random(f"{seed} {number}")
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    for file in rng.sample(files, min(len(files), rng.choice((1, 1, 2)))):
        if file.suffix == ".json" and rng.random() < 0.8:
            _change_json(file, rng)
        elif path.is_dir() and rng.random() < 0.15:
            _replace_entry(file, rng)
        else:
            _change_bytes(file, rng)


def _change_bytes(file: Path, rng: random.Random) -> None:
    """Flip, cut, repeat or append bytes; the beginning, where headers are, more often."""
    data = bytearray(file.read_bytes())
    way = rng.choice(("flip", "flip", "number", "cut", "repeat", "append", "empty"))
    if way == "empty" or not data:
        data = bytearray()
    elif way in ("flip", "number"):
        for _ in range(rng.choice((1, 3, 20))):
            place = rng.randrange(min(len(data), rng.choice((64, 2048, len(data)))))
            length = 4 if way == "number" else 1
            data[place : place + length] = rng.choice((b"\0", b"\xff", b"\x7f", rng.randbytes(1))) * length
    elif way == "cut":
        del data[rng.randrange(len(data)) :]
    elif way == "repeat":
        place = rng.randrange(len(data))
        data[place:place] = data[place : place + 256]
    else:
        data += rng.randbytes(rng.choice((1, 1000)))
    file.write_bytes(data)


def _change_json(file: Path, rng: random.Random) -> None:
    """Replace or remove one value, or nest deep; long vocabularies are seldom chosen."""
    content = json.loads(file.read_text(encoding="utf-8"))
    places = list(_places(content))
    if not places or rng.random() < 0.05:
        file.write_text("[" * 100_000 if rng.random() < 0.5 else "{" + '"a":' * 5, encoding="utf-8")
        return
    holder, key = rng.choice(places)
    if rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = rng.choice(_VALUES)
    file.write_text(json.dumps(content).replace(f'"{_LONG_NUMBER}"', "9" * 5000), encoding="utf-8")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every value in a JSON content, as what holds it and its key; of long lists and objects the first few."""
    if isinstance(value, dict | list):
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        for key in keys if len(keys) <= 100 else keys[:4]:
            yield value, key
            yield from _places(value[key])


def _replace_entry(file: Path, rng: random.Random) -> None:
    """Something else under the file's name: nothing, a folder, a pipe, a loop, or another name."""
    way = rng.choice(("gone", "folder", "pipe", "loop", "renamed"))
    content = file.read_bytes()
    file.unlink()
    if way == "folder":
        file.mkdir()
    elif way == "pipe":
        os.mkfifo(file)
    elif way == "loop":
        file.symlink_to(file.name)
    elif way == "renamed":
        file.with_name("renamed" + rng.choice((".dat", ".JPG", "\u7ea2"))).write_bytes(content)
