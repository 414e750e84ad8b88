"""The toy world's data: that nobody changes it unnoticed, samples, batches, splits. What the exam promises is in `test_exam.py`."""

import hashlib
import re
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from saymask.errors import DataError
from saymask.toyworld.casting import HELD_OUT
from saymask.toyworld.dataset import (
    COLOURS,
    FAMILIES,
    KINDS,
    TIMELINE,
    WORLD_VERSION,
    corpus,
    draw_batch,
    draw_scenes,
    lexicon,
    load_toyworld,
)

EVEN_MIX = dict.fromkeys(FAMILIES, 1.0)


def test_this_version_is_frozen():
    digest = hashlib.sha256()
    world = load_toyworld(None, "test")
    for i in range(0, 400, 21):
        sample = world[i]
        digest.update(sample.expression.text.encode())
        digest.update(sample.video.frames(range(TIMELINE)).tobytes())
        digest.update(sample.masks_THW.tobytes())
    assert i == 399
    assert (WORLD_VERSION, digest.hexdigest()) == (1, "b4115accd793bdf315f1dd9028aca05d604555fd00baa1a3878eafc43970112e")


def test_a_sample_holds_the_video_the_sentence_and_the_union_of_its_things():
    sample = load_toyworld(None, "test")[6]
    assert sample.expression.tags == {"family": "plural"}
    assert len(sample.expression.obj_ids) >= 2
    assert (sample.video.num_frames, sample.video.height, sample.video.width) == (24, 128, 128)
    assert sample.video.tags == {"comment": "saymask-toyworld"}
    union = np.logical_or.reduce([sample.regions(range(TIMELINE)) == obj_id for obj_id in sample.expression.obj_ids])
    assert union.any()
    np.testing.assert_array_equal(sample.masks_THW, union)


def skeleton(text: str) -> str:
    """A text without its colours and kinds: the pattern."""
    text = re.sub(rf"\b({'|'.join(COLOURS)})\b", "COLOUR", text)
    return re.sub(rf"\b({'|'.join(KINDS)})s?\b", "KIND", text)


@pytest.mark.slow
def test_novel_questions_are_about_new_pairs_in_new_patterns_of_known_words():
    world = load_toyworld(None, "test-novel")
    trained = {skeleton(text) for text in corpus(1600)}
    known = set(lexicon())
    assert len(world) == 200 and len(HELD_OUT) == 13 and {kind for _, kind in HELD_OUT} == set(KINDS)
    for i in range(len(world)):
        scene = world.scene(i)
        assert skeleton(scene.text) not in trained, scene.text
        assert set(re.findall("[a-z]+", scene.text.lower())) <= known, scene.text
        asked = [scene.things[j].pair for j in scene.meant] or [(scene.query.colour, scene.query.kind)]
        assert HELD_OUT & set(asked), scene.text


def test_training_never_shows_or_names_a_held_out_pair():
    for scene in draw_scenes(0, 0, 0, 200, EVEN_MIX):
        assert not HELD_OUT & {thing.pair for thing in scene.things}
        assert (scene.query.colour, scene.query.kind) not in HELD_OUT


def test_a_batch_is_a_pure_function_of_its_arguments():
    def draw(*place: int) -> list[tuple[str, bytes, bytes]]:
        samples = draw_batch(*place, 6, EVEN_MIX, 64, np.array([1, 9, 20]))
        return [(s.expression.text, s.video.frames([0, 1, 2]).tobytes(), s.masks_THW.tobytes()) for s in samples]

    first = draw(3, 5, 0)
    assert draw(3, 5, 0) == first
    seen = {frames for _, frames, _ in first}
    for other in ((4, 5, 0), (3, 6, 0), (3, 5, 1)):
        assert not seen & {frames for _, frames, _ in draw(*other)}


def test_a_batch_holds_just_the_frames_asked_for_of_the_same_scenes():
    whole = draw_batch(0, 0, 0, 4, EVEN_MIX, 64)
    some = draw_batch(0, 0, 0, 4, EVEN_MIX, 64, np.array([2, 3, 17]))
    for long, short in zip(whole, some, strict=True):
        assert (long.video.num_frames, short.video.num_frames) == (24, 3)
        np.testing.assert_array_equal(short.video.frames([0, 1, 2]), long.video.frames([2, 3, 17]))
        np.testing.assert_array_equal(short.masks_THW, long.masks_THW[[2, 3, 17]])


def test_the_mix_sets_how_often_a_family_is_asked():
    asked = Counter(
        scene.query.family for step in range(4) for scene in draw_scenes(0, step, 0, 100, {"attribute": 3, "absent": 1, "plural": 0})
    )
    assert set(asked) == {"attribute", "absent"}
    assert 0.68 <= asked["attribute"] / 400 <= 0.82


def test_splits_share_no_scene():
    texts = {split: [load_toyworld(None, split).scene(i) for i in range(40)] for split in ("train", "val", "test", "test-novel")}
    paths = {split: {scene.things[0].xy_T2.tobytes() + scene.text.encode() for scene in scenes} for split, scenes in texts.items()}
    assert len(set.union(*paths.values())) == sum(map(len, paths.values())) == 160


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_toyworld(None, "valid"), "toyworld has no split 'valid'; use one of: train, val, test, test-novel"),
        (
            lambda: draw_scenes(0, 0, 0, 1, {"colour": 1.0}),
            "toyworld has no family 'colour'; use: attribute, spatial, motion, event, compare, knowledge, plural, absent, pair, crossing, "
            "meeting",
        ),
        (lambda: draw_scenes(0, 0, 0, 1, {"event": 0.0}), "family weights must be 0 or more and not all 0, got {'event': 0.0}"),
        (lambda: draw_scenes(0, 0, 0, 1, {}), "family weights must be 0 or more and not all 0, got {}"),
    ],
)
def test_what_does_not_exist_is_named(call, message):
    with pytest.raises(DataError) as error:
        call()
    assert str(error.value) == message


def test_an_index_outside_the_split():
    with pytest.raises(IndexError, match="sample 400 of toyworld test: it has 400"):
        load_toyworld(None, "test")[400]


def test_it_needs_no_media_library():
    probe = "import sys, saymask.toyworld.dataset; print(*{'av', 'PIL', 'pycocotools', 'transformers', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
