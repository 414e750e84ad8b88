"""A family that finds colours."""

import pytest
from colour_family import ColourSegmenter

from saymask import lookup


@pytest.fixture(autouse=True)
def _colour_family(monkeypatch):
    monkeypatch.setitem(lookup.FAMILIES, "colour", "colour_family:FAMILY")


@pytest.fixture
def colours() -> ColourSegmenter:
    return ColourSegmenter()
