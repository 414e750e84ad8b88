"""Peak memory of `saymask segment` for a short and a long video of the same size: it must not grow with the length.

    python bench/memory.py [--frames 200 2000] [--size 360 640] [--model toy]

Draws each video to a temporary file, segments one query in a process of its own and prints one JSON object with peak resident memory in MB.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from saymask.benchmark.noise_video import write_noise_video

QUERY = "the red fish"


def segment(path: str, model: str) -> None:
    """Child process: segment, save one format, print this process's own peak."""
    from saymask import open_video

    with open_video(path, model) as session, tempfile.TemporaryDirectory() as folder:
        session.segment(QUERY).save(folder, ["coco"])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, nargs=2, default=(200, 2000), metavar=("SHORT", "LONG"))
    parser.add_argument("--size", type=int, nargs=2, default=(360, 640), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--model", default="toy")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        segment(options.child, options.model)
        return
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        for num_frames in options.frames:
            path = Path(folder) / f"{num_frames}.mp4"
            write_noise_video(path, num_frames, *options.size)
            command = [sys.executable, __file__, "--child", str(path), "--model", options.model]
            peaks[num_frames] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    short, long = (round(peaks[num_frames], 1) for num_frames in options.frames)
    print(
        json.dumps(
            {"size": list(options.size), "frames": list(options.frames), "peak_mb": [short, long], "growth_mb": round(long - short, 1)}
        )
    )


if __name__ == "__main__":
    main()
