"""Where a dataset lies is said by the user, in a fixed order of places; every mistake in saying so is named."""

from pathlib import Path

import pytest

from saymask.datasets.roots import dataset_root, root_variable, settings_file
from saymask.errors import ConfigError, DataError


@pytest.fixture(autouse=True)
def nobody_says_anything(monkeypatch, tmp_path):
    """No variable of the machine that runs the test, and a settings file that does not exist yet."""
    for variable in ("SAYMASK_DATA", "SAYMASK_MEVIS", "SAYMASK_REFCOCO_PLUS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


def write_settings(text: str) -> None:
    settings_file().parent.mkdir(parents=True)
    settings_file().write_text(text)


def test_the_most_specific_place_counts(monkeypatch, tmp_path):
    all_datasets, in_file = folder(tmp_path / "all"), folder(tmp_path / "in-file")
    own, given = folder(tmp_path / "own"), folder(tmp_path / "given")
    monkeypatch.setenv("SAYMASK_DATA", str(all_datasets))
    assert dataset_root("mevis") == all_datasets
    write_settings(f"roots:\n  mevis: {in_file}\n")
    assert dataset_root("mevis") == in_file
    assert dataset_root("revos") == all_datasets
    monkeypatch.setenv("SAYMASK_MEVIS", str(own))
    assert dataset_root("mevis") == own
    assert dataset_root("mevis", given) == given


def test_a_relative_folder_in_the_settings_is_relative_to_them():
    write_settings("roots: {refcoco+: refer_seg}")
    expected = folder(settings_file().parent / "refer_seg")
    assert dataset_root("refcoco+") == expected


def test_the_home_folder_may_be_written_short(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = folder(tmp_path / "data")
    assert dataset_root("mevis", Path("~/data")) == expected
    write_settings("roots: {mevis: ~/data}")
    assert dataset_root("mevis") == expected


def test_a_variable_can_be_set_for_every_name():
    assert [root_variable(name) for name in ("mevis", "ref-davis17", "refcoco+")] == [
        "SAYMASK_MEVIS",
        "SAYMASK_REF_DAVIS17",
        "SAYMASK_REFCOCO_PLUS",
    ]


def test_an_unsaid_place_lists_the_ways_to_say_it():
    expected = r"^nothing says where mevis lies; give its folder on the command line, in SAYMASK_MEVIS or in .*\.yaml"
    with pytest.raises(DataError, match=expected):
        dataset_root("mevis")


def test_a_place_that_does_not_exist_names_who_said_it(monkeypatch, tmp_path):
    with pytest.raises(DataError, match=r"gone: no such folder, but the command names it as the place of mevis; correct the path$"):
        dataset_root("mevis", tmp_path / "gone")
    monkeypatch.setenv("SAYMASK_DATA", str(tmp_path / "lost"))
    with pytest.raises(DataError, match=r"lost: no such folder, but SAYMASK_DATA names it"):
        dataset_root("mevis")


def test_a_dataset_in_the_settings_must_exist():
    write_settings("roots: {mvis: /data}")
    with pytest.raises(ConfigError, match=r"datasets\.yaml: unknown dataset 'mvis'; did you mean 'mevis'\?"):
        dataset_root("mevis")
