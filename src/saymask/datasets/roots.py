"""Where a dataset lies on this computer: said by the user, never guessed.

The first of these counts: the folder given (`--root`), the variable SAYMASK_<NAME>, the line of that name in the settings file,
and the variable SAYMASK_DATA, a folder that holds several datasets. The settings file is ~/.config/saymask/datasets.yaml:

    roots:
      mevis: /data/MeViS
      refcoco+: /data/refer_seg
"""

from __future__ import annotations

import os
from pathlib import Path

from saymask.config import Config
from saymask.errors import ConfigError, DataError
from saymask.lookup import DATASETS, suggest

ALL_DATASETS_VARIABLE = "SAYMASK_DATA"


class DataRoots(Config):
    """The settings file: dataset name -> folder (absolute, with ~, or relative to the file)."""

    roots: dict[str, Path]


def dataset_root(dataset: str, given: Path | None = None) -> Path:
    """Return the folder in which to look for a dataset: its own, or one that holds it among others.

    Args:
        dataset: name in `DATASETS`.
        given: what the user gave for this call; it comes before everything else.

    Raises:
        DataError: nobody says where it lies, or there is no such folder.
        ConfigError: the settings file cannot be read, or names a dataset that does not exist.
    """
    for said_by, folder in _said(dataset, given):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder, but {said_by} names it as the place of {dataset}; correct the path")
        return folder
    raise DataError(f"nothing says where {dataset} lies; {how_to_say(dataset)}")


def how_to_say(dataset: str) -> str:
    """The remedy of an error message: the ways to name a dataset's folder."""
    places = f"on the command line, in {root_variable(dataset)} or in {settings_file()}"
    return f"give its folder {places}, or a folder of several datasets in {ALL_DATASETS_VARIABLE}"


def root_variable(dataset: str) -> str:
    """Environment variable with the folder of one dataset: "refcoco+" -> SAYMASK_REFCOCO_PLUS."""
    return "SAYMASK_" + dataset.upper().replace("-", "_").replace("+", "_PLUS")


def settings_file() -> Path:
    """Path of the settings file, whether it exists or not."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "saymask" / "datasets.yaml"


def _said(dataset: str, given: Path | None) -> list[tuple[str, Path]]:
    """Everyone who names a folder, with the folder; the first one counts."""
    variable, file = root_variable(dataset), settings_file()
    in_file = _roots_of(file).get(dataset)
    said = [
        ("the command", given),
        (variable, _from_environment(variable)),
        (str(file), in_file and file.parent / in_file.expanduser()),
        (ALL_DATASETS_VARIABLE, _from_environment(ALL_DATASETS_VARIABLE)),
    ]
    return [(who, folder.expanduser()) for who, folder in said if folder is not None]


def _from_environment(variable: str) -> Path | None:
    return Path(os.environ[variable]) if os.environ.get(variable) else None


def _roots_of(file: Path) -> dict[str, Path]:
    """What the settings file says; nothing if there is none."""
    if not file.is_file():
        return {}
    roots = DataRoots.load(file).roots
    unknown = [name for name in roots if name not in DATASETS]
    if unknown:
        raise ConfigError(f"{file}: unknown dataset {unknown[0]!r}; {suggest(unknown[0], DATASETS)}")
    return roots
