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


def tensor_bytes() -> int:
    """Of all tensors that are alive and were made after `gc.freeze`; those that share memory are counted once."""
    storages = [obj.untyped_storage() for obj in gc.get_objects() if type(obj) is torch.Tensor]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())
