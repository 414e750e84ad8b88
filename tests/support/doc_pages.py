"""What the pages of the documentation tell their readers to type: blocks of Python and shell, and commands within a sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("saymask", "python", "make", "pytest", "torchrun", "pip", "hf")
"""What a command of the documentation may begin with."""

_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language ("" if none is given), its text, and the line of the page on which it begins."""

    language: str
    text: str
    line: int


def blocks(page: str) -> list[Block]:
    """All fenced blocks in the order of the page."""
    return [Block(found[1], found[2], page.count("\n", 0, found.start()) + 1) for found in _FENCE.finditer(page)]


def commands(block: Block) -> list[str]:
    """The commands of a shell block; one that ends in a backslash continues on the next line."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in map(str.strip, lines) if line and not line.startswith("#")]


def commands_in_sentences(page: str) -> Iterator[str]:
    """Code within a sentence that begins with a program and says more than its name."""
    for found in _SPAN.finditer(_FENCE.sub("", page)):
        if found[1].partition(" ")[0] in PROGRAMS and " " in found[1] and "…" not in found[1]:
            yield found[1]


def pages(root: Path) -> dict[str, str]:
    """Name (relative to the repository) -> text of every page whose commands are promised to work."""
    cards = sorted((root / "src" / "saymask" / "weights").glob("*/README.md"))
    files = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md")), *cards]
    return {file.relative_to(root).as_posix(): file.read_text(encoding="utf-8") for file in files}
