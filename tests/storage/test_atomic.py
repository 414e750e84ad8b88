"""A file or folder is at every moment absent or whole, the old one or the new one, however many threads write."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from saymask.errors import VideoError
from saymask.storage.atomic import fill_folder, new_file, new_folder, replaced_file


def test_a_file_is_replaced_when_the_new_one_is_complete(tmp_path):
    path = tmp_path / "a.json"
    for text in ("old", "new"):
        with replaced_file(path) as draft:
            draft.write_text(text)
            assert not path.exists() if text == "old" else path.read_text() == "old"
        assert [file.name for file in tmp_path.iterdir()] == ["a.json"] and path.read_text() == text


def test_what_was_there_survives_an_error(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("old")
    with pytest.raises(VideoError, match=r"a\.json: cannot be written \(No space left on device\)"), replaced_file(path) as draft:
        draft.write_text("half")
        raise OSError(28, "No space left on device")
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"] and path.read_text() == "old"


def test_drafts_of_killed_writers_go_and_those_of_other_files_stay(tmp_path):
    one, other = "partial-0123456789abcdef", "partial-fedcba9876543210"
    others = [f".a1.{one}.json", f".a[1].{one}.txt", ".a[1].partial-story.json"]
    for name in (f".a[1].{one}.json", f".a[1].{other}.json", *others):
        (tmp_path / name).touch()
    with replaced_file(tmp_path / "a[1].json") as draft:
        draft.write_text("whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*others, "a[1].json"])


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(VideoError, match=r"no folder .*none to write to"), replaced_file(tmp_path / "none/a.json"):
        pass


NUM_THREADS = 4


def at_once(write: Callable[[int, threading.Barrier], None]) -> list[VideoError]:
    """The errors of several threads, each called with its number and a barrier at which it may wait for the others."""
    barrier = threading.Barrier(NUM_THREADS, timeout=10)
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        errors = [future.exception() for future in [pool.submit(write, number, barrier) for number in range(NUM_THREADS)]]
    assert all(error is None or isinstance(error, VideoError) for error in errors), errors
    return [error for error in errors if error is not None]


@pytest.mark.parametrize("make", [new_file, new_folder])
def test_of_threads_that_write_one_name_one_wins_and_the_others_are_told(tmp_path, make: Callable[[Path], AbstractContextManager[Path]]):
    path = tmp_path / "out.txt"

    def write(number: int, barrier: threading.Barrier) -> None:
        with make(path) as draft:
            file = draft / "a.txt" if draft.is_dir() else draft
            file.write_text(str(number))
            barrier.wait()
            assert file.read_text() == str(number)

    errors = at_once(write)
    assert [str(error).startswith(f"{path}: already exists") for error in errors] == [True] * (NUM_THREADS - 1)
    assert list(tmp_path.iterdir()) == [path]


def test_threads_fill_the_working_directory_without_mixing_their_drafts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(number: int, barrier: threading.Barrier) -> None:
        with fill_folder(tmp_path) as draft:
            (draft / f"{number}.txt").touch()
            barrier.wait()
            assert [file.name for file in draft.iterdir()] == [f"{number}.txt"]
            barrier.wait()

    assert at_once(write) == []
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"{number}.txt" for number in range(NUM_THREADS)]


def test_threads_replace_different_files_of_one_folder(tmp_path):
    def write(number: int, barrier: threading.Barrier) -> None:
        for text in ("old", "new"):
            with replaced_file(tmp_path / f"{number}.json") as draft:
                draft.write_text(text)
                barrier.wait()

    assert at_once(write) == []
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {f"{number}.json": "new" for number in range(NUM_THREADS)}
