"""What a folder of own data says before a video or an image is opened: which sentence is about which video and which of its masks.

Problems are collected: a check lists them all, a loader refuses to start while there is one.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from saymask.datasets.layout import Layout
from saymask.datasets.own.masks import MaskFinder, MaskSource, find_objects, place_frames
from saymask.datasets.own.sentences import SPLITS, Row, Sentences, read_sentences
from saymask.errors import DataError, SaymaskError, VideoError
from saymask.lookup import suggest
from saymask.records import ChosenFrames, Video
from saymask.samples import Expression, Item
from saymask.video.reader import find_sources, open_source


class _OwnLayout(Layout):
    """Nobody has packed this one."""

    def missing(self, path: Path) -> DataError:
        return DataError(
            f"{path}: not found; own data is laid out as <root>/{self.tree}; make it like that (docs/own-data.md) or correct the path"
        )


FOLDER = _OwnLayout(
    dataset="folder",
    splits=SPLITS,
    tree="{videos/<video>.mp4 (or a folder of frames), masks/<video>/<object>/<frame>.png, sentences.csv}",
    folders=(".",),
)


@dataclass(frozen=True)
class FolderVideo:
    """A video that a sentence is about.

    Args:
        name: its path below `videos/`, without the suffix of a file.
        path: file or folder of frames.
        masks: None if it has none.
        obj_ids: every object that a sentence names, in either split.
    """

    name: str
    path: Path
    masks: MaskSource | None
    obj_ids: tuple[int, ...]

    def open(self) -> AnnotatedVideo:
        """Open the video and choose the frames on which every object was looked for, so that all sentences about it share its frames.

        Raises:
            VideoError: it cannot be opened.
            DataError: masks of frames that it does not have, or none that all objects have in common.
        """
        video = replace(open_source(self.path), name=self.name)
        if self.masks is None:
            return AnnotatedVideo(video, (), video.num_frames)
        placed = place_frames(self.masks.frames, video, self.masks.place)
        found = {idx: name for idx, name in placed.items() if all(self.masks.looked_for(obj_id, name) for obj_id in self.obj_ids)}
        if not found:
            raise DataError(
                f"{self.masks.place}: no frame has masks of every object that sentences name; draw black ones where one is not there"
            )
        return AnnotatedVideo(_only_frames(video, list(found)), tuple(found.values()), video.num_frames)


@dataclass(frozen=True)
class AnnotatedVideo:
    """A video without the frames that have no masks.

    Args:
        video: the annotated frames; all if the video has no masks, because nothing in it matches.
        mask_names: what the masks call each of them; empty if there are none.
        num_frames: of the whole video.
    """

    video: Video
    mask_names: tuple[str, ...]
    num_frames: int


@dataclass(frozen=True)
class FolderIndex:
    """What the folder's files say, before a video or an image is opened.

    Args:
        root: the folder.
        sentences: as their file has them.
        videos: those that a sentence is about, by name.
        lines: sentences that can be used: each with its item.
        unused: videos that no sentence is about.
        problems: what is wrong: place, what it is, what to do.
    """

    root: Path
    sentences: Sentences
    videos: Mapping[str, FolderVideo]
    lines: tuple[tuple[Row, Item], ...]
    unused: tuple[Path, ...]
    problems: tuple[str, ...]

    @property
    def splits(self) -> list[str]:
        """Splits that have sentences."""
        return [split for split in SPLITS if any(row.split == split for row, _ in self.lines)]

    def items(self, split: str) -> list[Item]:
        """Sentences of one split, in the order of the file.

        Raises:
            DataError: it has none.
        """
        items = [item for row, item in self.lines if row.split == split]
        if not items:
            raise DataError(
                f"{self.sentences.path}: no sentence is of the split {split!r}; add a column 'split' that says {' or '.join(SPLITS)} in "
                "every line, and do not give one video to both"
            )
        return items


def read_index(root: Path | None, split: str) -> FolderIndex:
    """Read sentences, list videos and find masks; nothing is opened.

    Raises:
        DataError: no such split, nobody says where the folder lies, or a part of the tree is missing.
    """
    path = FOLDER.find(root, split, "sentences.csv", "sentences.json")
    folder = path.parent
    if path.suffix == ".csv" and path.with_suffix(".json").exists():
        raise DataError(f"{folder}: has sentences.csv and sentences.json; keep one of them, so that it is clear which one counts")
    sources = _list_sources(FOLDER.require(folder / "videos"))
    sentences = read_sentences(path)
    problems = list(sentences.problems)
    about: dict[str, list[Row]] = {}
    paths: dict[str, Path] = {}
    said: dict[tuple[str, str], Row] = {}
    for row in sentences.rows:
        with collect_problems(problems):
            name, paths[name] = _find_video(row, folder / "videos", sources)
            earlier = said.setdefault((name, " ".join(row.text.lower().split())), row)
            if earlier is not row:
                place = earlier.where.removeprefix(str(path)).lstrip(": ")
                raise DataError(f"{row.where}: the same sentence about {name!r} stands in {place}; remove one of them")
            about.setdefault(name, []).append(row)
    problems += _one_in_the_other(about, folder)
    finder = MaskFinder(folder, {})
    with collect_problems(problems):
        finder = MaskFinder.of(folder, about)
    videos: dict[str, FolderVideo] = {}
    items: dict[Row, Item] = {}
    for name, rows in about.items():
        with collect_problems(problems):
            masks = finder.find(name)
            used: dict[int, None] = {}
            taken: set[str] = set()
            for place, row in enumerate(rows):
                exp_id = row.exp_id or str(place)
                with collect_problems(problems):
                    if exp_id in taken:
                        raise DataError(f"{row.where}: another sentence about {name} is called {exp_id} as well; rename one of them")
                    taken.add(exp_id)
                    obj_ids = _targets(row, name, masks, finder)
                    items[row] = Item(name, Expression(exp_id, row.text, obj_ids))
                    used |= dict.fromkeys(obj_ids)
            videos[name] = FolderVideo(name, paths[name], masks, tuple(used))
    lines = tuple((row, items[row]) for row in sentences.rows if row in items)
    return FolderIndex(folder, sentences, videos, lines, _unused(sources, paths.values()), tuple(problems))


@contextmanager
def collect_problems(problems: list[str]) -> Iterator[None]:
    """An error of the user in the block becomes one of the problems and does not stop what follows."""
    try:
        yield
    except SaymaskError as error:
        problems.append(str(error))


def _list_sources(videos: Path) -> dict[str, list[Path]]:
    """Everything below a folder that can be a video, by its path without a file's suffix; images in a folder of frames among them."""
    try:
        paths = find_sources(f"{glob.escape(str(videos))}/**/*")
    except VideoError:
        raise DataError(f"{videos}: there are no videos, images or folders of frames in it; put them there") from None
    sources: dict[str, list[Path]] = {}
    for path in paths:
        below = PurePosixPath(path.relative_to(videos).as_posix())
        sources.setdefault(str(below if path.is_dir() else below.with_suffix("")), []).append(path)
    return sources


def _unused(sources: Mapping[str, Sequence[Path]], used: Iterable[Path]) -> tuple[Path, ...]:
    """Videos no sentence refers to. Images in a folder of frames are none, nor is a folder whose images are videos one by one."""
    taken = {place for path in used for place in (path, *path.parents)}
    paths = [path for alike in sources.values() for path in alike]
    folders = {path for path in paths if path.is_dir()}
    return tuple(path for path in paths if path not in taken and not folders & set(path.parents))


def _find_video(row: Row, videos: Path, sources: Mapping[str, Sequence[Path]]) -> tuple[str, Path]:
    """Name and place of the video that a sentence is about, written with its suffix or without."""
    written = PurePosixPath(row.video.replace("\\", "/"))
    if written.is_absolute() or ".." in written.parts or not written.parts:
        raise DataError(f"{row.where}: video {row.video!r} does not lie below {videos}; move it there and write its name")
    path = videos / written
    name = str(written.with_suffix("") if path.is_file() else written)
    # A file may have a suffix by which no folder is searched.
    candidates = list(dict.fromkeys([path, *sources.get(name, ())] if path.exists() else sources.get(name, ())))
    if len(candidates) > 1:
        raise DataError(f"{row.where}: {' and '.join(map(str, candidates))} are both called {name}; rename one, and its masks")
    if not candidates:
        raise DataError(f"{path}: not found, but {row.where} names it; {_hint(name, list(sources))}")
    return name, candidates[0]


def _hint(name: str, known: list[str]) -> str:
    """The closest name; of many that are all different, only their number."""
    hint = suggest(name, known)
    return f"none of the {len(known)} names in videos/ is like it: correct it" if hint.startswith("known:") and len(known) > 10 else hint


def _one_in_the_other(names: Iterable[str], folder: Path) -> list[str]:
    """Videos whose masks cannot be told from another one's objects, for they would lie in its folder."""
    names = set(names)
    nested = [(str(parent), name) for name in sorted(names) for parent in PurePosixPath(name).parents if str(parent) in names]
    return [f"{folder / 'videos' / name}: lies in {parent}, which is a video as well; move one of them" for parent, name in nested]


def _targets(row: Row, video_name: str, masks: MaskSource | None, finder: MaskFinder) -> tuple[int, ...]:
    """The objects that a sentence names."""
    if not row.objects:
        return ()
    if masks is None:
        folder, file = finder.root / "masks" / video_name, finder.root / "masks.json"
        others = ", ".join(list(finder.shared)[:5])
        shared = f" (whose frames, by the folder in their file_name, are those of {others})" if others else ""
        raise DataError(
            f"{row.where}: names the object {row.objects!r}, but {video_name} has no masks, neither in {folder} nor in {file}{shared}; "
            "draw them, or leave the column objects empty if nothing matches"
        )
    try:
        return find_objects(masks, row.objects)
    except DataError as error:
        raise DataError(f"{row.where}: {error}") from None


def _only_frames(video: Video, chosen: Sequence[int]) -> Video:
    """The same video with only some of its frames, at their times from the first of them on."""
    start = video.timestamps_T[chosen[0]]
    return replace(
        video,
        timestamps_T=video.timestamps_T[list(chosen)] - start,
        duration=video.duration - float(start),
        frame_names=tuple(video.frame_names[index] for index in chosen),
        read=ChosenFrames(video.read, tuple(chosen)),
    )
