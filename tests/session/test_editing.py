"""Masks of a file under a user's hands: ids, corrections, propagation either way, undo, and going on from what was saved."""

import re

import numpy as np
import pytest
import torch
from colour_family import ColourSegmenter
from coloured_squares import BLUE, RED, frame, square, video

from saymask.api import load_prompter
from saymask.errors import ConfigError
from saymask.records import Prediction
from saymask.runtime import Runtime
from saymask.session import Editor, VideoSession
from saymask.session.live_query import DRAWN
from saymask.toyworld.dataset import load_toyworld
from saymask.trackers.hold import HoldTracker
from saymask.trackers.loading import load_tracker

T = 6
CPU = Runtime("cpu", "float32")


@pytest.fixture
def editor(colours):
    clip = video(*(frame((RED, 2, 3 * i), (BLUE, 14, 30)) for i in range(T)))
    with VideoSession(clip, colours, HoldTracker()) as session:
        yield Editor(session)


def masks(editor: Editor, query: str, obj_id: int) -> np.ndarray:
    """bool masks_THW of one object."""
    return np.stack([rle.decode() for rle, _ in editor.objects[query, obj_id].found_T])


def test_queries_are_asked_one_after_the_other_and_keep_their_ids(editor):
    assert editor.add_query("blue") == (1,)
    streamed = list(editor.ask("red blue"))
    assert [result.frame_idx for result in streamed] == list(range(T))
    assert list(editor.objects) == [("blue", 1), ("red blue", 1), ("red blue", 2)]
    assert editor.frame(2).boxes[0] == (30, 14, 36, 20)
    assert [result.query for result in editor.prediction().results] == ["blue", "red blue"]
    editor.drop_query("blue")
    assert list(editor.objects) == [("red blue", 1), ("red blue", 2)]
    editor.drop_object("red blue", 1)
    assert editor.frame(0).obj_ids == (2,)
    assert editor.add_mask(0, square(0, 0), "red blue") == 3


def test_a_query_that_is_stopped_leaves_all_as_it_was(editor):
    running = editor.ask("red")
    next(running)
    running.close()
    assert editor.objects == {}
    assert editor.add_query("red") == (1,)


@pytest.mark.parametrize(
    ("direction", "num_frames", "moved"),
    [
        ("forwards", None, [3, 4, 5]),
        ("backwards", None, [1, 0]),
        ("both", None, [3, 4, 5, 1, 0]),
        ("both", 1, [3, 1]),
        ("forwards", 2, [3, 4]),
    ],
)
def test_a_correction_is_carried_where_it_is_told_to(editor, direction, num_frames, moved):
    editor.add_query("red")
    before = masks(editor, "red", 1)
    editor.add_mask(2, square(10, 20), "red", 1)
    assert np.array_equal(masks(editor, "red", 1)[[0, 1, 3, 4, 5]], before[[0, 1, 3, 4, 5]]), "only its own frame, until it is carried"
    results = list(editor.propagate(2, direction, num_frames))
    assert [result.frame_idx for result in results] == moved
    for frame_idx in range(T):
        expected = square(10, 20) if frame_idx in (2, *moved) else before[frame_idx]
        assert np.array_equal(masks(editor, "red", 1)[frame_idx], expected)


def test_a_later_reference_counts_from_its_frame_on(editor):
    editor.add_mask(0, square(0, 0))
    editor.add_mask(3, square(5, 5), DRAWN, 1)
    list(editor.propagate(0, "forwards"))
    assert [int(np.nonzero(mask_HW)[0][0]) for mask_HW in masks(editor, DRAWN, 1)] == [0, 0, 0, 5, 5, 5]


def test_only_what_was_given_on_the_frame_moves(editor):
    editor.add_query("red")
    editor.add_mask(1, square(12, 2))
    before = masks(editor, "red", 1)
    shown = list(editor.propagate(1))
    assert shown[0].queries == ("red", DRAWN)
    assert np.array_equal(masks(editor, "red", 1), before)


def test_every_change_can_be_taken_back(editor):
    editor.add_query("red")
    editor.add_mask(2, square(10, 20), "red", 1)
    given = masks(editor, "red", 1)
    list(editor.propagate(2))
    assert not np.array_equal(masks(editor, "red", 1), given)
    assert editor.undo() and np.array_equal(masks(editor, "red", 1), given)
    assert editor.undo() and editor.undo() and editor.objects == {}
    assert not editor.undo()


def test_it_goes_on_from_a_prediction_that_was_saved(editor, tmp_path):
    editor.add_query("red")
    editor.add_mask(2, square(10, 20))
    editor.prediction().save(tmp_path / "out", "json")
    saved = Prediction.load(next((tmp_path / "out").glob("*.json")))
    again = Editor(editor.session, prediction=saved)
    assert list(again.objects) == list(editor.objects)
    assert np.array_equal(masks(again, DRAWN, 1), masks(editor, DRAWN, 1))
    assert again.add_mask(0, square(1, 1)) == 2
    with pytest.raises(ConfigError, match="6 frames of 40 x 24, frames has 1 of 40 x 24"):
        Editor(VideoSession(video(frame()), editor.session.segmenter), prediction=saved)


def test_carrying_equals_the_tracker_alone():
    """One reference, forwards and backwards: the same walk that the whole-clip tracker takes."""
    sample = load_toyworld(None, "test")[1]
    tracker = load_tracker("xmem", CPU)
    truth_HW = sample.masks([12]).reshape(-1, 128, 128).any(0)
    with VideoSession(sample.video, ColourSegmenter(), tracker) as session:
        editor = Editor(session)
        editor.add_mask(12, truth_HW)
        list(editor.propagate(12, num_frames=4))
        found_T = editor.objects[DRAWN, 1].found_T
    for result in tracker.propagate(sample.video, {12: torch.from_numpy(truth_HW)[None]}):
        if abs(result.frame_idx - 12) in range(1, 5):
            assert np.array_equal(found_T[result.frame_idx][0].decode(), result.masks_NHW[0].numpy()), result.frame_idx


def test_clicks_on_one_object_and_frame_count_together(editor):
    sample = load_toyworld(None, "test")[1]
    with VideoSession(sample.video, editor.session.segmenter, HoldTracker()) as session:
        pointed = Editor(session, load_prompter("toy-prompter", device="cpu", dtype="float32"))
        ids_HW = sample.regions([5])[0]
        thing = int(np.bincount(ids_HW.flatten())[1:].argmax()) + 1
        rows, columns = np.nonzero(ids_HW == thing)
        middle = len(rows) // 2
        obj_id = pointed.add_click(5, int(columns[middle]), int(rows[middle]))
        once = pointed.frame(5).masks_NHW[0]
        iou = np.count_nonzero(once & (ids_HW == thing)) / np.count_nonzero(once | (ids_HW == thing))
        assert iou > 0.6
        assert pointed.add_click(5, 2, 2, adds=False, obj_id=obj_id) == obj_id
        assert not pointed.frame(5).masks_NHW[0][2, 2]
        assert 5 in pointed.objects[DRAWN, obj_id].references


@pytest.mark.parametrize(
    ("act", "facts"),
    [
        (lambda editor: editor.add_query("red"), "'red' is there already"),
        (lambda editor: editor.ask("red"), "'red' is there already"),
        (lambda editor: editor.drop_query("rde"), "'rde' is not there; there are: 'red'"),
        (lambda editor: editor.drop_object("red", 7), "no object 7; there are: 1 of 'red'"),
        (lambda editor: editor.add_mask(T, square(0, 0)), "no frame 6; it has frames 0 to 5"),
        (lambda editor: editor.add_mask(0, square(0, 0), "blue"), "'blue' is not there"),
        (lambda editor: editor.add_mask(0, square(0, 0), "red", 9), "no object 9"),
        (lambda editor: editor.add_box(0, (1, 1, 5, 5)), "prompter='toy-prompter'"),
        (lambda editor: editor.propagate(0), "nothing was given on frame 0"),
        (lambda editor: editor.propagate(0, "sideways"), "'sideways'"),
        (lambda editor: editor.frame(-1), "no frame -1"),
    ],
)
def test_mistakes_are_named(editor, act, facts):
    editor.add_query("red")
    with pytest.raises(ConfigError, match=re.escape(facts)):
        act(editor)


def test_carrying_needs_a_tracker(colours):
    with VideoSession(video(frame((RED, 0, 0))), colours) as session:
        editor = Editor(session)
        editor.add_mask(0, square(0, 0))
        with pytest.raises(ConfigError, match=r"tracker='xmem\+\+'"):
            editor.propagate(0)
