"""CVAT for video 1.1: tracks of polygons on every frame. CVAT imports it into a task of the same video.

CVAT keeps an object's identity in polygon tracks only (of a mask track it keeps one frame), and its polygons have no holes: a hole is cut
open by a line of no width, and parts of one object are tracks of one group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from saymask.exports.tools.polygons import Polygon, Ring, polygons
from saymask.records import Masklet, Prediction
from saymask.storage.atomic import new_file


def write_cvat(prediction: Prediction, directory: Path, *, tolerance: float = 0) -> Path:
    """CVAT for video 1.1, cvat.xml: polygon tracks, one label per query.

    The task in CVAT needs labels of the same names. `tolerance`, in pixels, leaves out corners.
    """
    video = prediction.video
    path = directory / "cvat.xml"
    with new_file(path) as draft, draft.open("w", encoding="utf-8") as stream:
        xml = _Writer(stream)
        xml.startDocument()
        with xml.element("annotations"):
            xml.leaf("version", "1.1")
            with xml.element("meta"):
                with xml.element("task"):
                    numbers = {"size": video.num_frames, "mode": "interpolation", "start_frame": 0, "stop_frame": video.num_frames - 1}
                    for name, value in numbers.items():
                        xml.leaf(name, str(value))
                    with xml.element("labels"):
                        for query in dict.fromkeys(result.query for result in prediction.results):
                            with xml.element("label"):
                                xml.leaf("name", query)
                    with xml.element("original_size"):
                        xml.leaf("width", str(video.width))
                        xml.leaf("height", str(video.height))
                xml.leaf("source", video.name)
            track_id = 0
            for obj_id, place, masklet in prediction.tracks():
                for part in _parts(masklet, tolerance):
                    about = {"id": str(track_id), "label": prediction.results[place].query, "source": "auto"}
                    with xml.element("track", {**about, "group_id": str(obj_id)}):
                        for frame_idx, ring, is_outside in part:
                            xml.polygon(frame_idx, ring, is_outside)
                    track_id += 1
        xml.endDocument()
    return path


def _parts(masklet: Masklet, tolerance: float) -> Iterator[list[tuple[int, Ring, bool]]]:
    """Tracks of an object: the largest polygon of each frame, then the second … ; after a frame without it one that says it is gone."""
    of_frames = [sorted(polygons(rle, tolerance), key=_size, reverse=True) for rle in masklet.rle_T]
    for place in range(max(map(len, of_frames), default=0)):
        track: list[tuple[int, Ring, bool]] = []
        for frame_idx, of_frame in enumerate(of_frames):
            if place < len(of_frame):
                track.append((frame_idx, of_frame[place].bridged(), False))
            elif track and not track[-1][2]:
                track.append((frame_idx, track[-1][1], True))
        yield track


def _size(polygon: Polygon) -> float:
    """Area of the box around a polygon."""
    width, height = polygon.outer.max(axis=0) - polygon.outer.min(axis=0)
    return float(width * height)


class _Writer(XMLGenerator):
    """Writes elements one after the other, so that a long video takes no memory."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream, "utf-8", short_empty_elements=True)

    @contextmanager
    def element(self, name: str, attributes: Mapping[str, str] | None = None) -> Iterator[None]:
        """What is written while the block runs lies in the element."""
        self.startElement(name, AttributesImpl({key: _legal(value) for key, value in (attributes or {}).items()}))
        yield
        self.endElement(name)
        self.ignorableWhitespace("\n")

    def leaf(self, name: str, text: str) -> None:
        with self.element(name):
            self.characters(_legal(text))

    def polygon(self, frame_idx: int, ring: Ring, is_outside: bool) -> None:
        points = ";".join(f"{x:g},{y:g}" for x, y in ring)
        flags = {"frame": str(frame_idx), "keyframe": "1", "outside": str(int(is_outside)), "occluded": "0"}
        with self.element("polygon", {**flags, "points": points, "z_order": "0"}):
            pass


def _legal(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(sign for sign in text if sign >= " " or sign in "\t\n\r")
