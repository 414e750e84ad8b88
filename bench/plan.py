"""How near `saymask plan` comes to the truth: its seconds and memory beside those of `saymask bench --stages-only` and of a whole command.

    python bench/fake_release.py mid --scale middle --layout safetensors
    python bench/plan.py [toy visa-toy mid/model=6x240x320 …] [--queries 1] [--repeat 3] [-o results.json]

Each argument is a model, alone or with the frames, height and width of the video to draw for it (100x128x128 if not given). Prints one JSON
object; a table of expected and measured seconds per stage goes to standard error. `start_up` and `writing` are measured by
`bench/end_to_end.py`, the others and the peak memory by `saymask bench`; `read` is all decoding, also that of another thread. The constants
of `benchmark/expectation.py` come from these ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from saymask.benchmark.noise_video import write_noise_video
from saymask.benchmark.speed import QUERIES

sys.path.append(str(Path(__file__).parent))

from end_to_end import measure as measure_command

SIZE = "100x128x128"


def saymask(*words: str) -> None:
    """Run a command; what it prints does not matter."""
    subprocess.run([sys.executable, "-m", "saymask", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def compare(model: str, size: str, num_queries: int, repeat: int) -> dict[str, Any]:
    """Expected and measured seconds of each stage, and memory."""
    num_frames, height, width = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        video, planned, measured = (str(Path(folder, name)) for name in ("noise.mp4", "plan.json", "bench.json"))
        write_noise_video(Path(video), num_frames, height, width)
        queries = QUERIES[:num_queries]
        saymask("plan", video, *queries, "-m", model, "--answer", "forced", "-o", planned)
        saymask("bench", video, "-m", model, "--queries", str(num_queries), "--stages-only", "--repeat", str(repeat), "-o", measured)
        command = measure_command(["segment", video, *queries, "-m", model])
        expected = json.loads(Path(planned).read_text(encoding="utf-8"))
        report = json.loads(Path(measured).read_text(encoding="utf-8"))["rows"][0]["ours"]
    stages = {**report["stages"], "start_up": command["start_up"], "writing": command["writing"]}
    stages["read"] += report["read_ahead"]
    rows = {stage: beside(seconds, stages[stage]) for stage, seconds in expected["seconds"].items() if stage in stages}
    total = beside(expected["seconds"]["total"], sum(stages.values()))
    return {
        "model": model,
        "video": size,
        "queries": num_queries,
        "dtype": expected["dtype"],
        "product_gflops": expected["product_gflops"],
        "seconds": {**rows, "in_all": total},
        "peak_mib": beside(expected["bytes"]["total"] / 2**20, report["peak_rss_mb"]),
    }


def beside(expected: float, measured: float) -> dict[str, Any]:
    """Two figures and how they compare."""
    return {"expected": expected, "measured": measured, "ratio": expected / measured if measured else None}


def table(result: dict[str, Any]) -> str:
    """A line per stage that takes any time."""
    head = f"{result['model']}, {result['video']}, {result['queries']} queries, {result['product_gflops']:.0f} GFLOP/s"
    lines = [head, f"{'':16}{'expected':>10}{'measured':>10}{'ratio':>7}"]
    for name, row in {**result["seconds"], "peak MiB": result["peak_mib"]}.items():
        if row["expected"] or row["measured"]:
            ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
            lines.append(f"{name.replace('_', ' '):16}{row['expected']:10.3f}{row['measured']:10.3f}{ratio:>7}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", metavar="MODEL[=FRAMESxHEIGHTxWIDTH]", default=["toy", "visa-toy"])
    parser.add_argument("--queries", type=int, default=1, metavar="N")
    parser.add_argument("--repeat", type=int, default=3, help="how often `saymask bench` measures; the median counts")
    parser.add_argument("-o", "--out", type=Path, help="write the JSON here as well")
    options = parser.parse_args()
    asked = [re.fullmatch(r"(.+?)(?:=(\d+x\d+x\d+))?", given) for given in options.models]
    results = []
    for match in asked:
        assert match is not None
        results.append(compare(match[1], match[2] or SIZE, options.queries, options.repeat))
        print(table(results[-1]), file=sys.stderr)
    text = json.dumps({"processor": f"{platform.machine()}, {os.cpu_count()} cores", "models": results}, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
