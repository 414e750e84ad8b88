"""A document says the same as Markdown and as HTML; whatever stands in its texts stays text, and the page loads nothing."""

import base64
from html.parser import HTMLParser

import pytest

from saymask.reports.document import Cell, Document, JpegImage, Section, Table, TableRow
from saymask.reports.document_html import to_html
from saymask.reports.document_markdown import to_markdown

EVIL = '<img src="https://x.test/a.png"> | *b* & &amp; `c` [d](e) $x$ ~y~ {{ 7 }}'

TABLE = Table(
    "Scores, in per cent",
    ("method", "J&F", "source"),
    (
        TableRow((Cell("other"), Cell("70.0", share=0.7), Cell("paper", url="https://arxiv.org/abs/1?a=1&b=2"))),
        TableRow((Cell("ours"), Cell("12.5", share=0.125), Cell(EVIL)), highlighted=True),
    ),
    frozenset({"source"}),
)
IMAGE = JpegImage("worst-1", b"\xff\xd8jpeg", "Frames of a clip.", "the red fish")
DOCUMENT = Document("toy on toyworld", "J&F 12.5.", (Section("Scores", (TABLE,)), Section("Worst cases", (EVIL, IMAGE))))


WITHOUT_END = ("meta", "img")


class Elements(HTMLParser):
    """Every element as (name, attributes), every text, and whether all that is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in WITHOUT_END:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture(scope="module")
def page() -> Elements:
    return Elements(to_html(DOCUMENT))


def test_the_page_is_well_formed_and_says_everything(page):
    assert page.open == []
    text = " ".join(page.texts)
    for said in ("toy on toyworld", "J&F 12.5.", "Scores, in per cent", "other", "70.0", "paper", EVIL, "the red fish"):
        assert said in text


def test_the_page_loads_nothing_and_runs_nothing(page):
    sources = [value or "" for _, attributes in page.elements for name, value in attributes.items() if name in ("src", "srcset", "data")]
    assert sources == ["data:image/jpeg;base64," + base64.b64encode(IMAGE.jpeg).decode()]
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in page.elements}
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    style = to_html(DOCUMENT).split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_is_for_everyone(page):
    assert page.all("html") == [{"lang": "en"}]
    assert [image["alt"] for image in page.all("img")] == ["Frames of a clip."]
    assert [cell["scope"] for cell in page.all("th")] == ["col", "col", "col", "row", "row"]
    assert [len(page.all(name)) for name in ("h1", "h2", "caption", "main")] == [1, 2, 1, 1]
    assert [region["aria-label"] for region in page.all("div")] == ["Scores, in per cent"]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")
    assert "prefers-color-scheme: dark" in to_html(DOCUMENT)


def test_highlights_bars_and_links_are_in_the_page(page):
    assert page.all("tr")[1:] == [{}, {"class": "highlighted"}]
    assert [cell["style"] for cell in page.all("td") if "style" in cell] == ["--share: 70.0%", "--share: 12.5%"]
    assert page.all("a") == [{"href": "https://arxiv.org/abs/1?a=1&b=2"}]


def test_markdown_says_the_same():
    evil = r"\<img src=\"https://x.test/a.png\"\> \| \*b\* & \&amp; \`c\` \[d\](e) \$x\$ \~y\~ {{ 7 }}".replace(r"\"", '"')
    assert to_markdown(DOCUMENT).splitlines() == [
        "# toy on toyworld",
        "",
        "J&F 12.5.",
        "",
        "## Scores",
        "",
        "Scores, in per cent:",
        "",
        "| method | J&F | source |",
        "| --- | ---: | --- |",
        "| other | 70.0 | [paper](https://arxiv.org/abs/1?a=1&b=2) |",
        f"| **ours** | **12.5** | **{evil}** |",
        "",
        "## Worst cases",
        "",
        evil,
        "",
        "![Frames of a clip.](images/worst-1.jpg)",
        "",
        "the red fish",
    ]


def test_a_row_of_another_length_than_the_header_is_refused():
    with pytest.raises(ValueError, match=r"table 'Scores': 1 cells under 2 columns"):
        Table("Scores", ("row", "J"), (TableRow((Cell("model"),)),))
