"""Pictures of a prediction: overlay video, mask PNGs and DAVIS label maps.

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
from PIL import Image

from saymask.errors import VideoError
from saymask.exports.drawing import Legend, LegendEntry, contour_width, draw_mask, legend_entries, query_colour
from saymask.exports.encoder import write_video
from saymask.records import Prediction, Video
from saymask.storage.atomic import new_file, new_folder
from saymask.video.masks import MAX_LABELS, davis_palette, label_map

_CHUNK_BYTES = 8 * 2**20
_SLUG_LENGTH = 40
_LEGEND_FRAMES = 16  # on so many frames the masks are looked at before the legend finds its corner


def write_overlay(prediction: Prediction, directory: Path) -> Path:
    """Coloured masks over the video, with a legend: overlay.mp4, or overlay.png for an image.

    Every query has its colour, or, where objects have words of their own, every object. The video keeps the source's times. The legend
    stands in the corner where it hides least of the masks; it leaves out accents that its font lacks and calls a query of another script
    "query N".
    """
    video = prediction.video
    entries = _flat_entries(prediction)
    legend = Legend([entry.text for entry in entries], video.height, video.width)
    occupied_HW = np.zeros((video.height, video.width), dtype=np.uint8)
    for index in np.linspace(0, video.num_frames - 1, min(video.num_frames, _LEGEND_FRAMES)).astype(int).tolist():
        occupied_HW += prediction.masks(index).any(axis=0)
    legend.avoid(occupied_HW)
    if video.num_frames == 1:
        path = directory / "overlay.png"
        with new_file(path) as draft:
            Image.fromarray(next(_overlaid(video, entries, legend))).save(draft)
        return path
    path = directory / "overlay.mp4"
    write_video(path, _overlaid(video, entries, legend), video.timestamps_T, video.duration, {"title": video.source}, video.pixel_aspect)
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


def _flat_entries(prediction: Prediction) -> list[LegendEntry]:
    return [entry for of_query in legend_entries(prediction.results) for entry in of_query]


def _overlaid(video: Video, entries: Sequence[LegendEntry], legend: Legend) -> Iterator[np.ndarray]:
    contour = contour_width(video.height, video.width)
    frames = each_frame(video)
    for index in range(video.num_frames):
        frame_HWC = next(frames)
        for place, entry in enumerate(entries):
            for masklet in entry.masklets:
                draw_mask(frame_HWC, masklet.rle_T[index], query_colour(place), contour)
        legend.draw(frame_HWC)
        yield frame_HWC
        del frame_HWC  # a large one must be gone before the next is decoded


def each_frame(video: Video) -> Iterator[np.ndarray]:
    """Every frame in order, read a few at a time; each may be drawn on."""
    step = max(1, min(32, _CHUNK_BYTES // (video.height * video.width * 3)))
    for start in range(0, video.num_frames, step):
        yield from video.frames(range(start, min(start + step, video.num_frames)))
