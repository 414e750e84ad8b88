"""Drafts of killed writers go when a folder is written again; those that somebody writes stay, and those of other hosts and folders."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from saymask.errors import VideoError
from saymask.storage.atomic import fill_folder, new_file, new_folder, scratch_folder
from saymask.storage.drafts import draft_beside, published

WRITER = """
import sys, time
from pathlib import Path
from saymask.storage.atomic import fill_folder, new_file, new_folder, scratch_folder

with globals()[sys.argv[1]](Path(sys.argv[2])) as draft:
    (draft / "half.txt").touch()
    print(draft, flush=True)
    time.sleep(60)
"""


class Writer:
    """Another process that is about to write a folder."""

    def __init__(self, way: str, path: Path):
        self._process = subprocess.Popen([sys.executable, "-c", WRITER, way, str(path)], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.draft = Path(self._process.stdout.readline().strip())

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "out.d"


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked")
@pytest.mark.parametrize("way", [new_folder, scratch_folder])
def test_what_a_killed_writer_has_left_goes_and_what_a_living_one_writes_stays(output, way):
    killed, living = Writer(way.__name__, output), Writer(way.__name__, output)
    killed.kill()
    assert {killed.draft, living.draft} == set(output.parent.iterdir())
    with new_folder(output):
        assert not killed.draft.exists() and (living.draft / "half.txt").exists()
    living.kill()
    with scratch_folder(output):
        pass
    assert list(output.parent.iterdir()) == [output]


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked")
def test_what_a_killed_writer_has_left_in_a_folder_that_it_fills_in_place_goes(output):
    (output / "kept").mkdir(parents=True)  # so that the folder cannot be replaced
    killed = Writer("fill_folder", output)
    killed.kill()
    assert killed.draft.parent == output
    with fill_folder(output) as draft:
        (draft / "whole.txt").touch()
    assert sorted(path.name for path in output.iterdir()) == ["kept", "whole.txt"]


def test_drafts_of_other_hosts_and_other_folders_stay(output):
    own = draft_beside(output).name
    host = own.removeprefix(".out.partial-")[:8]
    other_host = own.replace(host, "".join("1" if digit == "0" else "0" for digit in host))
    others = {other_host, draft_beside(output.with_name("out.e")).name, draft_beside(output.with_name("out2.d")).name}
    for name in others:
        (output.parent / name).mkdir()
    with new_folder(output):
        pass
    assert {path.name for path in output.parent.iterdir()} == {*others, "out.d"}


def test_an_error_in_a_draft_names_what_the_draft_would_have_become(output):
    (output / "kept").mkdir(parents=True)
    with (
        pytest.raises(VideoError) as caught,
        fill_folder(output) as draft,
        new_folder(draft / "png.d"),
        new_file(draft / "png.d" / "a.png"),
    ):
        pass
    assert str(caught.value).startswith(f"{output}/png.d/a.png: ") and ".partial-" not in str(caught.value)
    assert published(draft_beside(output) / "x") == output / "x"


def test_scratch_lies_in_a_folder_that_is_filled_in_place_and_beside_any_other(tmp_path, monkeypatch):
    output = tmp_path / "out"
    with scratch_folder(output) as scratch:
        assert scratch.parent == tmp_path
    output.mkdir()
    with scratch_folder(output) as scratch:
        assert scratch.parent == tmp_path
    monkeypatch.chdir(output)
    with scratch_folder(output) as scratch:
        assert scratch.parent == output
    assert list(output.iterdir()) == []
