"""COCO and YouTube-VIS files become outlines by video, object and frame; what does not fit is named by its entry."""

import json

import numpy as np
import pytest
from dataset_trees import HEIGHT, WIDTH, block, rle, square, write_json

from saymask.datasets.own.outlines import read_outlines_by_video
from saymask.errors import DataError
from saymask.records import Video

VIDEO = Video.from_frames(np.zeros((2, HEIGHT, WIDTH, 3), np.uint8), name="a")


def read(tmp_path, content):
    write_json(tmp_path / "masks.json", content)
    return read_outlines_by_video(tmp_path / "masks.json", lambda frame, stated: str(frame.parent))


COCO = {
    "images": [{"id": 1, "file_name": "a\\f.0.jpg", "height": str(HEIGHT), "width": WIDTH}, {"id": 2, "file_name": "a/v1.5"}],
    "categories": [{"id": 8, "name": "fish"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 8, "segmentation": [square(1)]},
        {"id": 2, "image_id": 1, "category_id": 8, "segmentation": rle(block(2)), "track_id": 1},
        {"id": 3, "image_id": 2, "segmentation": [square(3)], "track_id": None},
    ],
}
YTVIS = {
    "videos": [{"id": 5, "file_names": ["a/0.jpg", "a/1.jpg"], "height": HEIGHT, "width": WIDTH}, {"id": 6, "file_names": ["b/0.jpg"]}],
    "categories": [{"id": 8, "name": "fish"}],
    "annotations": [
        {"id": 4, "video_id": 5, "category_id": 8, "segmentations": [None, rle(block(1))]},
        {"id": 7, "video_id": 6, "category_id": 8, "segmentations": [[square(2)]]},
    ],
}


def test_coco(tmp_path):
    """Annotations 1 and 2 are one object, a polygon and an RLE; on frame v1.5 it is not there."""
    (masks,) = read(tmp_path, COCO).values()
    assert masks.sizes == {"f.0": (HEIGHT, WIDTH), "v1.5": None}
    assert (masks.frames, masks.names, masks.obj_ids("fish"), masks.obj_ids("3")) == (["f.0", "v1.5"], ["1", "3", "fish"], (1,), (3,))
    assert np.array_equal(masks.masks([1], "f.0", VIDEO)[0], block(1) | block(2))
    assert not masks.masks([1], "v1.5", VIDEO)[0].any() and masks.looked_for(1, "v1.5") and not masks.looked_for(1, "v2")
    assert np.array_equal(masks.masks([3], "v1.5", VIDEO)[0], block(3))


def test_ytvis(tmp_path):
    found = read(tmp_path, YTVIS)
    assert {name: (masks.frames, masks.obj_ids("fish")) for name, masks in found.items()} == {"a": (["0", "1"], (4,)), "b": (["0"], (7,))}
    assert np.array_equal(found["a"].masks([4], "1", VIDEO)[0], block(1)) and not found["a"].masks([4], "0", VIDEO)[0].any()


@pytest.mark.parametrize(
    "content, change, message",
    [
        (COCO, lambda file: file.pop("images"), r"masks\.json: neither COCO \(images, annotations\) nor YouTube-VIS"),
        (COCO, lambda file: file.pop("annotations"), r"'annotations' is missing"),
        (COCO, lambda file: file["annotations"][1].update(image_id=9), r"annotation 2: no image has the id 9; "),
        (COCO, lambda file: file["annotations"][0].pop("id"), r"annotation 1: 'id' is missing; "),
        (COCO, lambda file: file["images"][1].update(file_name="a/f.0.png"), r"frame a/f\.0\.png is listed twice; "),
        (COCO, lambda file: file.update(categories=None), r"masks\.json: 'categories' is None, expected list; "),
        (COCO, lambda file: file["annotations"][0].update(category_id=[8]), r"annotation 1: 'category_id' is \[8\], expected a whole"),
        (COCO, lambda file: file["images"][0].update(width="wide"), r"frame a\\f\.0\.jpg: 'width' is 'wide', expected a whole"),
        (YTVIS, lambda file: file["annotations"][0]["segmentations"].pop(), r"annotation 1: 1 outlines, but video 5 has 2 frames; "),
        (YTVIS, lambda file: file["annotations"][1].update(video_id=1), r"annotation 2: 1 outlines, but video 1 has 0 frames; "),
    ],
)
def test_what_does_not_fit_is_named(content, change, message, tmp_path):
    content = json.loads(json.dumps(content))
    change(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)
