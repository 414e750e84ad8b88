"""A submission has exactly the files the server expects, or it is not written and the first thing that is wrong is named."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from dataset_trees import build_mevis, build_ref_youtube_vos
from PIL import Image

from saymask.errors import DataError, UnknownName, VideoError
from saymask.evaluation.exam import open_exam
from saymask.evaluation.predictors import empty, predict_masks
from saymask.evaluation.submission import Contents, server_of, write_submission
from saymask.records import Prediction, QueryResult
from saymask.samples import Sample, SampleSet

MEVIS = server_of("mevis")


def two_corners(sample: Sample) -> Prediction:
    """Two objects: the first pixel of every frame, and on the last frame the last one."""
    masks_NTHW = np.zeros((2, sample.video.num_frames, sample.video.height, sample.video.width), bool)
    masks_NTHW[0, :, 0, 0] = masks_NTHW[1, -1, -1, -1] = True
    return predict_masks(sample, masks_NTHW)


def samples_of(dataset: str, root) -> SampleSet:
    return open_exam(dataset, "valid", root).samples


def pixels(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with Image.open(io.BytesIO(archive.read(name))) as image:
        assert (image.format, image.mode) == ("PNG", "L")
        return np.asarray(image)


def test_mevis_has_a_folder_per_video_and_expression(tmp_path):
    samples = samples_of("mevis", build_mevis(tmp_path))
    path = tmp_path / "mevis.zip"
    assert write_submission(path, MEVIS, samples, two_corners) == Contents(videos=2, expressions=3, masks=8)
    with zipfile.ZipFile(path) as archive:
        bird = [f"bird/{exp_id}/{frame}.png" for exp_id in "01" for frame in ("00000", "00001", "00002")]
        assert archive.namelist() == [*bird, "coin/0/00000.png", "coin/0/00001.png"]
        assert archive.testzip() is None
        expected_HW = np.zeros((12, 20), np.uint8)
        expected_HW[0, 0] = 255
        np.testing.assert_array_equal(pixels(archive, "bird/1/00001.png"), expected_HW)
        expected_HW[-1, -1] = 255
        np.testing.assert_array_equal(pixels(archive, "bird/1/00002.png"), expected_HW)


def test_ref_youtube_vos_has_annotations_above_and_only_videos_of_valid(tmp_path):
    samples = samples_of("ref-youtube-vos", build_ref_youtube_vos(tmp_path))
    path = tmp_path / "ytvos.zip"
    assert write_submission(path, server_of("ref-youtube-vos"), samples, empty) == Contents(1, 1, 2)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["Annotations/valid-1/0/00000.png", "Annotations/valid-1/0/00005.png"]
        assert not pixels(archive, "Annotations/valid-1/0/00005.png").any()


def test_an_answer_without_objects_is_an_empty_mask(tmp_path):
    def nothing(sample: Sample) -> Prediction:
        return Prediction(sample.video, (QueryResult(sample.expression.text, "There is no such thing.", ()),))

    path = tmp_path / "mevis.zip"
    write_submission(path, MEVIS, samples_of("mevis", build_mevis(tmp_path)), nothing)
    with zipfile.ZipFile(path) as archive:
        np.testing.assert_array_equal(pixels(archive, "coin/0/00000.png"), np.zeros((12, 20), np.uint8))


def test_the_same_masks_make_the_same_file(tmp_path):
    samples = samples_of("mevis", build_mevis(tmp_path))
    for name in ("a.zip", "b.zip"):
        write_submission(tmp_path / name, MEVIS, samples, two_corners)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_first_missing_prediction_is_named_and_all_are_counted(tmp_path):
    def forgetful(sample: Sample) -> Prediction:
        if sample.video.name == "coin" or sample.expression.exp_id == "1":
            raise DataError(f"{sample.video.name}/{sample.expression.exp_id}.json: no prediction")
        return empty(sample)

    samples = samples_of("mevis", build_mevis(tmp_path))
    with pytest.raises(DataError) as caught:
        write_submission(tmp_path / "mevis.zip", MEVIS, samples, forgetful)
    assert str(caught.value) == "bird/1.json: no prediction (2 of 3 predictions cannot be submitted; nothing was written)"
    assert [path.name for path in tmp_path.iterdir()] == ["mevis"]


def test_masks_of_another_size_are_refused_before_anything_is_written(tmp_path):
    def halved(sample: Sample) -> Prediction:
        return predict_masks(sample, np.ones((1, sample.video.num_frames, 6, 10), bool))

    with pytest.raises(DataError, match=r"^bird/0: the predicted masks are \(3, 6, 10\) .* expected \(3, 12, 20\)"):
        write_submission(tmp_path / "mevis.zip", MEVIS, samples_of("mevis", build_mevis(tmp_path)), halved)
    assert [path.name for path in tmp_path.iterdir()] == ["mevis"]


def test_a_video_of_too_few_frames_is_refused(tmp_path):
    def cut_short(sample: Sample) -> Prediction:
        short = replace(sample.video, frame_names=sample.video.frame_names[:-1], timestamps_T=sample.video.timestamps_T[:-1])
        return replace(empty(replace(sample, video=short)), video=short)

    with pytest.raises(DataError, match=r"^bird/0: the predicted masks are \(2, 12, 20\) .* expected \(3, 12, 20\)"):
        write_submission(tmp_path / "mevis.zip", MEVIS, samples_of("mevis", build_mevis(tmp_path)), cut_short)


def test_an_existing_file_is_not_replaced(tmp_path):
    path = tmp_path / "mevis.zip"
    path.write_bytes(b"mine")
    with pytest.raises(VideoError, match="already exists and is not overwritten"):
        write_submission(path, MEVIS, samples_of("mevis", build_mevis(tmp_path)), empty)
    assert path.read_bytes() == b"mine"


def test_progress_goes_through_both_passes(tmp_path):
    seen = []
    samples = samples_of("mevis", build_mevis(tmp_path))
    write_submission(tmp_path / "mevis.zip", MEVIS, samples, empty, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 6) for done in range(1, 7)]


def test_a_dataset_without_a_server_is_refused():
    assert server_of("mevis").split == "valid"
    with pytest.raises(UnknownName, match="no server takes submissions for 'mevi'; did you mean 'mevis'"):
        server_of("mevi")
