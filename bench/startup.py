"""What a user waits for before the first mask: fresh processes, timed, and how many modules each has loaded.

    python bench/startup.py [--repeat 5]

Prints JSON: of each start the least wall-clock seconds of the repeats (other programs only add to them) until the work is done and until
the process has ended, the least processor seconds, and the number of modules. `import torch` is what none of those below it can be faster
than.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

COUNT = "import sys, time; print(time.time(), len(sys.modules))"
COMMAND = """
import sys
from saymask.__main__ import main
sys.argv[1:] = {arguments!r}
try:
    main()
except SystemExit as end:
    assert not end.code
"""
STARTS = {
    "import torch": "import torch",
    "import saymask": "import saymask",
    "load_model('toy')": "import saymask; saymask.load_model('toy')",
    "saymask --help": COMMAND.format(arguments=["--help"]),
    "saymask list": COMMAND.format(arguments=["list"]),
    "saymask segment image.png": COMMAND.format(arguments=["segment", "image.png", "the red fish", "-m", "toy", "-o", "out"]),
}


def measure(code: str, folder: Path) -> tuple[float, float, float, int]:
    """Wall-clock seconds until it is done and until it has ended, processor seconds and modules of one process that runs this code."""
    before, start = os.times(), time.time()
    done = subprocess.run([sys.executable, "-c", f"{code}\n{COUNT}"], cwd=folder, capture_output=True, text=True, check=True)
    ended, after = time.time(), os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    *_, finished, modules = done.stdout.split()
    return float(finished) - start, ended - start, used, int(modules)


def main() -> None:
    parser = argparse.ArgumentParser(description="Time fresh processes up to a loaded model and a first mask.")
    parser.add_argument("--repeat", type=int, default=5)
    repeat = parser.parse_args().repeat
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)).save(folder / "image.png")
        for title, code in STARTS.items():
            runs = [measure(code, folder) for _ in range(repeat)]
            done, ended, used = (round(min(run[place] for run in runs), 2) for place in (0, 1, 2))
            rows[title] = {"seconds": done, "with_exit": ended, "processor_seconds": used, "modules": runs[0][3]}
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
