"""What drawing tools export is read as it was meant, or refused with the file and what to do."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from saymask.datasets.own.frame_files import read_labelme, read_yolo
from saymask.datasets.own.images import LabelImages
from saymask.datasets.own.masks import MaskFinder, place_frames
from saymask.datasets.own.outlines import read_outlines_by_video
from saymask.errors import DataError
from saymask.records import Video

VIDEO = Video.from_frames(np.zeros((4, 8, 16, 3), np.uint8), name="clip")
SQUARE = [[4, 2], [8, 2], [8, 6], [4, 6]]
MASK_HW = np.zeros((8, 16), dtype=bool)
MASK_HW[2:6, 4:8] = True


def labelme(**shape):
    shapes = [{"label": "fish", "points": SQUARE, "group_id": None, "shape_type": "polygon", **shape}]
    return {"shapes": shapes, "imageHeight": 8, "imageWidth": 16}


def folder(tmp_path, **files):
    (tmp_path / "masks/clip").mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / "masks/clip" / name.replace("__", ".")).write_text(text)
    return MaskFinder(tmp_path, {})


def test_labelme(tmp_path):
    empty = {**labelme(), "shapes": []}
    masks = folder(tmp_path, **{"00000__json": json.dumps(labelme()), "00001__json": json.dumps(empty)}).find("clip")
    (obj_id,) = masks.obj_ids("fish")
    np.testing.assert_array_equal(masks.masks([obj_id], "00000", VIDEO)[0], MASK_HW)
    assert not masks.masks([obj_id], "00001", VIDEO).any()


def test_groups_of_labelme_are_objects_and_their_label_is_all_of_them(tmp_path):
    content = labelme(group_id=1)
    content["shapes"].append({"label": "fish", "points": [[0, 0], [2, 2]], "group_id": 2, "shape_type": "rectangle"})
    (tmp_path / "0.json").write_text(json.dumps(content))
    masks = read_labelme(tmp_path, [tmp_path / "0.json"])
    assert masks.obj_ids("fish") == (1, 2)
    assert masks.masks([1, 2], "0", VIDEO).sum(axis=(1, 2)).tolist() == [16, 4]


@pytest.mark.parametrize("shape", [{"shape_type": "circle"}, {"points": [[1, 2, 3]]}, {"points": 7}])
def test_other_shapes_are_named(shape, tmp_path):
    (tmp_path / "0.json").write_text(json.dumps(labelme(**shape)))
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / '0.json'}: shape 1")):
        read_labelme(tmp_path, [tmp_path / "0.json"])


def test_yolo(tmp_path):
    line = "3 0.25 0.25 0.5 0.25 0.5 0.75 0.25 0.75"
    masks = folder(tmp_path, **{"00000__txt": line, "00001__txt": "", "classes__txt": "a\nb\nc\nfish"}).find("clip")
    assert masks.obj_ids("3") == (3,) and list(masks.frames) == ["00000", "00001"]
    np.testing.assert_array_equal(masks.masks([3], "00000", VIDEO)[0], MASK_HW)


@pytest.mark.parametrize(
    "line", ["0 0.5 0.5 0.2 0.2", "fish 1 2 3 4 5 6", "0 20 20 40 20 40 40", "0", "0 nan 0 1 0 1 1", "9" * 5000 + " 0 0 1 0 1 1"]
)
def test_a_line_that_is_no_outline(line, tmp_path):
    (tmp_path / "0.txt").write_text(line)
    with pytest.raises(DataError, match=re.escape(f"{tmp_path / '0.txt'} line 1")):
        read_yolo(tmp_path, [tmp_path / "0.txt"])


@pytest.mark.parametrize("name", ["annotations__tfrecord", "clip__zip", "labels__csv"])
def test_a_form_that_is_not_read_is_named(name, tmp_path):
    with pytest.raises(DataError, match=name.replace("__", r"\.") + ".*COCO"):
        folder(tmp_path, **{name: "x"}).find("clip")


def coco(path, annotations, size=(8, 16)):
    images = [{"id": i, "file_name": f"{i:06d}.PNG", "height": size[0], "width": size[1]} for i in range(2)]
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return read_outlines_by_video(path, lambda frame, stated: "")[""]


FLAT = [4, 2, 8, 2, 8, 6, 4, 6]


def test_identity_under_attributes_and_polygons_that_are_flat(tmp_path):
    annotations = [{"id": i + 1, "image_id": i, "segmentation": FLAT, "attributes": {"track_id": 0}} for i in range(2)]
    masks = coco(tmp_path / "a.json", annotations)
    assert list(masks.by_object) == [0] and not masks.has_no_identity()
    np.testing.assert_array_equal(masks.masks([0], "000001", VIDEO)[0], MASK_HW)


def test_objects_without_identity_are_noticed(tmp_path):
    masks = coco(tmp_path / "a.json", [{"id": i + 1, "image_id": i, "segmentation": FLAT} for i in range(2)])
    assert masks.has_no_identity()


@pytest.mark.parametrize("side", [10**9, 40_000])
def test_a_mask_of_any_other_size_is_refused_without_being_decoded(side, tmp_path):
    annotations = [{"id": 1, "image_id": 0, "segmentation": {"size": [side, side], "counts": [side * side]}}]
    with pytest.raises(DataError, match=str(side)):
        coco(tmp_path / "a.json", annotations).masks([1], "000000", VIDEO)


@pytest.mark.parametrize(
    "names, expected",
    [
        (["frame_000000", "frame_000002"], {0: "frame_000000", 2: "frame_000002"}),
        (["cam2_00001", "cam2_00003"], {1: "cam2_00001", 3: "cam2_00003"}),
        (["00001", "00002", "00003", "00004"], {0: "00001", 1: "00002", 2: "00003", 3: "00004"}),
        (["4", "1"], {0: "1", 3: "4"}),
        (["00001"], {1: "00001"}),
    ],
)
def test_frames_of_a_video_file_by_number(names, expected, tmp_path):
    assert place_frames(names, VIDEO, tmp_path) == expected


def test_numbers_that_may_begin_at_0_or_at_1(tmp_path):
    with pytest.raises(DataError, match="from 1 to 3"):
        place_frames(["00001", "00002", "00003"], VIDEO, tmp_path)


def test_soft_edges_of_a_mask_in_white(tmp_path):
    soft = np.zeros((8, 16), dtype=np.uint8)
    soft[0], soft[2:4] = np.arange(16) * 16, 255
    Image.fromarray(soft).save(tmp_path / "0.png")
    with pytest.raises(DataError, match=r"0\.png.*soft"):
        LabelImages.find(tmp_path).masks([255], "0", VIDEO)
