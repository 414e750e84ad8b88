"""What follows the mask decoder, stage by stage: logits to run lengths, frames, drawing, encoding, PNGs.

    python bench/masks.py [CLIP] [--size 720 1280] [--frames 64] [--queries 1 16]

Masks are smooth random shapes at the bundled model's resolution; the result says which share of pixels and columns they cover.
One thread; milliseconds are those of the processor, so that other programs disturb them little. Prints one JSON object: milliseconds per
frame of each stage, the frames/s of run lengths by number of queries, and what two cores allow for an overlay, where decoding and drawing
run beside encoding: not more than half of the sum allows, nor than encoding alone. Beside it stands what the clock says of the whole video.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from saymask.benchmark.noise_video import write_noise_video
from saymask.exports.encoder import write_video
from saymask.exports.overlay import write_overlay
from saymask.exports.writer import write_png
from saymask.models.base import MaskLogits
from saymask.models.run_lengths import threshold
from saymask.records import Masklet, Prediction, QueryResult, Rle, Video
from saymask.video.reader import open_source
from saymask.video.transforms import Geometry, longest_side

LOWRES, INPUT = 32, 128  # the bundled model's mask decoder and encoder
CHUNK = 8
REPEATS = 3


def best_ms(work: Callable[[], Any], num_frames: int) -> float:
    """Processor milliseconds per frame: the least of a few, since other work on the machine only adds."""
    spent = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return round(1e3 * min(spent) / num_frames, 2)


def shapes(num_queries: int, height: int, width: int) -> MaskLogits:
    """Logits of a chunk of frames."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(CHUNK * num_queries, 1, 6, 6, generator=generator) - 1.2
    smooth = functional.interpolate(coarse, size=(LOWRES, LOWRES), mode="bicubic")
    placed = Geometry((height, width), longest_side(height, width, INPUT), (INPUT, INPUT))
    return MaskLogits(smooth.reshape(CHUNK, num_queries, LOWRES, LOWRES), placed)


def run_lengths(num_queries: int, height: int, width: int) -> dict[str, float]:
    logits = shapes(num_queries, height, width)
    ms = best_ms(lambda: threshold(logits), CHUNK)
    found = [rle.decode() for of_frame in threshold(logits) for rle, _ in of_frame]
    return {
        "ms": ms,
        "frames_per_second": round(1e3 / ms, 1),
        "share_of_pixels": round(float(np.mean(found)), 3),
        "share_of_columns": round(float(np.mean([mask_HW.any(0).mean() for mask_HW in found])), 3),
    }


def _masklet(of_chunk: list[Rle], num_frames: int) -> Masklet:
    """The masks of a chunk, again and again."""
    return Masklet(1, tuple(of_chunk[t % len(of_chunk)] for t in range(num_frames)), np.ones(num_frames))


def writing(video: Video, num_frames: int) -> dict[str, float]:
    """One query's overlay and PNGs; the overlay's drawing is what it takes beyond decoding and encoding."""
    frames_THWC = video.frames(range(num_frames))
    clip = Video.from_frames(frames_THWC)
    of_chunk = [of_frame[0][0] for of_frame in threshold(shapes(1, video.height, video.width))]
    prediction = Prediction(clip, (QueryResult("the dog", "", (_masklet(of_chunk, num_frames),)),))

    def into_folder(write: Callable[[Path], Any]) -> Callable[[], None]:
        def run() -> None:
            with tempfile.TemporaryDirectory() as folder:
                write(Path(folder))

        return run

    chunks = [range(start, min(start + CHUNK, num_frames)) for start in range(0, num_frames, CHUNK)]
    decoding = best_ms(lambda: [video.frames(chunk) for chunk in chunks], num_frames)
    encode = into_folder(lambda folder: write_video(folder / "a.mp4", frames_THWC, clip.timestamps_T, clip.duration))
    encoding = best_ms(encode, num_frames)
    overlay = best_ms(into_folder(lambda folder: write_overlay(prediction, folder)), num_frames)
    png = best_ms(into_folder(lambda folder: write_png(prediction, folder)), num_frames)
    drawing = round(overlay - encoding, 2)
    of_file = Prediction(video, (QueryResult("the dog", "", (_masklet(of_chunk, video.num_frames),)),))
    start = time.perf_counter()
    into_folder(lambda folder: write_overlay(of_file, folder))()
    measured = time.perf_counter() - start
    return {
        "decoding": decoding,
        "drawing": drawing,
        "encoding": encoding,
        "png": png,
        "overlay_frames_per_second_on_two_cores": round(1e3 / max((decoding + overlay) / 2, encoding), 1),
        "overlay_frames_per_second_of_the_clock": round(video.num_frames / measured, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", nargs="?", type=Path, help="moving noise of --size if not given")
    parser.add_argument("--size", type=int, nargs=2, default=(720, 1280), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--queries", type=int, nargs="*", default=(1, 16))
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = options.clip or Path(folder) / "noise.mp4"
        if not options.clip:
            write_noise_video(path, options.frames, *options.size)
        video = open_source(path)
        num_frames = min(options.frames, video.num_frames)
        result = {
            "size": [video.height, video.width],
            "processor": torch.backends.cpu.get_cpu_capability(),
            "run_lengths": {str(number): run_lengths(number, video.height, video.width) for number in options.queries},
            "ms_per_frame": writing(video, num_frames),
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
