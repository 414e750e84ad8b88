"""Where the masks of a video of own data are, in which of many forms, and which frame each of them belongs to.

Below `masks/<video>/` lies what a person has drawn or what `saymask segment` has written: a folder of black-and-white images per object,
label maps, a COCO or YouTube-VIS file, or what CVAT, labelme, YOLO, Label Studio or MOTS write; `masks.json` beside `masks/` may hold COCO
or YouTube-VIS of several videos.
There must be one answer.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np

from saymask.datasets.annotation_files import read_json
from saymask.datasets.own.class_colours import CLASSES, LABEL_MAP, ClassColours
from saymask.datasets.own.cvat import read_cvat
from saymask.datasets.own.frame_files import READ_FORMS, YOLO_LISTS, is_labelme, read_labelme, read_yolo
from saymask.datasets.own.images import LabelImages, ObjectImages, images_in
from saymask.datasets.own.label_studio import is_label_studio, read_label_studio
from saymask.datasets.own.mots import is_mots, read_mots
from saymask.datasets.own.outlines import Outlines, VideoOf, read_outlines_by_video
from saymask.errors import DataError
from saymask.lookup import suggest
from saymask.records import Video

_FEW_IN_A_ROW = 3
"""So many masks from frame 1 on without a gap are a numbering, not a choice."""


class MaskSource(Protocol):
    """The masks of one video. Frames are called what the masks call them; `place_frames` finds them in the video."""

    @property
    def place(self) -> Path:
        """The folder or file, for messages."""
        ...

    @property
    def rule(self) -> str:
        """The form, how it calls frames, and what an object is."""
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


_Form = tuple[Path, Callable[[], MaskSource]]
"""A place with masks, and what reads them."""


@dataclass(frozen=True)
class MaskFinder:
    """Finds the masks of each video.

    Args:
        root: folder of the data.
        shared: masks by video of the file for several videos; empty if there is none.
        below: folder in `root` that has a folder or file for each video.
    """

    root: Path
    shared: Mapping[str, Outlines]
    below: str = "masks"

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
        if not found:
            self._refuse_others(video_name)
        if len(found) > 1:
            places = " and ".join(str(place) for place, _ in found)
            raise DataError(f"masks of {video_name} are in {places}; keep one of them, so that it is clear which ones count")
        return found[0][1]() if found else None

    def has_export(self, video_name: str) -> bool:
        """Whether a tool's files about a video are there, be it in one form or in several; images of masks are none."""
        return bool(self._exports(video_name))

    def _forms(self, video_name: str) -> list[_Form]:
        """Each place with masks of a video, and what reads them."""
        exports = self._exports(video_name)
        folder = self.root / self.below / video_name
        if any(place == folder / LABEL_MAP for place, _ in exports):
            return exports  # the images are in its colours
        maps = [*filter(Path.is_file, [folder.with_name(f"{folder.name}.png")]), *filter(_has_images, [folder, folder / "davis"])]
        objects = [place for place in (folder, folder / "png") if _has_objects(place)]
        shared: list[_Form] = []
        if video_name in self.shared:
            shared.append((self.root / "masks.json", partial(self.shared.__getitem__, video_name)))
        of_maps: list[_Form] = [(place, partial(LabelImages.find, place)) for place in maps]
        of_objects: list[_Form] = [(place, partial(ObjectImages.find, place)) for place in objects]
        return [*shared, *exports, *of_maps, *of_objects]

    def _exports(self, video_name: str) -> list[_Form]:
        """Each form in which a tool has written about a video."""
        folder = self.root / self.below / video_name
        inside = [*sorted(folder.glob("*.json")), *sorted((folder / "labelme").glob("*.json"))]
        labelme = inside if inside and is_labelme(inside[0]) else []
        files = [folder.with_name(f"{folder.name}.json"), *(inside if not labelme else ())]
        xml = [folder.with_name(f"{folder.name}.xml"), *sorted(folder.glob("*.xml"))]
        places = [folder, folder / "labels", folder / "yolo-seg" / "labels"]
        texts = [path for place in places for path in sorted(place.glob("*.txt")) if path.name not in (*YOLO_LISTS, LABEL_MAP)]
        mots = [path for path in [folder.with_name(f"{folder.name}.txt"), *texts] if path.exists() and is_mots(path)]
        yolo = [path for path in texts if path not in mots]
        forms: list[_Form] = [(file, partial(_only_video, file)) for file in files if file.exists()]
        forms += [(file, partial(read_cvat, file)) for file in xml if file.exists()]
        forms += [(file, partial(read_mots, file)) for file in mots]
        forms += [(folder, partial(read_labelme, folder, labelme))] if labelme else []
        forms += [(folder, partial(read_yolo, folder, yolo))] if yolo else []
        if (folder / LABEL_MAP).exists() and (folder / CLASSES).is_dir():
            forms.append((folder / LABEL_MAP, partial(ClassColours.find, folder)))
        return forms

    def _refuse_others(self, video_name: str) -> None:
        """Raises DataError if there is something that no reader knows, such as the XML or the archive of a drawing tool."""
        folder = self.root / self.below / video_name
        beside = [path for path in folder.parent.glob(f"{glob.escape(folder.name)}.*") if path.is_file()]
        others = [*beside, *(path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))]
        others = [path for path in others if path.stem not in ("overlay", "sheet")]
        if others:
            raise DataError(
                f"{others[0]}: masks in a form that is not read; export them as {READ_FORMS} (CVAT: 'COCO 1.0' or 'Segmentation mask 1.1')"
            )


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
    position, counted from 0. Frames of a video file are called by their position; for them the last digits of a name are its number, and
    numbers that begin at 1 and end at the number of frames count from 1.

    Raises:
        DataError: a name without a frame, two names of one frame, or numbers that may count from 0 or from 1.
    """
    by_name = {name: index for index, name in enumerate(video.frame_names)}
    numbered = all(name.isdecimal() for name in video.frame_names)
    by_number = {int(name) if numbered else index: index for index, name in enumerate(video.frame_names)}
    is_position = numbered and list(by_number) == list(range(video.num_frames)) and video.num_frames > 1
    numbers = {name: _number(name, is_position) for name in frames}
    first = _first_number([number for number in numbers.values() if number is not None], video, place) if is_position else 0
    found: dict[int, str] = {}
    beyond: list[str] = []
    for name in frames:
        number = numbers[name]
        index = None if number is None else by_number.get(number - first)
        index = by_name.get(name, index) if not first else index
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


def _number(name: str, is_position: bool) -> int | None:
    """The number that a name is or, where frames have no names but their positions, ends with."""
    found = re.search(r"(?:^|\D)([0-9]{1,9})$" if is_position else r"^([0-9]{1,9})$", name)
    return int(found[1]) if found else None


def _first_number(numbers: Sequence[int], video: Video, place: Path) -> int:
    """Whether masks count frames from 0 or from 1.

    Raises:
        DataError: they may do either.
    """
    counts_from_one = bool(numbers) and min(numbers) == 1
    if counts_from_one and max(numbers) == video.num_frames:
        return 1
    if counts_from_one and len(numbers) >= _FEW_IN_A_ROW and sorted(numbers) == list(range(1, len(numbers) + 1)):
        raise DataError(
            f"{place}: masks are numbered from 1 to {max(numbers)}, and the frames of {video.source} from 0 to {video.num_frames - 1}: "
            f"1 may mean the first frame or the second; rename them so that the first frame is 0, or add the mask of frame "
            f"{video.num_frames} (if they count from 1) or 0 (if not), black if nothing is there"
        )
    return 0


def _has_images(folder: Path) -> bool:
    return folder.is_dir() and bool(images_in(folder.iterdir()))


def _has_objects(folder: Path) -> bool:
    """Whether there are folders of images in it, beside those that `saymask segment` names after its formats."""
    formats = {folder / "png", folder / "davis"}
    return any(path.parent != folder and not formats & set(path.parents) for path in images_in(folder.rglob("*")))


def _only_video(path: Path) -> MaskSource:
    """A file of a video of its own: what it calls the video does not count."""
    if is_label_studio(read_json(path)):
        return read_label_studio(path)
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
