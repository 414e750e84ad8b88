"""Every tracker of the table, built small with random weights: what `Tracker` promises holds whatever the masks are worth."""

import gc
import re
import weakref
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from saymask.errors import ConfigError
from saymask.lookup import TRACKERS
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.trackers.base import FrameMasks, Tracker
from saymask.trackers.loading import load_tracker
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.network import XMemNetwork
from saymask.trackers.xmem.weights import save_xmem

HEIGHT, WIDTH = 37, 53
FRAMES_READ_AHEAD = 16
"""How many decoded frames a tracker may hold at a time: two of the blocks in which they are read."""


@pytest.fixture(scope="session")
def xmem_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("xmem") / "debug"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_xmem(XMemNetwork(XMemConfig.debug()), folder)
    return folder


@pytest.fixture(scope="session", params=TRACKERS)
def tracker(request: pytest.FixtureRequest, sam2_folder: Path, xmem_folder: Path) -> Tracker:
    weights = {"xmem": xmem_folder, "xmem++": xmem_folder, "sam2": sam2_folder, "hold": None}
    return load_tracker(request.param, Runtime("cpu", "float32"), weights[request.param])


def moving_video(num_frames: int, height: int = HEIGHT, width: int = WIDTH) -> Video:
    """Two bright squares that cross, on a noisy ground."""
    frames_THWC = np.random.default_rng(0).integers(0, 90, (num_frames, height, width, 3), np.uint8)
    for frame_idx, frame_HWC in enumerate(frames_THWC):
        frame_HWC[place(frame_idx, 0)], frame_HWC[place(frame_idx, 1)] = (250, 40, 40), (40, 40, 250)
    return Video.from_frames(frames_THWC, name="crossing")


def place(frame_idx: int, obj_idx: int) -> tuple[slice, slice]:
    """Where a square is."""
    left = (2 * frame_idx) % 30 if obj_idx == 0 else 30 - (2 * frame_idx) % 30
    return slice(8 + 6 * obj_idx, 20 + 6 * obj_idx), slice(left, left + 12)


def masks(frame_idx: int, *obj_idx: int, num_objects: int = 2, height: int = HEIGHT, width: int = WIDTH) -> torch.Tensor:
    """True masks of these objects on a frame; the others are absent."""
    masks_NHW = torch.zeros(num_objects, height, width, dtype=torch.bool)
    for n in obj_idx:
        masks_NHW[n][place(frame_idx, n)] = True
    return masks_NHW


def track(tracker: Tracker, video: Video, references: Mapping[int, torch.Tensor]) -> dict[int, FrameMasks]:
    """Results by frame, after a look at what every result must be."""
    num_objects = len(next(iter(references.values())))
    results: dict[int, FrameMasks] = {}
    for result in tracker.propagate(video, references):
        assert result.frame_idx not in results, "a frame was given twice"
        assert result.masks_NHW.dtype == torch.bool
        assert result.masks_NHW.shape == (num_objects, video.height, video.width)
        assert int(result.masks_NHW.sum(0).max()) <= 1, "masks overlap"
        assert result.scores_N.shape == (num_objects,)
        assert ((result.scores_N >= 0) & (result.scores_N <= 1)).all()
        assert torch.equal(result.scores_N > 0, result.masks_NHW.flatten(1).any(1)), "a score is 0 exactly where no pixel is the object's"
        results[result.frame_idx] = result
    assert sorted(results) == list(range(video.num_frames))
    return results


def assert_equal(actual: Mapping[int, FrameMasks], expected: Mapping[int, FrameMasks]) -> None:
    for frame_idx, result in expected.items():
        assert torch.equal(actual[frame_idx].masks_NHW, result.masks_NHW), frame_idx
        assert torch.equal(actual[frame_idx].scores_N, result.scores_N), frame_idx


def test_it_bears_its_name_and_tells_where_its_weights_are(tracker):
    assert tracker.name in TRACKERS
    assert all(file.is_file() for file in tracker.weights_files)
    assert tracker.notice(moving_video(1)) is None


@pytest.mark.parametrize("reference", [0, 4, 9])
def test_one_reference_anywhere_reaches_every_frame(tracker, reference):
    results = track(tracker, moving_video(10), {reference: masks(reference, 0, 1)})
    assert results[reference].masks_NHW.any()


def test_the_order_of_the_references_does_not_matter(tracker):
    video = moving_video(8)
    references = {i: masks(i, 0, 1) for i in (1, 4, 6)}
    expected = track(tracker, video, references)
    assert_equal(track(tracker, video, {i: references[i] for i in (6, 1, 4)}), expected)


def test_every_reference_counts(tracker):
    video = moving_video(8)
    one = track(tracker, video, {1: masks(1, 0, 1)})
    two = track(tracker, video, {1: masks(1, 0, 1), 5: masks(0, 0, 1)})
    assert any(not torch.equal(one[i].masks_NHW, two[i].masks_NHW) for i in range(5, 8))


def test_an_object_may_be_absent_from_any_reference(tracker):
    track(tracker, moving_video(9), {1: masks(1, 0), 4: masks(4, 1), 6: masks(6, 0, 1)})
    track(tracker, moving_video(9), {6: masks(6, 1), 2: masks(2), 4: masks(4, 0)})


def test_a_reference_may_be_soft(tracker):
    video = moving_video(4)
    soft_NHW = masks(1, 0, 1) * 0.9
    results = track(tracker, video, {1: soft_NHW})
    assert torch.equal(soft_NHW, masks(1, 0, 1) * 0.9), "the caller's masks were written to"
    assert results[1].masks_NHW.any()


@pytest.mark.parametrize(("num_frames", "height", "width"), [(1, HEIGHT, WIDTH), (2, HEIGHT, WIDTH), (3, 64, 48), (2, 31, 130)])
def test_any_length_and_size_will_do(tracker, num_frames, height, width):
    track(tracker, moving_video(num_frames, height, width), {0: masks(0, 0, 1, height=height, width=width)})


def test_nothing_is_remembered_from_one_video_to_the_next(tracker):
    video = moving_video(6)
    expected = track(tracker, video, {2: masks(2, 0, 1)})
    track(tracker, Video.from_frames(255 - video.frames(range(6))), {0: masks(0, 0, num_objects=1)})
    assert_equal(track(tracker, video, {2: masks(2, 0, 1)}), expected)


def test_shared_features_change_nothing_also_when_propagations_take_turns(tracker):
    video = moving_video(6)
    references = [{0: masks(0, 0, 1)}, {3: masks(3, 0, num_objects=1)}, {0: masks(0, 1), 5: masks(5, 0)}]
    expected = [track(tracker, video, masks_of) for masks_of in references]
    for budget_bytes in (0, 30_000, 2**30):
        features = tracker.features(video, budget_bytes)
        turns = zip(*(tracker.propagate(video, masks_of, features) for masks_of in references), strict=True)
        for results, alone in zip(zip(*turns, strict=True), expected, strict=True):
            assert_equal({result.frame_idx: result for result in results}, alone)


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ({}, "no reference masks to track from; give the masks of at least one frame"),
        ({3: masks(3, 0)}, "reference frame 3 is outside the video; it has frames 0 to 2"),
        ({-1: masks(0, 0)}, "reference frame -1 is outside the video; it has frames 0 to 2"),
        (
            {1: masks(1, 0)[:, 1:]},
            "the reference masks of frame 1 have shape (2, 36, 53); give (objects, 37, 53), the video's own size",
        ),
        (
            {1: masks(1, 0)[0]},
            "the reference masks of frame 1 have shape (37, 53); give (objects, 37, 53), the video's own size",
        ),
        (
            {0: masks(0, 0), 2: masks(2, 0, num_objects=3)},
            "3 reference masks on frame 2, but 2 on frame 0; give the same objects on each, all zero where one is absent",
        ),
        ({2: masks(2), 0: masks(0)}, "the reference masks are all empty (frames 0, 2); give a mask of the object to track"),
        ({0: masks(0, 0) * 0.5}, "the reference masks are all empty (frames 0); give a mask of the object to track"),
        ({0: masks(0, num_objects=0)}, "the reference masks are all empty (frames 0); give a mask of the object to track"),
        (
            {0: masks(0, 0), 2: masks(2, 0)},
            "object 2 of 2 is empty in every reference mask; leave it out or give a mask of it",
        ),
    ],
)
def test_references_that_no_tracker_can_start_from_are_refused(tracker, references, message):
    with pytest.raises(ConfigError, match=f"^crossing: {re.escape(message)}$"):
        list(tracker.propagate(moving_video(3), references))


def test_memory_does_not_grow_with_the_video(tracker):
    """Neither the decoded frames nor the tensors that are alive; once it is full, memory stays as it is."""
    alive = 0

    def release(num_frames: int) -> None:
        nonlocal alive
        alive -= num_frames

    def read(frame_idx):
        nonlocal alive
        frames_THWC = video.frames(np.asarray(frame_idx) % video.num_frames)
        alive += len(frames_THWC)
        weakref.finalize(frames_THWC, release, len(frames_THWC))
        return frames_THWC

    video = moving_video(15)
    names = tuple(f"{i:05d}" for i in range(85))
    long_video = Video("long", "memory", HEIGHT, WIDTH, np.arange(85) / 24, 85 / 24, read, names)
    held = []
    gc.freeze()  # what other tests left is not looked at
    try:
        for _ in tracker.propagate(long_video, {0: masks(0, 0, num_objects=1)}):
            assert alive <= FRAMES_READ_AHEAD
            held.append(tensor_bytes())
    finally:
        gc.unfreeze()
    assert max(held[60:]) <= max(held[20:40])


# -- step by step ---------------------------------------------------------------------------------------------------------------------


class Latest:
    """A live source: the frame that is pushed, and no other."""

    def __init__(self, video: Video):
        self._video = video
        self.height, self.width = video.height, video.width
        self.frame_idx = -1

    def frames(self, frame_idx):
        assert list(frame_idx) == [self.frame_idx], "a frame was read that is not there"
        return self._video.frames(frame_idx)


def test_steps_over_a_live_source_equal_the_whole_clip(tracker):
    video = moving_video(12)
    live = Latest(video)
    run = tracker.start(live)
    expected = track(tracker, video, {0: masks(0, 0, 1)})
    for frame_idx in range(12):
        live.frame_idx = frame_idx
        found = run.step(frame_idx, dict(enumerate(masks(0, 0, 1))) if frame_idx == 0 else {})
        assert found.frame_idx == frame_idx and run.obj_ids == (0, 1)
        assert_equal({frame_idx: found}, {frame_idx: expected[frame_idx]})


def test_objects_join_and_leave_a_walk_under_their_own_ids(tracker):
    video = moving_video(12)
    run = tracker.start(video)
    assert run.obj_ids == () and run.step(0).masks_NHW.shape == (0, HEIGHT, WIDTH)
    given = {1: {7: masks(1, 0)[0]}, 3: {9: masks(3, 1)[1]}, 5: {7: masks(5, 0)[0]}}
    found = {i: run.step(i, given.get(i, {})) for i in range(1, 7)}
    assert [len(found[i].masks_NHW) for i in range(1, 7)] == [1, 1, 2, 2, 2, 2]
    assert run.obj_ids == (7, 9)
    for frame_idx, row, obj_idx in ((1, 0, 0), (3, 1, 1)):
        true_HW = masks(frame_idx, obj_idx)[obj_idx]
        assert (found[frame_idx].masks_NHW[row] & true_HW).any()
    run.drop(7)
    assert run.obj_ids == (9,)
    alone = run.step(7)
    assert alone.masks_NHW.shape == (1, HEIGHT, WIDTH) and alone.scores_N.shape == (1,)
    with pytest.raises(KeyError):
        run.drop(7)


def test_a_walk_that_lost_all_its_objects_begins_again(tracker):
    video = moving_video(8)
    run, fresh = tracker.start(video), tracker.start(video)
    for frame_idx in range(3):
        run.step(frame_idx, {4: masks(0, 0)[0]} if frame_idx == 0 else {})
    run.drop(4)
    for frame_idx in range(3, 8):
        reference = {5: masks(3, 1)[1]} if frame_idx == 3 else {}
        assert_equal({frame_idx: run.step(frame_idx, reference)}, {frame_idx: fresh.step(frame_idx, reference)})


def test_dropping_an_object_leaves_the_others_where_they_are(tracker):
    """The same walk, with and without a third object that goes again at once: the other two keep their rows and masks."""
    video = moving_video(6)
    run = tracker.start(video)
    three_NHW = torch.cat([masks(0, 0, 1), torch.zeros(1, HEIGHT, WIDTH, dtype=torch.bool)])
    three_NHW[2, 30:36, 45:52] = True
    run.step(0, {1: three_NHW[2], 2: three_NHW[0], 3: three_NHW[1]})
    run.drop(1)
    after = run.step(1)
    assert run.obj_ids == (2, 3)
    if tracker.name in ("sam2", "hold"):  # they track each object for itself
        pair = tracker.start(video)
        pair.step(0, {2: three_NHW[0], 3: three_NHW[1]})
        assert_equal({1: after}, {1: pair.step(1)})


def test_memory_grows_neither_with_steps_nor_with_references(tracker):
    video = moving_video(15)
    live = Latest(Video.from_frames(np.tile(video.frames(range(15)), (8, 1, 1, 1))))
    run = tracker.start(live)
    held = []
    gc.freeze()
    try:
        for frame_idx in range(120):
            live.frame_idx = frame_idx
            run.step(frame_idx, {1: masks(frame_idx % 15, 0)[0]} if frame_idx % 2 == 0 else {})
            held.append(tensor_bytes())
    finally:
        gc.unfreeze()
    assert max(held[90:]) <= max(held[40:80])


def tensor_bytes() -> int:
    """Of all tensors that are alive and were made after `gc.freeze`; those that share memory are counted once."""
    storages = [obj.untyped_storage() for obj in gc.get_objects() if type(obj) is torch.Tensor]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
