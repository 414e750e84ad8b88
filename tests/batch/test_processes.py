"""Batches as a user runs them: processes that load the bundled model, killed and resumed; and the same on two local workers of Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saymask.cli.demo import write_clip
from saymask.records import Video
from saymask.toyworld.dataset import load_toyworld

NUM_VIDEOS = 6
QUERY = "the red fish"
PATIENCE = 600.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos of three frames, and a file that is none."""
    folder = tmp_path_factory.mktemp("videos")
    drawn = load_toyworld(None, "test")
    for index in range(NUM_VIDEOS):
        video = drawn[index].video
        write_clip(Video.from_frames(video.frames(range(3)), fps=12, **video.tags), folder / f"v{index}.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def start(videos: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "saymask", "batch", str(videos), QUERY, "-o", str(out), "-m", "toy", "--dtype", "float32"]
    return subprocess.Popen(
        [*command, "--device", "cpu", "--threads", "1", *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(videos: Path, out: Path, *more: str) -> tuple[int, str, str]:
    process = start(videos, out, *more)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    return process.returncode, stdout, stderr


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def calm(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run gives that nobody disturbs."""
    out = tmp_path_factory.mktemp("calm") / "out"
    code, stdout, stderr = run(videos, out, "--workers", "2")
    assert code == 1, "one of the files is no video"
    assert stdout.splitlines()[0] == f"{NUM_VIDEOS} of {NUM_VIDEOS + 1} jobs done, 1 failed, 0 to do"
    assert "broken: " in stderr and "--retry failed" in stderr
    return out


def until(condition, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline and process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Workers of a driver, the oldest first."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def exists(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the workers in /proc")
def test_a_killed_worker_and_a_killed_driver_cost_nothing(videos: Path, calm: Path, tmp_path: Path):
    out = tmp_path / "out"
    process = start(videos, out, "--workers", "1")
    until(lambda: any(out.glob("results/*/result.json")), process)
    (worker,) = children(process.pid)
    os.kill(worker, signal.SIGKILL)
    until(lambda: len(list(out.glob("results/*/result.json"))) > 1, process)
    orphans = children(process.pid)
    assert orphans and orphans != [worker], "the killed one was replaced"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + PATIENCE
    while any(map(exists, orphans)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(exists, orphans)), "workers end with their driver"
    code, stdout, _ = run(videos, out, "--workers", "2")
    assert code == 1 and stdout.splitlines()[0] == f"{NUM_VIDEOS} of {NUM_VIDEOS + 1} jobs done, 1 failed, 0 to do"
    assert content(out / "results") == content(calm / "results")


def test_a_second_run_in_the_same_folder_is_told_who_is_there(videos: Path, tmp_path: Path):
    process = start(videos, tmp_path, "--workers", "1")
    until(lambda: (tmp_path / ".lock").exists(), process)
    code, _, stderr = run(videos, tmp_path, "--workers", "1")
    process.kill()
    process.communicate()
    assert code == 2 and str(process.pid) in stderr


def test_parts_of_two_machines_are_one_batch(videos: Path, calm: Path, tmp_path: Path):
    for part in ("1/2", "2/2"):
        run(videos, tmp_path, "--workers", "1", "--shard", part)
    assert content(tmp_path / "results") == content(calm / "results")
    verified = subprocess.run([sys.executable, "-m", "saymask", "batch", "verify", str(tmp_path)], capture_output=True, text=True)
    assert verified.returncode == 1
    assert f"{NUM_VIDEOS} of {NUM_VIDEOS + 1} jobs" in verified.stdout and "broken: failed after 1 tries" in verified.stdout


def test_a_model_that_does_not_load_ends_the_run_before_a_video(videos: Path, tmp_path: Path):
    command = [sys.executable, "-m", "saymask", "batch", str(videos), QUERY, "-o", str(tmp_path / "out"), "-m", "toyy"]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 2 and "'toy'" in process.stderr
    assert not (tmp_path / "out" / "failed").exists()


def test_ray_gives_the_same_bytes(videos: Path, calm: Path, tmp_path: Path):
    pytest.importorskip("ray.data", reason="the extra 'ray' is not installed")
    code, stdout, stderr = run(videos, tmp_path, "--backend", "ray", "--workers", "2")
    assert code == 1 and stdout.splitlines()[0] == f"{NUM_VIDEOS} of {NUM_VIDEOS + 1} jobs done, 1 failed, 0 to do", stderr
    assert content(tmp_path / "results") == content(calm / "results")
    assert (tmp_path / "failed" / "broken.json").read_text() == (calm / "failed" / "broken.json").read_text()
    (tmp_path / "results" / "v3" / "result.json").unlink()  # Ray's checkpoint says that this one is done
    for path in (tmp_path / "results" / "v3").iterdir():
        path.unlink()
    (tmp_path / "results" / "v3").rmdir()
    run(videos, tmp_path, "--backend", "ray", "--workers", "2")
    assert content(tmp_path / "results") == content(calm / "results")
