"""A file that is replaced is at every moment the old one or the new one."""

from __future__ import annotations

import pytest

from saymask.errors import VideoError
from saymask.storage.atomic import replaced_file


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
    for name in (".a[1].partial-7.json", ".a[1].partial-8.json", ".a1.partial-7.json", ".a[1].partial-7.txt"):
        (tmp_path / name).touch()
    with replaced_file(tmp_path / "a[1].json") as draft:
        draft.write_text("whole")
    assert sorted(file.name for file in tmp_path.iterdir()) == [".a1.partial-7.json", ".a[1].partial-7.txt", "a[1].json"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(VideoError, match=r"no folder .*none to write to"), replaced_file(tmp_path / "none/a.json"):
        pass
