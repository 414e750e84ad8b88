"""A `Document` as one HTML page that needs nothing else: styles and images are inside, and it may not load anything from outside.

It reads on a phone and on paper, follows the reader's choice of light or dark, and tells a screen reader what each table and image is.
There are no scripts. The page itself stands in `report.html.jinja`.
"""

from __future__ import annotations

import base64
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from saymask.reports.document import Document, JpegImage, Table


def to_html(document: Document) -> str:
    """Return the text of an HTML file."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode("ascii")  # pyrefly: ignore[bad-argument-type]
    environment.tests["table"] = lambda block: isinstance(block, Table)  # pyrefly: ignore[unsupported-operation]
    environment.tests["image"] = lambda block: isinstance(block, JpegImage)  # pyrefly: ignore[unsupported-operation]
    template = files("saymask.reports").joinpath("report.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(template).render(document=document)
