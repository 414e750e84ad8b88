"""Pictures of a prediction: overlay video, mask PNGs, DAVIS label maps and a contact sheet.

A writer takes a `Prediction` and an existing folder, writes one file or folder into it and returns its path. Frames are read again from
`prediction.video`, a few at a time, so memory does not grow with the length. Nothing appears under its name before it is complete, and
nothing that exists is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from unicodedata import category, normalize

import numpy as np
from PIL import Image, ImageDraw

from saymask.errors import VideoError
from saymask.exports.drawing import Legend, contour_width, draw_mask, fit, font, legible, query_colour
from saymask.exports.encoder import write_video
from saymask.exports.vote_strip import STRIP_HEIGHT, FrameVotes
from saymask.records import Prediction, Video
from saymask.storage.atomic import new_file, new_folder
from saymask.video.masks import MAX_LABELS, davis_palette, label_map

_CHUNK_BYTES = 8 * 2**20
_SLUG_LENGTH = 40
_SHEET_FRAMES = 8
_THUMB = 200  # pixels on the longer side
_MARGIN = 12
_LEGEND_FRAMES = 16  # on so many frames the masks are looked at before the legend finds its corner


def write_overlay(prediction: Prediction, directory: Path) -> Path:
    """Every query in its colour over the video, with a legend: overlay.mp4, or overlay.png for an image.

    The video keeps the source's times. The legend stands in the corner where it hides least of the masks; it leaves out accents that its
    font lacks and calls a query of another script "query N".
    """
    video = prediction.video
    legend = Legend(_legend_texts(prediction), video.height, video.width)
    occupied_HW = np.zeros((video.height, video.width), dtype=np.int64)
    for index in np.linspace(0, video.num_frames - 1, min(video.num_frames, _LEGEND_FRAMES)).astype(int).tolist():
        occupied_HW += prediction.masks(index).any(axis=0)
    legend.avoid(occupied_HW)
    if video.num_frames == 1:
        path = directory / "overlay.png"
        with new_file(path) as draft:
            Image.fromarray(next(_overlaid(prediction, legend))).save(draft)
        return path
    path = directory / "overlay.mp4"
    write_video(path, _overlaid(prediction, legend), video.timestamps_T, video.duration, {"title": video.source}, video.pixel_aspect)
    return path


def write_png(prediction: Prediction, directory: Path) -> Path:
    """Masks as images: png/<query>/<obj_id>/<frame name>.png, 255 inside the object, 0 outside.

    A query without objects has an empty folder; `query_slugs` names the folders.
    """
    path = directory / "png"
    slugs = query_slugs([result.query for result in prediction.results])
    with new_folder(path) as draft:
        for slug, result in zip(slugs, prediction.results, strict=True):
            (draft / slug).mkdir()
            for masklet in result.masklets:
                folder = draft / slug / str(masklet.obj_id)
                folder.mkdir()
                for name, rle in zip(prediction.video.frame_names, masklet.rle_T, strict=True):
                    Image.fromarray(rle.decode().astype(np.uint8) * 255).save(folder / f"{name}.png")
    return path


def write_davis(prediction: Prediction, directory: Path) -> Path:
    """DAVIS label maps: davis/<frame name>.png, one number per object, with the DAVIS palette.

    Label i + 1 is object i of `Prediction.objects()`. Where objects overlap, the first one keeps the pixel: a label map
    holds one object per pixel.

    Raises:
        VideoError: more objects than a palette image can number.
    """
    num_objects = sum(1 for _ in prediction.objects())
    if num_objects > MAX_LABELS:
        raise VideoError(f"davis: {num_objects} objects, but a palette image numbers at most {MAX_LABELS}; use the format png or coco")
    path = directory / "davis"
    palette = davis_palette().tobytes()
    with new_folder(path) as draft:
        for index, name in enumerate(prediction.video.frame_names):
            picture = Image.fromarray(label_map(prediction.masks(index)))
            picture.putpalette(palette)
            picture.save(draft / f"{name}.png")
    return path


def write_sheet(prediction: Prediction, directory: Path) -> Path:
    """A contact sheet, sheet.png: up to eight frames from the first to the last, one row per query.

    Where a result's notes say how a frame was chosen (`vote_strip`), that stands below its row. A query or name that the font cannot show
    is replaced as in the overlay.
    """
    video = prediction.video
    shown = np.unique(np.linspace(0, video.num_frames - 1, _SHEET_FRAMES).round().astype(int)).tolist()
    scale = _THUMB / max(video.height, video.width)
    thumb_width, thumb_height = max(1, round(video.width * scale)), max(1, round(video.height * scale))
    title_font, text_font, small_font = font(20), font(17), font(13)
    text_height, small_height = 26, 18
    votes = [FrameVotes.of(result.notes) for result in prediction.results]
    row_height = text_height + thumb_height + _MARGIN + (STRIP_HEIGHT if any(votes) else 0)
    width = 2 * _MARGIN + len(shown) * (thumb_width + 4) - 4
    width = max(width, 480)
    top = 2 * _MARGIN + text_height + small_height
    sheet = Image.new("RGB", (width, top + row_height * len(prediction.results)), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    about = f"{legible(video.name, 'video')}: {video.num_frames} frames, {video.width} x {video.height}"
    draw.text((_MARGIN, _MARGIN), fit(about, title_font, width - 2 * _MARGIN, 1)[0], font=title_font, fill=(20, 20, 20))
    for column, index in enumerate(shown):
        left = _MARGIN + column * (thumb_width + 4)
        label = fit(f"{video.timestamps_T[index]:.2f} s, frame {index}", small_font, thumb_width, 1)[0]
        draw.text((left, top - small_height - 2), label, font=small_font, fill=(110, 110, 110))
        frame_HWC = video.frames([index])[0]
        for row, (result, text) in enumerate(zip(prediction.results, _legend_texts(prediction), strict=True)):
            y = top + row * row_height
            picture_HWC = frame_HWC.copy()
            for masklet in result.masklets:
                draw_mask(picture_HWC, masklet.rle_T[index], query_colour(row), contour=max(1, round(1.5 / scale)))
            thumb = Image.fromarray(picture_HWC).resize((thumb_width, thumb_height), Image.Resampling.LANCZOS)
            sheet.paste(thumb, (left, y + text_height))
            if column == 0:
                draw.rectangle((_MARGIN, y + 5, _MARGIN + 14, y + 19), fill=query_colour(row))
                draw.text((_MARGIN + 22, y + 2), fit(text, text_font, width - 2 * _MARGIN - 22, 1)[0], font=text_font, fill=(20, 20, 20))
    first_x = _MARGIN + thumb_width / 2
    for row, of_row in enumerate(votes):
        if of_row:
            y = top + row * row_height + text_height + thumb_height + 4
            last_x = first_x + (len(shown) - 1) * (thumb_width + 4)
            of_row.draw(draw, first_x, last_x, y, video.num_frames, query_colour(row))
    path = directory / "sheet.png"
    with new_file(path) as draft:
        sheet.save(draft)
    return path


def query_slugs(queries: Sequence[str]) -> list[str]:
    """A folder name for each query: small letters and digits of any script and single dashes, 1 to 40 characters, no two alike."""
    slugs: list[str] = []
    for query in queries:
        kept = "".join(sign if sign.isalnum() or category(sign).startswith("M") else "-" for sign in normalize("NFKC", query.lower()))
        stem = re.sub("-+", "-", kept).strip("-")[:_SLUG_LENGTH].rstrip("-") or "query"
        slug, number = stem, 1
        while slug in slugs:
            number += 1
            slug = f"{stem[: _SLUG_LENGTH - len(str(number)) - 1]}-{number}"
        slugs.append(slug)
    return slugs


def _legend_texts(prediction: Prediction) -> list[str]:
    """The queries as the font can show them, with a word for those that have no pixel in any frame."""
    texts = []
    for number, result in enumerate(prediction.results, start=1):
        found = any(rle.area for masklet in result.masklets for rle in masklet.rle_T)
        query = legible(result.query, f"query {number}")
        texts.append(query if found else f"{query} (nothing found)")
    return texts


def _overlaid(prediction: Prediction, legend: Legend) -> Iterator[np.ndarray]:
    contour = contour_width(prediction.video.height, prediction.video.width)
    for index, frame_HWC in enumerate(_frames(prediction.video)):
        for query_idx, result in enumerate(prediction.results):
            for masklet in result.masklets:
                draw_mask(frame_HWC, masklet.rle_T[index], query_colour(query_idx), contour)
        legend.draw(frame_HWC)
        yield frame_HWC


def _frames(video: Video) -> Iterator[np.ndarray]:
    """Every frame in order, read a few at a time; each may be drawn on."""
    step = max(1, min(32, _CHUNK_BYTES // (video.height * video.width * 3)))
    for start in range(0, video.num_frames, step):
        for frame_HWC in video.frames(range(start, min(start + step, video.num_frames))):
            yield frame_HWC.copy()
