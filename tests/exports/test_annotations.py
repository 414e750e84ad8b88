"""Annotation files are read back with the tools they are meant for, and give the same masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from saymask.errors import VideoError
from saymask.exports.annotations import write_coco, write_npz, write_ytvis
from saymask.records import Masklet, Prediction, QueryResult, Rle, Video

NUM_FRAMES, HEIGHT, WIDTH = 3, 11, 13
QUERIES = ("the red fish", "all the cars", "a zebra")


@pytest.fixture
def masks_NTHW() -> np.ndarray:
    """Three objects; the first is not there on the second frame."""
    masks_NTHW = np.random.default_rng(0).random((3, NUM_FRAMES, HEIGHT, WIDTH)) < 0.4
    masks_NTHW[0, 1] = False
    return masks_NTHW


@pytest.fixture
def prediction(masks_NTHW: np.ndarray) -> Prediction:
    """The first query found one object, the second two, the third none."""
    scores_T = np.array([0.9, 0.0, 0.6])
    masklets = [Masklet(obj_id, tuple(map(Rle.encode, masks)), scores_T) for obj_id, masks in zip((1, 1, 2), masks_NTHW, strict=True)]
    results = [QueryResult(query, "", tuple(found)) for query, found in zip(QUERIES, (masklets[:1], masklets[1:], []), strict=True)]
    return Prediction(Video.from_frames(np.zeros((NUM_FRAMES, HEIGHT, WIDTH, 3), np.uint8), name="clip", fps=10), tuple(results))


def test_coco(prediction: Prediction, masks_NTHW: np.ndarray, tmp_path: Path) -> None:
    path = write_coco(prediction, tmp_path)
    assert path == tmp_path / "coco.json"
    coco = COCO(str(path))
    assert [(image["file_name"], image["height"], image["width"]) for image in coco.imgs.values()] == [
        (f"0000{i}.jpg", HEIGHT, WIDTH) for i in range(NUM_FRAMES)
    ]
    assert [category["name"] for category in coco.loadCats([1, 2, 3])] == list(QUERIES)
    found = {(a["track_id"] - 1, a["image_id"] - 1): a for a in coco.anns.values()}
    assert sorted(found) == [(n, t) for n in range(3) for t in range(NUM_FRAMES) if (n, t) != (0, 1)]
    for (obj_idx, index), annotation in found.items():
        mask_HW = masks_NTHW[obj_idx, index]
        np.testing.assert_array_equal(coco.annToMask(annotation).astype(bool), mask_HW)
        assert annotation["category_id"] == (1, 2, 2)[obj_idx]
        assert annotation["area"] == mask_HW.sum()
        assert annotation["bbox"] == coco_mask.toBbox(annotation["segmentation"]).tolist()
        assert annotation["score"] == [0.9, 0.0, 0.6][index]


def test_ytvis(prediction: Prediction, masks_NTHW: np.ndarray, tmp_path: Path) -> None:
    content = json.loads(write_ytvis(prediction, tmp_path).read_text())
    files = [f"clip/0000{i}.jpg" for i in range(NUM_FRAMES)]
    assert content["videos"] == [{"id": 1, "height": HEIGHT, "width": WIDTH, "length": NUM_FRAMES, "file_names": files}]
    assert [(a["id"], a["video_id"], a["category_id"], a["score"]) for a in content["annotations"]] == [
        (1, 1, 1, 0.5),
        (2, 1, 2, 0.5),
        (3, 1, 2, 0.5),
    ]
    absent = content["annotations"][0]
    assert (absent["segmentations"][1], absent["bboxes"][1], absent["areas"][1]) == (None, None, None)
    for obj_idx, annotation in enumerate(content["annotations"]):
        frames = zip(annotation["segmentations"], annotation["areas"], masks_NTHW[obj_idx], strict=True)
        for segmentation, area, true_HW in frames:
            mask_HW = np.zeros((HEIGHT, WIDTH), bool) if segmentation is None else coco_mask.decode(segmentation).astype(bool)
            np.testing.assert_array_equal(mask_HW, true_HW)
            assert area == (mask_HW.sum() or None)


def test_npz_unpacks_as_its_docstring_says(prediction: Prediction, masks_NTHW: np.ndarray, tmp_path: Path) -> None:
    with np.load(write_npz(prediction, tmp_path), allow_pickle=False) as z:
        N, T, H, W = z["shape"]
        unpacked_NTHW = np.unpackbits(z["masks"], axis=-1, count=H * W).reshape(N, T, H, W).astype(bool)
        np.testing.assert_array_equal(unpacked_NTHW, masks_NTHW)
        assert z["queries"].tolist() == ["the red fish", "all the cars", "all the cars"]
        assert z["obj_ids"].tolist() == [1, 1, 2]
        assert z["timestamps"].tolist() == [0, 0.1, 0.2]


def test_no_object_at_all(prediction: Prediction, tmp_path: Path) -> None:
    nothing = Prediction(prediction.video, (QueryResult("a zebra", "", ()),))
    assert COCO(str(write_coco(nothing, tmp_path))).anns == {}
    assert json.loads(write_ytvis(nothing, tmp_path).read_text())["annotations"] == []
    with np.load(write_npz(nothing, tmp_path), allow_pickle=False) as z:
        assert (z["masks"].shape, z["queries"].shape) == ((0, NUM_FRAMES, 18), (0,))


@pytest.mark.parametrize(("writer", "name"), [(write_coco, "coco.json"), (write_ytvis, "ytvis.json"), (write_npz, "masks.npz")])
def test_nothing_is_overwritten(writer, name: str, prediction: Prediction, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(VideoError) as error:
        writer(prediction, tmp_path)
    assert str(error.value) == f"{tmp_path / name}: already exists and is not overwritten; remove it or choose another folder"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]
