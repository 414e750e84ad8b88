"""Is a dataset on this disk complete and sound? Everything that is wrong is listed with its path and what to do.

Of every split the annotations are read, and every video is opened, which shows frames that are missing, of another size or no images. Of
some videos, or all, every frame is decoded and the masks of every target are loaded. The loaders find missing and damaged files, wrong
sizes, bad run lengths, duplicate and unknown ids; what loads but cannot be true is found here: masks that are empty although there is a
target, impossible pixel values (`stored.MaskFiles`), masks that lie on the wrong frames (`mask_timing`), and counts that differ from the
published ones (`published_sizes`). Annotation files are read up to their first problem. One frame, and the masks of one target, are in
memory at a time. People's own data has a check of its own, `own.check`, which lists every problem of every file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from saymask.datasets.findings import DatasetReport, Finding, Progress, SplitSize, size_in_words
from saymask.datasets.layouts import LAYOUTS
from saymask.datasets.mask_timing import MIN_MASKS, OutlineSample, find_shift
from saymask.datasets.own.check import check_folder
from saymask.datasets.own.index import FOLDER
from saymask.datasets.public.published_sizes import PUBLISHED_SIZES
from saymask.datasets.roots import dataset_root
from saymask.datasets.stored import StoredSamples
from saymask.errors import ConfigError, DataError, SaymaskError, VideoError
from saymask.lookup import resolve
from saymask.records import Video
from saymask.samples import Item, Sample
from saymask.video.limits import ReadLimits
from saymask.video.stills import open_frames

NUM_EXAMINED = 50
"""So many videos of a split, evenly spread, are examined whole unless all are wanted."""

_TARGETS_PER_VIDEO, _MASKS_PER_TARGET = 3, 24  # whose outlines are compared with other frames


def check_dataset(
    name: str, root: Path | None = None, split: str | None = None, all_masks: bool = False, progress: Progress | None = None
) -> DatasetReport:
    """Check a dataset on disk.

    Args:
        name: a name of `DATASETS`.
        root: its folder, or one that holds it among others; None to use what `dataset_root` knows.
        split: the one to check; None for all that the dataset has.
        all_masks: read every frame and mask, not only those of `NUM_EXAMINED` videos per split.
        progress: called after each video.

    Raises:
        UnknownName: no dataset of that name.
        ConfigError: it is not one on disk, has no such split, or nobody says where it lies.
    """
    load = resolve(name, "dataset")
    if name not in LAYOUTS:
        raise ConfigError(f"{name} is drawn, nothing of it is on disk that could be checked; name one of: {', '.join(LAYOUTS)}")
    known = LAYOUTS[name].splits
    if split is not None and split not in known:
        raise ConfigError(f"{name} has no split {split!r}; use one of: {', '.join(known)}")
    try:
        dataset_root(name, root)
    except DataError as error:
        raise ConfigError(str(error)) from None
    if name == FOLDER.dataset:
        return check_folder(root, split, progress)
    findings: list[Finding] = []
    sizes: dict[str, SplitSize] = {}
    for wanted in known if split is None else (split,):
        try:
            samples = load(root, wanted)
        except SaymaskError as error:
            findings.append(Finding(wanted, str(error), is_problem=True))
            continue
        sizes[wanted], found = _check_split(samples, wanted, all_masks, progress)
        findings += found
    return DatasetReport(name, (*findings, *_compare_sizes(name, sizes)), sizes)


def _check_split(samples: StoredSamples, split: str, all_masks: bool, progress: Progress | None) -> tuple[SplitSize, list[Finding]]:
    """Open every video of a split, and examine some."""
    names = samples.video_names
    examined = _spread(len(names), len(names) if all_masks else NUM_EXAMINED)
    public = not samples.benchmark.keeps_masks_of(split)
    found: dict[str, None] = {}  # several expressions meet the same problem
    for place, name in enumerate(names):
        found |= dict.fromkeys(_check_video(samples, name, place in examined, public))
        if progress:
            progress(place + 1, len(names), split)
    size = SplitSize(samples.source, len(names) + len(samples.left_out), samples.num_expressions, len(names), len(examined))
    remarks = [f"{samples.source}: {size}"]
    remarks += [f"left out: {reason}" for reason in samples.left_out]
    if not public:
        remarks.append("masks are kept by the benchmark's server; only frames were checked")
    if not found:
        remarks.append(f"every video can be opened; {size.num_examined} of {size.num_opened} were read whole")
    findings = [Finding(split, text, is_problem=False) for text in remarks]
    return size, findings + [Finding(split, text, is_problem=True) for text in found]


def _check_video(samples: StoredSamples, name: str, examine: bool, public: bool) -> Iterator[str]:
    """Problems of one video: can it be opened; if it is examined, each of its frames and, if they are public, its masks."""
    try:
        video = samples.open_video(name)
        targets = list(samples.targets(name)) if examine and public else []
    except SaymaskError as error:
        yield str(error)
        return
    if not examine:
        return
    for frame_idx in range(video.num_frames):
        try:
            video.frames([frame_idx])
        except VideoError as error:
            yield str(error)
    if targets:
        yield from _check_masks(samples, video, targets)


def _check_masks(samples: StoredSamples, video: Video, targets: Sequence[Sample]) -> Iterator[str]:
    """Problems of the masks of one video; each target is examined once, whatever is said about it."""
    items = [Item(video.name, sample.expression) for sample in targets]
    outlines: list[OutlineSample] = []
    for item, sample in zip(items, targets, strict=True):
        try:
            masks_THW = sample.masks_THW
        except SaymaskError as error:
            yield str(error)
            continue
        if item.expression.obj_ids and not masks_THW.any():
            yield _never_visible(_place(samples, item), item)
        if len(outlines) < _TARGETS_PER_VIDEO * _MASKS_PER_TARGET:
            outlines += _outlines(masks_THW)
    if samples.mask_files:
        yield from samples.mask_files.impossible_values(items, video)
    if video.num_frames > 1 and len(outlines) >= MIN_MASKS:
        yield from _misplaced(outlines, video, _place(samples, items[0]))


def _place(samples: StoredSamples, item: Item) -> Path:
    """File or folder of an expression's masks."""
    return samples.mask_files.place(item) if samples.mask_files else samples.source


def _never_visible(place: Path, item: Item) -> str:
    """The problem of an expression whose target no mask shows."""
    return (
        f"{place}: {item.video_name}/{item.expression.exp_id} has a target, {', '.join(map(str, item.expression.obj_ids))}, but every mask "
        "of it is empty; download masks and expressions again, or leave the expression out if the release is like that"
    )


def _outlines(masks_THW: np.ndarray) -> list[OutlineSample]:
    """Outlines of a target, evenly spread over the frames on which it is seen."""
    seen = np.flatnonzero(masks_THW.any((1, 2)))
    chosen = seen[sorted(_spread(len(seen), _MASKS_PER_TARGET))]
    return [OutlineSample.of(masks_THW[frame_idx], int(frame_idx)) for frame_idx in chosen]


def _misplaced(outlines: Sequence[OutlineSample], video: Video, place: Path) -> Iterator[str]:
    """The problem of masks that lie on the wrong frames; all frames of the folder come into question, not only those that are listed."""
    whole = open_frames(Path(video.source), ReadLimits())
    index_of = {name: index for index, name in enumerate(whole.frame_names)}
    placed = [replace(outline, position=index_of[video.frame_names[outline.position]]) for outline in outlines]
    shift = None
    with suppress(VideoError):  # a damaged frame, which has been reported
        shift = find_shift(placed, lambda index: whole.frames([index])[0], whole.num_frames)
    if shift:
        yield (
            f"{place}: the masks of {video.name} lie on the wrong frames: {shift}; the contrast across their outlines is "
            f"{shift.contrast:.0%} of what it is there ({shift.num_masks} masks compared); download frames and masks again; if it stays, "
            "as is known of TAO and UVO videos of ReVOS, leave the video out"
        )


def _compare_sizes(name: str, sizes: dict[str, SplitSize]) -> Iterator[Finding]:
    """How the counts relate to the published ones, for every row whose splits could all be counted."""
    for row in PUBLISHED_SIZES:
        if row.dataset != name or not sizes.keys() >= set(row.splits):
            continue
        split = "+".join(row.splits)
        found = [sizes[part] for part in row.splits]
        num_videos, num_expressions = sum(size.num_videos for size in found), sum(size.num_expressions or 0 for size in found) or None
        if num_videos == row.num_videos and row.num_expressions in (None, num_expressions):
            counted = "videos" if row.num_expressions is None else "videos and expressions"
            yield Finding(split, f"as many {counted} as published ({row.source})", is_problem=False)
            continue
        text = (
            f"{found[-1].source}: {size_in_words(num_videos, num_expressions)}, but published are "
            f"{size_in_words(row.num_videos, row.num_expressions)} ({row.source}); the file is incomplete, of another release or changed: "
            "download it again"
        )
        yield Finding(split, text, is_problem=True)


def _spread(count: int, wanted: int) -> set[int]:
    """At most `wanted` of `count` positions, evenly spread, the first and last among them."""
    return set(np.linspace(0, count - 1, min(wanted, count)).round().astype(int).tolist())
