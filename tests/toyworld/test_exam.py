"""The toy world's exam: what its splits promise, checked on the rendered pixels of all its questions."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

from saymask.toyworld.casting import HELD_OUT
from saymask.toyworld.dataset import (
    COLOURS,
    FAMILIES,
    KINDS,
    TIMELINE,
    lexicon,
    load_toyworld,
    render,
)
from saymask.toyworld.scene import Scene

pytestmark = pytest.mark.slow  # `test_dataset.py` pins all of it by a digest
ALL_FRAMES = np.arange(TIMELINE)
USES = {
    "rain": "umbrella",
    "rains": "umbrella",
    "in the sea": "fish",
    "under water": "fish",
    "lock": "key",
    "sweet": "apple",
    "on a tree": "apple",
    "road": "car",
    "wheels": "car",
    "tea": "cup",
    "drink": "cup",
    "over water": "boat",
    "over the sea": "boat",
    "nails": "hammer",
    "time": "clock",
    "sit": "chair",
    "head": "hat",
    "forest": "tree",
    "roots": "tree",
    "song": "bird",
    "wings": "bird",
}
"""A word of each description -> the kind it describes, written down apart from the code."""


@dataclass
class Exam:
    """One exam question with what its pixels show: visible pixels and centroids of every thing, and what each would show alone."""

    scene: Scene
    visible_NT: np.ndarray
    centre_NT2: np.ndarray
    alone_NT: np.ndarray

    @property
    def whole_NT(self) -> np.ndarray:
        """Frames on which a thing is seen almost whole."""
        areas = np.array([thing.area for thing in self.scene.things])
        return self.visible_NT >= 0.97 * areas[:, None]

    def candidates(self) -> list[int]:
        return [i for i, thing in enumerate(self.scene.things) if self.scene.query.names(thing)]

    def others(self) -> list[int]:
        return [i for i in self.candidates() if i not in self.scene.meant]


def look(scene: Scene) -> Exam:
    num_things = len(scene.things)
    ids_THW = render([scene], ALL_FRAMES)[1][0].numpy().astype(np.int64)
    alone = [replace(scene, things=(thing,)) for thing in scene.things]
    alone_NT = (render(alone, ALL_FRAMES)[1].numpy() > 0).sum((2, 3))
    bins = ids_THW + 8 * ALL_FRAMES[:, None, None]
    y, x = np.broadcast_arrays(np.arange(128)[:, None], np.arange(128))
    counts, sum_x, sum_y = (
        np.bincount(bins.ravel(), None if weight is None else np.broadcast_to(weight, bins.shape).ravel(), 8 * TIMELINE)
        for weight in (None, x, y)
    )
    visible_NT = counts.reshape(TIMELINE, 8)[:, 1 : num_things + 1].T
    centre = np.stack([sum_x, sum_y], -1) / np.maximum(counts, 1)[:, None]
    return Exam(scene, visible_NT, centre.reshape(TIMELINE, 8, 2)[:, 1 : num_things + 1].transpose(1, 0, 2), alone_NT)


@pytest.fixture(scope="module")
def exam() -> list[Exam]:
    world = load_toyworld(None, "test")
    return [look(world.scene(i)) for i in range(len(world))]


def of_family(exam: list[Exam], family: str) -> list[Exam]:
    chosen = [question for question in exam if question.scene.query.family == family]
    assert len(chosen) == 50
    return chosen


def test_families_are_interleaved_and_all_of_them_asked_equally(exam):
    assert [question.scene.query.family for question in exam] == list(FAMILIES) * 50


def test_three_to_seven_things_no_two_alike_and_none_held_out(exam):
    for question in exam:
        pairs = [thing.pair for thing in question.scene.things]
        assert 3 <= len(pairs) <= 7
        assert len(set(pairs)) == len(pairs)
        assert not HELD_OUT & set(pairs)


def test_every_thing_can_be_seen(exam):
    for question in exam:
        assert (question.visible_NT > 0).sum(1).min() >= 4


def test_distractors_share_kind_and_colour_with_the_target(exam):
    unique_kinds = 0
    for question in exam:
        scene = question.scene
        if scene.query.family == "plural":
            continue
        targets = (
            [(scene.query.colour, scene.query.kind)] if scene.query.family == "absent" else [scene.things[i].pair for i in scene.meant]
        )
        rest = [thing for i, thing in enumerate(scene.things) if i not in scene.meant]
        ((colour, kind),) = targets
        assert any(thing.colour == colour for thing in rest)
        if scene.query.by_use and not scene.query.colour:
            unique_kinds += 1  # "the thing that opens a lock": the only key
        else:
            assert any(thing.kind == kind for thing in rest), scene.text
    assert 5 <= unique_kinds <= 25


def test_a_plural_leaves_out_things_that_are_alike_in_the_other_respect(exam):
    for question in of_family(exam, "plural"):
        scene = question.scene
        meant, rest = ([thing for i, thing in enumerate(scene.things) if (i in scene.meant) is wanted] for wanted in (True, False))
        assert len(meant) >= 2
        if scene.query.kind:
            assert {thing.colour for thing in meant} & {thing.colour for thing in rest}
        elif scene.query.colour:
            assert {thing.kind for thing in meant} & {thing.kind for thing in rest}


def test_targets_cover_one_to_eight_percent(exam):
    areas = [question.scene.things[i].area for question in exam for i in question.scene.meant]
    assert min(areas) >= 0.01 * 128 * 128
    assert max(areas) <= 0.08 * 128 * 128
    assert all(question.alone_NT[i].max() <= thing.area for question in exam for i, thing in enumerate(question.scene.things))


def test_shares_of_occluded_and_hidden_targets(exam):
    occluded, hidden, total = 0, 0, 0
    for question in exam:
        meant = list(question.scene.meant)
        if not meant:
            continue
        total += 1
        areas = np.array([question.scene.things[i].area for i in meant])[:, None]
        alone, visible = question.alone_NT[meant], question.visible_NT[meant]
        occluded += ((alone >= 0.5 * areas) & (visible <= 0.5 * alone)).any()
        hidden += ((visible == 0).sum(1) >= TIMELINE // 4).any()
    assert total == 350
    assert occluded / total >= 0.30
    assert hidden / total >= 0.20


def test_nothing_answers_absent_though_kind_and_colour_are_there(exam):
    for question in of_family(exam, "absent"):
        scene = question.scene
        colour, kind = named_pair(scene.text)
        assert scene.meant == ()
        assert (colour, kind) not in {thing.pair for thing in scene.things}
        assert colour in {thing.colour for thing in scene.things}
        assert kind in {thing.kind for thing in scene.things}


def named_pair(text: str) -> tuple[str | None, str | None]:
    """Colour and kind that a text names or describes, read from the text alone."""
    colours = [colour for colour in COLOURS if re.search(rf"\b{colour}\b", text)]
    described = {kind for use, kind in USES.items() if re.search(rf"\b{use}\b", text)}
    kinds = described or {kind for kind in KINDS if re.search(rf"\b{kind}s?\b", text)}
    assert len(colours) <= 1 and len(kinds) <= 1, text
    return (colours or [None])[0], next(iter(kinds), None)


@pytest.mark.parametrize("family", ["attribute", "knowledge", "plural"])
def test_the_words_alone_name_the_answer(exam, family):
    checked = 0
    for question in of_family(exam, family):
        scene = question.scene
        if scene.query.predicate:
            continue
        checked += 1
        colour, kind = named_pair(scene.text)
        named = tuple(i for i, thing in enumerate(scene.things) if colour in (None, thing.colour) and kind in (None, thing.kind))
        assert (colour or kind) and named == scene.meant, scene.text
    assert checked >= 25


def test_spatial_answers_hold_in_the_pixels(exam):
    relations = {
        "above": (1, -1),
        "below": (1, 1),
        "left of": (0, -1),
        "right of": (0, 1),
        "highest": (1, -1),
        "lowest": (1, 1),
        "leftmost": (0, -1),
        "rightmost": (0, 1),
    }
    compared = 0
    for question in of_family(exam, "spatial"):
        query = question.scene.query
        axis, sign = relations[query.predicate]
        (target,) = question.scene.meant
        frames = {"": ALL_FRAMES, "at the start": ALL_FRAMES[:4], "at the end": ALL_FRAMES[-4:]}[query.window]
        references = [i for i, thing in enumerate(question.scene.things) if thing.pair == query.reference] or question.others()
        for reference in references:
            both = frames[(question.whole_NT[target] & question.whole_NT[reference])[frames]]
            ahead = (question.centre_NT2[target, both] - question.centre_NT2[reference, both])[:, axis] * sign
            assert (ahead > 5).all(), question.scene.text
            compared += len(both)
    assert compared > 400


def test_motion_answers_hold_in_the_pixels(exam):
    ways = {"left": (0, -1), "right": (0, 1), "up": (1, -1), "down": (1, 1)}
    compared = 0
    for question in of_family(exam, "motion"):
        motion, (target,) = question.scene.query.predicate, question.scene.meant
        assert question.others(), question.scene.text
        for i in question.candidates():
            path = question.centre_NT2[i, question.whole_NT[i]]
            if len(path) < 4:
                continue
            compared += 1
            if motion in ways:
                axis, sign = ways[motion]
                along = path[:, axis] * sign
                progress = (along - np.minimum.accumulate(along)).max()
                assert progress >= 6 if i == target else progress <= 4, question.scene.text
            elif motion == "still":
                assert bool(np.ptp(path, axis=0).max() <= 0.5) is (i == target), question.scene.text
            else:
                assert (shape_of(question.scene.things[i].xy_T2) == motion) is (i == target), question.scene.text
    assert compared >= 100


def shape_of(xy_T2: np.ndarray) -> str:
    """Name the shape of a path from how often it reverses along each axis."""
    steps = np.diff(xy_T2, axis=0).round(6)
    reversals = [int((np.diff(np.sign(axis[axis != 0])) != 0).sum()) for axis in steps.T]
    moving = [bool(axis.any()) for axis in steps.T]
    if all(moving):
        return "circle" if min(reversals) >= 1 else "zigzag" if max(reversals) >= 2 else "line"
    return {0: "line", 1: "turn"}.get(max(reversals), "bounce")


def test_event_answers_hold_in_the_pixels(exam):
    for question in of_family(exam, "event"):
        query, (target,) = question.scene.query, question.scene.meant
        frames = {}
        for i in question.candidates():
            shown = np.flatnonzero(question.visible_NT[i])
            moving = np.flatnonzero(np.diff(question.scene.things[i].xy_T2, axis=0).any(1))
            frame, happens = {
                "appear": (shown[0], shown[0] > 0),
                "disappear": (shown[-1] + 1, shown[-1] < TIMELINE - 1),
                "stop": (moving[-1] + 1, moving[-1] < TIMELINE - 2) if len(moving) else (0, False),
                "start": (moving[0], moving[0] > 0) if len(moving) else (0, False),
            }[query.predicate]
            if happens:
                frames[i] = int(frame)
        rivals = [frame for i, frame in frames.items() if i != target]
        if query.order == "first":
            assert min(rivals) - frames[target] >= 3, question.scene.text
        elif query.order == "last":
            assert frames[target] - max(rivals) >= 3, question.scene.text
        else:
            assert not rivals and question.others(), question.scene.text


def test_comparisons_hold_by_the_promised_ratio(exam):
    for question in of_family(exam, "compare"):
        query, things, (target,) = question.scene.query, question.scene.things, question.scene.meant
        measure = {}
        for i in question.candidates():
            steps = np.linalg.norm(np.diff(things[i].xy_T2, axis=0), axis=1)
            measure[i] = steps.max() if query.predicate in ("fastest", "slowest") else np.sqrt(things[i].area)
        rivals = [value for i, value in measure.items() if i != target]
        least = 1.5 if query.predicate in ("fastest", "slowest") else 1.35
        small, large = (max(rivals), measure[target]) if query.predicate in ("fastest", "largest") else (measure[target], min(rivals))
        assert large >= least * small - 1e-9, question.scene.text


def test_sentences_are_marked_and_said_in_the_lexicon(exam):
    known = set(lexicon())
    assert 120 <= len(known) <= 200
    for question in exam:
        scene = question.scene
        assert scene.is_sentence is scene.text.endswith((".", "?"))
        assert scene.text[0].isupper() is scene.is_sentence
        assert set(re.findall("[a-z]+", scene.text.lower())) <= known
    assert 0.3 <= np.mean([question.scene.is_sentence for question in exam]) <= 0.7
