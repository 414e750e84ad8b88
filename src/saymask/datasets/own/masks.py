"""Where the masks of a video of own data are, in which of four forms, and which frame each of them belongs to.

Below `masks/<video>/` lies what a person has drawn or what `saymask segment` has written: a folder of black-and-white images per object,
label maps, a COCO file or a YouTube-VIS file; `masks.json` beside `masks/` may hold those of several videos. There must be one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np

from saymask.datasets.own.images import LabelImages, ObjectImages, images_in
from saymask.datasets.own.outlines import Outlines, VideoOf, read_outlines_by_video
from saymask.errors import DataError
from saymask.lookup import suggest
from saymask.records import Video


class MaskSource(Protocol):
    """The masks of one video. Frames are called what the masks call them; `place_frames` finds them in the video."""

    @property
    def place(self) -> Path:
        """The folder or file, for messages."""
        ...

    @property
    def names(self) -> Sequence[str]:
        """What objects may be called, for messages."""
        ...

    def obj_ids(self, name: str) -> tuple[int, ...]:
        """The objects that a name stands for; none if it is unknown."""
        ...

    def where(self, obj_id: int) -> str:
        """What messages call an object."""
        ...

    @property
    def frames(self) -> Sequence[str]:
        """The frames on which an object was looked for."""
        ...

    def looked_for(self, obj_id: int, frame: str) -> bool:
        """Whether it is known where the object is on this frame, or that it is not there."""
        ...

    def masks(self, obj_ids: Sequence[int], frame: str, video: Video) -> np.ndarray:
        """At least one object on one frame -> bool masks_NHW of the video's size; DataError for what is no mask of it."""
        ...

    def painted(self, frames: Iterable[str], video: Video) -> dict[int, int]:
        """Where masks are numbers in label maps: on how many of these frames each number occurs; otherwise nothing."""
        ...


@dataclass(frozen=True)
class MaskFinder:
    """Finds the masks of each video.

    Args:
        root: folder of the data.
        shared: masks by video of the file for several videos; empty if there is none.
    """

    root: Path
    shared: Mapping[str, Outlines]

    @classmethod
    def of(cls, root: Path, video_names: Collection[str]) -> MaskFinder:
        """Read `masks.json`, if it is there; `video_names` are those that sentences are about.

        Raises:
            DataError: it is damaged.
        """
        path = root / "masks.json"
        if not path.exists():
            return cls(root, {})
        return cls(root, read_outlines_by_video(path, _by_folder(set(video_names))))

    def find(self, video_name: str) -> MaskSource | None:
        """The masks of a video, None if there are none.

        Raises:
            DataError: they are there in two forms, or a file is damaged.
        """
        found = self._forms(video_name)
        if len(found) > 1:
            places = " and ".join(str(place) for place, _ in found)
            raise DataError(f"masks of {video_name} are in {places}; keep one of them, so that it is clear which ones count")
        return found[0][1]() if found else None

    def _forms(self, video_name: str) -> list[tuple[Path, Callable[[], MaskSource]]]:
        """Each place with masks of a video, and what reads them."""
        folder = self.root / "masks" / video_name
        files = [folder.with_name(f"{folder.name}.json"), *sorted(folder.glob("*.json"))]
        maps = [*filter(Path.is_file, [folder.with_name(f"{folder.name}.png")]), *filter(_has_images, [folder, folder / "davis"])]
        objects = [place for place in (folder, folder / "png") if _has_objects(place)]
        forms: list[tuple[Path, Callable[[], MaskSource]]] = []
        if video_name in self.shared:
            forms.append((self.root / "masks.json", partial(self.shared.__getitem__, video_name)))
        forms += [(file, partial(_only_video, file)) for file in files if file.exists()]
        forms += [(place, partial(LabelImages.find, place)) for place in maps]
        forms += [(place, partial(ObjectImages.find, place)) for place in objects]
        return forms


def find_objects(masks: MaskSource, cell: str) -> tuple[int, ...]:
    """The objects that a cell of the column `objects` names, separated by semicolons or spaces, or all of it one name.

    Raises:
        DataError: a name that the masks do not know, with those that they do.
    """
    is_one_name = bool(masks.obj_ids(cell))
    names = [cell] if is_one_name else cell.split(";") if ";" in cell else cell.split()
    found: dict[int, None] = {}
    for name in filter(None, map(str.strip, names)):
        obj_ids = masks.obj_ids(name)
        if not obj_ids:
            raise DataError(f"no object {name!r} in {masks.place}; {suggest(name, list(masks.names))}")
        found |= dict.fromkeys(obj_ids)
    return tuple(found)


def place_frames(frames: Sequence[str], video: Video, place: Path) -> dict[int, str]:
    """Which frame of the video each name means, in the order of the video.

    A name is that of a frame, or a number: the frame whose own name is that number or, if frames have other names, the frame at that
    position, counted from 0. Frames of a video file are called by their position.

    Raises:
        DataError: a name without a frame, or two names of one frame.
    """
    by_name = {name: index for index, name in enumerate(video.frame_names)}
    numbered = all(name.isdecimal() for name in video.frame_names)
    by_number = {int(name) if numbered else index: index for index, name in enumerate(video.frame_names)}
    found: dict[int, str] = {}
    beyond: list[str] = []
    for name in frames:
        index = by_name.get(name, by_number.get(int(name)) if name.isdecimal() else None)
        if index is None:
            beyond.append(name)
        elif index in found:
            raise DataError(f"{place}: {found[index]} and {name} are the same frame of {video.name}; remove one of them")
        else:
            found[index] = name
    if beyond:
        more = f" and {len(beyond) - 1} more" if len(beyond) > 1 else ""
        raise DataError(
            f"{place}: masks of frame {beyond[0]}{more}, but the {video.num_frames} frames of {video.source} are called "
            f"{video.frame_names[0]} to {video.frame_names[-1]}; rename or remove these masks, or restore the frames"
        )
    return dict(sorted(found.items()))


def _has_images(folder: Path) -> bool:
    return folder.is_dir() and bool(images_in(folder.iterdir()))


def _has_objects(folder: Path) -> bool:
    """Whether there are folders of images in it, beside those that `saymask segment` names after its formats."""
    formats = {folder / "png", folder / "davis"}
    return any(path.parent != folder and not formats & set(path.parents) for path in images_in(folder.rglob("*")))


def _only_video(path: Path) -> MaskSource:
    """A file of a video of its own: what it calls the video does not count."""
    by_video = read_outlines_by_video(path, lambda frame, stated: "")
    if not by_video:
        raise DataError(f"{path}: lists no frames; export it again")
    return by_video[""]


def _by_folder(video_names: Collection[str]) -> VideoOf:
    """Frames of `masks.json` have the video's name as their folder, an image as its own; otherwise it is what the file says it is about."""

    def video_of(frame: PurePosixPath, stated: str | None) -> str:
        if str(frame) in video_names:
            return str(frame)
        return str(frame.parent) if frame.parent != PurePosixPath(".") else stated or str(frame)

    return video_of
