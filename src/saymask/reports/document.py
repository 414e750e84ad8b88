"""What a report says, before it is Markdown or HTML: sections of paragraphs, tables and images.

Whoever writes a report fills these records; `document_markdown` and `document_html` render all of them, so both say the same. Texts are
plain: the renderers escape whatever their format would take for markup.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Args:
        text: what it says.
        url: address that the text links to; "" for none.
        share: 0 ... 1 to draw a bar of that length behind the text, where the format can.
    """

    text: str
    url: str = ""
    share: float | None = None


@dataclass(frozen=True)
class TableRow:
    """One line of a table; its first cell names it. The one that matters most may be highlighted."""

    cells: tuple[Cell, ...]
    highlighted: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        caption: what it shows.
        header: names of the columns.
        rows: with one cell for each column.
        text_columns: names of columns that hold words; they are set left, numbers right. The first always is.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[TableRow, ...]
    text_columns: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.header):
                raise ValueError(f"table {self.caption!r}: {len(row.cells)} cells under {len(self.header)} columns")

    def is_text(self, column: int) -> bool:
        """Whether a column is set left."""
        return column == 0 or self.header[column] in self.text_columns


@dataclass(frozen=True)
class JpegImage:
    """A JPEG with a name that is unique in the document, a text in its place for who cannot see it, and a caption."""

    name: str
    jpeg: bytes = field(repr=False)
    alt: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, a str being a paragraph."""

    heading: str
    blocks: tuple[str | Table | JpegImage, ...]


@dataclass(frozen=True)
class Document:
    """A whole report; `lead` is what a reader in a hurry reads."""

    title: str
    lead: str
    sections: tuple[Section, ...]

    def images(self) -> list[JpegImage]:
        """All images, in order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, JpegImage)]
