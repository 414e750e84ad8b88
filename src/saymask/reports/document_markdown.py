"""A `Document` as Markdown, as GitHub reads it; images are links to files that lie beside it."""

from __future__ import annotations

import re

from saymask.reports.document import Cell, Document, JpegImage, Table, TableRow

IMAGES = "images"
"""Folder of the images, relative to the Markdown file: `<name>.jpg`."""


def to_markdown(document: Document) -> str:
    """Return the text of a Markdown file."""
    parts = [f"# {_escape(document.title)}", _escape(document.lead)]
    for section in document.sections:
        parts.append(f"## {_escape(section.heading)}")
        parts += [_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _block(block: str | Table | JpegImage) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, JpegImage):
        return f"![{_escape(block.alt)}]({IMAGES}/{block.name}.jpg)\n\n{_escape(block.caption)}"
    return _escape(block)


def _table(table: Table) -> str:
    marks = ["---" if table.is_text(column) else "---:" for column in range(len(table.header))]
    lines = [[_escape(name) for name in table.header], marks, *(_row(row) for row in table.rows)]
    return "\n".join([f"{_escape(table.caption)}:", "", *(f"| {' | '.join(line)} |" for line in lines)])


def _row(row: TableRow) -> list[str]:
    return [f"**{text}**" if row.highlighted and text else text for text in map(_cell, row.cells)]


def _cell(cell: Cell) -> str:
    return f"[{_escape(cell.text)}]({cell.url})" if cell.url else _escape(cell.text)


def _escape(text: str) -> str:
    """Plain text whose characters mean nothing special: in a paragraph, a table or a link, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#~$]|&(?=#?\w+;))", r"\\\1", " ".join(text.split()))
