"""Records: what they hold, and that a wrong shape is refused by name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from saymask import lookup
from saymask.errors import ConfigError, UnknownName
from saymask.records import Masklet, Prediction, QueryResult, Rle, Video


def square(top: int, left: int, side: int = 2, height: int = 4, width: int = 6) -> np.ndarray:
    mask_HW = np.zeros((height, width), bool)
    mask_HW[top : top + side, left : left + side] = True
    return mask_HW


def video(num_frames: int = 3, height: int = 4, width: int = 6) -> Video:
    frames_THWC = np.arange(num_frames, dtype=np.uint8)[:, None, None, None] * np.ones((1, height, width, 3), np.uint8)
    return Video.from_frames(frames_THWC, "counted", fps=2.0, comment="made here")


def masklet(obj_id: int, masks: list[np.ndarray]) -> Masklet:
    return Masklet(obj_id, tuple(Rle.encode(mask_HW) for mask_HW in masks), np.linspace(0, 1, len(masks)))


EMPTY = np.zeros((4, 6), bool)


def test_a_video_in_memory_knows_its_times_and_gives_frames_in_the_order_asked():
    clip = video()
    assert (clip.num_frames, clip.height, clip.width, clip.fps, clip.duration) == (3, 4, 6, 2.0, 1.5)
    assert clip.timestamps_T.tolist() == [0.0, 0.5, 1.0]
    assert clip.frame_names == ("00000", "00001", "00002")
    assert clip.tags == {"comment": "made here"}
    assert clip.frames([2, 0, 2])[:, 0, 0, 0].tolist() == [2, 0, 2]


def test_predictions_are_equal_if_their_masks_scores_and_times_are():
    def predicted(masks: list[np.ndarray], fps: float = 2.0, scores: tuple[float, ...] = (0.5, 0.5)) -> Prediction:
        clip = Video.from_frames(np.zeros((2, 4, 6, 3), np.uint8), fps=fps)
        rles = tuple(Rle.encode(mask_HW) for mask_HW in masks)
        return Prediction(clip, (QueryResult("the fish", "", (Masklet(1, rles, np.array(scores)),)),))

    masks = [square(0, 0), EMPTY]
    assert predicted(masks) == predicted(masks)
    assert predicted(masks) != predicted([square(0, 0), square(1, 1)])
    assert predicted(masks) != predicted(masks, scores=(0.5, 0.25))
    assert predicted(masks) != predicted(masks, fps=3.0)
    assert Rle.encode(EMPTY) != "a mask"


@pytest.mark.parametrize("formats", [["labelme:tolerance=2", "labelme"], ["png", "labelme:tolerance=2", "labelme:tolerance=1"]])
def test_one_format_in_two_ways_is_refused_before_anything_is_written(formats, tmp_path):
    prediction = Prediction(video(1), (QueryResult("the fish", "", (masklet(1, [EMPTY]),)),))
    with pytest.raises(ConfigError, match=f"'{formats[-2]}' and '{formats[-1]}'"):
        prediction.save(tmp_path / "out", formats)
    assert list(tmp_path.iterdir()) == []
    assert [path.name for path in prediction.save(tmp_path / "out", ["png", "png"])] == ["png"]


@pytest.mark.parametrize("idx", [3, -1])
def test_a_frame_that_is_not_there_is_named(idx):
    with pytest.raises(IndexError, match=rf"^frame {idx} of counted: it has frames 0 to 2$"):
        video().frames([0, idx])


def test_frames_must_be_uint8_rgb():
    with pytest.raises(ValueError, match=r"^expected uint8 frames \(T, H, W, 3\), got float32 \(2, 4, 4, 3\)$"):
        Video.from_frames(np.zeros((2, 4, 4, 3), np.float32))
    with pytest.raises(ValueError, match=r"^Video.timestamps_T must be a non-empty vector, got shape \(0,\)$"):
        Video.from_frames(np.zeros((0, 4, 4, 3), np.uint8))


def test_rle_runs_down_the_columns_background_first():
    # Columns of 4: one empty column, then rows 1-2 of columns 1 and 2, then three empty columns.
    rle = Rle.encode(square(1, 1))
    assert rle.counts.tolist() == [5, 2, 2, 2, 13]
    assert (rle.area, rle.box()) == (4, (1, 1, 3, 3))


def test_rle_of_a_mask_that_starts_inside_begins_with_zero():
    assert Rle.encode(square(0, 0)).counts.tolist() == [0, 2, 2, 2, 18]
    assert Rle.encode(~EMPTY).counts.tolist() == [0, 24]
    assert Rle.encode(EMPTY).counts.tolist() == [24]
    assert Rle.encode(EMPTY).box() is None


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_rle_gives_back_every_mask(mask_HW):
    rle = Rle.encode(mask_HW)
    assert np.array_equal(rle.decode(), mask_HW)
    assert rle.area == mask_HW.sum()


def test_masks_and_boxes_follow_the_order_of_objects():
    first = QueryResult("the left", "It is [SEG].", (masklet(1, [square(0, 0), EMPTY, square(0, 0)]),))
    second = QueryResult("both", "", (masklet(1, [square(2, 4)] * 3), masklet(2, [EMPTY] * 3)))
    prediction = Prediction(video(), (first, second))
    assert [(result.query, thing.obj_id) for result, thing in prediction.objects()] == [("the left", 1), ("both", 1), ("both", 2)]
    assert np.array_equal(prediction.masks(0), np.stack([square(0, 0), square(2, 4), EMPTY]))
    assert prediction.boxes() == [[(0, 0, 2, 2), None, (0, 0, 2, 2)], [(4, 2, 6, 4)] * 3, [None] * 3]
    assert np.array_equal(second.mask(0), square(2, 4))


def test_a_prediction_without_objects_has_masks_of_the_videos_size():
    assert Prediction(video(), (QueryResult("nothing", "", ()),)).masks(0).shape == (0, 4, 6)


def test_a_masklet_must_cover_every_frame():
    with pytest.raises(ValueError, match=r"^query 'short': 2 masks for a video of 3 frames$"):
        Prediction(video(), (QueryResult("short", "", (masklet(1, [EMPTY] * 2),)),))
    with pytest.raises(ValueError, match=r"^Masklet 4: 1 masks but 2 scores$"):
        Masklet(4, (Rle.encode(EMPTY),), np.zeros(2))


def test_save_checks_every_format_before_it_writes(tmp_path, monkeypatch):
    def write_name(prediction, directory):
        path = directory / "name.txt"
        path.write_text(prediction.video.name)
        return path

    monkeypatch.setattr("json.write_name", write_name, raising=False)
    monkeypatch.setitem(lookup.WRITERS, "name", "json:write_name")
    prediction = Prediction(video(), ())
    with pytest.raises(UnknownName, match=r"^unknown format 'nmae'; did you mean 'name'\?$"):
        prediction.save(tmp_path / "bad", ["name", "nmae"])
    assert not (tmp_path / "bad").exists()
    assert prediction.save(tmp_path / "good", ["name"]) == [tmp_path / "good" / "name.txt"]
    assert (tmp_path / "good" / "name.txt").read_text() == "counted"
