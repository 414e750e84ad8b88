"""A dataset is found under the names in circulation, and what is missing is named with the tree that was expected."""

import pytest

from saymask.datasets.layout import Layout
from saymask.errors import DataError

LAYOUT = Layout("mevis", ("train", "valid"), "{train,valid}/meta.json", (".", "MeViS"))


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_the_first_marker_in_the_first_folder_is_taken(tmp_path):
    second_name_nested = touch(tmp_path / "MeViS" / "old.json")
    assert LAYOUT.find(tmp_path, "train", "new.json", "old.json") == second_name_nested
    first_name_nested = touch(tmp_path / "MeViS" / "new.json")
    assert LAYOUT.find(tmp_path, "train", "new.json", "old.json") == first_name_nested
    at_the_root = touch(tmp_path / "old.json")
    assert LAYOUT.find(tmp_path, "train", "new.json", "old.json") == at_the_root


def test_a_missing_marker_shows_the_tree(tmp_path):
    expected = (
        r"train/meta\.json: not found; mevis is laid out as <root>/\{train,valid\}/meta\.json; unpack it like that, or give its folder"
    )
    with pytest.raises(DataError, match=expected):
        LAYOUT.find(tmp_path, "train", "train/meta.json", "train/other.json")


def test_a_split_is_checked_before_the_place(tmp_path):
    with pytest.raises(DataError, match=r"^mevis has no split 'test'; use one of: train, valid$"):
        LAYOUT.find(tmp_path / "gone", "test", "meta.json")


def test_of_several_places_the_first_that_exists_is_taken(tmp_path):
    touch(tmp_path / "b" / "x.jpg")
    touch(tmp_path / "c" / "x.jpg")
    assert LAYOUT.either(tmp_path, "a", "b", "c") == tmp_path / "b"
    with pytest.raises(DataError, match="/a: not found; mevis is laid out as"):
        LAYOUT.either(tmp_path, "a", "d")


def test_require_gives_back_what_is_there(tmp_path):
    assert LAYOUT.require(tmp_path) == tmp_path
    with pytest.raises(DataError, match=r"a\.b: not found; mevis is laid out as"):
        LAYOUT.require(tmp_path / "a.b")
