"""Golden arrays that remember which of them a test has read, so that it can say at its end that none was left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parents[1] / "golden"


class GoldenArrays(Mapping[str, np.ndarray]):
    """The arrays of an npz file by name."""

    def __init__(self, file: Path):
        self._arrays = np.load(file)
        self._read: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        array = self._arrays[name]
        self._read.add(name)
        return array

    def __contains__(self, name: object) -> bool:
        return name in self._arrays.files

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays.files)

    def __len__(self) -> int:
        return len(self._arrays.files)

    @property
    def unread(self) -> set[str]:
        return set(self._arrays.files) - self._read

    def meta(self) -> dict[str, Any]:
        """What an XMem file says of itself: UTF-8 JSON, stored as bytes."""
        return json.loads(bytes(self["meta_json"]))
