"""Speed of XMem++ stage by stage beside a naive structure with the same weights, and its memory over a long video.

    python bench/trackers.py [--size 480 854] [--frames 6] [--queries 2] [--device cpu]
    python bench/trackers.py --long 5000 [--size 128 224]

The network has the published size and random weights, or for --long the numbers of a debug network; neither changes what is computed.
Naive is how the published programs are built: one query after the other, each encoding every frame, references encoded when they are
learnt and when their frame comes, and a dense affinity matrix that is filled from the top-k weights and multiplied with all values.
Prints one JSON object: seconds per frame and query of each stage (of one thread on a CPU those of the processor), those of one memory
reading by the number of elements, or peak resident memory in MB at frame 500 and at the end.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor

from saymask.benchmark.noise_video import write_noise_video
from saymask.records import Video
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.frames import EncodedFrame
from saymask.trackers.xmem.memory import Memory
from saymask.trackers.xmem.network import XMemNetwork
from saymask.trackers.xmem.run import XMemRun
from saymask.trackers.xmem.tracker import XMemTracker
from saymask.video.reader import open_source

FEATURE_BUDGET_BYTES = 512 * 2**20
STAGES = {"encode_key": XMemNetwork, "read": Memory, "decode": XMemNetwork, "encode_value": XMemNetwork}
MEMORY_FRAMES = (1, 5, 10)
EARLY_FRAME = 500


def naive_read(memory: Memory, query_key_BChw: Tensor, selection_BChw: Tensor) -> Tensor:
    """`Memory.read` of one group of objects with dense matrices."""
    stores = [store for store in (memory.long_term, memory.working, memory.permanent) if store is not None]
    key_CM = torch.cat([store.key_BCM[0] for store in stores], dim=1)
    shrinkage_M1 = torch.cat([store.shrinkage_B1M[0, 0] for store in stores])[:, None]
    value_MX = torch.cat([store.values[0][0].flatten(1) for store in stores])
    query_CP, selection_CP = query_key_BChw[0].flatten(1), selection_BChw[0].flatten(1)
    squares_MP = key_CM.square().T @ selection_CP - 2 * (key_CM.T @ (query_CP * selection_CP))
    squares_MP = squares_MP + (selection_CP * query_CP.square()).sum(0, keepdim=True)
    similarity_MP = -squares_MP * shrinkage_M1 / math.sqrt(len(key_CM))
    best_KP, elements_KP = similarity_MP.topk(min(memory.top_k, len(similarity_MP)), dim=0)
    affinity_MP = torch.zeros_like(similarity_MP).scatter_(0, elements_KP, best_KP.softmax(0))
    memory._count_use(affinity_MP.sum(1))
    return (value_MX.T @ affinity_MP).reshape(1, memory.num_objects, -1, *query_key_BChw.shape[2:])


def learn_and_forget(run: XMemRun, frame: EncodedFrame, frame_idx: int, references: Mapping[int, Tensor]) -> None:
    """`XMemRun.learn_from` as published: the value of a reference is made once more when its frame comes."""
    learn_from(run, frame, frame_idx, references)
    run._learnt[frame_idx] = None


learn_from = XMemRun.learn_from


def now() -> float:
    """Seconds: of one thread those of the processor, so that other programs disturb them little."""
    return time.process_time() if torch.get_num_threads() == 1 and not torch.cuda.is_available() else time.perf_counter()


@contextmanager
def stopwatch(device: torch.device) -> Iterator[Counter[str]]:
    """Seconds spent in each stage while this is open."""
    seconds: Counter[str] = Counter()

    def timed(stage: str, run: Callable) -> Callable:
        def wrapper(*args, **kwargs):
            wait(device)
            start = now()
            result = run(*args, **kwargs)
            wait(device)
            seconds[stage] += now() - start
            return result

        return wrapper

    with ExitStack() as stack:
        for stage, owner in STAGES.items():
            stack.enter_context(mock.patch.object(owner, stage, timed(stage, getattr(owner, stage))))
        yield seconds


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def square(video: Video, left: int) -> Tensor:
    """A mask with a square from this column on: masks_1HW."""
    mask_1HW = torch.zeros(1, video.height, video.width, dtype=torch.bool)
    side = video.height // 3
    mask_1HW[0, side : 2 * side, left : left + side] = True
    return mask_1HW


def track(tracker: XMemTracker, video: Video, num_queries: int, naive: bool) -> tuple[dict[str, float], Tensor]:
    """Seconds per frame and query, and all masks; each query has a reference on the first and on the last frame."""
    last = video.num_frames - 1
    queries = [{0: square(video, 20 * n), last: square(video, 20 * n + 10)} for n in range(num_queries)]
    with ExitStack() as stack:
        if naive:
            stack.enter_context(mock.patch.object(Memory, "read", naive_read))
            stack.enter_context(mock.patch.object(XMemRun, "learn_from", learn_and_forget))
        seconds = stack.enter_context(stopwatch(tracker.network.device))
        start = now()
        if naive:
            results = [list(tracker.propagate(video, query)) for query in queries]
        else:
            features = tracker.features(video, FEATURE_BUDGET_BYTES)
            results = list(zip(*zip(*(tracker.propagate(video, query, features) for query in queries), strict=True), strict=True))
        seconds["total"] = now() - start
    masks = torch.stack([result.masks_NHW for of_query in results for result in of_query])
    return {stage: round(spent / (video.num_frames * num_queries), 4) for stage, spent in seconds.items()}, masks


def reading(config: XMemConfig, grid: tuple[int, int], device: torch.device) -> dict[str, dict[str, float]]:
    """Seconds of one reading by the number of memory elements, and how far both results are apart."""
    times = {}
    for num_frames in MEMORY_FRAMES:
        memory = Memory(config.top_k, long_term=None)

        def random(*channels: int) -> Tensor:
            return torch.rand(1, *channels, *grid, device=device)

        for _ in range(num_frames):
            memory.remember(random(config.key_dim), random(1) + 1, random(config.key_dim), random(1, config.value_dim))
        query, selection = random(config.key_dim), random(config.key_dim)
        (ours, readout), (naive, expected) = (best_of(read, memory, query, selection) for read in (Memory.read, naive_read))
        difference = (readout - expected).abs().max().item()
        times[str(num_frames * math.prod(grid))] = {"ours": ours, "naive": naive, "largest_difference": difference}
    return times


def best_of(read: Callable[..., Tensor], memory: Memory, query: Tensor, selection: Tensor, repeats: int = 5) -> tuple[float, Tensor]:
    """The shortest of a few, since other work on the machine only adds."""
    seconds, readout = [], torch.empty(0)
    for _ in range(repeats):
        wait(query.device)
        start = now()
        readout = read(memory, query, selection)
        wait(query.device)
        seconds.append(now() - start)
    return round(min(seconds), 4), readout


def speed(video: Video, num_queries: int, device: torch.device) -> dict:
    torch.manual_seed(0)
    config = XMemConfig()
    tracker = XMemTracker(XMemNetwork(config).to(device), "xmem++", learns_first=True)
    next(tracker.propagate(video, {video.num_frames - 1: square(video, 0)}))  # every stage once, to warm up
    ours, masks = track(tracker, video, num_queries, naive=False)
    naive, expected = track(tracker, video, num_queries, naive=True)
    grid = tuple(tracker.features(video, 0).placement.images(torch.zeros(1, video.height, video.width, 3, dtype=torch.uint8)).shape[2:])
    with torch.inference_mode():
        one_reading = reading(config, (grid[0] // 16, grid[1] // 16), device)
    different = (masks != expected).float().mean().item()
    return {
        "queries": num_queries,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "seconds_per_frame_and_query": {"ours": ours, "naive": naive},
        "share_of_pixels_that_differ": different,
        "seconds_per_reading_by_elements": one_reading,
    }


def long_run(video: Video) -> dict:
    torch.manual_seed(0)
    tracker = XMemTracker(XMemNetwork(XMemConfig.debug()), "xmem++", learns_first=True)
    start, peaks = now(), {}
    for result in tracker.propagate(video, {0: square(video, 0), video.num_frames // 2: square(video, 40)}):
        if result.frame_idx in (min(EARLY_FRAME, video.num_frames - 1), video.num_frames - 1):
            peaks[result.frame_idx] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    return {"peak_mb_at_frame": peaks, "seconds": round(now() - start, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="default 480 854, with --long 128 224")
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--queries", type=int, default=2)
    parser.add_argument("--device", type=torch.device, default="cpu")
    parser.add_argument("--long", type=int, metavar="FRAMES", help="peak memory of a narrow network over so many frames, nothing else")
    options = parser.parse_args()
    height, width = options.size or ((128, 224) if options.long else (480, 854))
    num_frames = options.long or options.frames
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "noise.mp4"
        write_noise_video(path, num_frames, height, width)
        video = open_source(path)
        measured = long_run(video) if options.long else speed(video, options.queries, options.device)
    print(json.dumps({"size": [height, width], "frames": num_frames, **measured}))


if __name__ == "__main__":
    main()
