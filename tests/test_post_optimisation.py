"""Tracking in the session: from the frames a model is sure of to all others, and corrected by hand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from saymask.errors import ConfigError
from saymask.models.base import Answer, MaskLogits, ObjectAnswer
from saymask.models.family import Family
from saymask.records import Video
from saymask.session import VideoSession
from saymask.trackers.hold import HoldTracker
from saymask.video.transforms import Geometry

T, SIZE = 12, 8
SURE, UNSURE, NOTHING = 4.0, 0.5, -4.0


class ColumnModel:
    """Answers each query with objects that stand in column `frame + n`; how sure it is of a frame is a table of the test."""

    family = Family("columns", segmenter="", options="saymask.models.base:Options")
    name = "columns"
    weights_files = ()

    def __init__(self, sureness=None, objects=1, trusted=(2, 5, 9)):
        self.sureness = sureness or {}
        self.objects = objects
        self.trusted = trusted

    def encode_image(self, frames_THWC):
        return torch.from_numpy(frames_THWC[:, 0, 0, 0].astype(np.float32))[:, None, None, None]

    def reason(self, view, queries, options):
        prompts = torch.arange(self.objects * len(queries)).view(len(queries), self.objects, 1, 1)
        return [
            Answer("there", tuple(ObjectAnswer(prompt_KC=prompt, reference_frames=self.trusted) for prompt in of_query))
            for of_query in prompts
        ]

    def decode(self, features_TChw, frame_idx, video, answers):
        objects = [int(obj.prompt_KC) for answer in answers for obj in answer.objects]
        logits = torch.full((len(features_TChw), len(objects), SIZE, 2 * SIZE), NOTHING)
        for row, frame in enumerate(features_TChw.flatten().int().tolist()):
            for place, n in enumerate(objects):
                logits[row, place, :, (frame + n) % (2 * SIZE)] = self.sureness.get((frame, n % self.objects), SURE)
        return MaskLogits(logits, Geometry((SIZE, 2 * SIZE), (SIZE, 2 * SIZE), (SIZE, 2 * SIZE)))


class CountingHold(HoldTracker):
    """Holds masks, and counts what a session asks of it."""

    def __init__(self):
        self.calls = []
        self.kept = []

    def features(self, video, budget_bytes):
        self.kept.append(SimpleNamespace(budget=budget_bytes))
        return self.kept[-1]

    def propagate(self, video, reference_masks, features=None):
        self.calls.append((sorted(reference_masks), len(next(iter(reference_masks.values()))), features))
        return super().propagate(video, reference_masks)


def video():
    frames = np.zeros((T, SIZE, 2 * SIZE, 3), dtype=np.uint8)
    frames[:, 0, 0, 0] = np.arange(T)
    return Video.from_frames(frames)


def columns(prediction, obj=0):
    """Which column is masked on each frame; -1 where nothing is."""
    masks_TW = [prediction.masks(i)[obj].all(0) for i in range(T)]
    return [int(mask_W.argmax()) if mask_W.any() else -1 for mask_W in masks_TW]


def ask(model, tracker, queries="the key", **options):
    with VideoSession(video(), model, tracker, **options) as session:
        return session.segment(queries)


def test_every_frame_is_tracked_from_the_reference_frames():
    prediction = ask(ColumnModel(), HoldTracker())
    assert columns(prediction) == [2] * 5 + [5] * 4 + [9] * 3
    notes = prediction.results[0].notes
    assert (notes["tracker"], notes["reference_frames"], notes["tracking"]) == ("hold", [2, 5, 9], [])


def test_without_a_tracker_nothing_changes():
    prediction = ask(ColumnModel(), None)
    assert columns(prediction) == list(range(T))
    assert "tracker" not in prediction.results[0].notes


def test_unstable_and_empty_masks_are_no_references_and_are_named():
    prediction = ask(ColumnModel({(2, 0): UNSURE, (9, 0): NOTHING}), HoldTracker())
    assert columns(prediction) == [5] * T
    assert prediction.results[0].notes["reference_frames"] == [5]
    assert prediction.results[0].notes["tracking"] == [
        "frame 2 is no reference: its mask is unstable (0.00, 0.50 is needed)",
        "frame 9 is no reference: its mask is empty",
    ]


def test_how_stable_a_mask_must_be_is_the_users_choice():
    prediction = ask(ColumnModel({(2, 0): UNSURE}), HoldTracker(), min_stability=0.0)
    assert prediction.results[0].notes["reference_frames"] == [2, 5, 9]


def test_without_a_reference_the_models_own_masks_stay():
    tracker = CountingHold()
    prediction = ask(ColumnModel({(2, 0): NOTHING, (5, 0): NOTHING, (9, 0): NOTHING}), tracker)
    assert columns(prediction) == [-1 if i in (2, 5, 9) else i for i in range(T)]
    assert prediction.results[0].notes["tracking"][-1] == "no reference is left; the model's own masks are shown"
    assert tracker.calls == []


def test_a_sole_reference_is_kept_however_unstable():
    prediction = ask(ColumnModel({(5, 0): UNSURE}, trusted=(5,)), HoldTracker())
    assert columns(prediction) == [5] * T
    assert prediction.results[0].notes["tracking"] == []


class OneFrameModel(ColumnModel):
    """A family that does not segment every frame itself: it has a default tracker."""

    family = replace(ColumnModel.family, default_tracker="hold")


def test_a_family_that_needs_a_tracker_gets_its_default_one():
    prediction = ask(OneFrameModel(trusted=(5,)), None)
    assert columns(prediction) == [5] * T
    assert prediction.results[0].notes["tracker"] == "hold"


def test_an_empty_sole_reference_is_an_empty_answer_where_the_family_segments_no_other_frame():
    prediction = ask(OneFrameModel({(5, 0): NOTHING}, trusted=(5,)), None)
    assert columns(prediction) == [-1] * T
    assert prediction.results[0].notes["tracking"][-1] == "no reference is left; it has no mask on any frame"


class DetectingModel(ColumnModel):
    """Its objects have masks already, on frames of their own: object n on frame n, in column 15 - n."""

    def reason(self, view, queries, options):
        given = [ObjectAnswer(f"object {n}", presence=0.5 + n / 4, reference_masks={n: column_mask(15 - n)}) for n in range(self.objects)]
        return [Answer("seen", tuple(given)) for _ in queries]

    def decode(self, features_TChw, frame_idx, video, answers):
        raise AssertionError("nothing is left to decode")


def test_masks_an_answer_has_already_are_tracked_each_from_its_own_frame():
    prediction = ask(DetectingModel(objects=2), HoldTracker())
    assert [columns(prediction, obj) for obj in range(2)] == [[15] * T, [14] * T]
    masklets = prediction.results[0].masklets
    assert [(masklet.phrase, masklet.presence) for masklet in masklets] == [("object 0", 0.5), ("object 1", 0.75)]
    assert prediction.results[0].notes["reference_frames"] == [0, 1]


def test_answers_with_different_reference_frames_are_each_tracked_from_their_own():
    class TwoAnswers(ColumnModel):
        def reason(self, view, queries, options):
            answers = super().reason(view, queries, options)
            frames = [(2,), (9,)]
            return [
                replace(a, objects=tuple(replace(obj, reference_frames=f) for obj in a.objects))
                for a, f in zip(answers, frames, strict=True)
            ]

    prediction = ask(TwoAnswers(), HoldTracker(), ["the key", "the fish"])
    assert [columns(prediction, obj) for obj in range(2)] == [[2] * T, [10] * T]
    assert [result.notes["reference_frames"] for result in prediction.results] == [[2], [9]]


def test_only_the_reference_frames_are_decoded(monkeypatch):
    model, encoded = ColumnModel(), []
    encode = model.encode_image
    monkeypatch.setattr(model, "encode_image", lambda frames: encoded.extend(frames[:, 0, 0, 0].tolist()) or encode(frames))
    ask(model, HoldTracker(), ["the key", "the fish"])
    assert encoded == [2, 5, 9]


def test_objects_of_one_answer_are_tracked_together_where_they_share_their_frames():
    tracker = CountingHold()
    prediction = ask(ColumnModel({(5, 1): UNSURE}, objects=3), tracker)
    assert [(frames, count) for frames, count, _ in tracker.calls] == [([2, 5, 9], 2), ([2, 9], 1)]
    assert [columns(prediction, obj)[6] for obj in range(3)] == [5, 3, 7]
    assert prediction.results[0].notes["tracking"] == ["frame 5 is no reference of object 2: its mask is unstable (0.00, 0.50 is needed)"]


def test_an_object_without_reference_keeps_its_masks_beside_tracked_ones():
    prediction = ask(ColumnModel({(i, 1): UNSURE for i in (2, 5, 9)}, objects=2), HoldTracker())
    assert columns(prediction, 0) == [2] * 5 + [5] * 4 + [9] * 3
    assert columns(prediction, 1) == [i + 1 for i in range(T)]
    assert prediction.results[0].notes["tracking"][-1] == "no reference of object 2 is left; the model's own masks are shown"


def test_queries_are_tracked_apart_and_share_what_the_tracker_keeps():
    tracker = CountingHold()
    prediction = ask(ColumnModel(), tracker, ["the key", "the fish"], budget_bytes=1000)
    assert columns(prediction, 0)[5:8] == [5] * 3 and columns(prediction, 1)[5:8] == [6] * 3
    assert [count for _, count, _ in tracker.calls] == [1, 1]
    assert len(tracker.kept) == 1 and tracker.kept[0].budget == 1000
    assert all(features is tracker.kept[0] for _, _, features in tracker.calls)


def test_progress_counts_frames():
    seen = []
    with VideoSession(video(), ColumnModel(), HoldTracker()) as session:
        session.segment(["the key", "the fish"], progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, T) for i in range(1, T + 1)]


# --- refine --------------------------------------------------------------------------------------------------------------------------


def column_mask(column):
    mask = np.zeros((SIZE, 2 * SIZE), dtype=bool)
    if column is not None:
        mask[:, column] = True
    return mask


def test_a_corrected_frame_becomes_a_reference():
    with VideoSession(video(), ColumnModel(), HoldTracker()) as session:
        session.segment("the key")
        prediction = session.refine(7, column_mask(0))
        assert columns(prediction) == [2] * 5 + [5] * 2 + [0] * 2 + [9] * 3
        assert prediction.results[0].notes["reference_frames"] == [2, 5, 7, 9]
        again = session.refine(5, column_mask(1))
    assert columns(again) == [2] * 5 + [1] * 2 + [0] * 2 + [9] * 3


def test_refining_equals_tracking_from_the_larger_set():
    with VideoSession(video(), ColumnModel(), HoldTracker()) as session:
        session.segment("the key")
        refined = session.refine(7, column_mask(0))
    references = {i: torch.from_numpy(column_mask(c))[None] for i, c in ((9, 9), (7, 0), (5, 5), (2, 2))}
    for frame in HoldTracker().propagate(video(), references):
        assert np.array_equal(refined.masks(frame.frame_idx), frame.masks_NHW.numpy())


def test_a_correction_touches_one_object_of_one_query_and_reads_no_feature_anew():
    tracker = CountingHold()
    with VideoSession(video(), ColumnModel(objects=2), tracker) as session:
        before = session.segment(["the key", "the fish"])
        after = session.refine(0, column_mask(15), query="the fish", obj_id=2)
    changed = [columns(before, obj) != columns(after, obj) for obj in range(4)]
    assert changed == [False, False, False, True]
    assert columns(after, 3)[:2] == [15, 15]
    assert len(tracker.kept) == 1
    assert tracker.calls[-1][:2] == ([0, 2, 5, 9], 1)


def test_an_object_that_could_not_be_tracked_is_tracked_from_a_given_mask():
    with VideoSession(video(), ColumnModel({(i, 0): NOTHING for i in (2, 5, 9)}), HoldTracker()) as session:
        session.segment("the key")
        prediction = session.refine(2, column_mask(3))
    assert columns(prediction) == [3] * T
    assert prediction.results[0].notes["tracking"] == [
        "frame 5 is no reference: its mask is empty",
        "frame 9 is no reference: its mask is empty",
    ]


def test_a_failed_correction_leaves_the_last_answer():
    with VideoSession(video(), ColumnModel(), HoldTracker()) as session:
        session.segment("the key")
        with pytest.raises(ConfigError, match="reference frame 12 is outside the video"):
            session.refine(12, column_mask(0))
        with pytest.raises(ConfigError, match=r"the reference masks of frame 3 have shape \(1, 2, 2\)"):
            session.refine(3, np.ones((2, 2), dtype=bool))
        prediction = session.refine(7, column_mask(0))
    assert prediction.results[0].notes["reference_frames"] == [2, 5, 7, 9]


def test_a_mask_that_says_not_here():
    with VideoSession(video(), ColumnModel(), HoldTracker()) as session:
        session.segment("the key")
        prediction = session.refine(10, column_mask(None))
    assert columns(prediction)[8:] == [5, 9, -1, -1]


@pytest.mark.parametrize(
    ("tracker", "asked", "arguments", "message"),
    [
        (None, True, {}, "refine needs a tracker; open the video with one, e.g. open_video(path, tracker='xmem++')"),
        (HoldTracker(), False, {}, "nothing to refine yet; call segment first"),
        (HoldTracker(), True, {}, "query None was not asked; name one of: 'the key', 'the fish'"),
        (HoldTracker(), True, {"query": "the kee"}, "query 'the kee' was not asked; name one of: 'the key', 'the fish'"),
        (HoldTracker(), True, {"query": "the key", "obj_id": 2}, "object 2 does not exist; the query has 1, numbered from 1"),
    ],
)
def test_a_correction_of_nothing(tracker, asked, arguments, message):
    with VideoSession(video(), ColumnModel(), tracker) as session:
        if asked:
            session.segment(["the key", "the fish"])
        with pytest.raises(ConfigError) as caught:
            session.refine(0, column_mask(0), **arguments)
    assert str(caught.value) == message
