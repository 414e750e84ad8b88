"""A query about a few frames: the answer of those frames as a video of their own, under the whole video's numbers."""

import numpy as np
import pytest
from coloured_squares import BLUE, RED, frame, video

from saymask.errors import ConfigError
from saymask.session import Editor, VideoSession
from saymask.session.live_query import DRAWN
from saymask.session.window import part_of
from saymask.trackers.hold import HoldTracker

T = 6


@pytest.fixture
def clip():
    return video(*(frame((RED, 2, 3 * i), (BLUE, 14, 30)) for i in range(T)))


@pytest.fixture
def editor(clip, colours):
    with VideoSession(clip, colours, HoldTracker()) as session:
        yield Editor(session)


def masks(editor: Editor, query: str, obj_id: int) -> np.ndarray:
    """bool masks_THW of one object."""
    return np.stack([rle.decode() for rle, _ in editor.objects[query, obj_id].found_T])


def test_a_part_has_its_frames_and_their_times(clip):
    part = part_of(clip, range(2, 5))
    assert part.num_frames == 3
    assert np.array_equal(part.frames([2, 0]), clip.frames([4, 2]))
    assert part.timestamps_T.tolist() == pytest.approx([0.0, *(clip.timestamps_T[3:5] - clip.timestamps_T[2])])
    assert part.duration == pytest.approx(clip.timestamps_T[5] - clip.timestamps_T[2])
    assert part_of(clip, range(5, 6)).duration == pytest.approx(clip.duration - clip.timestamps_T[5])


@pytest.mark.parametrize("window", [range(0, 7), range(3, 3), range(4, 2), range(-1, 2), range(6, 7)])
def test_frames_that_are_not_there_are_refused(clip, editor, window):
    with pytest.raises(ConfigError, match="frames 0 to 5"):
        part_of(clip, window)
    with pytest.raises(ConfigError, match="frames 0 to 5"):
        editor.ask("red", window=window)


def test_a_window_is_answered_as_its_own_video_and_the_rest_is_empty(clip, colours, editor):
    with VideoSession(part_of(clip, range(2, 5)), colours, HoldTracker()) as session:
        expected = session.segment("red blue")
    streamed = list(editor.ask("red blue", window=range(2, 5)))
    assert [result.frame_idx for result in streamed] == [2, 3, 4]
    for number, obj_id in enumerate((1, 2)):
        found = masks(editor, "red blue", obj_id)
        assert np.array_equal(found[2:5], [expected.masks(i)[number] for i in range(3)])
        assert not found[[0, 1, 5]].any()
        assert [score for _, score in editor.objects["red blue", obj_id].found_T][:2] == [0.0, 0.0]
    assert editor.prediction().results[0].notes["window"] == [2, 4]


def test_the_whole_video_takes_the_place_of_the_window_and_gives_it_back(editor):
    list(editor.ask("red", window=range(2, 5)))
    tried = masks(editor, "red", 1)
    with pytest.raises(ConfigError, match="red"):
        editor.ask("red")
    list(editor.ask("red", again=True))
    assert masks(editor, "red", 1).any((1, 2)).all()
    assert "window" not in editor.prediction().results[0].notes
    editor.undo()
    assert np.array_equal(masks(editor, "red", 1), tried)


def test_nothing_hides_behind_the_name_of_drawn_objects(editor):
    with pytest.raises(ConfigError, match=DRAWN):
        editor.ask(DRAWN, again=True)


def test_an_object_is_renamed_and_the_name_is_taken_back(editor):
    editor.add_query("red")
    before = editor.objects["red", 1].phrase
    editor.rename_object("red", 1, "my square")
    assert editor.prediction().results[0].masklets[0].phrase == "my square"
    editor.undo()
    assert editor.objects["red", 1].phrase == before
    with pytest.raises(ConfigError, match="object 7"):
        editor.rename_object("red", 7, "x")
