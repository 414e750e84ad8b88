"""`saymask fetch` in processes of its own against a hub on this machine: the bar, going on after an interruption, damaged files."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import huggingface_hub
import pytest
from local_hub import COMMIT, LocalHub, local_hub

from saymask.models.choice import choices, is_on_disk
from saymask.storage.hub import HubRepo

MIB = 2**20
PATIENCE = 170  # seconds; a busy machine starts processes slowly
LARGE = bytes(24 * MIB)  # the client writes to the disk 10 MiB at a time
DETECTOR, SEGMENTER = choices()["grounded"].repos


@pytest.fixture
def hub():
    """The two repositories of `grounded`, with files that are not needed beside those that are."""
    settings = {"config.json": b"{}", "tokenizer.json": b'{"a": 1}', "README.md": b"words"}
    with local_hub(
        {DETECTOR: {**settings, "model.safetensors": LARGE}, SEGMENTER: {**settings, "model.safetensors": b"weights"}}
    ) as served:
        yield served


@pytest.fixture
def environment(hub: LocalHub, tmp_path: Path, monkeypatch) -> dict[str, str]:
    """Of the processes; this one looks into the same cache."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return {**kept, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """A process that Ctrl-C stops, also where the tests run in the background of a shell, which ignores it."""
    command = [sys.executable, "-m", "saymask", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes)


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    process = start(environment, *arguments)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def weights(tmp_path: Path, repo_id: str) -> Path:
    return tmp_path / "hub" / f"models--{repo_id.replace('/', '--')}" / "snapshots" / COMMIT / "model.safetensors"


@pytest.mark.slow
def test_an_interrupted_download_goes_on_and_a_damaged_file_is_found(hub, environment, tmp_path):
    hub.stall_after = 12 * MIB
    stopped = start(environment, "fetch", "grounded")
    assert hub.stalled.wait(PATIENCE), "the download did not begin"
    deadline = time.monotonic() + PATIENCE
    while sum(path.stat().st_size for path in (tmp_path / "hub").rglob("*.part")) == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    stopped.send_signal(signal.SIGINT)
    _, stderr = stopped.communicate(timeout=PATIENCE)
    assert stopped.returncode == 130 and "`saymask fetch grounded` goes on from there" in stderr
    assert not is_on_disk(choices()["grounded"])

    (part,) = (tmp_path / "hub").rglob("*.part")
    kept, downloads = part.stat().st_size, len(hub.ranges)
    assert kept >= 10 * MIB
    hub.stall_after = None
    hub.ended.set()
    again = run(environment, "fetch", "grounded")
    assert again.returncode == 0, again.stderr
    assert f"bytes={kept}-" in hub.ranges[downloads:], "the second download began where the first had ended"
    assert "0.8 GB, licence: Apache-2.0" in again.stderr and "100%" in again.stderr
    assert again.stdout.count("3 files compared with the hub's digests") == 2 and "-m grounded" in again.stdout
    assert weights(tmp_path, DETECTOR).read_bytes() == LARGE and is_on_disk(choices()["grounded"])
    assert not (weights(tmp_path, DETECTOR).parent / "README.md").exists()

    downloads = len(hub.ranges)
    weights(tmp_path, SEGMENTER).write_bytes(b"wEights")
    damaged = run(environment, "fetch", "grounded")
    assert damaged.returncode == 1 and "model.safetensors: its digest is" in damaged.stderr and "fetch it again" in damaged.stderr
    assert not is_on_disk(choices()["grounded"]) and len(hub.ranges) == downloads
    assert run(environment, "fetch", "grounded").returncode == 0
    assert weights(tmp_path, SEGMENTER).read_bytes() == b"weights" and len(hub.ranges) == downloads + 1


def test_offline_nothing_is_asked_and_the_error_says_why(hub, environment, tmp_path):
    result = run({**environment, "HF_HUB_OFFLINE": "1"}, "fetch", "grounded")
    assert result.returncode == 1 and hub.ranges == []
    assert all(text in result.stderr for text in ("HF_HUB_OFFLINE", DETECTOR, SEGMENTER, hub.address))


def test_a_copy_of_which_a_needed_file_is_missing_is_not_complete(hub, environment, tmp_path):
    assert run(environment, "fetch", "grounded").returncode == 0
    assert HubRepo(DETECTOR).cached() is not None
    (weights(tmp_path, DETECTOR).parent / "tokenizer.json").unlink()
    assert HubRepo(DETECTOR).cached() is None and not is_on_disk(choices()["grounded"])
