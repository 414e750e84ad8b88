"""`saymask bench`: the same questions about the same video, answered by a session and by the naive structure, measured side by side.

Each run has a process of its own, because a process's peak memory never falls: load the model, warm up on a few frames, answer with the
stopwatch running, report. Loading and the warm-up are not timed; the peak of resident memory includes them. The masks of both come back
as run lengths and are compared, which proves that both did the same work.
"""

from __future__ import annotations

import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from saymask.benchmark.peak_memory import peak_rss_mb
from saymask.benchmark.stopwatch import STAGES, Stopwatch, TimedSegmenter, TimedTracker
from saymask.errors import ConfigError, SaymaskError
from saymask.evaluation.provenance import circumstances
from saymask.models.base import Segmenter
from saymask.models.checkpoints import load_model
from saymask.models.parts.eager_attention import eager_attention
from saymask.records import Rle, Video
from saymask.runtime import Runtime, dtype_name
from saymask.session import VideoSession
from saymask.session.view import CHUNK_FRAMES
from saymask.storage.computing_dtype import product_flops
from saymask.trackers.base import Tracker
from saymask.trackers.loading import load_tracker
from saymask.video.reader import open_source

COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "pink", "white")
THINGS = ("fish", "key", "umbrella", "apple", "car", "cup", "boat", "clock")
QUERIES = tuple(f"the {colour} {thing}" for thing in THINGS for colour in COLOURS)
"""What is asked; a run with K queries takes the first K."""

RleMasks = list[tuple[Rle, ...]]
"""Per query, the mask of every frame."""


@dataclass(frozen=True)
class Run:
    """What one process does.

    Args:
        source: a video, image or folder of frames.
        model, runtime, vision_tower: as for `load_model`.
        num_queries: how many of `QUERIES` to ask in one call.
        variant: a key of `VARIANTS`.
        repeat: how often to answer; the time reported is the median's.
    """

    source: Path
    model: str
    runtime: Runtime
    vision_tower: Path | None = None
    num_queries: int = 1
    variant: str = "ours"
    repeat: int = 1


@dataclass(frozen=True)
class Measured:
    """What came out of a run: `report` and `environment` are plain JSON; no masks of a family whose masks a tracker makes."""

    report: dict[str, Any]
    environment: dict[str, Any]
    masks: RleMasks | None


def compare(run: Run, query_counts: Sequence[int], variants: Sequence[str], tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure a session, and the naive structure beside it, for several numbers of queries.

    Args:
        run: source, model and repetitions; its variant and number of queries are set here.
        query_counts: numbers of queries.
        variants: names of `VARIANTS`.
        tell: called with a line before each run.

    Returns:
        `video`, `environment`, and one of `rows` per number of queries: each variant's report (seconds, frames per second, stages,
        memory), and with both of them `speedup` (naive's seconds by ours) and, unless a tracker makes ours, how far the masks `agree`.

    Raises:
        ConfigError: a number of queries that cannot be asked, or a model of a family without a published script.
        VideoError, UnknownName, CheckpointError: the source or the model cannot be used.
        SaymaskError: a process was killed.
    """
    for count in query_counts:
        if not 1 <= count <= len(QUERIES):
            raise ConfigError(f"--queries {count} cannot be asked; give numbers from 1 to {len(QUERIES)}")
    video = open_source(run.source)
    rows, environment = [], {}
    for count in query_counts:
        measured = {}
        for variant in variants:
            tell(f"{variant}, {count} quer{'ies' if count > 1 else 'y'} about {video.num_frames} frames of {video.width} x {video.height}")
            measured[variant] = _in_own_process(replace(run, num_queries=count, variant=variant))
        row: dict[str, Any] = {"queries": count, **{variant: one.report for variant, one in measured.items()}}
        environment = measured[variants[0]].environment
        if len(measured) == len(VARIANTS):
            row["speedup"] = row["naive"]["seconds"] / row["ours"]["seconds"]
            ours, naive = (measured[variant].masks for variant in ("ours", "naive"))
            if ours is not None and naive is not None:
                row["agree"] = agreement(ours, naive)
        rows.append(row)
    size = {"frames": video.num_frames, "height": video.height, "width": video.width}
    return {"model": run.model, "video": size, "repeat": run.repeat, "environment": environment, "rows": rows}


def measure(run: Run) -> Measured:
    """Load, warm up and answer in this process."""
    segmenter: Any = load_model(run.model, run.runtime, run.vision_tower)
    if not segmenter.family.naive:
        family = segmenter.family.name
        raise ConfigError(f"model {run.model!r}: there is no published script of family {family!r} to measure it against")
    device, dtype = segmenter.model.device, segmenter.model.dtype
    default = segmenter.family.default_tracker
    tracker = load_tracker(default, run.runtime) if default else None
    answer, queries = VARIANTS[run.variant], QUERIES[: run.num_queries]
    loaded_mb = peak_rss_mb()
    video = open_source(run.source)
    warm_up = Video.from_frames(video.frames(range(min(CHUNK_FRAMES, video.num_frames))))
    answer(warm_up, segmenter, tracker, queries, Stopwatch(device))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    stopwatches: list[Stopwatch] = []
    masks: RleMasks = []
    for _ in range(run.repeat):
        stopwatches.append(Stopwatch(device))
        masks = answer(video, segmenter, tracker, queries, stopwatches[-1])
    peaks = {
        "loaded_rss_mb": loaded_mb,
        "peak_rss_mb": peak_rss_mb(),
        "peak_vram_mb": torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None,
    }
    median = statistics.median_low(stopwatch.total for stopwatch in stopwatches)
    stopwatch = next(stopwatch for stopwatch in stopwatches if stopwatch.total == median)
    encoded = video.num_frames * (len(queries) if run.variant == "naive" else 1)
    report = {
        "seconds": stopwatch.total,
        "frames_per_second": video.num_frames / stopwatch.total,
        "stages": stopwatch.seconds,
        "read_ahead": stopwatch.read_ahead,
        "image_encoder": _image_encoder(segmenter, stopwatch, video, encoded),
        **peaks,
    }
    return Measured(report, _environment(device, dtype), None if tracker else masks)


def _ours(video: Video, segmenter: Any, tracker: Tracker | None, queries: Sequence[str], stopwatch: Stopwatch) -> RleMasks:
    timed = TimedSegmenter(segmenter, stopwatch)
    timed_tracker = cast(Tracker, TimedTracker(tracker, stopwatch)) if tracker else None
    with VideoSession(stopwatch.watch(video), cast(Segmenter, timed), timed_tracker) as session:
        prediction = session.segment(queries, progress=timed.chunk_done, answer="forced")
    stopwatch.stop()
    return [result.masklets[0].rle_T for result in prediction.results]


def _naive(video: Video, segmenter: Any, tracker: Tracker | None, queries: Sequence[str], stopwatch: Stopwatch) -> RleMasks:
    watched = stopwatch.watch(video)
    masks = segmenter.family.load("naive")(watched, segmenter, queries, stopwatch.stage)
    if tracker:
        with stopwatch.stage("tracker"):
            masks = [_tracked(watched, tracker, masks_THW) for masks_THW in masks]
    stopwatch.stop()
    return [tuple(map(Rle.encode, masks_THW)) for masks_THW in masks]


def _tracked(video: Video, tracker: Tracker, masks_THW: np.ndarray) -> np.ndarray:
    """Masks tracked from that of the middle frame, as published scripts do it: for each query from scratch."""
    middle = video.num_frames // 2
    if not masks_THW[middle].any():
        return np.zeros_like(masks_THW)
    tracked_THW = np.empty_like(masks_THW)
    for found in tracker.propagate(video, {middle: torch.from_numpy(masks_THW[middle : middle + 1])}):
        tracked_THW[found.frame_idx] = found.masks_NHW[0].cpu().numpy()
    return tracked_THW


Answer = Callable[[Video, Any, Tracker | None, Sequence[str], Stopwatch], RleMasks]
VARIANTS: dict[str, Answer] = {"ours": _ours, "naive": _naive}


def agreement(ours: RleMasks, naive: RleMasks) -> dict[str, Any]:
    """How far two answers are the same.

    Returns:
        `masks` that have a pixel in either, the lowest IoU of one of them and of a query (all its frames together; a single mask may
        have few pixels), None if all are empty, and the share of all pixels that differ.
    """
    overlaps, unions, pixels = [], [], 0
    for our_rle_T, naive_rle_T in zip(ours, naive, strict=True):
        pairs = [(our.decode(), its.decode()) for our, its in zip(our_rle_T, naive_rle_T, strict=True)]
        overlaps.append([np.count_nonzero(our_HW & its_HW) for our_HW, its_HW in pairs])
        unions.append([np.count_nonzero(our_HW | its_HW) for our_HW, its_HW in pairs])
        pixels += sum(our_HW.size for our_HW, _ in pairs)
    overlap_KT, union_KT = np.array(overlaps), np.array(unions)
    return {
        "masks": int(np.count_nonzero(union_KT)),
        "lowest_mask_iou": _lowest_ratio(overlap_KT.ravel(), union_KT.ravel()),
        "lowest_query_iou": _lowest_ratio(overlap_KT.sum(1), union_KT.sum(1)),
        "differing_pixels": int((union_KT - overlap_KT).sum()) / pixels,
    }


def _lowest_ratio(overlaps: np.ndarray, unions: np.ndarray) -> float | None:
    """The lowest IoU where there is a union."""
    return float((overlaps[unions > 0] / unions[unions > 0]).min()) if unions.any() else None


def _in_own_process(run: Run) -> Measured:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(measure, run).result()
        except BrokenProcessPool:
            raise SaymaskError(
                f"the process that measured {run.variant!r} with {run.num_queries} queries was killed, most likely for lack of memory; "
                "measure fewer frames or queries"
            ) from None


def _image_encoder(segmenter: Any, stopwatch: Stopwatch, video: Video, num_encoded: int) -> dict[str, float]:
    """Its share of the time, and how near it comes to what the device can do: operations per second beside those of a matrix product."""
    # Counted with eager attention, whose products the counter sees on every device; the fused forms do the same work.
    with FlopCounterMode(display=False) as counter, eager_attention(segmenter.model):
        segmenter.encode_image(video.frames([0]))
    seconds = stopwatch.seconds["image_encoder"]
    per_second = counter.get_total_flops() * num_encoded / seconds
    best = product_flops(segmenter.model.device, [segmenter.model.dtype])[segmenter.model.dtype]
    return {"share_of_time": seconds / stopwatch.total, "tflop_per_second": per_second / 1e12, "share_of_matrix_product": per_second / best}


def _environment(device: torch.device, dtype: torch.dtype) -> dict[str, Any]:
    cpu = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return {
        **circumstances(),
        "system": platform.system(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu,
        "dtype": dtype_name(dtype),
    }


def _same_masks(agree: Mapping[str, Any] | None) -> str:
    """What the comparison of masks found, in words."""
    if agree is None:
        return "masks not compared: both are tracked, from frames that are chosen differently"
    return f"{agree['masks']} masks, lowest IoU of a query {agree['lowest_query_iou']:.4f}" if agree["masks"] else "all masks are empty"


def format_table(results: Mapping[str, Any]) -> str:
    """Seconds per stage that took any, as text: a line per number of queries and variant; below, how the variants compare."""
    reports = [row[variant] for row in results["rows"] for variant in VARIANTS if variant in row]
    stages = [stage for stage in STAGES if any(report["stages"][stage] for report in reports)]
    lines = [["queries", "", "seconds", *(stage.replace("_", " ") for stage in stages), "frames/s", "RSS MB", "VRAM MB"]]
    ratios = []
    for row in results["rows"]:
        for variant in (variant for variant in VARIANTS if variant in row):
            report = row[variant]
            seconds = [f"{value:.2f}" for value in (report["seconds"], *(report["stages"][stage] for stage in stages))]
            memory = ["-" if peak is None else f"{peak:.0f}" for peak in (report["peak_rss_mb"], report["peak_vram_mb"])]
            lines.append([str(row["queries"]), variant, *seconds, f"{report['frames_per_second']:.1f}", *memory])
        if "speedup" in row:
            ratios.append(f"queries {row['queries']}: {row['speedup']:.1f} times as fast as naive; {_same_masks(row.get('agree'))}")
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(["  ".join(map(str.rjust, line, widths)) for line in lines] + ratios)
