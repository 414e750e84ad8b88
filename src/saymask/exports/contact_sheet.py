"""A contact sheet: a row of frames for each query, with what was answered and how frames were chosen."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from saymask.exports.drawing import draw_mask, fit, font, legend_entries, legible, query_colour
from saymask.exports.vote_strip import STRIP_HEIGHT, FrameVotes
from saymask.records import Prediction, QueryResult
from saymask.storage.atomic import new_file

_SHEET_FRAMES = 8
_THUMB = 200  # pixels on the longer side
_MARGIN = 12


def write_sheet(prediction: Prediction, directory: Path) -> Path:
    """A contact sheet, sheet.png: up to eight frames from the first to the last, one row per query.

    Above a row stand the query or the objects' words in their colours, and what the model answered and which frames it chose. Where a
    result's notes say how a frame was chosen (`vote_strip`), that stands below its row. A query or name that the font cannot show is
    replaced as in the overlay.
    """
    video = prediction.video
    shown = np.unique(np.linspace(0, video.num_frames - 1, _SHEET_FRAMES).round().astype(int)).tolist()
    scale = _THUMB / max(video.height, video.width)
    thumb_width, thumb_height = max(1, round(video.width * scale)), max(1, round(video.height * scale))
    title_font, text_font, small_font = font(20), font(17), font(13)
    text_height, small_height = 26, 18
    votes = [FrameVotes.of(result.notes) for result in prediction.results]
    row_height = text_height + small_height + thumb_height + _MARGIN + (STRIP_HEIGHT if any(votes) else 0)
    width = 2 * _MARGIN + len(shown) * (thumb_width + 4) - 4
    width = max(width, 480)
    top = 2 * _MARGIN + text_height + small_height
    numbers = itertools.count()
    coloured = [[(entry, query_colour(next(numbers))) for entry in of_query] for of_query in legend_entries(prediction.results)]
    sheet = Image.new("RGB", (width, top + row_height * len(prediction.results)), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    about = f"{legible(video.name, 'video')}: {video.num_frames} frames, {video.width} x {video.height}"
    draw.text((_MARGIN, _MARGIN), fit(about, title_font, width - 2 * _MARGIN, 1)[0], font=title_font, fill=(20, 20, 20))
    for column, index in enumerate(shown):
        left = _MARGIN + column * (thumb_width + 4)
        label = fit(f"{video.timestamps_T[index]:.2f} s, frame {index}", small_font, thumb_width, 1)[0]
        draw.text((left, top - small_height - 2), label, font=small_font, fill=(110, 110, 110))
        frame_HWC = video.frames([index])[0]
        for row, of_query in enumerate(coloured):
            y = top + row * row_height
            picture_HWC = frame_HWC.copy()
            for entry, colour in of_query:
                for masklet in entry.masklets:
                    draw_mask(picture_HWC, masklet.rle_T[index], colour, contour=max(1, round(1.5 / scale)))
            thumb = Image.fromarray(picture_HWC).resize((thumb_width, thumb_height), Image.Resampling.LANCZOS)
            sheet.paste(thumb, (left, y + text_height + small_height))
    first_x = _MARGIN + thumb_width / 2
    last_x = first_x + (len(shown) - 1) * (thumb_width + 4)
    for row, (result, of_query, of_row) in enumerate(zip(prediction.results, coloured, votes, strict=True)):
        y, left = top + row * row_height, _MARGIN
        for place, (entry, colour) in enumerate(of_query):
            room = (width - _MARGIN - left) / (len(of_query) - place)
            draw.rectangle((left, y + 5, left + 14, y + 19), fill=colour)
            text = fit(entry.text, text_font, room - 34, 1)[0]
            draw.text((left + 22, y + 2), text, font=text_font, fill=(20, 20, 20))
            left += 22 + text_font.getlength(text) + 24
        about = fit(_how_answered(result), small_font, width - 2 * _MARGIN, 1)
        draw.text((_MARGIN, y + text_height), about[0] if about else "", font=small_font, fill=(110, 110, 110))
        if of_row:
            strip_y = y + text_height + small_height + thumb_height + 4
            of_row.draw(draw, first_x, last_x, strip_y, video.num_frames, query_colour(row))
    path = directory / "sheet.png"
    with new_file(path) as draft:
        sheet.save(draft)
    return path


def _how_answered(result: QueryResult) -> str:
    """The model's words, where it named objects, and the frames that it chose."""
    frames = ", ".join(map(str, result.notes.get("reference_frames", ())))
    said = legible(result.text, "") if any(masklet.phrase for masklet in result.masklets) else ""
    return "   ".join(filter(None, (said, f"chosen frames: {frames}" if frames else "")))
