"""What a prediction looks like: coloured masks with contours on a frame, and a legend that says which query, or object, has which colour.

Everything is drawn on uint8 frame_HWC arrays in place, at the frame's own size; line widths and letters scale with it.
"""

from __future__ import annotations

import bisect
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from saymask.records import Masklet, QueryResult, Rle

# Told apart by colour-blind readers too, in this order, and on most natural backgrounds.
QUERY_COLOURS = ((0, 200, 255), (255, 130, 0), (230, 60, 200), (60, 215, 90), (255, 220, 40), (110, 110, 255), (240, 60, 60), (0, 170, 150))
_OPACITY = 0.45
_PIXELS_AT_ONCE = 2**20
_LEGEND_SHARE = 0.34  # of the frame's height, at most
_PANEL = (16, 18, 22)
_PANEL_OPACITY = 0.58


def query_colour(query_idx: int) -> tuple[int, int, int]:
    """The colour of a query; after eight they repeat."""
    return QUERY_COLOURS[query_idx % len(QUERY_COLOURS)]


@dataclass(frozen=True)
class LegendEntry:
    """A line of the legend: a text, and the masklets that are drawn in the colour of its place."""

    text: str
    masklets: tuple[Masklet, ...]


def legend_entries(results: Sequence[QueryResult], found: Sequence[bool] | None = None) -> list[list[LegendEntry]]:
    """For each query, its lines: one for each object that has words of its own, otherwise one with the query for all of its objects.

    A text that the font cannot show is replaced by "query N"; a query without a pixel on any frame says so; objects that share their
    words are numbered.

    Args:
        results: what was found.
        found: which queries have a pixel on any frame; None = as the results' masks say.
    """
    entries = []
    found = found or [any(rle.area for masklet in result.masklets for rle in masklet.rle_T) for result in results]
    for number, (result, has_pixel) in enumerate(zip(results, found, strict=True), start=1):
        query = legible(result.query, f"query {number}")
        if not (has_pixel and result.masklets):
            entries.append([LegendEntry(f"{query} (nothing found)", result.masklets)])
        elif any(masklet.phrase for masklet in result.masklets):
            entries.append([LegendEntry(_name(masklet, result, query), (masklet,)) for masklet in result.masklets])
        else:
            entries.append([LegendEntry(query, result.masklets)])
    return entries


def _name(masklet: Masklet, result: QueryResult, query: str) -> str:
    """The object's words, with its number among those that share them."""
    alike = [other.obj_id for other in result.masklets if other.phrase == masklet.phrase]
    words = legible(masklet.phrase, query) if masklet.phrase else query
    return words if len(alike) == 1 else f"{words} {alike.index(masklet.obj_id) + 1}"


def contour_width(height: int, width: int) -> int:
    """Pixels of a contour that is seen at the frame's own size."""
    return max(1, round(min(height, width) / 300))


def draw_mask(frame_HWC: np.ndarray, rle: Rle, colour: tuple[int, int, int], contour: int, opacity: float = _OPACITY) -> None:
    """Tint the mask (`opacity` 0: not at all) and draw its contour, `contour` pixels wide, just inside its edge.

    The frame's pixels lie one after the other (C order), so that those of the mask have numbers; only they are read and written, some
    rows at a time.
    """
    box = rle.box()
    if box is None:
        return
    x0, y0, x1, y1 = box
    padded_HW = np.pad(rle.decode()[y0:y1, x0:x1], contour)
    step = max(1, _PIXELS_AT_ONCE // frame_HWC.shape[1])
    for top in range(0, y1 - y0, step):
        rows_HWC = frame_HWC[y0 + top : min(y0 + top + step, y1)]
        _draw_rows(rows_HWC, x0, padded_HW[top : top + len(rows_HWC) + 2 * contour], colour, contour, opacity)


def _draw_rows(rows_HWC: np.ndarray, x0: int, padded_HW: np.ndarray, colour: tuple[int, int, int], contour: int, opacity: float) -> None:
    """Draw the part of a mask that lies in some rows, from column `x0` on; the mask comes with `contour` pixels of what is around."""
    mask_HW = padded_HW[contour:-contour, contour:-contour]
    levels = rows_HWC.reshape(-1, copy=False)
    inside, edge = (_reds(drawn_HW, x0, rows_HWC) for drawn_HW in (mask_HW, mask_HW & ~_eroded(padded_HW, contour)))
    for channel, goal in enumerate(colour):
        tint = (np.arange(256) * (1 - opacity) + goal * opacity).round().astype(np.uint8).tobytes()
        places = inside + channel
        levels[places] = np.frombuffer(levels[places].tobytes().translate(tint), dtype=np.uint8)
        levels[edge + channel] = goal


def _reds(drawn_HW: np.ndarray, x0: int, rows_HWC: np.ndarray) -> np.ndarray:
    """Where the first levels of the drawn pixels lie among all levels of the rows."""
    whole_HW = np.zeros(rows_HWC.shape[:2], dtype=bool)
    whole_HW[:, x0 : x0 + drawn_HW.shape[1]] = drawn_HW
    return np.flatnonzero(whole_HW) * 3


def _eroded(padded_HW: np.ndarray, steps: int) -> np.ndarray:
    """Remove `steps` layers of pixels that touch the outside over an edge, and as many rows and columns on each side."""
    for _ in range(steps):
        inner_HW = padded_HW[1:-1, 1:-1] & padded_HW[:-2, 1:-1]
        for beside_HW in (padded_HW[2:, 1:-1], padded_HW[1:-1, :-2], padded_HW[1:-1, 2:]):
            inner_HW &= beside_HW
        padded_HW = inner_HW
    return padded_HW


class Legend:
    """A translucent panel in a corner with one line per text; laid out once, drawn on every frame at the same place.

    A text that does not fit is wrapped once, then shortened; queries for which there is no room are counted in a last line.
    """

    def __init__(self, texts: Sequence[str], height: int, width: int) -> None:
        self._at_top = self._at_right = False
        size = min(36, max(10, round(min(height, width) / 26)))
        self._font = font(size)
        self._size, self._gap = size, max(2, size // 3)
        line_height = size + self._gap
        room = max(1, int(height * _LEGEND_SHARE) // line_height)
        text_width = width - 4 * self._gap - size
        lines = self._lines(texts, text_width, lines_each=2)
        if len(lines) > room:
            lines = self._lines(texts, text_width, lines_each=1)
        if len(lines) > room:
            hidden = len(lines) - max(0, room - 1)
            lines = [*lines[: max(0, room - 1)], (None, f"and {hidden} more" if room > 1 else f"{hidden} queries")]
        widest = max((self._font.getlength(text) for _, text in lines), default=0)
        panel_width = min(width, int(widest) + size + 4 * self._gap)
        self._picture_HWC = self._paint(lines, panel_width, min(height, len(lines) * line_height + self._gap))

    def avoid(self, occupied_HW: np.ndarray) -> None:
        """Move to the corner where the panel covers least of `occupied_HW`, which says how much each pixel matters; lower left if alike."""
        corners = [(at_top, at_right) for at_top in (False, True) for at_right in (False, True)]
        self._at_top, self._at_right = min(corners, key=lambda corner: occupied_HW[self._place(occupied_HW, *corner)].sum())

    def _place(self, frame: np.ndarray, at_top: bool, at_right: bool) -> tuple[slice, slice]:
        """Rows and columns of the panel in a corner of the frame."""
        height, width = self._picture_HWC.shape[:2]
        rows = slice(0, height) if at_top else slice(frame.shape[0] - height, None)
        return rows, slice(frame.shape[1] - width, None) if at_right else slice(0, width)

    def draw(self, frame_HWC: np.ndarray) -> None:
        corner = frame_HWC[self._place(frame_HWC, self._at_top, self._at_right)]
        alpha = self._picture_HWC[..., 3:].astype(np.float32) / 255
        corner[:] = (corner * (1 - alpha) + self._picture_HWC[..., :3] * alpha).round().astype(np.uint8)

    def _lines(self, texts: Sequence[str], width: int, lines_each: int) -> list[tuple[int | None, str]]:
        """(query whose swatch stands before the line, text); a continued line has no swatch."""
        lines: list[tuple[int | None, str]] = []
        for query_idx, text in enumerate(texts):
            wrapped = fit(text, self._font, width, lines_each)
            lines += [(query_idx if row == 0 else None, line) for row, line in enumerate(wrapped)]
        return lines

    def _paint(self, lines: Sequence[tuple[int | None, str]], width: int, height: int) -> np.ndarray:
        picture = Image.new("RGBA", (width, height), (*_PANEL, round(255 * _PANEL_OPACITY)))
        draw = ImageDraw.Draw(picture)
        for row, (query_idx, text) in enumerate(lines):
            middle = self._gap + row * (self._size + self._gap) + self._size / 2
            if query_idx is not None:
                left, half = self._gap, self._size * 0.36
                draw.rectangle((left, middle - half, left + 2 * half, middle + half), fill=(*query_colour(query_idx), 255))
            draw.text((self._gap * 2 + self._size, middle), text, font=self._font, fill=(255, 255, 255, 255), anchor="lm")
        return np.asarray(picture)


def font(size: int) -> ImageFont.FreeTypeFont:
    """The font that comes with Pillow, so that nothing has to be installed."""
    loaded = ImageFont.load_default(size)
    assert isinstance(loaded, ImageFont.FreeTypeFont)
    return loaded


def legible(text: str, otherwise: str) -> str:
    """The text as the bundled font can show it: as it is, else without accents, else (of another script) `otherwise`."""
    decomposed = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return next((candidate for candidate in (text, plain) if _has_glyphs(candidate)), otherwise)


def _has_glyphs(text: str) -> bool:
    """Whether the font has every letter; what it lacks it draws like a character that never exists: as a box."""
    box = _glyph("\ufffe")
    letters = set(text) - set(string.whitespace)
    return bool(letters) and all(_glyph(letter) != box for letter in letters)


def _glyph(letter: str) -> bytes:
    """Pixels of one letter."""
    picture = Image.new("1", (40, 40))
    ImageDraw.Draw(picture).text((8, 8), letter, font=font(20), fill=1)
    return picture.tobytes()


def fit(text: str, typeface: ImageFont.FreeTypeFont, width: float, max_lines: int) -> list[str]:
    """Break a text at spaces into at most `max_lines` lines of `width` pixels; what is left over is cut with an ellipsis."""
    words = text.split()
    lines: list[str] = []
    while words and len(lines) < max_lines:
        line = words.pop(0)
        last = len(lines) == max_lines - 1
        while words and (last or typeface.getlength(f"{line} {words[0]}") <= width):
            line = f"{line} {words.pop(0)}"
        lines.append(_shorten(line, typeface, width))
    return lines


def _shorten(line: str, typeface: ImageFont.FreeTypeFont, width: float) -> str:
    if typeface.getlength(line) <= width:
        return line
    keep = bisect.bisect_right(range(1, len(line) + 1), width, key=lambda length: typeface.getlength(f"{line[:length]}\u2026"))
    line = line[:keep]
    return f"{line.rstrip()}\u2026"
