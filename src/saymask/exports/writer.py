"""Masks as images: PNGs of every object, DAVIS label maps, and the names of their folders.

A writer takes a `Prediction` and an existing folder, writes one file or folder into it and returns its path. Frames are read again from
`prediction.video`, a few at a time, so memory does not grow with the length. Nothing appears under its name before it is complete, and
nothing that exists is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unicodedata import category, normalize

import numpy as np
from PIL import Image

from saymask.errors import VideoError
from saymask.exports.framewise import FrameFile, ReadPixels, write_frames
from saymask.records import Prediction, QueryResult, Rle, Video
from saymask.storage.atomic import new_folder
from saymask.video.masks import MAX_LABELS, davis_palette, label_map

_SLUG_LENGTH = 40


def write_png(prediction: Prediction, directory: Path) -> Path:
    """Masks as images: png/<query>/<obj_id>/<frame name>.png, 255 inside the object, 0 outside.

    A query without objects has an empty folder; `query_slugs` names the folders.
    """
    return write_frames(png_frames, prediction, directory)


def write_davis(prediction: Prediction, directory: Path) -> Path:
    """DAVIS label maps: davis/<frame name>.png, one number per object, with the DAVIS palette.

    Label i + 1 is object i of `Prediction.objects()`. Where objects overlap, the first one keeps the pixel: a label map
    holds one object per pixel.

    Raises:
        VideoError: more objects than a palette image can number.
    """
    return write_frames(davis_frames, prediction, directory)


@contextmanager
def png_frames(video: Video, results: Sequence[QueryResult], directory: Path) -> Iterator[FrameFile]:
    """The format png frame by frame."""
    path, names = directory / "png", iter(video.frame_names)
    with new_folder(path) as draft:
        folders = []
        for slug, result in zip(query_slugs([result.query for result in results]), results, strict=True):
            (draft / slug).mkdir()
            folders += [draft / slug / str(masklet.obj_id) for masklet in result.masklets]
        for folder in folders:
            folder.mkdir()

        def add(rles: Sequence[Rle], pixels: ReadPixels) -> None:
            name = f"{next(names)}.png"
            for folder, rle in zip(folders, rles, strict=True):
                Image.fromarray(rle.decode().astype(np.uint8) * 255).save(folder / name)

        yield FrameFile(path, add)


@contextmanager
def davis_frames(video: Video, results: Sequence[QueryResult], directory: Path) -> Iterator[FrameFile]:
    """The format davis frame by frame; errors as for `write_davis`."""
    num_objects = sum(len(result.masklets) for result in results)
    if num_objects > MAX_LABELS:
        raise VideoError(f"davis: {num_objects} objects, but a palette image numbers at most {MAX_LABELS}; use the format png or coco")
    path, names, palette = directory / "davis", iter(video.frame_names), davis_palette().tobytes()
    with new_folder(path) as draft:

        def add(rles: Sequence[Rle], pixels: ReadPixels) -> None:
            masks_NHW = np.array([rle.decode() for rle in rles], dtype=bool).reshape(-1, video.height, video.width)
            picture = Image.fromarray(label_map(masks_NHW))
            picture.putpalette(palette)
            picture.save(draft / f"{next(names)}.png")

        yield FrameFile(path, add)


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
