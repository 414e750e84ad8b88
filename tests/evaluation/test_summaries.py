"""Means, groups, intervals and the benchmarks' tables, from entries written down by hand."""

from __future__ import annotations

import pytest

from saymask.evaluation.summaries import summarise_row
from saymask.metrics.protocols import SAYMASK, VIDEOLISA_RELEASE
from saymask.samples import PLAIN, Benchmark

REVOS = Benchmark(groups=("type", "source"), table="revos")


def entry(name: str, j: float, f: float, has_target: bool = True, tags: dict[str, str] | None = None, **more: object) -> dict:
    scores = {"j": j, "f": f, "j_and_f": (j + f) / 2, "answered": has_target}
    return {"name": name, "video": name.rpartition("/")[0], "text": "", "tags": tags or {}, "has_target": has_target} | scores | more


def failure(name: str, **more: object) -> dict:
    unanswered = {key: value for key, value in entry(name, 0.0, 0.0, **more).items() if key != "answered"}
    return unanswered | {"error": "unreadable"}


def test_means_go_over_everything_that_was_expected():
    row = summarise_row([entry("a/0", 0.9, 0.6), entry("a/1", 0.6, 0.6), failure("b/0")], PLAIN)
    assert (row["expected"], row["found"], row["failed"]) == (3, 2, [{"name": "b/0", "reason": "unreadable"}])
    means = {measure: row["overall"][measure] for measure in ("expressions", "j", "f", "j_and_f")}
    assert means == pytest.approx({"expressions": 3, "j": 0.5, "f": 0.4, "j_and_f": 0.45})
    assert len(row["expressions"]) == 3


def test_a_protocol_may_leave_out_what_is_missing():
    row = summarise_row([entry("a/0", 0.9, 0.6), failure("b/0")], PLAIN, VIDEOLISA_RELEASE)
    assert (row["overall"]["expressions"], row["overall"]["j"], row["expected"]) == (1, 0.9, 2)
    nothing = summarise_row([failure("b/0", tags={"type": "referring", "source": "UVO"})], REVOS, VIDEOLISA_RELEASE)
    assert (nothing["overall"], nothing["expected"], nothing["found"]) == ({"expressions": 0}, 1, 0)
    assert "benchmark" not in nothing and "types" not in nothing


def test_expressions_are_grouped_by_what_they_have_in_common():
    tags = [{"family": family, "length": length} for family, length in (("colour", "long"), ("colour", "short"), ("motion", "long"))]
    entries = [entry(f"a/{n}", j, j, tags=tags[n]) for n, j in enumerate((0.2, 0.4, 0.9))]
    row = summarise_row(entries, Benchmark(groups=("family", "length")))
    assert {value: means["j_and_f"] for value, means in row["families"].items()} == pytest.approx({"colour": 0.3, "motion": 0.9})
    assert {value: means["expressions"] for value, means in row["lengths"].items()} == {"long": 2, "short": 1}
    assert "sources" not in row and "types" not in row and "benchmark" not in row
    assert "families" not in summarise_row(entries, PLAIN)


def test_silence_is_counted_where_nothing_is_meant_and_a_failure_is_wrong_either_way():
    entries = [
        entry("a/0", 1.0, 1.0, has_target=False),
        entry("a/1", 0.0, 0.0, has_target=False, answered=True),
        failure("a/2", has_target=False),
        failure("b/0"),
        entry("b/1", 0.5, 0.5),
    ]
    overall = summarise_row(entries, PLAIN)["overall"]
    assert (overall["n_acc"], overall["t_acc"]) == (pytest.approx(1 / 3), 1 / 2)
    assert "n_acc" not in summarise_row(entries[3:], PLAIN)["overall"] and "t_acc" not in summarise_row(entries[3:], PLAIN)["overall"]


def test_images_have_giou_and_ciou():
    """IoU 50/100, 10/300 and none for a failed one of 100 pixels: gIoU their mean, cIoU 60/500."""
    entries = [
        entry("a/0", 0.5, 0.5, intersection=50, union=100),
        entry("b/0", 0.1, 0.1, intersection=10, union=300),
        failure("c/0", intersection=0, union=100),
    ]
    row = summarise_row(entries, PLAIN)
    assert row["overall"]["giou"] == pytest.approx((50 / 100 + 10 / 300) / 3)
    assert row["overall"]["ciou"] == pytest.approx(60 / 500)
    low, high = row["overall"]["giou_interval"]
    assert 0.0 <= low < row["overall"]["giou"] < high <= 0.5
    assert "giou" not in summarise_row([*entries, entry("v/0", 0.5, 0.5)], PLAIN)["overall"]


def test_instances_are_averaged_over_the_expressions_that_have_several():
    entries = [entry("a/0", 1.0, 1.0), entry("a/1", 1.0, 1.0, instance_j_and_f=0.4), failure("b/0", instance_j_and_f=0.0)]
    row = summarise_row(entries, PLAIN)
    assert row["overall"]["instance_j_and_f"] == pytest.approx(0.2)


def test_the_interval_draws_whole_videos():
    """Two videos of J&F 0 and 1: a draw has 0, 1/2 or 1. One video alone says nothing about others."""
    two = summarise_row([entry(f"{video}/{n}", j, j) for video, j in (("a", 0.0), ("b", 1.0)) for n in range(50)], PLAIN)
    assert two["overall"]["j_and_f_interval"] == [0.0, 1.0]
    assert summarise_row([entry(f"a/{n}", n % 2, n % 2) for n in range(50)], PLAIN)["overall"]["j_and_f_interval"] is None


def test_the_whole_of_revos_is_the_mean_of_two_types():
    shares = {"referring": (0.2, 0.4), "reasoning": (0.9,), "hallucination": (1.0,)}
    entries = [
        entry(f"a/{kind}{n}", j, j, has_target=kind != "hallucination", tags={"type": kind, "source": "UVO"})
        for kind, js in shares.items()
        for n, j in enumerate(js)
    ]
    row = summarise_row(entries, REVOS, SAYMASK)
    assert list(row["types"]) == ["referring", "reasoning", "hallucination"]
    assert row["benchmark"]["overall"]["j_and_f"] == pytest.approx((0.3 + 0.9) / 2)
    assert row["overall"]["j_and_f"] == pytest.approx((0.2 + 0.4 + 0.9 + 1.0) / 4)
