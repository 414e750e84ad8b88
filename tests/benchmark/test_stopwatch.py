"""Seconds go to the stage that runs, on the thread that is measured."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from saymask.benchmark import stopwatch as module
from saymask.benchmark.stopwatch import STAGES, Stopwatch, TimedSegmenter, TimedTracker
from saymask.records import Video


class Clock:
    """Time that passes only when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "perf_counter", clock)
    return clock


def test_an_inner_stage_stops_the_outer_one_and_they_add_up(clock):
    stopwatch = Stopwatch(torch.device("cpu"))
    clock.now = 1.0
    with stopwatch.stage("language_model"):
        clock.now = 3.0
        with stopwatch.stage("vision_tower"):
            clock.now = 7.0
        clock.now = 15.0
    clock.now = 31.0
    assert stopwatch.stop() == 31.0
    expected = dict.fromkeys(STAGES, 0.0) | {"language_model": 10.0, "vision_tower": 4.0, "other": 17.0}
    assert stopwatch.seconds == expected
    clock.now = 63.0
    assert stopwatch.total == 31.0


def test_a_stage_that_fails_ends_as_well(clock):
    stopwatch = Stopwatch(torch.device("cpu"))
    with pytest.raises(KeyError), stopwatch.stage("masks"):
        clock.now = 1.0
        raise KeyError
    clock.now = 5.0
    stopwatch.stop()
    assert (stopwatch.seconds["masks"], stopwatch.seconds["other"]) == (1.0, 4.0)


def test_reading_on_another_thread_is_hidden_behind_the_stages(clock):
    frames_THWC = np.arange(4, dtype=np.uint8).repeat(12).reshape(4, 2, 2, 3)
    plain = Video.from_frames(frames_THWC)

    def slowly(frame_idx):
        clock.now += 2.0
        return plain.read(frame_idx)

    stopwatch = Stopwatch(torch.device("cpu"))
    video = stopwatch.watch(Video(**{**vars(plain), "read": slowly}))
    assert (video.frames([1, 3]) == frames_THWC[[1, 3]]).all()
    with ThreadPoolExecutor(1) as thread:
        thread.submit(video.frames, [0]).result()
    assert stopwatch.seconds["read"] == 2.0
    assert stopwatch.read_ahead == 2.0


class Segmenter:
    """Each call takes a second for every letter of what it is called with."""

    name = "letters"

    def __init__(self, clock):
        self.clock = clock

    def work(self, *arguments):
        self.clock.now += len(arguments[0])
        return arguments[0].upper()

    encode_image = decode = work

    def reason(self, view, queries, options):
        return view.recall_frames("tokens", range(len(queries)), lambda frames: self.work(queries)) + options


class View:
    """Encodes whatever it is asked for."""

    video = "a video"

    def recall_frames(self, key, frame_idx, encode):
        return encode(frame_idx)


def test_every_call_is_passed_on_and_timed(clock):
    stopwatch = Stopwatch(torch.device("cpu"))
    timed = TimedSegmenter(Segmenter(clock), stopwatch)
    assert timed.name == "letters"
    assert timed.reason(View(), "abc", "!") == "ABC!"
    assert timed.encode_image("abcd") == "ABCD"
    assert timed.decode("abcde", range(5), None, ()) == "ABCDE"
    clock.now += 7.0  # the session makes masks of what was decoded ...
    timed.chunk_done(1, 2)
    clock.now += 11.0  # ... and waits for the next frames
    stopwatch.stop()
    assert stopwatch.seconds == {
        "read": 0.0,
        "vision_tower": 3.0,
        "language_model": 0.0,
        "image_encoder": 4.0,
        "mask_decoder": 5.0,
        "masks": 7.0,
        "tracker": 0.0,
        "other": 11.0,
    }


class Tracker:
    """Two frames, three seconds each."""

    name = "steps"

    def __init__(self, clock):
        self.clock = clock

    def propagate(self, video, reference_masks, features=None):
        for frame_idx in range(2):
            self.clock.now += 3.0
            yield frame_idx


def test_a_trackers_steps_are_timed_and_what_is_done_between_them_is_not(clock):
    stopwatch = Stopwatch(torch.device("cpu"))
    timed = TimedTracker(Tracker(clock), stopwatch)
    assert timed.name == "steps"
    for _ in timed.propagate(None, {}):
        clock.now += 10.0
    stopwatch.stop()
    assert (stopwatch.seconds["tracker"], stopwatch.seconds["other"]) == (6.0, 20.0)
