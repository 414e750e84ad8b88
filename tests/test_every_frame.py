"""The model's masks on every N-th frame and a tracker between them."""

import numpy as np
import pytest
from colour_family import ColourSegmenter
from typer.testing import CliRunner

from saymask.batch.per_video import VideoAsker
from saymask.cli.main import app
from saymask.errors import ConfigError
from saymask.models.choice import ModelForEach
from saymask.models.family import Family
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.session import Editor, VideoSession
from saymask.trackers.hold import HoldTracker

T, SIZE = 10, 16


class CountingColour(ColourSegmenter):
    """Remembers which frames met its image encoder, by the brightness of a corner pixel."""

    def __init__(self):
        self.encoded: list[int] = []

    def encode_image(self, frames_THWC):
        self.encoded += frames_THWC[:, -1, -1, 0].tolist()
        return super().encode_image(frames_THWC)


def moving_square(shown=range(T)) -> Video:
    """A red square of 4 x 4 pixels that moves one column a frame; the corner pixel's level is the frame's number."""
    frames_THWC = np.zeros((T, SIZE, SIZE, 3), np.uint8)
    for frame_idx in shown:
        frames_THWC[frame_idx, 4:8, frame_idx : frame_idx + 4] = (255, 0, 0)
    frames_THWC[:, -1, -1] = np.arange(T)[:, None]
    return Video.from_frames(frames_THWC)


def first_columns(prediction) -> list[int]:
    """Leftmost masked column of each frame; -1 where nothing is masked."""
    of_frame = [np.flatnonzero(prediction.masks(frame_idx)[0].any(axis=0)) for frame_idx in range(T)]
    return [int(columns[0]) if len(columns) else -1 for columns in of_frame]


def ask(every, video=None, tracker=None):
    model = CountingColour()
    with VideoSession(video or moving_square(), model, tracker or HoldTracker(), every=every) as session:
        return session.segment("red"), model


@pytest.mark.parametrize(
    ("every", "expected"), [(1, list(range(T))), (3, [0, 0, 0, 3, 3, 3, 6, 6, 6, 9]), (4, [0] * 4 + [4] * 4 + [8] * 2), (100, [0] * T)]
)
def test_each_nth_frame_is_the_models_and_the_tracker_fills_the_rest(every, expected):
    prediction, model = ask(every)
    assert first_columns(prediction) == expected
    assert model.encoded == list(range(0, T, every))
    assert prediction.results[0].notes["reference_frames"] == list(range(0, T, every))


def test_a_frame_on_which_the_model_sees_nothing_is_believed():
    prediction, _ = ask(3, moving_square(shown=range(3, T)))
    assert first_columns(prediction) == [-1] * 3 + [3] * 3 + [6] * 3 + [9]


def test_what_shows_on_none_of_these_frames_has_no_mask_and_is_not_decoded_elsewhere():
    prediction, model = ask(4, moving_square(shown=[1, 2, 3]))
    assert first_columns(prediction) == [-1] * T
    assert model.encoded == [0, 4, 8]


def test_the_bundled_tracker_carries_where_none_is_named():
    with VideoSession(moving_square(), CountingColour(), every=5) as session:
        assert session.tracker is not None and session.tracker.name == "xmem++"
        masks = session.segment("red").masks
    assert masks(0)[0].any() and masks(5)[0].any()


def test_an_editor_asks_its_session_so():
    model = CountingColour()
    with VideoSession(moving_square(), model, HoldTracker(), every=4) as session:
        editor = Editor(session)
        list(editor.ask("red"))
        assert first_columns(editor.prediction()) == [0] * 4 + [4] * 4 + [8] * 2


@pytest.mark.parametrize("every", [0, -2])
def test_no_number_of_frames(every):
    with pytest.raises(ConfigError, match=str(every)):
        VideoSession(moving_square(), CountingColour(), HoldTracker(), every=every)


def test_a_family_that_chooses_its_frames_itself_refuses():
    model = CountingColour()
    model.family = Family("chooser", segmenter="", options="saymask.models.base:Options", default_tracker="hold")
    with pytest.raises(ConfigError, match="'colour'"):
        VideoSession(moving_square(), model, HoldTracker(), every=2)


def test_such_a_model_is_refused_before_a_video_is_opened():
    asker = VideoAsker(ModelForEach("visa-toy", Runtime("cpu")), every=2)
    with pytest.raises(ConfigError, match="'visa-toy'"):
        asker.prepare()


def test_it_looks_ahead_so_a_causal_walk_refuses():
    with VideoSession(moving_square(), CountingColour(), HoldTracker(), every=2) as session, pytest.raises(ConfigError, match="every"):
        session.segment("red", causal=True)


def test_the_command_says_what_contradicts():
    done = CliRunner().invoke(app, ["segment", "clip.mp4", "the key", "--every", "4", "--causal"])
    assert done.exit_code == 2 and "--causal" in done.output
    done = CliRunner().invoke(app, ["eval", "toyworld", "--predictor", "empty", "--every", "4"])
    assert done.exit_code == 2 and "--every 4" in done.output
