"""Where a user's time goes: `saymask segment CLIP QUERY` as a process of its own, from its start to its end.

    python bench/end_to_end.py CLIP "the dog" [-m toy] [--format overlay,png] [--repeat 3] [--baseline results.json] [-o results.json]

Prints one JSON object; a table of seconds goes to standard error. `start_up` is imports and loading, from the start of the process to the
opening of the source; `after_masks` is what is left to do when the last mask is there. `decoding` and `model` are the seconds in which some
thread reads frames, or the model answers and makes masks; `writing` those in which some thread draws and encodes. These three may run side
by side, so they need not add up to the total. `cpu` is what all threads have used of the processor, which other programs disturb least.
With --repeat the run of the median total is shown.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

STAGES = ("start_up", "decoding", "model", "writing", "after_masks", "total", "cpu")


class Busy:
    """Seconds per stage over all threads; a stage inside another one does not count for the outer one."""

    def __init__(self) -> None:
        self.seconds = Counter[str]()
        self.ended: dict[str, float] = {}
        self._inside = threading.local()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        around = getattr(self._inside, "counts", None)
        self._inside.counts = [0.0]
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] += spent - self._inside.counts[0]
            self.ended[name] = time.time()
            self._inside.counts = around
            if around is not None:
                around[0] += spent

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*values: Any, **named: Any) -> Any:
            with self.stage(name):
                return function(*values, **named)

        return call


def watch(busy: Busy, opened: list[float]) -> None:
    """Put the stopwatch round what reads frames, what answers and what writes."""
    from saymask import records
    from saymask.exports import encoder
    from saymask.exports.feed import Feed
    from saymask.models.choice import ModelForEach
    from saymask.session import asking
    from saymask.video import reader

    open_source, for_video = reader.open_source, ModelForEach.for_video

    def opening(*values: Any) -> records.Video:
        opened.append(time.time())
        video = open_source(*values)
        return replace(video, read=busy.timed("decoding", video.read))

    def watched(models: ModelForEach, video: records.Video | None) -> Any:
        segmenter: Any = for_video(models, video)
        for name in ("reason", "encode_image", "decode"):
            if hasattr(segmenter, name) and name not in vars(segmenter):  # the second time it is the same one
                setattr(segmenter, name, busy.timed("model", getattr(segmenter, name)))
        return segmenter

    reader.open_source, ModelForEach.for_video = opening, watched
    asking.threshold = busy.timed("model", asking.threshold)
    Feed._write, Feed.finish = busy.timed("writing", Feed._write), busy.timed("writing", Feed.finish)
    encoder._Stream.encode = busy.timed("writing", encoder._Stream.encode)


def child(result: Path, begun: float, words: list[str]) -> None:
    """The command, in this process, with a stopwatch."""
    from saymask.cli.main import main as command
    from saymask.startup.collector import collector_paused

    busy, opened = Busy(), []
    with collector_paused():
        watch(busy, opened)
    sys.argv[1:] = words
    try:
        command()
    except SystemExit as end:
        if end.code:
            raise
    ended = time.time()
    seconds = {name: busy.seconds[name] for name in ("decoding", "model", "writing")}
    after = ended - busy.ended["model"]
    cpu = sum(os.times()[:2])
    result.write_text(
        json.dumps({"start_up": opened[0] - begun, **seconds, "after_masks": after, "total": ended - begun, "cpu": cpu}), encoding="utf-8"
    )


def measure(arguments: list[str]) -> dict[str, float]:
    """Run the command once -> seconds by stage; the total includes the end of the process."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "seconds.json"
        begun = time.time()
        command = [sys.executable, __file__, "--child", str(result), str(begun), *arguments, "-o", str(Path(folder) / "out")]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        total = time.time() - begun
        return {**json.loads(result.read_text()), "total": total}


def table(rows: dict[str, dict[str, float]]) -> str:
    """Seconds by stage, a line per result."""
    width = max(map(len, rows))
    head = " " * width + "".join(f"{name.replace('_', ' '):>13}" for name in STAGES)
    return "\n".join([head, *(f"{label:{width}}" + "".join(f"{row[name]:13.2f}" for name in STAGES) for label, row in rows.items())])


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("queries", nargs="+")
    parser.add_argument("-m", "--model", default="toy")
    parser.add_argument("--format", default="overlay,png")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--baseline", type=Path, help="results.json of an earlier run, shown beside this one")
    parser.add_argument("-o", "--out", type=Path, help="write the JSON here as well")
    options = parser.parse_args()
    words = ["segment", str(options.clip), *options.queries, "-m", options.model, "--format", options.format]
    runs = [measure(words) for _ in range(options.repeat)]
    median = statistics.median_low(run["total"] for run in runs)
    chosen = next(run for run in runs if run["total"] == median)
    import torch

    result: dict[str, Any] = {
        "clip": options.clip.name,
        "queries": len(options.queries),
        "model": options.model,
        "format": options.format,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores",
        "seconds": chosen,
        "totals": [run["total"] for run in runs],
    }
    rows = {"now": chosen}
    if options.baseline:
        earlier = json.loads(options.baseline.read_text(encoding="utf-8"))
        rows = {"before": earlier["seconds"], **rows}
        result["baseline"] = earlier["seconds"]
        result["times_as_fast"] = earlier["seconds"]["total"] / chosen["total"]
    text = json.dumps(result, indent=1)
    print(table(rows), file=sys.stderr)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
