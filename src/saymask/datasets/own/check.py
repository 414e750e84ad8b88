"""Is own data fit to train on? Everything that is wrong is listed at once, each with its place and what to do.

Sentences, names and forms of masks are judged as loading judges them (`folder_index`). Then every video that a sentence is about is opened,
every annotated frame decoded and every mask of a named object read, one at a time. What is not wrong but worth knowing is said as well:
frames and videos that are not used, how large the objects are, how few the clips.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from saymask.datasets.findings import DatasetReport, Finding, Progress, SplitSize
from saymask.datasets.own.folder import never_visible, samples_of
from saymask.datasets.own.index import FOLDER, AnnotatedVideo, FolderVideo, collect_problems, read_index
from saymask.datasets.own.masks import MaskSource
from saymask.datasets.own.outlines import Outlines
from saymask.datasets.own.sentences import SPLITS
from saymask.errors import DataError
from saymask.samples import Item

FEW_VIDEOS = 6
"""With fewer to train on, the check says that they are few."""

MANY_NUMBERS = 16
"""With more in a video's label maps that no sentence names, they are taken for soft edges, which give dozens."""


def check_folder(root: Path | None, split: str | None = None, progress: Progress | None = None) -> DatasetReport:
    """Check own data.

    Args:
        root: its folder; None to use what `dataset_root` knows.
        split: look only at videos of this one; None for all.
        progress: called after each video.
    """
    try:
        index = read_index(root, split or SPLITS[0])
    except DataError as error:
        return DatasetReport(FOLDER.dataset, (Finding("folder", str(error), is_problem=True),), {})
    findings = [Finding("sentences", problem, is_problem=True) for problem in index.problems]
    unused = () if index.sentences.problems else index.unused  # a sentence that was not understood may be about one of them
    findings += [Finding("videos", f"{path}: no sentence is about it, it is not used", is_problem=False) for path in unused]
    sizes: dict[str, SplitSize] = {}
    checked: dict[str, _VideoCheck] = {}
    for wanted in index.splits if split is None else [split]:
        try:
            items = samples_of(index, wanted).items
        except DataError as error:
            findings.append(Finding(wanted, str(error), is_problem=True))
            continue
        names = list(dict.fromkeys(item.video_name for item in items))
        remarks = _leaks(wanted, [name for name in names if name in checked])
        problems: list[str] = []
        for done, name in enumerate(names, start=1):
            if name not in checked:
                checked[name] = _check_video(index.videos[name])
                remarks += checked[name].remarks
                problems += checked[name].problems
            if progress:
                progress(done, len(names), wanted)
        sizes[wanted] = SplitSize(index.sentences.path, len(names), len(items), len(names), len(names))
        remarks = [f"{sizes[wanted].source}: {sizes[wanted]}", *_summary(wanted, items, [checked[name] for name in names]), *remarks]
        if not any(checked[name].problems for name in names):
            remarks.append(f"every video can be opened; {len(names)} of {len(names)} were read whole")
        findings += [Finding(wanted, text, is_problem=False) for text in remarks]
        findings += [Finding(wanted, text, is_problem=True) for text in problems]
    return DatasetReport(FOLDER.dataset, tuple(findings), sizes)


def _leaks(split: str, names: list[str]) -> list[str]:
    """What to know of videos that another split has as well."""
    return [f"{', '.join(names)}: in both splits, so scores of {split} say less about videos that were not trained on"] if names else []


def _summary(split: str, items: Sequence[Item], checks: Sequence[_VideoCheck]) -> Iterator[str]:
    """How many sentences match nothing, how large the objects are, whether there is enough."""
    num_absent = sum(not item.expression.obj_ids for item in items)
    yield f"{num_absent} of {len(items)} sentences say that nothing matches"
    areas = [area for check in checks for area in check.areas]
    if areas:
        smallest, median, largest = (f"{100 * area:.2g} %" for area in (min(areas), np.median(areas), max(areas)))
        yield f"objects cover {smallest} to {largest} of the frames on which they are seen, half of them less than {median}"
    if split == SPLITS[0] and len(checks) < FEW_VIDEOS:
        yield f"fewer than {FEW_VIDEOS} videos: a model may remember them instead of learning what is said; add more"


@dataclass
class _VideoCheck:
    """What was found out about one video.

    Args:
        problems, remarks: what is wrong with it, and what is not wrong but worth knowing.
        areas: share of the frame that an object covers, for every object and frame on which it is seen.
    """

    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)


def _check_video(source: FolderVideo) -> _VideoCheck:
    """Open a video, decode its annotated frames, read its masks."""
    check = _VideoCheck()
    opened: AnnotatedVideo | None = None
    with collect_problems(check.problems):
        opened = source.open()
    if opened is None:
        return check
    damaged: list[str] = []
    for index in range(opened.video.num_frames):
        with collect_problems(damaged):
            opened.video.frames([index])
    check.problems += _in_short(damaged, "frames")
    if source.masks is not None:
        _check_masks(source.masks, source.obj_ids, opened, check)
    return check


def _check_masks(masks: MaskSource, obj_ids: Sequence[int], opened: AnnotatedVideo, check: _VideoCheck) -> None:
    """Read every mask of the objects that sentences name."""
    video, frames = opened.video, opened.mask_names
    check.remarks.append(f"{masks.place}: {masks.rule}{_numbering(opened)}")
    if video.num_frames < opened.num_frames:
        check.remarks.append(f"{masks.place}: masks on {video.num_frames} of {opened.num_frames} frames; the others are not used")
    if isinstance(masks, Outlines) and masks.has_no_identity():
        check.remarks.append(
            f"{masks.place}: every object is outlined on one frame alone, as if it were another one on each; "
            "give the annotations of one object the same track_id"
        )
    partly = [name for name in masks.frames if name not in frames and any(masks.looked_for(obj_id, name) for obj_id in obj_ids)]
    if partly:
        which = f"{partly[0]}{f' and {len(partly) - 1} more' if len(partly) > 1 else ''}"
        check.remarks.append(f"{masks.place}: frame {which} has no mask of some objects and is not used; draw black ones where one is gone")
    problems: list[str] = []
    empty: list[int] = []
    for obj_id in obj_ids:
        areas, unreadable = [], []
        for frame in frames:
            with collect_problems(unreadable):
                areas.append(float(masks.masks([obj_id], frame, video).mean()))
        problems += _in_short(unreadable, "masks")
        if not unreadable and not any(areas):
            empty.append(obj_id)
        check.areas += filter(None, areas)
    painted = masks.painted(frames, video)
    hint = f"; painted are {_listed(list(painted))}" if painted else ""
    problems += [never_visible(masks, [obj_id], video.name) + hint for obj_id in empty]
    check.problems += dict.fromkeys(problems)  # every object of a label map meets the same problem
    _check_unnamed([number for number in painted if number not in obj_ids], masks.place, check)


def _numbering(opened: AnnotatedVideo) -> str:
    """Where masks and frames are both called by numbers: from which one they count."""
    name, mask_name = opened.video.frame_names[0], opened.mask_names[0]
    digits = re.search(r"[0-9]+$", mask_name)
    if digits is None or not name.isdecimal():
        return ""
    first = int(digits[0]) - int(name)
    return f"; masks are numbered from {first}" if first in (0, 1) else ""


def _check_unnamed(numbers: Sequence[int], place: Path, check: _VideoCheck) -> None:
    """Numbers of label maps that no sentence names: objects no sentence refers to, or the many shades of soft edges."""
    if len(numbers) > MANY_NUMBERS:
        check.problems.append(
            f"{place}: {len(numbers)} numbers that no sentence names, from {numbers[0]} to {numbers[-1]}; label maps were compressed, "
            "resized or drawn with soft edges: export them again as they were drawn"
        )
    elif numbers:
        check.remarks.append(f"{place}: no sentence names the painted number{'s' if len(numbers) > 1 else ''} {_listed(numbers)}")


def _in_short(problems: Sequence[str], what: str) -> list[str]:
    """The first of several problems that one cause may have, and how many more."""
    return [f"{problems[0]} (and {len(problems) - 1} more of these {what})" if len(problems) > 1 else problems[0]] if problems else []


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
