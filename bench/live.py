"""A live source without end: memory and latency of frames that are pushed one by one.

    python bench/live.py [--frames 20000] [--side 128] [--queries 1] [--tracker NAME] [--ask-every 2.0] [--fps 24]

Pushes frames of drawn videos, one video after the other, into one live session of the toy model in float32, and asks the first videos'
queries. Prints one JSON object: frames per second, and per second of one core's work, which other
programs slow down less; latency per frame in ms (median, 95th and 99th percentile, worst), frames on which the model was asked
included; resident memory in MiB after a tenth of the frames, after half and at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import saymask
from saymask.toyworld.dataset import load_toyworld

VIDEOS = 20
"""Drawn once and pushed in turn: drawing would otherwise be measured too."""


def resident_mib() -> float:
    """Memory of this process that is in use (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def endless(side: int) -> Iterator[np.ndarray]:
    """Frames of `side` x `side` pixels, cut out of tiled drawn ones where those are smaller."""
    drawn = [sample.video.frames(range(sample.video.num_frames)) for sample in (load_toyworld(None, "val")[i] for i in range(VIDEOS))]
    while True:
        for frames_THWC in drawn:
            for frame_HWC in frames_THWC:
                tiles = -(-side // frame_HWC.shape[0])
                yield np.tile(frame_HWC, (tiles, tiles, 1))[:side, :side]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--queries", type=int, default=1)
    parser.add_argument("--tracker")
    parser.add_argument("--ask-every", type=float, default=2.0)
    parser.add_argument("--fps", type=float, default=24.0)
    options = parser.parse_args()
    world = load_toyworld(None, "val")
    queries = [world[i].expression.text for i in range(options.queries)]
    size = (options.side, options.side)
    live = saymask.live(size, options.fps, "toy", queries, options.tracker, ask_every=options.ask_every, device="cpu", dtype="float32")
    frames = endless(options.side)
    for _ in range(10):
        live.push(next(frames))  # every stage once, to warm up
    seconds, memory, worked = [], {}, 0.0
    for number in range(1, options.frames + 1):
        frame_HWC = next(frames)
        started, work_before = time.perf_counter(), time.process_time()
        live.push(frame_HWC)
        seconds.append(time.perf_counter() - started)
        worked += time.process_time() - work_before
        if number in (options.frames // 10, options.frames // 2, options.frames):
            memory[number] = round(resident_mib(), 1)
    ms = 1000 * np.array(seconds)
    latency = {"p50": np.percentile(ms, 50), "p95": np.percentile(ms, 95), "p99": np.percentile(ms, 99), "max": ms.max()}
    result = {
        **vars(options),
        "frames_per_second": round(len(seconds) / sum(seconds), 1),
        "frames_per_core_second": round(len(seconds) / worked, 1),
        "latency_ms": {name: round(float(value), 1) for name, value in latency.items()},
        "resident_mib_after_frames": memory,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
