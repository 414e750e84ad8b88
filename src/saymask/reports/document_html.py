"""A `Document` as one HTML page that needs nothing else: styles and pictures are inside, and it may not load anything from outside.

It reads on a phone and on paper, follows the reader's choice of light or dark, and tells a screen reader what each table and
picture is. There are no scripts.
"""

from __future__ import annotations

import base64
from html import escape

from saymask.reports.document import Cell, Document, Picture, Row, Section, Table

# The policy forbids every request, should a text ever slip through as markup.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --faint: #5b6470; --line: #d9dee4;
  --highlight: #fff3dc; --bar: #cfe3f7; --link: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ed; --paper: #14171b; --faint: #9aa4b0; --line: #333a43; --highlight: #3a2f16; --bar: #1f3d5c; --link: #7db7f5; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .6rem; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem; padding-top: .8rem; border-top: 1px solid var(--line); }
p { max-width: 46rem; margin: .5rem 0; }
a { color: var(--link); }
.lead { font-size: 1.1rem; }
.wide { overflow-x: auto; margin: 1rem 0 1.4rem; }
.wide:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--faint); padding-bottom: .4rem; }
th, td { padding: .3rem .55rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; white-space: nowrap;
  font-weight: 400; }
th.text, td.text { text-align: left; white-space: normal; min-width: 7.5rem; overflow-wrap: anywhere; }
thead th { font-weight: 600; border-bottom: 2px solid var(--line); white-space: nowrap; }
tr.highlighted > * { background-color: var(--highlight); font-weight: 600; }
td.bar { min-width: 6rem; background-image: linear-gradient(to right, var(--bar) var(--share), transparent var(--share)); }
figure { margin: 1.2rem 0 2rem; }
img { display: block; max-width: 100%; height: auto; border-radius: 6px; }
figcaption { margin-top: .4rem; max-width: 46rem; }
@media print { body { max-width: none; } .wide { overflow: visible; } figure { break-inside: avoid; } }
"""


def to_html(document: Document) -> str:
    """Return the text of an HTML file."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{escape(document.title)}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            f"<h1>{escape(document.title)}</h1>",
            f'<p class="lead">{escape(document.lead)}</p>',
            *(_section(number, section) for number, section in enumerate(document.sections, start=1)),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _section(number: int, section: Section) -> str:
    heading = f'<h2 id="s{number}">{escape(section.heading)}</h2>'
    return "\n".join([f'<section aria-labelledby="s{number}">', heading, *map(_block, section.blocks), "</section>"])


def _block(block: str | Table | Picture) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Picture):
        data = base64.b64encode(block.jpeg).decode("ascii")
        image = f'<img src="data:image/jpeg;base64,{data}" alt="{escape(block.alt)}">'
        return f"<figure>\n{image}\n<figcaption>{escape(block.caption)}</figcaption>\n</figure>"
    return f"<p>{escape(block)}</p>"


def _table(table: Table) -> str:
    header = "".join(f'<th scope="col"{_text_class(table, column)}>{escape(name)}</th>' for column, name in enumerate(table.header))
    return "\n".join(
        [
            # A region that can be scrolled must be reachable with the keyboard, and have a name.
            f'<div class="wide" role="region" tabindex="0" aria-label="{escape(table.caption)}">',
            f"<table>\n<caption>{escape(table.caption)}</caption>",
            f"<thead><tr>{header}</tr></thead>",
            "<tbody>",
            *(_row(table, row) for row in table.rows),
            "</tbody>\n</table>\n</div>",
        ]
    )


def _row(table: Table, row: Row) -> str:
    cells = "".join(_cell(table, column, cell) for column, cell in enumerate(row.cells))
    return f'<tr class="highlighted">{cells}</tr>' if row.highlighted else f"<tr>{cells}</tr>"


def _cell(table: Table, column: int, cell: Cell) -> str:
    text = f'<a href="{escape(cell.url)}">{escape(cell.text)}</a>' if cell.url else escape(cell.text)
    if column == 0:
        return f'<th scope="row" class="text">{text}</th>'
    if cell.share is not None:
        return f'<td class="bar" style="--share: {100 * cell.share:.1f}%">{text}</td>'
    return f"<td{_text_class(table, column)}>{text}</td>"


def _text_class(table: Table, column: int) -> str:
    return ' class="text"' if table.is_text(column) else ""
