"""Results of an earlier `saymask bench`, such as of another revision, beside those of now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saymask.errors import ConfigError
from saymask.storage.json_files import read_json_object

_REMEDY = "give a file that `saymask bench -o` wrote"
_SAME = ("model", "source", "video")
"""What must be the same, or seconds say nothing about each other."""


def read_baseline(path: Path) -> dict[str, Any]:
    """Read an earlier result.

    Raises:
        ConfigError: the file is absent, damaged or of another kind.
    """
    earlier = read_json_object(path, ConfigError, _REMEDY)
    rows = earlier.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "queries" in row for row in rows):
        raise ConfigError(f"{path}: no result of saymask bench; {_REMEDY}")
    return earlier


def beside(results: Mapping[str, Any], earlier: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The results with `baseline`, which says how many times as fast as the earlier session ours is, by number of queries.

    Args:
        results: of now, from `compare`, with `source`.
        earlier: from `read_baseline`.
        path: where it was read from.

    Raises:
        ConfigError: the earlier result is of another model or video, or of none of these numbers of queries.
    """
    for name in _SAME:
        if results[name] != earlier.get(name):
            raise ConfigError(f"--baseline {path}: its {name} is {earlier.get(name)!r}, now it is {results[name]!r}; measure the same")
    before = {row["queries"]: row["ours"]["seconds"] for row in earlier["rows"] if "ours" in row}
    times = {row["queries"]: before[row["queries"]] / row["ours"]["seconds"] for row in results["rows"] if row["queries"] in before}
    if not times:
        raise ConfigError(f"--baseline {path}: it has a session with {sorted(before)} queries; give one of these to --queries")
    return {**results, "baseline": {"environment": earlier.get("environment", {}), "times_as_fast": times}}


def as_text(results: Mapping[str, Any]) -> str:
    """A line per number of queries."""
    environment = results["baseline"]["environment"]
    about = ", ".join(f"{name} {environment[name]}" for name in ("saymask", "dtype", "device_name") if name in environment)
    return "\n".join(
        f"queries {queries}: {times:.2f} times as fast as the baseline ({about})"
        for queries, times in results["baseline"]["times_as_fast"].items()
    )
