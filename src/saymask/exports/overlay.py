"""The overlay: coloured masks over the video, with a legend that stands where it hides least of the first frame's.

The legend says which queries have found nothing, which the last frame decides. An overlay that is written while masks are found takes it
that all of them will find something; if one has not, it is drawn once more at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from saymask.exports.drawing import Legend, LegendEntry, contour_width, draw_mask, legend_entries, query_colour
from saymask.exports.encoder import new_video
from saymask.exports.framewise import FrameFile, ReadPixels, by_query, each_frame, union
from saymask.records import Prediction, QueryResult, Rle, Video
from saymask.storage.atomic import new_file


def write_overlay(prediction: Prediction, directory: Path) -> Path:
    """Coloured masks over the video, with a legend: overlay.mp4, or overlay.png for an image.

    Every query has its colour, or, where objects have words of their own, every object. The video keeps the source's times. The legend
    stands in the corner where it hides least of the first frame's masks; it leaves out accents that its font lacks and calls a query of
    another script "query N".
    """
    masklets = [masklet for _, masklet in prediction.objects()]
    masks_T = [[masklet.rle_T[index] for masklet in masklets] for index in range(prediction.video.num_frames)]
    look = _Look(prediction.video, prediction.results)
    for rles in masks_T:
        look.see(rles)
    return _draw_all(look, masks_T, directory)


@contextmanager
def overlay_frames(video: Video, results: Sequence[QueryResult], directory: Path) -> Iterator[FrameFile]:
    """The overlay frame by frame."""
    look, masks_T = _Look(video, results), []
    expected: _Picture | None = None
    try:
        with _new_picture_file(video, directory) as (path, encode):

            def add(rles: Sequence[Rle], pixels: ReadPixels) -> None:
                nonlocal expected
                look.see(rles)
                masks_T.append(rles)
                expected = expected or look.picture(is_known=video.num_frames == 1)
                frame_HWC = pixels()
                expected.draw(frame_HWC, rles)
                encode(frame_HWC)

            yield FrameFile(path, add)
            if expected is not None and expected.texts != look.picture().texts:
                raise _NothingFound
    except _NothingFound:
        _draw_all(look, masks_T, directory)


class _NothingFound(Exception):
    """A query has no pixel on any frame, which changes its line of the legend and perhaps the colours of others."""


class _Picture:
    """How every frame is drawn: the colour of each object, and the legend, `texts`, in its corner."""

    def __init__(self, video: Video, entries: Sequence[LegendEntry], occupied_HW: np.ndarray):
        self.texts = [entry.text for entry in entries]
        self._colours = [query_colour(place) for place, entry in enumerate(entries) for _ in entry.masklets]
        self._contour = contour_width(video.height, video.width)
        self._legend = Legend(self.texts, video.height, video.width)
        self._legend.avoid(occupied_HW)

    def draw(self, frame_HWC: np.ndarray, rles: Sequence[Rle]) -> None:
        for rle, colour in zip(rles, self._colours, strict=True):
            draw_mask(frame_HWC, rle, colour, self._contour)
        self._legend.draw(frame_HWC)


class _Look:
    """What the picture depends on: where masks are on the first frame, and which queries have a pixel on any."""

    def __init__(self, video: Video, results: Sequence[QueryResult]):
        self.video, self._results = video, results
        self._first: Sequence[Rle] | None = None
        self._found = [False] * len(results)

    def see(self, rles: Sequence[Rle]) -> None:
        """The masks of the next frame."""
        self._first = rles if self._first is None else self._first
        for place, of_query in enumerate(by_query(self._results, rles)):
            self._found[place] = self._found[place] or any(rle.area for rle in of_query)

    def picture(self, is_known: bool = True) -> _Picture:
        """As the frames so far want it; until all of them are known, every query counts as found."""
        found = self._found if is_known else [True] * len(self._found)
        entries = [entry for of_query in legend_entries(self._results, found) for entry in of_query]
        return _Picture(self.video, entries, union(self._first or (), self.video))


def _draw_all(look: _Look, masks_T: Sequence[Sequence[Rle]], directory: Path) -> Path:
    """The overlay of a video of which everything is known."""
    picture, pixels = look.picture(), each_frame(look.video)
    with _new_picture_file(look.video, directory) as (path, encode):
        for rles in masks_T:
            frame_HWC = next(pixels)
            picture.draw(frame_HWC, rles)
            encode(frame_HWC)
            del frame_HWC  # a large one must be gone before the next is decoded
    return path


@contextmanager
def _new_picture_file(video: Video, directory: Path) -> Iterator[tuple[Path, Callable[[np.ndarray], None]]]:
    """A video, or an image for one of a single frame, and what takes its frames."""
    if video.num_frames == 1:
        path = directory / "overlay.png"
        with new_file(path) as draft:
            yield path, lambda frame_HWC: Image.fromarray(frame_HWC).save(draft)
        return
    path = directory / "overlay.mp4"
    with new_video(path, video.timestamps_T, video.duration, {"title": video.source}, video.pixel_aspect) as add:
        yield path, add
