"""A displacement in time is found where an object moves, and nothing is reported where nothing can be known."""

import numpy as np
import pytest

from saymask.datasets.mask_timing import MIN_MASKS, OutlineSample, find_shift
from saymask.toyworld.dataset import load_toyworld

HEIGHT, WIDTH, SIDE = 48, 64, 12


def draw(num_frames, speed=1.0, brightness=lambda t: 1.0, background=None):
    """A bright square that goes to and fro on a noisy ground -> uint8 frames_THWC and its bool masks_THW."""
    rng = np.random.default_rng(0)
    ground_HWC = rng.integers(60, 90, (HEIGHT, WIDTH, 3)) if background is None else background
    frames_THWC, masks_THW = [], np.zeros((num_frames, HEIGHT, WIDTH), bool)
    for t in range(num_frames):
        left = int(abs((speed * t) % 100 - 50))
        masks_THW[t, 18 : 18 + SIDE, left : left + SIDE] = True
        frame_HWC = np.where(masks_THW[t, ..., None], 220, ground_HWC)
        frames_THWC.append((frame_HWC * brightness(t)).astype(np.uint8))
    return np.stack(frames_THWC), masks_THW


def shift_of(frames_THWC, masks):
    """`masks`: frame index -> mask stored with it."""
    outlines = [OutlineSample.of(mask_HW, t) for t, mask_HW in masks.items()]
    return find_shift(outlines, lambda t: frames_THWC[t], len(frames_THWC))


@pytest.mark.parametrize("lag", [-4, -2, -1, 1, 3])
def test_masks_that_belong_to_frames_before_or_after_are_found(lag):
    frames_THWC, masks_THW = draw(30, speed=3)
    shift = shift_of(frames_THWC, {t: masks_THW[t + lag] for t in range(5, 25)})
    assert (shift.stride, shift.lag, shift.num_masks) == (1, lag, 20)
    assert str(shift) == f"masks fit the frames {abs(lag)} {'later' if lag > 0 else 'earlier'}"


def test_masks_of_one_frame_in_thirty_are_found():
    frames_THWC, masks_THW = draw(300, speed=0.9)
    shift = shift_of(frames_THWC, {t: masks_THW[30 * t] for t in range(10)})
    assert (shift.stride, shift.lag, shift.num_masks) == (30, 0, 9)  # mask 0 is in place in either case
    assert str(shift) == "mask i fits frame 30 i"


def test_masks_in_place_are_left_alone():
    frames_THWC, masks_THW = draw(30, speed=3)
    assert shift_of(frames_THWC, dict(enumerate(masks_THW))) is None


def test_the_contrast_is_measured_across_the_outline():
    """Off by half its width, a square of one colour on black is crossed by half of its upper and lower edge, and by neither side."""
    frames_THWC, masks_THW = draw(14, speed=SIDE // 2, background=np.zeros((HEIGHT, WIDTH, 3), int))
    shift = shift_of(frames_THWC[:9], {t: masks_THW[t + 1] for t in range(8)})
    assert (shift.lag, shift.num_masks) == (1, 8)
    assert shift.contrast == pytest.approx((SIDE / 2 + SIDE / 2) / (4 * SIDE))


def test_a_resting_object_shows_no_displacement():
    frames_THWC, masks_THW = draw(30, speed=0)
    assert shift_of(frames_THWC, {t: masks_THW[t] for t in range(20)}) is None


def test_too_few_masks_prove_nothing():
    frames_THWC, masks_THW = draw(30, speed=3)
    masks = {t: masks_THW[t + 2] for t in range(5, 5 + MIN_MASKS)}
    assert shift_of(frames_THWC, masks).lag == 2
    del masks[5]
    assert shift_of(frames_THWC, masks) is None


def test_a_video_that_fades_in_is_not_taken_for_a_displaced_one():
    frames_THWC, masks_THW = draw(60, speed=0, brightness=lambda t: (1 + t) / 60)
    assert shift_of(frames_THWC, {t: masks_THW[t] for t in range(20)}) is None


def test_a_resting_object_that_brightens_is_not_taken_for_a_displaced_one():
    """Its contrast grows from frame to frame, 100 to 150 on an even ground: better everywhere later, but never by much."""
    masks_THW = draw(30, speed=0)[1]
    frames_THWC = np.where(masks_THW[..., None], np.linspace(100, 150, 30)[:, None, None, None], 0).repeat(3, -1).astype(np.uint8)
    frames_THWC[:, ::2, ::2] |= 32  # so that the square is not all there is to a frame
    assert shift_of(frames_THWC, {t: masks_THW[t] for t in range(20)}) is None


def test_a_few_misplaced_masks_are_no_displacement():
    """Of ten, four fit two frames later and not at all in place; the others fit equally well in either."""
    frames_THWC, masks_THW = draw(40, speed=0)
    frames_THWC = frames_THWC.copy()
    elsewhere_HW = np.roll(masks_THW[0], -14, axis=0)
    for t in (28, 31, 34, 37):
        frames_THWC[t][elsewhere_HW] = 220
    masks = {t: masks_THW[t] for t in range(6)} | {t: elsewhere_HW for t in (26, 29, 32, 35)}
    assert shift_of(frames_THWC, masks) is None


def test_on_drawn_videos_nothing_is_reported_wrongly_and_most_displacements_are_found():
    """Things of the toy world cross, hide and rest, so some displacements cannot be seen."""
    samples = load_toyworld(None, "test")
    right = 0
    for idx in range(40):
        sample = samples[idx]
        frames_THWC, masks_THW = sample.video.frames(range(24)), sample.masks_THW
        assert shift_of(frames_THWC, dict(enumerate(masks_THW))) is None
        shift = shift_of(frames_THWC, {t: masks_THW[t + 2] for t in range(22)})
        right += shift is not None and (shift.stride, shift.lag) == (1, 2)
    assert right > 20


def test_every_frame_is_read_once():
    frames_THWC, masks_THW = draw(30)
    read = []
    find_shift([OutlineSample.of(masks_THW[t], t) for t in range(10)] * 2, lambda t: read.append(t) or frames_THWC[t], 30)
    assert len(read) == len(set(read)) > 10


def test_masks_without_an_outline_do_not_count():
    frames_THWC, masks_THW = draw(30, speed=3)
    nothing = {t: np.zeros((HEIGHT, WIDTH), bool) for t in range(10)}
    everything = {t: np.ones((HEIGHT, WIDTH), bool) for t in range(10, 20)}
    assert shift_of(frames_THWC, nothing | everything) is None
    some = {t: masks_THW[t + 2] for t in range(20, 28)}
    assert shift_of(frames_THWC, nothing | everything | some).num_masks == 8


def test_pairs_lie_on_both_sides_of_the_outline():
    mask_HW = np.zeros((6, 8), bool)
    mask_HW[2:4, 3:5] = True
    pairs = OutlineSample.of(mask_HW, 7).pairs
    assert pairs.shape == (2, 2, 8)  # two rows and two columns, an edge at either end
    found = {tuple(pair.ravel().tolist()) for pair in np.moveaxis(pairs, -1, 0)}
    assert {(2, 1, 2, 4), (2, 3, 2, 6), (0, 3, 3, 3), (2, 4, 5, 4)} <= found
