"""Batches under fire and in a hurry: python bench/batch.py kills|kills-ray|speed|ray [--videos N]; prints JSON.

kills   a batch whose workers and drivers are killed at random moments, until it is done: nothing lost, nothing doubled, the same bytes
speed   videos per core and hour of a batch, beside a loop of `saymask segment` processes, each of which loads the model
ray     seconds of one and of two local Ray workers for the same jobs, beside one and two processes without Ray
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from saymask.cli.demo import write_clip
from saymask.records import Video
from saymask.toyworld.dataset import load_toyworld

QUERIES = ["the red fish", "Which thing is fastest?"]


def draw(folder: Path, number: int, frames: int) -> Path:
    """Toy videos of so many frames, at most 24."""
    folder.mkdir()
    drawn = load_toyworld(None, "test")
    for index in range(number):
        video = drawn[index].video
        write_clip(Video.from_frames(video.frames(range(frames)), fps=12, **video.tags), folder / f"video-{index:04d}.mp4")
    return folder


def command(videos: Path, out: Path, *more: str) -> list[str]:
    batch = [sys.executable, "-m", "saymask", "batch", str(videos), *QUERIES, "-o", str(out), "-m", "toy", "--dtype", "float32"]
    return [*batch, "--device", "cpu", "--threads", "1", *more]


def run(arguments: list[str]) -> float:
    """Run a command to its end -> seconds."""
    start = time.monotonic()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - start


def content(results: Path) -> dict[str, bytes]:
    return {str(path.relative_to(results)): path.read_bytes() for path in sorted(results.rglob("*")) if path.is_file()}


def descendants(pid: int) -> list[int]:
    """Processes that a process has started, and those that they have."""
    children = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        children += [int(child) for child in task.read_text().split()]
    return [*children, *(below for child in children for below in descendants(child))]


def workers(driver: int, is_ray: bool) -> list[int]:
    """Processes below a driver that do jobs; Ray's agents, with which its machine ends, do none."""
    mark = b"ray::" if is_ray else b"spawn_main"
    found = []
    for pid in descendants(driver):
        try:
            command_line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if mark in command_line and b"Agent" not in command_line:
            found.append(pid)
    return found


def num_results(out: Path) -> int:
    return len(list(out.glob("results/*/result.json")))


def kills(videos: Path, scratch: Path, number: int, more: list[str], pause: tuple[float, float], seed: int = 0) -> dict[str, object]:
    """Run a batch while its processes are killed; resume after every death of a driver; compare with a run that nobody disturbed."""
    rng = random.Random(seed)
    calm, harried = scratch / "calm", scratch / "harried"
    run(command(videos, calm, "--workers", "2"))
    killed = {"worker": 0, "driver": 0}
    runs = done = before = 0
    while sum(killed.values()) < number and done < len(list(videos.iterdir())):
        runs += 1
        process = subprocess.Popen(command(videos, harried, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and sum(killed.values()) < number:
            time.sleep(rng.uniform(*pause))
            victims = workers(process.pid, "ray" in more)
            what = "driver" if rng.random() < 0.3 else "worker"
            # While nothing is done between two deaths, they would test the start alone.
            if num_results(harried) == before or (what == "worker" and not victims):
                continue
            before = num_results(harried)
            try:
                os.kill(process.pid if what == "driver" else rng.choice(victims), signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed[what] += 1
        process.wait()
        done = num_results(harried)
    finish = subprocess.run(command(videos, harried, "--workers", "2", "--retry", "failed"), capture_output=True, text=True)
    verified = subprocess.run([sys.executable, "-m", "saymask", "batch", "verify", str(harried)], capture_output=True, text=True)
    return {
        "workers_killed": killed["worker"],
        "drivers_killed": killed["driver"],
        "runs": runs,
        "done_before_the_last_run": done,
        "last_run": finish.stdout.splitlines()[:1],
        "verify": verified.stdout.splitlines()[-1:],
        "verify_exit_code": verified.returncode,
        "same_bytes": content(calm / "results") == content(harried / "results"),
        "drafts_left": len([path for path in (harried / "results").iterdir() if path.name.startswith(".")]),
    }


def speed(videos: Path, scratch: Path, looped: int) -> dict[str, object]:
    """Videos per core and hour, by one process of one thread each way."""
    files = sorted(videos.iterdir())
    batch = run(command(videos, scratch / "batch", "--workers", "1", "--format", "json"))
    options = ["-m", "toy", "--dtype", "float32", "--device", "cpu", "--format", "json"]
    loop = sum(
        run([sys.executable, "-m", "saymask", "segment", str(file), *QUERIES, "-o", str(scratch / "loop" / file.stem), *options])
        for file in files[:looped]
    )
    of_batch, of_loop = 3600 * len(files) / batch, 3600 * looped / loop
    return {
        "batch_videos_per_core_hour": round(of_batch),
        "loop_videos_per_core_hour": round(of_loop),
        "ratio": round(of_batch / of_loop, 2),
    }


def ray(videos: Path, scratch: Path) -> dict[str, object]:
    """Seconds of one and of two workers without their start, which a batch of one job measures; beside processes without Ray: the bound."""
    one_job = scratch / "one-video"
    one_job.mkdir()
    first = sorted(videos.iterdir())[0]
    (one_job / first.name).write_bytes(first.read_bytes())
    found: dict[str, object] = {}
    for backend in ("ray", "local"):
        seconds = []
        for number in (1, 2):
            more = ["--backend", backend, "--workers", str(number)]
            start = run(command(one_job, scratch / f"start-{backend}-{number}", *more))
            seconds.append(run(command(videos, scratch / f"{backend}-{number}", *more)) - start)
        found |= {f"{backend}_seconds": [round(value, 1) for value in seconds], f"{backend}_ratio": round(seconds[0] / seconds[1], 2)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("kills", "kills-ray", "speed", "ray"))
    parser.add_argument("--videos", type=int, default=300)
    parser.add_argument("--frames", type=int, default=6, help="of each video, at most 24")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--looped", type=int, default=12, help="videos of the loop of processes")
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        videos = draw(scratch / "videos", chosen.videos, chosen.frames)
        if chosen.what == "kills":
            found = kills(videos, scratch, chosen.kills, ["--workers", "2"], (0.2, 3.0))
        elif chosen.what == "kills-ray":
            found = kills(videos, scratch, chosen.kills, ["--workers", "2", "--backend", "ray"], (0.5, 10.0))
        else:
            found = speed(videos, scratch, chosen.looped) if chosen.what == "speed" else ray(videos, scratch)
    print(json.dumps({"what": chosen.what, "videos": chosen.videos, "frames": chosen.frames, "cores": os.cpu_count(), **found}, indent=1))


if __name__ == "__main__":
    main()
