"""Frames pushed one by one: equal to a file read causally, blind to what comes, ids that stay, memory that does not grow."""

import gc
import re

import numpy as np
import pytest
import torch
from coloured_squares import BLUE, GREEN, HEIGHT, RED, SIDE, WIDTH, frame, square

import saymask
from saymask.api import load_model
from saymask.errors import ConfigError, UnknownName
from saymask.lookup import TRACKERS, families
from saymask.models.checkpoints import bundled_folder
from saymask.records import FrameResult, Video
from saymask.runtime import Runtime
from saymask.session import LiveSession, VideoSession
from saymask.session.live_query import DRAWN
from saymask.session.past import MAX_FRAMES
from saymask.toyworld.dataset import load_toyworld
from saymask.trackers.hold import HoldTracker
from saymask.trackers.loading import load_tracker

BUNDLED = [name for family in families().values() for name in family.models if bundled_folder(name).is_dir()]
CPU = Runtime("cpu", "float32")
NUM_FRAMES = 7


def assert_same(one: FrameResult, other: FrameResult) -> None:
    assert (one.frame_idx, one.queries, one.obj_ids) == (other.frame_idx, other.queries, other.obj_ids)
    assert all(np.array_equal(a.counts, b.counts) for a, b in zip(one.rles, other.rles, strict=True))
    assert np.array_equal(one.scores_N, other.scores_N)


def areas(results: list[FrameResult]) -> list[list[int]]:
    return [[rle.area for rle in result.rles] for result in results]


# -- a file and a live source are the same ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn():
    sample = load_toyworld(None, "test")[0]
    clip = Video.from_frames(sample.video.frames(range(NUM_FRAMES)), "clip", sample.video.fps, **sample.video.tags)
    return clip, sample.expression.text


@pytest.fixture(scope="module", params=BUNDLED)
def bundled(request):
    return load_model(request.param, device="cpu", dtype="float32")


def assert_a_file_equals_pushed_frames(clip, query, segmenter, tracker):
    with VideoSession(clip, segmenter, tracker, runtime=CPU) as session:
        streamed = list(session.stream(query, causal=True, ask_every=0.25))
        prediction = session.segment(query, causal=True, ask_every=0.25)
        with LiveSession((128, 128), clip.fps, segmenter, session.tracker, ask_every=0.25, tags=clip.tags) as live:
            live.add_query(query)
            pushed = [live.push(frame_HWC) for frame_HWC in clip.frames(range(NUM_FRAMES))]
    assert len(streamed) == NUM_FRAMES
    for one, other in zip(streamed, pushed, strict=True):
        assert_same(one, other)
        shown = [masklet.rle_T[one.frame_idx] for masklet in prediction.results[0].masklets if masklet.rle_T[one.frame_idx].area]
        assert [rle.area for rle in shown] == [rle.area for rle in one.rles if rle.area]
    assert any(rle.area for result in pushed for rle in result.rles)


def test_every_bundled_model_gives_a_live_source_what_it_gives_a_file(bundled, drawn):
    assert_a_file_equals_pushed_frames(*drawn, bundled, None)


@pytest.mark.parametrize("name", TRACKERS)
def test_so_does_every_tracker(drawn, name, sam2_folder):
    tracker = load_tracker(name, CPU, sam2_folder if name == "sam2" else None)
    assert_a_file_equals_pushed_frames(*drawn, load_model("toy", device="cpu", dtype="float32"), tracker)


def test_a_result_knows_nothing_of_later_frames(drawn):
    clip, query = drawn
    frames_THWC = np.array(clip.frames(range(NUM_FRAMES)))
    frames_THWC[4:] = 255 - frames_THWC[4:]
    other = Video.from_frames(frames_THWC, "other", clip.fps, **clip.tags)
    segmenter = load_model("toy", device="cpu", dtype="float32")
    results = []
    for source in (clip, other):
        with VideoSession(source, segmenter, runtime=CPU) as session:
            results.append(list(session.stream(query, causal=True, ask_every=0.2)))
    for one, two in zip(*results, strict=True):
        if one.frame_idx < 4:
            assert_same(one, two)
    assert areas(results[0])[4:] != areas(results[1])[4:]


# -- when the model is asked, and who is who --------------------------------------------------------------------------------------------


class Counting:
    """A segmenter that notes how many frames it was asked about."""

    def __init__(self, segmenter):
        self._segmenter = segmenter
        self.asked: list[int] = []

    def __getattr__(self, name):
        return getattr(self._segmenter, name)

    def reason(self, view, queries, options):
        self.asked.append(view.video.num_frames)
        return self._segmenter.reason(view, queries, options)


@pytest.mark.parametrize(("ask_every", "asked"), [(0.5, [1, 6, 11]), (None, [1]), (10.0, [1])])
def test_a_query_is_asked_at_once_and_again_every_so_often(colours, ask_every, asked):
    segmenter = Counting(colours)
    live = LiveSession((HEIGHT, WIDTH), 10.0, segmenter, ask_every=ask_every)
    live.add_query("red")
    for i in range(12):
        live.push(frame((RED, 2, i)))
    assert segmenter.asked == asked


def test_an_object_keeps_its_id_while_it_lies_where_it_lay(colours):
    live = LiveSession((HEIGHT, WIDTH), 10.0, colours, HoldTracker(), ask_every=0.1)
    live.add_query("red")
    ids = [live.push(frame((RED, 2, left)), time).obj_ids for time, left in enumerate((0, 3, 6, 30, 31))]
    assert ids == [(1,), (1,), (1,), (2,), (2,)]


def test_an_answer_without_the_object_ends_it_and_its_id_does_not_come_back(colours):
    live = LiveSession((HEIGHT, WIDTH), 10.0, colours, ask_every=0.1, past_seconds=0.05)
    live.add_query("red")
    results = [live.push(one) for one in (frame((RED, 2, 3)), frame(), frame((RED, 2, 3)))]
    assert [result.obj_ids for result in results] == [(1,), (), (2,)]
    assert live.answers["red"].text == "red [SEG]"


def test_a_tracker_carries_between_answers_and_the_decoder_where_there_is_none(colours):
    moving = [frame((RED, 2, left)) for left in (0, 10, 20)]
    for tracker, lefts in ((HoldTracker(), (0, 0, 0)), (None, (0, 10, 20))):
        live = LiveSession((HEIGHT, WIDTH), 10.0, colours, tracker, ask_every=None)
        live.add_query("red")
        for one, left in zip(moving, lefts, strict=True):
            assert np.array_equal(live.push(one).masks_NHW[0], square(2, left))


def test_an_object_that_is_not_seen_yet_is_tracked_from_where_it_appears(colours):
    live = LiveSession((HEIGHT, WIDTH), 10.0, colours, HoldTracker(), ask_every=None)
    live.add_query("red", answer="forced")
    shown = [live.push(one) for one in (frame(), frame((RED, 2, 9)), frame((RED, 2, 20)))]
    assert areas(shown) == [[0], [SIDE * SIDE], [SIDE * SIDE]]
    assert np.array_equal(shown[2].masks_NHW[0], square(2, 9))


def test_queries_come_and_go(colours):
    live = LiveSession((HEIGHT, WIDTH), 10.0, colours)
    scene = frame((RED, 2, 3), (BLUE, 12, 20))
    assert live.push(scene).obj_ids == ()
    live.add_query("red")
    live.add_query("blue green", answer="forced")
    both = live.push(scene)
    assert (both.queries, both.obj_ids) == (("red", "blue green", "blue green"), (1, 1, 2))
    assert both.boxes == [(3, 2, 9, 8), None, (20, 12, 26, 18)]
    assert [live.objects[key].answer.phrase for key in live.objects] == ["red", "green", "blue"]
    live.drop_query("red")
    assert live.push(scene).queries == ("blue green", "blue green")


# -- what the user says -----------------------------------------------------------------------------------------------------------------


def test_what_the_user_gives_is_followed_and_no_answer_moves_it(colours):
    live = LiveSession((HEIGHT, WIDTH), 10.0, colours, HoldTracker(), ask_every=0.1)
    live.add_query("red")
    live.push(frame((RED, 2, 3)))
    drawn_id = live.add_mask(square(14, 30))
    assert live.add_mask(square(4, 4), "red", 1) == 1
    shown = live.push(frame((RED, 2, 3)))
    assert (shown.queries, shown.obj_ids) == (("red", DRAWN), (1, drawn_id))
    assert np.array_equal(shown.masks_NHW, [square(4, 4), square(14, 30)])
    live.drop_object(DRAWN, drawn_id)
    assert live.latest().queries == ("red",)
    assert live.add_mask(square(14, 30)) == drawn_id + 1, "an id is never given twice"


def test_a_new_object_of_a_query_gets_the_next_id_and_stays(colours):
    live = LiveSession((HEIGHT, WIDTH), 10.0, colours, HoldTracker(), ask_every=0.1)
    live.add_query("red")
    live.push(frame((RED, 2, 3)))
    assert live.add_mask(square(14, 30), "red") == 2
    assert live.push(frame((RED, 2, 3))).obj_ids == (1, 2)


def test_a_click_makes_an_object_and_another_one_corrects_it(drawn):
    clip, _ = drawn
    sample = load_toyworld(None, "test")[0]
    live = saymask.live((128, 128), clip.fps, "toy", tracker="hold", prompter="toy-prompter", device="cpu", dtype="float32")
    live.push(clip.frames([0])[0])
    ids_HW = sample.regions([0])[0]
    largest = int(np.bincount(ids_HW.flatten())[1:].argmax()) + 1
    rows, columns = np.nonzero(ids_HW == largest)
    x, y = int(columns[len(columns) // 2]), int(rows[len(rows) // 2])
    obj_id = live.add_click(x, y)
    mask_HW = live.latest().masks_NHW[0]
    assert np.count_nonzero(mask_HW & (ids_HW == largest)) > 0.5 * np.count_nonzero(mask_HW | (ids_HW == largest))
    assert live.add_click(x, y, adds=False, query=DRAWN, obj_id=obj_id) == obj_id
    assert live.latest().obj_ids == (obj_id,)
    box = (int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)
    assert live.add_box(box) == obj_id + 1


# -- what cannot be -----------------------------------------------------------------------------------------------------------------------


def pushed(segmenter, tracker=None, **settings) -> LiveSession:
    live = LiveSession((HEIGHT, WIDTH), 10.0, segmenter, tracker, **settings)
    live.add_query("red")
    live.push(frame((RED, 2, 3)), time=1.0)
    return live


@pytest.mark.parametrize(
    ("act", "facts"),
    [
        (lambda live: live.push(frame()[1:], time=2.0), "(23, 40, 3); give uint8 RGB (24, 40, 3)"),
        (lambda live: live.push(frame().astype(np.float32), time=2.0), "float32"),
        (lambda live: live.push(frame(), time=1.0), "frame 1 of live has time 1, the one before 1"),
        (lambda live: live.add_query("red"), "'red' is asked already"),
        (lambda live: live.add_query(" "), "query 1 is empty"),
        (lambda live: live.add_query("blue", answr="forced"), "answr"),
        (lambda live: live.drop_query("rde"), "'rde' is not asked; there are: 'red'"),
        (lambda live: live.drop_object("red", 5), "no object 5; it has: 1"),
        (lambda live: live.add_mask(square(0, 0)[1:]), "(23, 40); give (24, 40)"),
        (lambda live: live.add_mask(square(0, 0) & False), "shows no pixel"),
        (lambda live: live.add_mask(square(0, 0), "blue"), "'blue' is not asked"),
        (lambda live: live.add_click(3, 3), "prompter='toy-prompter'"),
    ],
)
def test_mistakes_are_named(colours, act, facts):
    with pytest.raises(ConfigError, match=re.escape(facts)):
        act(pushed(colours, HoldTracker()))


def test_what_needs_a_frame_a_tracker_or_an_open_session_says_so(colours):
    with pytest.raises(ConfigError, match="tracker='xmem"):
        pushed(colours).add_mask(square(0, 0))
    with pytest.raises(ConfigError, match="no frame yet"):
        LiveSession((HEIGHT, WIDTH), 10.0, colours, HoldTracker()).add_mask(square(0, 0))
    with pytest.raises(ConfigError, match="ask_every = 0"):
        LiveSession((HEIGHT, WIDTH), 10.0, colours, ask_every=0)
    live = pushed(colours)
    live.close()
    with pytest.raises(ConfigError, match="closed"):
        live.push(frame())
    with pytest.raises(UnknownName, match="toy-prompter"):
        saymask.live((8, 8), 10.0, "toy", prompter="toy-promter")


# -- what is held -------------------------------------------------------------------------------------------------------------------------


def test_the_callers_buffer_may_be_used_again(colours):
    live = LiveSession((HEIGHT, WIDTH), 10.0, colours, ask_every=None)
    live.add_query("red")
    buffer = frame((RED, 2, 3))
    live.push(buffer)
    buffer[:] = 0
    assert live.past.video().frames([0])[0].max() == 255


@pytest.mark.slow
def test_nothing_grows_with_the_number_of_frames(colours):
    """Neither arrays nor tensors, while queries are asked again, objects lost and found, and corrections given."""
    live = LiveSession((HEIGHT, WIDTH), 10.0, colours, HoldTracker(), ask_every=0.3)
    live.add_query("red")
    held = []
    gc.freeze()
    try:
        for i in range(5 * MAX_FRAMES):
            live.push(frame((RED, 2, (7 * i) % 30), (GREEN, 14, 3)))
            if i % 10 == 0:
                live.drop_object(DRAWN, live.add_mask(square(14, 3)))
            held.append(bytes_held())
    finally:
        gc.unfreeze()
    assert max(held[3 * MAX_FRAMES :]) <= max(held[MAX_FRAMES : 3 * MAX_FRAMES])


def bytes_held() -> int:
    """Of all arrays and tensors that are alive and were made after `gc.freeze`."""
    gc.collect()
    objects = gc.get_objects()
    tensors = sum(obj.untyped_storage().nbytes() for obj in objects if type(obj) is torch.Tensor)
    lives = [obj for obj in objects if type(obj) is LiveSession]
    return tensors + sum(frame_HWC.nbytes for live in lives for _, frame_HWC in live.past._held.values())
