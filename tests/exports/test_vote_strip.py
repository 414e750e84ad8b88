"""Where the sheet shows the votes for a frame, and the frame that was chosen."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from saymask.exports.contact_sheet import write_sheet
from saymask.exports.vote_strip import STRIP_HEIGHT, FrameVotes
from saymask.records import Prediction, QueryResult, Video

RED = (255, 0, 0)


def drawn(votes: FrameVotes, num_frames: int = 11) -> np.ndarray:
    """The strip between x = 50, the first frame, and x = 250, the last one."""
    image = Image.new("RGB", (300, STRIP_HEIGHT), (255, 255, 255))
    votes.draw(ImageDraw.Draw(image), 50, 250, 0, num_frames, RED)
    return np.asarray(image)


def bar_heights(strip_HWC: np.ndarray) -> list[int]:
    """Of the bar at each of eleven points."""
    return [int((strip_HWC[:, 50 + 20 * place] == RED).all(-1).sum()) for place in range(11)]


def test_bars_stand_at_their_part_of_the_video_and_are_as_high_as_their_votes():
    assert bar_heights(drawn(FrameVotes((0, 1, 0, 0, 2, 0, 0, 0, 4, 0, 0), chosen=8))) == [0, 6, 0, 0, 13, 0, 0, 0, 26, 0, 0]


@pytest.mark.parametrize(("chosen", "x"), [(0, 50), (5, 150), (10, 250)])
def test_the_chosen_frame_is_marked_where_it_stands(chosen, x):
    strip_HWC = drawn(FrameVotes((1.0,) * 11, chosen))
    black = (strip_HWC == (20, 20, 20)).all(-1)
    tip = np.argwhere(black)[0]
    assert abs(int(tip[1]) - x) <= 1


def test_notes_without_votes_have_no_strip():
    assert FrameVotes.of({"model": "toy"}) is None


def test_a_sheet_grows_by_the_strip_and_shows_it(tmp_path):
    video = Video.from_frames(np.zeros((4, 32, 48, 3), dtype=np.uint8), "clip", 12.0)
    sizes = []
    for number, notes in enumerate(({}, {"frame_votes": {"bins": [0, 3, 1], "chosen": 2}})):
        folder = tmp_path / str(number)
        folder.mkdir()
        sizes.append(Image.open(write_sheet(Prediction(video, (QueryResult("the red fish", "", (), notes),)), folder)).size)
    assert sizes[1][0] == sizes[0][0]
    assert sizes[1][1] == sizes[0][1] + STRIP_HEIGHT
