"""The exam of several things: what its scenes promise, and that nobody changes it unnoticed."""

import hashlib

import pytest

from saymask.errors import DataError
from saymask.toyworld.dataset import FAMILIES, MULTI_FAMILIES, MULTI_VERSION, TIMELINE, lexicon, load_toyworld_multi
from saymask.toyworld.several import crosses, only_one_pair_crosses


@pytest.fixture(scope="module")
def exam():
    return load_toyworld_multi(None, "test")


def test_this_version_is_frozen(exam):
    digest = hashlib.sha256()
    for i in range(0, 200, 21):
        sample = exam[i]
        digest.update(sample.expression.text.encode())
        digest.update(str([(phrase.text, phrase.obj_ids) for phrase in sample.expression.phrases]).encode())
        digest.update(sample.video.frames(range(TIMELINE)).tobytes())
        digest.update(sample.instances_NTHW.tobytes())
    assert (MULTI_VERSION, digest.hexdigest()) == (1, "883a8d81c566d60038806296fcd1395d2299cf52c67569c2348ddbe4ec220979")


def test_every_question_means_several_things_and_names_each(exam):
    for i in range(0, 200, 3):
        scene, expression = exam.scene(i), exam.items[i].expression
        assert expression.tags["family"] == MULTI_FAMILIES[i % 4] == scene.query.family
        assert len(expression.obj_ids) >= 2
        for phrase in expression.phrases:
            (obj_id,) = phrase.obj_ids
            thing = scene.things[obj_id - 1]
            assert phrase.text == f"the {thing.colour} {thing.kind}"
        if expression.tags["family"] in ("pair", "crossing"):
            places = [expression.text.index(phrase.text) for phrase in expression.phrases]
            assert places == sorted(places)


def test_where_two_cross_nobody_else_touches_anybody(exam):
    for family in ("crossing", "meeting"):
        for i in range(MULTI_FAMILIES.index(family), 200, 16):
            scene = exam.scene(i)
            assert only_one_pair_crosses(scene.things)
            assert crosses(*(scene.things[place] for place in scene.meant))


def test_new_words_are_only_those_of_questions_about_two():
    assert set(lexicon(MULTI_FAMILIES)) - set(lexicon(FAMILIES)) == {"cross", "each", "other", "two"}


def test_an_unknown_split_is_named():
    with pytest.raises(DataError, match=r"'test-novel'.*train, val, test"):
        load_toyworld_multi(None, "test-novel")
