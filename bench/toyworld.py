"""How fast the toy world draws training samples: scenes, sentences and pixels, in one process on one core.

    python bench/toyworld.py [--seconds 5]

Prints one JSON object: samples a second for 8 frames at 64 x 64 and at 128 x 128, and for the scenes alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch

from saymask.toyworld.dataset import FAMILIES, TIMELINE, draw_batch, draw_scenes

BATCH_SIZE = 32
FRAME_IDX = np.arange(0, TIMELINE, 3)
MIX = dict.fromkeys(FAMILIES, 1.0)


def samples_per_second(draw: Callable[[int], object], seconds: float) -> float:
    """Draw batches (steps 1, 2, ...) for so many seconds; step 0 is the warm-up."""
    draw(0)
    step, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step += 1
        draw(step)
    return round(step * BATCH_SIZE / (time.perf_counter() - start), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to measure each case")
    seconds = parser.parse_args().seconds
    torch.set_num_threads(1)
    result: dict[str, object] = {"batch_size": BATCH_SIZE, "frames": len(FRAME_IDX), "threads": 1, "torch": torch.__version__}
    result["scenes_only"] = samples_per_second(lambda step: draw_scenes(0, step, 0, BATCH_SIZE, MIX), seconds)
    for size in (64, 128):
        draw = lambda step, size=size: draw_batch(0, step, 0, BATCH_SIZE, MIX, size, FRAME_IDX)  # noqa: E731
        result[f"size_{size}"] = samples_per_second(draw, seconds)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
