"""The images that a vision-language model is shown: single frames, and contact sheets with numbered candidates. JPEG files."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

COLOURS = ((230, 25, 75), (0, 130, 200), (60, 180, 75), (245, 130, 48), (145, 30, 180), (0, 160, 160), (240, 50, 230), (128, 128, 0))
SENT_SIDE = 768
"""Longest side of an image that is sent."""
MIN_SIDE = 256
"""Smaller frames are enlarged, so that numbers can be read."""
SHEET_COLUMNS = 2
QUALITY = 90


def sent_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) at which a frame is sent."""
    scale = max(min(1.0, SENT_SIDE / max(height, width)), min(SENT_SIDE, MIN_SIDE) / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def frame_image(frame_HWC: np.ndarray) -> bytes:
    """One frame as it is sent."""
    return _jpeg(_resized(frame_HWC))


def contact_sheet(frames_THWC: np.ndarray, labels: Sequence[str], masks: Sequence[Mapping[int, np.ndarray]]) -> bytes:
    """Frames side by side, on each the candidates that show there, outlined and numbered.

    Args:
        frames_THWC: uint8.
        labels: of each frame, such as its time.
        masks: per frame, the candidate's number -> bool mask_HW.
    """
    tiles = [_tile(frame_HWC, label, shown) for frame_HWC, label, shown in zip(frames_THWC, labels, masks, strict=True)]
    width, height = tiles[0].size
    columns = min(SHEET_COLUMNS, len(tiles))
    sheet = Image.new("RGB", (columns * width, -(-len(tiles) // columns) * height))
    for place, tile in enumerate(tiles):
        sheet.paste(tile, (place % columns * width, place // columns * height))
    return _jpeg(sheet)


def _tile(frame_HWC: np.ndarray, label: str, masks: Mapping[int, np.ndarray]) -> Image.Image:
    image = _resized(frame_HWC)
    pixels = np.array(image)
    for number, mask_HW in masks.items():
        inside = np.array(Image.fromarray(mask_HW).resize(image.size, Image.Resampling.NEAREST), dtype=bool)
        pixels[_outline(inside)] = COLOURS[(number - 1) % len(COLOURS)]
    image = Image.fromarray(pixels)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=max(12, image.height // 16))
    for number, mask_HW in masks.items():
        ys, xs = mask_HW.nonzero()
        if len(ys):
            scale = image.width / mask_HW.shape[1]
            _label(draw, (int(xs.mean() * scale), int(ys.mean() * scale)), str(number), font, COLOURS[(number - 1) % len(COLOURS)])
    _label(draw, (0, 0), label, font, (0, 0, 0))
    return image


def _label(
    draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, colour: tuple
) -> None:
    draw.rectangle(draw.textbbox(place, text, font=font), fill=colour)
    draw.text(place, text, fill=(255, 255, 255), font=font)


def _outline(mask_HW: np.ndarray, width: int = 2) -> np.ndarray:
    """The mask's pixels that lie within `width` of its edge."""
    inner = np.pad(mask_HW, width)
    for axis in (0, 1):
        for shift in (-width, width):
            inner = inner & np.roll(inner, shift, axis)
    return mask_HW & ~inner[width:-width, width:-width]


def _resized(frame_HWC: np.ndarray) -> Image.Image:
    height, width = sent_size(*frame_HWC.shape[:2])
    return Image.fromarray(frame_HWC).resize((width, height), Image.Resampling.BICUBIC)


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
