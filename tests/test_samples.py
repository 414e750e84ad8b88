"""Masks are loaded for the frames that are named and no others; a set answers for its dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from saymask.errors import DataError
from saymask.records import Video
from saymask.samples import (
    PLAIN,
    Benchmark,
    Expression,
    Item,
    LazyItems,
    Sample,
    SampleSet,
    Server,
    in_memory,
    masks_by_id,
    no_objects,
)

IDS_THW = np.array([[[0, 1, 2]], [[1, 0, 2]], [[2, 2, 0]], [[0, 0, 0]]], np.uint8)
VIDEO = Video.from_frames(np.zeros((*IDS_THW.shape, 3), np.uint8), "clip")


class CountingLoader:
    """Remembers which frames were loaded."""

    def __init__(self, load) -> None:
        self.load, self.asked = load, []

    def __call__(self, frame_idx: Sequence[int]):
        self.asked.append(list(frame_idx))
        return self.load(frame_idx)


def sample(*obj_ids: int, **more) -> Sample:
    return Sample(VIDEO, Expression("0", "it", obj_ids), **{"load_masks": masks_by_id(IDS_THW, obj_ids), **more})


def test_masks_come_in_the_order_of_the_frames_that_are_named():
    one = sample(2, 1)
    assert one.masks([2, 0]).tolist() == [[[True, True, False]], [[False, True, True]]]
    assert one.instances([2, 0]).tolist() == [
        [[[True, True, False]], [[False, False, True]]],
        [[[False, False, False]], [[False, True, False]]],
    ]
    assert np.array_equal(one.masks(np.array([3, 1])), one.masks_THW[[3, 1]])
    assert np.array_equal(one.instances_NTHW.any(axis=0), one.masks_THW)
    assert one.masks([]).shape == (0, 1, 3)


def test_each_distinct_frame_is_loaded_once_and_no_other():
    loader = CountingLoader(masks_by_id(IDS_THW, (1,)))
    masks_KHW = sample(1, load_masks=loader).masks([3, 1, 3, 0, 1])
    assert loader.asked == [[0, 1, 3]]
    assert np.array_equal(masks_KHW, (IDS_THW == 1)[[3, 1, 3, 0, 1]])


def test_an_expression_without_objects_has_empty_masks_and_no_instances():
    nothing = sample(load_masks=no_objects(VIDEO))
    assert nothing.masks([1, 1]).shape == (2, 1, 3) and not nothing.masks_THW.any()
    assert nothing.instances([0]).shape == (0, 1, 1, 3)


def test_what_does_not_count_and_what_else_is_there_are_loaded_by_frame_too():
    assert sample(1).ignore([0]) is None and sample(1).ignore_THW is None
    known = sample(1, load_ignore=in_memory(IDS_THW == 2), load_regions=in_memory(IDS_THW))
    assert known.ignore([2, 0]).tolist() == [[[True, True, False]], [[False, False, True]]]
    assert known.regions([1]).tolist() == [[[1, 0, 2]]] and known.regions([1]).dtype == np.uint8
    with pytest.raises(DataError, match=r"^clip/0: the dataset does not outline everything"):
        sample(1).regions([1])


@pytest.mark.parametrize("outside", [4, -1])
def test_a_frame_outside_the_video_is_refused(outside):
    with pytest.raises(IndexError, match=rf"^frame {outside} of clip/0: it has frames 0 to 3$"):
        sample(1).masks([0, outside])


@pytest.mark.parametrize("wrong", [np.zeros((4, 2, 1, 3), bool), np.zeros((4, 1, 1, 2), bool), np.zeros((4, 1, 1, 3), np.uint8)])
def test_masks_of_another_form_are_a_mistake_of_the_loader(wrong):
    with pytest.raises(ValueError, match=r"^clip/0: masks .* expected bool \(1, 1, 3\)$"):
        sample(1, load_masks=in_memory(wrong)).masks([0])


class Numbers(SampleSet):
    """Samples 0 to 9, each a video of its own."""

    def __init__(self, left_out: Sequence[str] = (), text: str = "number") -> None:
        super().__init__(PLAIN, left_out)
        self._items = LazyItems(10, lambda index: Item(f"v{index}", Expression("0", f"{text} {index}", (1,))))

    @property
    def items(self) -> Sequence[Item]:
        return self._items

    def read(self, item: Item) -> Sample:
        return Sample(VIDEO, item.expression, masks_by_id(IDS_THW, (1,)))

    def texts(self) -> list[str]:
        return ["number"]


def test_lines_of_an_index_are_made_when_they_are_asked_for_and_once():
    made = []
    items = LazyItems(10**9, lambda index: made.append(index) or Item(str(index), Expression("0", "it", ())))
    assert [items[index].video_name for index in (7, 0, 7)] == ["7", "0", "7"] and made == [7, 0]
    assert len(items) == 10**9
    for outside in (10**9, -1):
        with pytest.raises(IndexError):
            items[outside]


def test_samples_are_drawn_as_likely_as_each_other():
    rng = np.random.default_rng(0)
    drawn = [Numbers().draw(rng).expression.text for _ in range(1000)]
    assert {text: drawn.count(text) for text in set(drawn)} == pytest.approx({f"number {n}": 100 for n in range(10)}, abs=35)
    assert Numbers().any_expression(np.random.default_rng(3)) == Numbers().any_expression(np.random.default_rng(3))


def test_the_version_changes_with_whatever_is_asked_or_left_out():
    version = Numbers().version
    assert (version["videos"], version["expressions"], version["left_out"]) == (10, 10, 0)
    assert Numbers().version == version != Numbers(text="figure").version
    assert Numbers(left_out=["v10: no mask"]).version == {**version, "left_out": 1}


def test_a_server_keeps_the_masks_of_its_split():
    kept = Benchmark(server=Server("valid", "", "https://example.org"))
    assert (kept.keeps_masks_of("valid"), kept.keeps_masks_of("train"), PLAIN.keeps_masks_of("valid")) == (True, False, False)
