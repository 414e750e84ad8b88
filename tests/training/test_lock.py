"""One training per folder, and what a killed one leaves does not lock it for ever."""

import json
import os
import re
import socket
import subprocess
import sys

import pytest
from dot_task import DotConfig

from saymask.errors import ConfigError
from saymask.runtime import Runtime
from saymask.storage.lock import LOCK, lock_folder
from saymask.training.checkpoint import newest_checkpoint
from saymask.training.loop import train

CPU = Runtime("cpu")


def gone_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def write_lock(folder, **values):
    folder.mkdir(exist_ok=True)
    (folder / LOCK).write_text(json.dumps({"host": "elsewhere", "pid": 7, "started": "1", "since": "yesterday", **values}))


def test_a_second_one_is_told_who_is_there(tmp_path):
    with lock_folder(tmp_path, "training"), pytest.raises(ConfigError) as error:
        train(DotConfig(), tmp_path, runtime=CPU)
    assert all(fact in str(error.value) for fact in (str(tmp_path), str(os.getpid()), socket.gethostname()))
    assert not (tmp_path / LOCK).exists()


def test_a_lock_of_another_host_holds_until_nobody_touches_it(tmp_path):
    write_lock(tmp_path)
    with pytest.raises(ConfigError, match=r"process 7 of host elsewhere \(since yesterday\)"), lock_folder(tmp_path, "training"):
        pass
    os.utime(tmp_path / LOCK, (0, 0))
    with lock_folder(tmp_path, "training"):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("values", [{"pid": None}, {"pid": os.getpid(), "started": "another process had this number"}])
def test_a_lock_of_a_process_that_is_gone(tmp_path, values):
    write_lock(tmp_path, host=socket.gethostname(), **{**values, "pid": values["pid"] or gone_process()})
    with lock_folder(tmp_path, "training"):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("last_trace", ["lock", "configuration"])
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(tmp_path, last_trace):
    config = DotConfig()
    write_lock(tmp_path / "run", host=socket.gethostname(), pid=gone_process())
    if last_trace == "configuration":
        config.save(tmp_path / "run/train.json")
    train(config, tmp_path / "run", resume=True, runtime=CPU)
    train(config, tmp_path / "whole", runtime=CPU)
    ends = [newest_checkpoint(tmp_path / name) / "model.safetensors" for name in ("run", "whole")]
    assert ends[0].read_bytes() == ends[1].read_bytes()


def test_nothing_to_resume_is_still_an_error(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(str(tmp_path / "run"))):
        train(DotConfig(), tmp_path / "run", resume=True, runtime=CPU)
    assert not (tmp_path / "run").exists()
