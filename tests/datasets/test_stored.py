"""An index opens nothing until it is asked to, and refuses ids that would make two samples one or leave their folder."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from saymask.datasets.stored import LazySamples, VideoFirst
from saymask.errors import DataError
from saymask.records import Video
from saymask.samples import PLAIN, Expression, Item, Sample, no_objects

SOURCE = Path("meta.json")


def item(video: str, exp_id: str) -> Item:
    return Item(video, Expression(exp_id, f"{exp_id} in {video}", (1,)))


def open_item(item: Item) -> Sample:
    video = Video.from_frames(np.zeros((1, 2, 3, 3), np.uint8), item.video_name)
    return Sample(video, item.expression, no_objects(video))


def test_only_what_is_asked_for_is_opened():
    opened = []
    samples = LazySamples(
        SOURCE, [item("a", "0"), item("a", "1"), item("b/c", "0")], lambda item: opened.append(item) or open_item(item), PLAIN
    )
    assert (len(samples), opened) == (3, [])
    assert samples[2].expression.text == "0 in b/c"
    assert opened == [samples.items[2]]
    assert [sample.video.name for sample in samples] == ["a", "a", "b/c"]
    for index in (3, -1):
        with pytest.raises(IndexError, match=f"sample {index}: there are 3"):
            samples[index]


def test_two_samples_of_one_name_are_refused():
    with pytest.raises(DataError, match=r"^meta\.json: two expressions are called a/1; remove one"):
        LazySamples(SOURCE, [item("a", "1"), item("a", "2"), item("a", "1")], open_item, PLAIN)


@pytest.mark.parametrize("video", ["../a", "/a", "a/../../b", "a//b", "a/", "a\\b", "./a"])
def test_an_id_that_would_leave_its_folder_is_refused(video):
    with pytest.raises(DataError, match=r"cannot name a sample: ids become folder names"):
        LazySamples(SOURCE, [item(video, "0")], open_item, PLAIN)


def test_nothing_is_no_dataset():
    with pytest.raises(DataError, match=r"^meta\.json: lists no expressions; download it again$"):
        LazySamples(SOURCE, [], open_item, PLAIN)


def test_a_video_of_which_much_is_said_is_drawn_as_often_as_another():
    samples = VideoFirst(SOURCE, [item("a", "0"), *(item("b", str(n)) for n in range(9))], open_item, PLAIN)
    rng = np.random.default_rng(0)
    drawn = [samples.draw(rng) for _ in range(1000)]
    assert Counter(sample.video.name for sample in drawn)["a"] == pytest.approx(500, abs=50)
    assert {sample.expression.exp_id for sample in drawn if sample.video.name == "b"} == set("012345678")


def test_a_drawn_sample_is_reworded_and_the_index_is_not():
    def shout(item: Item, rng: np.random.Generator) -> Item:
        return replace(item, expression=replace(item.expression, text=item.expression.text.upper()))

    samples = VideoFirst(SOURCE, [item("a", "0")], open_item, PLAIN, reword=shout)
    assert samples.draw(np.random.default_rng(0)).expression.text == "0 IN A"
    assert samples[0].expression.text == "0 in a"


def test_the_sentences_of_a_video_are_known_without_opening_it():
    samples = LazySamples(SOURCE, [item("a", "0"), item("b", "0"), item("a", "1")], lambda item: pytest.fail("opened"), PLAIN)
    assert samples.sentences("a") == {"0 in a", "1 in a"}
    assert samples.sentences("z") == set()
    assert samples.video_names == ["a", "b"]


def test_a_video_is_looked_at_once_for_each_of_its_targets():
    of_target = {"0": (1,), "1": (2,), "2": (1,), "3": ()}
    items = [Item("a", Expression(exp_id, exp_id, obj_ids)) for exp_id, obj_ids in of_target.items()]
    samples = LazySamples(SOURCE, [*items, item("b", "0")], open_item, PLAIN)
    assert [sample.expression.exp_id for sample in samples.targets("a")] == ["0", "1", "3"]
