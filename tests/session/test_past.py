"""The frames so far: evenly spread, bounded, the latest always among them."""

import numpy as np
import pytest

from saymask.session.past import MAX_BYTES, MAX_FRAMES, Past


def past_of(num_frames: int, seconds: float | None = None, size: tuple[int, int] = (2, 3)) -> Past:
    """Ten frames a second; every pixel of frame i is i modulo 256."""
    past = Past("p", *size, 10.0, {"comment": "drawn"}, seconds)
    for i in range(num_frames):
        past.add(i / 10, np.full((*size, 3), i % 256, dtype=np.uint8))
    return past


def test_a_short_past_is_the_whole_video():
    video = past_of(5).video()
    assert [int(frame[0, 0, 0]) for frame in video.frames(range(5))] == [0, 1, 2, 3, 4]
    assert video.timestamps_T.tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert video.duration == pytest.approx(0.5) and video.tags == {"comment": "drawn"}


def test_a_long_past_is_thinned_evenly_and_ends_with_the_latest_frame():
    video = past_of(150).video()
    assert video.frame_names == tuple(f"{i:05d}" for i in [*range(0, 150, 4), 149])
    assert int(video.frames([len(video.frame_names) - 1])[0, 0, 0, 0]) == 149


@pytest.mark.parametrize("num_frames", [1, MAX_FRAMES, MAX_FRAMES + 1, 1000, 5000])
def test_it_never_holds_more_than_the_bound_and_one(num_frames):
    assert len(past_of(num_frames).video().frame_names) <= MAX_FRAMES + 1


def test_large_frames_are_bounded_in_bytes():
    size = (2000, 2000)
    assert len(past_of(30, size=size).video().frame_names) * size[0] * size[1] * 3 <= MAX_BYTES + size[0] * size[1] * 3


def test_what_is_older_than_asked_for_is_forgotten():
    video = past_of(50, seconds=1.05).video()
    assert video.frame_names == tuple(f"{i:05d}" for i in range(39, 50))
    assert video.timestamps_T[0] == 0


def test_a_stream_has_its_latest_frame_only():
    past = past_of(7)
    assert past.frames([6]).shape == (1, 2, 3, 3) and past.time == pytest.approx(0.6)
    with pytest.raises(IndexError, match=r"frame 5 .* latest frame only, 6"):
        past.frames([5])
