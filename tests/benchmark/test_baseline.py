"""A result of an earlier revision beside one of now: seconds are compared where the same was measured, and only there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saymask.benchmark.baseline import as_text, beside, read_baseline
from saymask.errors import ConfigError

PATH = Path("earlier.json")


def measured(seconds: dict[int, float], source: str = "moving noise", dtype: str = "bfloat16") -> dict:
    rows = [{"queries": queries, "ours": {"seconds": spent}} for queries, spent in seconds.items()]
    video = {"frames": 2, "height": 32, "width": 32}
    return {"model": "toy", "source": source, "video": video, "environment": {"dtype": dtype}, "rows": rows}


def test_sessions_are_compared_by_number_of_queries():
    results = beside(measured({1: 2.0, 16: 8.0}), measured({1: 3.0, 4: 1.0}), PATH)
    assert results["baseline"]["times_as_fast"] == {1: 1.5}
    assert "1.50 times" in as_text(results) and "bfloat16" in as_text(results)


@pytest.mark.parametrize(("earlier", "facts"), [(measured({1: 3.0}, source="dog.mp4"), "dog.mp4"), (measured({4: 3.0}), "4")])
def test_what_was_measured_otherwise_is_not_compared(earlier, facts):
    with pytest.raises(ConfigError) as error:
        beside(measured({1: 2.0}), earlier, PATH)
    assert str(PATH) in str(error.value) and facts in str(error.value)


@pytest.mark.parametrize("content", ["[]", "{}", '{"rows": [1]}', "{"])
def test_a_file_of_another_kind_is_named(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ConfigError, match=r"a\.json"):
        read_baseline(tmp_path / "a.json")


def test_what_bench_wrote_is_read(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(measured({1: 2.0})))
    assert read_baseline(tmp_path / "a.json") == measured({1: 2.0})
