"""The data that travels between modules: numpy only, frozen, checked at the border.

Axis letters, used as suffixes everywhere (suffix order = axis order):
    B clips   T all frames   S sparse frames   D dense frames   K key frames (or prompt tokens)   R reference frames
    F frames of several clips   N objects   C channels   H W pixels   h w feature grid   I text tokens   V visual tokens
    L text+visual tokens   P patches per frame   E language width   M memory tokens
Frames are RGB uint8. Masks are bool at the video's own size. Boxes are x0 y0 x1 y1 in pixels, x1 and y1 exclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from saymask.errors import ConfigError
from saymask.lookup import resolve, resolve_writers

FrameReader = Callable[[Sequence[int]], np.ndarray]
"""Frame indices (any order, repeats allowed) -> uint8 frames_THWC in that order. It pickles: no lambda, no open file."""


class _EqualByValue:
    """Equality of dataclasses that hold arrays, which are equal if all their elements are."""

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        compared = [each.name for each in fields(self) if each.compare]  # pyrefly: ignore[bad-argument-type]
        return all(_same(getattr(self, name), getattr(other, name)) for name in compared)

    __hash__ = None


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return one == other


@dataclass(frozen=True)
class FramesInMemory:
    """Reads frames that are in memory, uint8 frames_THWC."""

    frames_THWC: np.ndarray = field(repr=False)

    def __call__(self, frame_idx: Sequence[int]) -> np.ndarray:
        return self.frames_THWC[np.asarray(frame_idx, dtype=np.int64)]


@dataclass(frozen=True)
class ChosenFrames:
    """Reads some frames of another video, in the order of `chosen`."""

    read: FrameReader = field(repr=False)
    chosen: tuple[int, ...]

    def __call__(self, frame_idx: Sequence[int]) -> np.ndarray:
        return self.read([self.chosen[index] for index in frame_idx])


class FrameSource(Protocol):
    """What a tracker or a walk along a video reads frames of: a `Video`, or a live stream, which has its latest frame only."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    def frames(self, frame_idx: Sequence[int]) -> np.ndarray:
        """uint8 frames_THWC."""
        ...


@dataclass(frozen=True, eq=False)
class Video(_EqualByValue):
    """A video or image that has been opened but not decoded; frames are read when asked for. It pickles: a copy reopens its source.

    Two are equal if all that they say of themselves is; pixels are not compared.

    Args:
        name: short name for output folders and reports; unique within a dataset.
        source: where it came from (a path, or a word such as "memory"), for messages.
        height, width: size in pixels after rotation metadata has been applied.
        timestamps_T: presentation time of every shown frame in seconds, strictly increasing.
        duration: seconds from the first frame's start to the last frame's end.
        read: decodes frames; use `frames`, which checks the indices.
        frame_names: file stems for a folder of frames, otherwise five-digit indices.
        tags: metadata of the container.
        frame_files: file names by frame name where frames are files.
        pixel_aspect: width of a pixel over its height; masks lie on the stored grid, videos made from it keep this.
        remarks: what had to be done to read it that a user should know.
    """

    name: str
    source: str
    height: int
    width: int
    timestamps_T: np.ndarray
    duration: float
    read: FrameReader = field(repr=False, compare=False)
    frame_names: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)
    frame_files: Mapping[str, str] = field(default_factory=dict, repr=False)
    pixel_aspect: Fraction = Fraction(1)
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.timestamps_T.ndim != 1 or len(self.timestamps_T) == 0:
            raise ValueError(f"Video.timestamps_T must be a non-empty vector, got shape {self.timestamps_T.shape}")
        if len(self.frame_names) != self.num_frames:
            raise ValueError(f"Video.frame_names has {len(self.frame_names)} entries for {self.num_frames} frames")

    @property
    def num_frames(self) -> int:
        return len(self.timestamps_T)

    @property
    def fps(self) -> float:
        """Mean frame rate in frames per second."""
        return self.num_frames / self.duration

    def frames(self, frame_idx: Sequence[int]) -> np.ndarray:
        """Decode the frames at `frame_idx` (any order) -> uint8 frames_THWC.

        Raises:
            IndexError: an index outside 0 ... num_frames - 1.
        """
        outside = [i for i in frame_idx if not 0 <= i < self.num_frames]
        if outside:
            raise IndexError(f"frame {outside[0]} of {self.name}: it has frames 0 to {self.num_frames - 1}")
        return self.read(frame_idx)

    @classmethod
    def from_frames(cls, frames_THWC: np.ndarray, name: str = "frames", fps: float = 24.0, **tags: str) -> Video:
        """Wrap uint8 RGB frames_THWC that are already in memory."""
        if frames_THWC.ndim != 4 or frames_THWC.shape[-1] != 3 or frames_THWC.dtype != np.uint8:
            raise ValueError(f"expected uint8 frames (T, H, W, 3), got {frames_THWC.dtype} {frames_THWC.shape}")
        T, height, width, _ = frames_THWC.shape
        return cls(
            name=name,
            source="memory",
            height=height,
            width=width,
            timestamps_T=np.arange(T) / fps,
            duration=T / fps,
            read=FramesInMemory(frames_THWC),
            frame_names=tuple(f"{i:05d}" for i in range(T)),
            tags=tags,
        )


@dataclass(frozen=True, eq=False)
class Rle(_EqualByValue):
    """One mask as run lengths down the columns, background first: COCO's uncompressed RLE."""

    height: int
    width: int
    counts: np.ndarray = field(repr=False)

    @classmethod
    def encode(cls, mask_HW: np.ndarray) -> Rle:
        (rle,) = cls.encode_all(np.asarray(mask_HW, dtype=bool).T[None])
        return rle

    @classmethod
    def encode_all(cls, masks_MWH: np.ndarray) -> list[Rle]:
        """Several masks of one size, given column by column: bool masks_MWH."""
        num_masks, width, height = masks_MWH.shape
        return cls.encode_columns(masks_MWH.reshape(num_masks * width, height), np.arange(num_masks * width), num_masks, width)

    @classmethod
    def encode_columns(cls, columns_AH: np.ndarray, places_A: np.ndarray, num_masks: int, width: int) -> list[Rle]:
        """Several masks of one size, of which only some columns are given; no pixel of the others is inside.

        Args:
            columns_AH: bool, from top to bottom.
            places_A: mask * width + column of each, ascending.
            num_masks, width: of all masks.
        """
        height = columns_AH.shape[1]
        if not columns_AH.size:
            return [cls.empty(height, width)] * num_masks
        num_pixels = width * height
        flat = columns_AH.reshape(-1)
        inner = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        inner = inner[inner % height != 0]  # the others are between two columns
        starts_A = places_A * height + places_A // width  # with a free position behind every mask, where its last run may end
        begun, ended = starts_A[columns_AH[:, 0]], starts_A[columns_AH[:, -1]] + height
        bounds = np.sort(np.concatenate([starts_A[inner // height] + inner % height, begun, ended]))
        again = bounds[1:] == bounds[:-1]  # a run that goes on in the next column
        is_bound = bounds % (num_pixels + 1) != num_pixels
        is_bound[1:] &= ~again
        is_bound[:-1] &= ~again
        bounds = bounds[is_bound]
        firsts_M = np.arange(num_masks) * (num_pixels + 1)
        bounds = np.sort(np.concatenate([bounds, firsts_M, firsts_M + num_pixels]))
        splits = np.searchsorted(bounds, firsts_M[1:])
        return [cls(height, width, np.diff(part).astype(np.uint32)) for part in np.split(bounds, splits)]

    @classmethod
    def empty(cls, height: int, width: int) -> Rle:
        """A mask without a pixel."""
        return cls(height, width, np.array([height * width], dtype=np.uint32))

    def decode(self) -> np.ndarray:
        """Return the bool mask_HW."""
        inside = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(inside, self.counts).reshape(self.width, self.height).T

    @property
    def area(self) -> int:
        """Number of mask pixels."""
        return int(self.counts[1::2].sum())

    def box(self) -> tuple[int, int, int, int] | None:
        """Tight box x0 y0 x1 y1 (exclusive ends), None for an empty mask."""
        ends = self.counts.cumsum(dtype=np.int64)
        firsts, lasts = ends[:-1:2], ends[1::2] - 1
        shown = lasts >= firsts
        firsts, lasts = firsts[shown], lasts[shown]
        if not firsts.size:
            return None
        (left, top), (right, bottom) = divmod(firsts, self.height), divmod(lasts, self.height)
        if (left < right).any():  # a run that goes on in the next column touches the lower and the upper edge
            return int(left[0]), 0, int(right[-1]) + 1, self.height
        return int(left[0]), int(top.min()), int(right[-1]) + 1, int(bottom.max()) + 1


@dataclass(frozen=True, eq=False)
class Masklet(_EqualByValue):
    """One object's masks through time: an RLE and a score (0 ... 1) for every frame of the video.

    `phrase` is what the object answers to, "" for the whole query; `presence` how sure the model is that it is in the video (0 ... 1,
    calibrated), None if the model does not say; `frame_presence` the same on each frame of which the model says it.
    """

    obj_id: int
    rle_T: tuple[Rle, ...] = field(repr=False)
    frame_scores_T: np.ndarray = field(repr=False)
    phrase: str = ""
    presence: float | None = None
    frame_presence: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.rle_T) != len(self.frame_scores_T):
            raise ValueError(f"Masklet {self.obj_id}: {len(self.rle_T)} masks but {len(self.frame_scores_T)} scores")


@dataclass(frozen=True)
class QueryResult:
    """What one query found: the model's text, one masklet per object, and notes (chosen frames, votes, scores).

    `files` (name -> content) lie beside the result when it is saved, such as a trace of how it was found; they do not come back by `load`.
    """

    query: str
    text: str
    masklets: tuple[Masklet, ...]
    notes: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        obj_ids = [masklet.obj_id for masklet in self.masklets]
        if len(set(obj_ids)) != len(obj_ids):
            raise ValueError(f"query {self.query!r}: object ids must differ, got {obj_ids}")

    def mask(self, frame_idx: int) -> np.ndarray:
        """Union of the query's objects on one frame -> bool mask_HW.

        Raises:
            ValueError: the query found no object, so there is no mask and no size.
        """
        if not self.masklets:
            raise ValueError(f"query {self.query!r} found no object")
        masks_NHW = [masklet.rle_T[frame_idx].decode() for masklet in self.masklets]
        return np.logical_or.reduce(masks_NHW)


@dataclass(frozen=True, eq=False)
class FrameResult(_EqualByValue):
    """What a session found on one frame: the N objects of all queries, in query order.

    Args:
        frame_idx: which frame.
        queries: of each object, the query it answers to.
        obj_ids: of each object, its number among the query's objects.
        rles: masks at video size.
        scores_N: 0 ... 1, 0 where the mask is empty.
    """

    frame_idx: int
    queries: tuple[str, ...]
    obj_ids: tuple[int, ...]
    rles: tuple[Rle, ...] = field(repr=False)
    scores_N: np.ndarray = field(repr=False)

    @property
    def masks_NHW(self) -> np.ndarray:
        """Decoded masks, bool."""
        return np.stack([rle.decode() for rle in self.rles]) if self.rles else np.zeros((0, 0, 0), dtype=bool)

    @property
    def boxes(self) -> list[tuple[int, int, int, int] | None]:
        """Tight box x0 y0 x1 y1 of each object, None where the mask is empty."""
        return [rle.box() for rle in self.rles]


def check_queries(queries: Sequence[str]) -> None:
    """Refuse to start on nothing.

    Raises:
        ConfigError: no query at all, or an empty one, named by its place.
    """
    if not queries:
        raise ConfigError('no query given; say what to look for, e.g. "the red fish"')
    for place, query in enumerate(queries, start=1):
        if not query.strip():
            raise ConfigError(f'query {place} is empty; say what to look for, e.g. "the red fish"')
        if not is_text(query):
            raise ConfigError(f"query {place} is no valid text: {query!r:.60} holds half a character (a surrogate); type it again")


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8; what a broken file name or a JSON escape leaves may hold half a character."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class Prediction:
    """The answer to one or several queries about a video: a masklet per object, at the video's own size."""

    video: Video
    results: tuple[QueryResult, ...]

    def __post_init__(self) -> None:
        for result in self.results:
            for masklet in result.masklets:
                if len(masklet.rle_T) != self.video.num_frames:
                    raise ValueError(f"query {result.query!r}: {len(masklet.rle_T)} masks for a video of {self.video.num_frames} frames")

    def masks(self, frame_idx: int) -> np.ndarray:
        """All objects of all queries on one frame -> bool masks_NHW, in the order of `objects()`."""
        shape = (0, self.video.height, self.video.width)
        masks_NHW = [masklet.rle_T[frame_idx].decode() for _, masklet in self.objects()]
        return np.stack(masks_NHW) if masks_NHW else np.zeros(shape, dtype=bool)

    def objects(self) -> Iterator[tuple[QueryResult, Masklet]]:
        """Every masklet with the result it belongs to, in query order."""
        for result in self.results:
            for masklet in result.masklets:
                yield result, masklet

    def tracks(self) -> Iterator[tuple[int, int, Masklet]]:
        """Every masklet in query order: its number from 1 over all queries, the place of its query from 0, and the masklet."""
        number = 0
        for place, result in enumerate(self.results):
            for masklet in result.masklets:
                number += 1
                yield number, place, masklet

    def boxes(self) -> list[list[tuple[int, int, int, int] | None]]:
        """Per object (order of `objects()`), per frame: the tight box x0 y0 x1 y1, or None where the mask is empty."""
        return [[rle.box() for rle in masklet.rle_T] for _, masklet in self.objects()]

    def save(self, directory: Path | str, formats: str | Sequence[str] = ("overlay", "png")) -> list[Path]:
        """Write the prediction in each format of `saymask list`, with settings as in "labelme:tolerance=1", and return what was written.

        Raises:
            UnknownName, ConfigError: a format or a setting that does not exist, or one format in two ways; nothing is written then.
            VideoError: something of that name is there already, or cannot be written.
        """
        writers = resolve_writers([formats] if isinstance(formats, str) else formats)
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        written = [writer(self, directory) for writer in writers]
        if any(result.files for result in self.results):
            written += resolve("files", "attachment")(self, directory)
        return written

    def to_supervision(self, frame_idx: int) -> Any:
        """The objects on one frame as `supervision.Detections`, with compact masks and tracker ids.

        Raises:
            ConfigError: supervision is not installed.
            IndexError: there is no such frame.
        """
        return resolve("supervision", "integration")(self, frame_idx)

    def to_fiftyone(self) -> Any:
        """A `fiftyone.Sample` of the video, with the objects as labels of its frames.

        Raises:
            ConfigError: FiftyOne is not installed.
        """
        return resolve("fiftyone", "integration")(self)

    @classmethod
    def load(cls, file: Path | str) -> Prediction:
        """Read what `save` wrote in a format that can be read back ("json"); its video reopens its source when a frame is read.

        Raises:
            UnknownName: no format that can be read back has such a file.
            DataError: the file is absent, damaged or of another kind.
        """
        path = Path(file)
        return resolve(path.suffix.removeprefix(".").lower(), "prediction file")(path)
