"""Files written while masks come are the files that `Prediction.save` writes, byte by byte; what stops leaves nothing."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from saymask.errors import VideoError
from saymask.exports.feed import Feed
from saymask.lookup import FRAME_WRITERS, WRITERS
from saymask.records import FrameResult, Masklet, Prediction, QueryResult, Rle, Video
from saymask.storage.atomic import scratch_folder

NUM_FRAMES, HEIGHT, WIDTH = 20, 64, 96
FORMATS = tuple(FRAME_WRITERS)


def drawn(num_frames: int = NUM_FRAMES) -> Video:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frames = [np.stack([2 * x, 3 * y, np.full_like(x, 5 * t)], -1).astype(np.uint8) for t in range(num_frames)]
    return Video.from_frames(np.stack(frames), "clip", fps=10)


def square(top: int, left: int) -> Rle:
    mask_HW = np.zeros((HEIGHT, WIDTH), bool)
    mask_HW[top : top + 12, left : left + 12] = True
    return Rle.encode(mask_HW)


def predicted(video: Video, first: Sequence[Rle]) -> Prediction:
    """Two objects with words, one query without an object, and one whose object shows no pixel."""
    T = video.num_frames
    moving = tuple(square(10, 2 + t) for t in range(T))
    nowhere = (Rle.empty(HEIGHT, WIDTH),) * T
    return Prediction(
        video,
        (
            QueryResult("fish and key", "", (Masklet(1, tuple(first), np.ones(T), "the fish"), Masklet(2, moving, np.ones(T), "the key"))),
            QueryResult("a zebra", "", ()),
            QueryResult("the cup", "", (Masklet(1, nowhere, np.zeros(T)),)),
        ),
    )


def asked(prediction: Prediction) -> list[QueryResult]:
    """As before the first frame."""
    return [
        replace(result, masklets=tuple(replace(m, rle_T=(), frame_scores_T=np.zeros(0)) for m in result.masklets))
        for result in prediction.results
    ]


def fed(feed: Feed, prediction: Prediction, order: Sequence[int], chunk: int = 8) -> None:
    """What a session does: decode a chunk, find its masks, give them one by one."""
    video = feed.watched(prediction.video)
    masklets = [masklet for _, masklet in prediction.objects()]
    for start in range(0, len(order), chunk):
        video.frames(order[start : start + chunk])
        for index in order[start : start + chunk]:
            result = FrameResult(index, (), (), tuple(masklet.rle_T[index] for masklet in masklets), np.zeros(0))
            feed.add(result, asked(prediction))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.fixture
def open_folder(tmp_path: Path):
    return partial(scratch_folder, tmp_path / "results")


@pytest.fixture
def upper_left() -> list[Rle]:
    return [square(2, 2)] * NUM_FRAMES


@pytest.mark.parametrize("num_queries", [1, 3], ids=["all found", "two in vain"])
@pytest.mark.parametrize("order", [range(NUM_FRAMES), [*range(5, NUM_FRAMES), *range(4, -1, -1)]], ids=["in order", "from the middle"])
def test_the_same_files_as_from_the_whole_prediction(order, num_queries, upper_left, open_folder, tmp_path):
    prediction = predicted(drawn(), upper_left)
    prediction = replace(prediction, results=prediction.results[:num_queries])
    formats = [*FORMATS, "coco"]
    (tmp_path / "out").mkdir()
    with Feed(formats, open_folder) as feed:
        fed(feed, prediction, order)
        written = feed.finish(prediction, tmp_path / "out")
    saved = prediction.save(tmp_path / "saved", formats)
    assert [path.relative_to(tmp_path / "out") for path in written] == [path.relative_to(tmp_path / "saved") for path in saved]
    assert contents(tmp_path / "out") == contents(tmp_path / "saved")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "saved"]


def test_an_image_becomes_the_same_images(open_folder, tmp_path):
    prediction = predicted(drawn(1), [square(2, 2)])
    (tmp_path / "out").mkdir()
    with Feed(FORMATS, open_folder) as feed:
        fed(feed, prediction, range(1))
        feed.finish(prediction, tmp_path / "out")
    prediction.save(tmp_path / "saved", FORMATS)
    assert contents(tmp_path / "out") == contents(tmp_path / "saved")


def test_a_feed_that_has_given_up_holds_no_frames(upper_left, open_folder):
    prediction = predicted(drawn(), upper_left)
    alive = []

    def read(frame_idx: Sequence[int]) -> np.ndarray:
        frames_THWC = prediction.video.read(frame_idx).copy()
        alive.append(weakref.ref(frames_THWC))
        return frames_THWC

    with Feed(["png"], open_folder) as feed:
        fed(feed, replace(prediction, video=replace(prediction.video, read=read)), [*range(5, NUM_FRAMES), *range(5)])
        assert len(alive) == 3 and [frames() for frames in alive] == [None] * 3


def test_every_frame_is_decoded_once(upper_left, open_folder, tmp_path):
    video, decoded = drawn(), Counter[int]()

    def read(frame_idx: Sequence[int]) -> np.ndarray:
        decoded.update(frame_idx)
        return video.read(frame_idx)

    seen = Masklet(1, tuple(upper_left), np.ones(NUM_FRAMES))
    prediction = Prediction(replace(video, read=read), (QueryResult("fish", "", (seen,)),))
    (tmp_path / "out").mkdir()
    with Feed(["overlay", "alpha", "png"], open_folder) as feed:
        fed(feed, prediction, range(NUM_FRAMES))
        feed.finish(prediction, tmp_path / "out")
    assert decoded == dict.fromkeys(range(NUM_FRAMES), 1)


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), VideoError("clip: damaged"), OSError(28, "No space left on device")])
def test_what_stops_halfway_leaves_nothing(failure, upper_left, open_folder, tmp_path):
    prediction = predicted(drawn(), upper_left)
    with pytest.raises(type(failure)), Feed(FORMATS, open_folder) as feed:
        fed(feed, prediction, range(NUM_FRAMES // 2))
        raise failure
    assert list(tmp_path.iterdir()) == []


def test_what_a_writer_refuses_ends_the_walk(open_folder, tmp_path):
    wide = Video.from_frames(np.zeros((NUM_FRAMES, 16, 20_000, 3), np.uint8))  # an encoder takes 16384 columns at most
    empty = (Rle.empty(16, 20_000),) * NUM_FRAMES
    prediction = Prediction(wide, (QueryResult("fish", "", (Masklet(1, empty, np.zeros(NUM_FRAMES)),)),))
    with pytest.raises(VideoError, match=r"overlay\.mp4: H\.264 encoding failed"), Feed(["png", "overlay"], open_folder) as feed:
        fed(feed, prediction, range(NUM_FRAMES))
    assert list(tmp_path.iterdir()) == []


def test_every_fed_format_is_a_format():
    assert set(FRAME_WRITERS) <= set(WRITERS)
