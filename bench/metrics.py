"""Time of J and F per pair of 480x854 masks, in milliseconds.

    python bench/metrics.py [--repeats 50]

The masks are drawn by formula: an object of the usual size, one that fills most of the picture, and thin stripes all over it, each against
itself moved and reshaped a little. Prints one JSON object; the time of a pair is the median over the repeats, in one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np

from saymask.metrics.region_contour import contour_accuracy, region_similarity

HEIGHT, WIDTH = 480, 854
Pair = tuple[np.ndarray, np.ndarray]


def wavy_disk(centre_x: float, radius: float, waves: int) -> np.ndarray:
    """A disk whose rim goes in and out by a tenth of its radius, so that its outline is as long as a real one's."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] - np.array([HEIGHT / 2, centre_x])[:, None, None]
    return np.hypot(y, x) < radius * (1 + 0.1 * np.sin(waves * np.arctan2(y, x)))


def stripes(offset: int) -> np.ndarray:
    columns = np.arange(WIDTH) + offset
    return np.broadcast_to(columns % 24 < 12, (HEIGHT, WIDTH)).copy()


def pairs() -> dict[str, Pair]:
    return {
        "object": (wavy_disk(400, 80, 12), wavy_disk(406, 82, 14)),
        "most of the picture": (wavy_disk(427, 215, 20), wavy_disk(433, 218, 22)),
        "stripes": (stripes(0), stripes(5)),
    }


def milliseconds(measure: Callable[[np.ndarray, np.ndarray], float], pair: Pair, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        measure(*pair)
        times.append(1000 * (time.perf_counter() - start))
    return round(statistics.median(times), 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=50)
    repeats = parser.parse_args().repeats
    report = {
        name: {
            "j_ms": milliseconds(region_similarity, pair, repeats),
            "f_ms": milliseconds(contour_accuracy, pair, repeats),
            "j": round(region_similarity(*pair), 4),
            "f": round(contour_accuracy(*pair), 4),
        }
        for name, pair in pairs().items()
    }
    print(json.dumps({"size": [HEIGHT, WIDTH], "repeats": repeats, "pairs": report}, indent=1))


if __name__ == "__main__":
    main()
