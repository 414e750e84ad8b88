from pathlib import Path

import pytest

from saymask.storage.model_folder import replaced_folder


def write(folder: Path, text: str) -> None:
    with replaced_folder(folder) as draft:
        (draft / text).touch()


def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path: Path):
    write(tmp_path / "runs" / "model", "old")
    write(tmp_path / "runs" / "model", "new")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["runs", "runs/model", "runs/model/new"]


def test_an_interrupted_save_leaves_the_old_folder(tmp_path: Path):
    write(tmp_path / "model", "old")
    with pytest.raises(KeyboardInterrupt), replaced_folder(tmp_path / "model") as draft:
        (draft / "half").touch()
        raise KeyboardInterrupt
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["model", "model/old"]


def test_what_a_killed_save_retired_is_kept_until_the_next_one_is_complete(tmp_path: Path):
    retired, leftover = tmp_path / ".model.retired", tmp_path / ".model.partial"
    retired.mkdir()
    leftover.mkdir()
    (leftover / "half").touch()
    with replaced_folder(tmp_path / "model") as draft:
        assert list(draft.iterdir()) == []
        assert retired.exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def test_files_are_as_readable_as_any_other(tmp_path):
    (tmp_path / "plain").touch()
    with replaced_folder(tmp_path / "model") as draft:
        (draft / "weights").touch(mode=0o600)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["weights"]
    assert (tmp_path / "model/weights").stat().st_mode == (tmp_path / "plain").stat().st_mode
