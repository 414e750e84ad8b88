"""Masks that other tools export, and masks that saymask exports for them, are read as they were meant, and their form is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saymask.datasets.own.check import check_folder
from saymask.datasets.own.folder import load_folder_dataset
from saymask.datasets.own.masks import MaskFinder, MaskSource
from saymask.errors import DataError
from saymask.records import Masklet, Prediction, QueryResult, Rle, Video
from saymask.video.label_studio_rle import decode, encode
from saymask.video.masks import rle_to_coco

NUM_FRAMES, HEIGHT, WIDTH = 3, 20, 28
VIDEO = Video.from_frames(np.zeros((NUM_FRAMES, HEIGHT, WIDTH, 3), np.uint8), name="clip")


@pytest.fixture
def masks_NTHW() -> np.ndarray:
    """Two fish, one with a hole and gone on frame 1, one of two parts; and a speckled key."""
    masks_NTHW = np.zeros((3, NUM_FRAMES, HEIGHT, WIDTH), bool)
    masks_NTHW[0, :, 2:9, 3:12] = True
    masks_NTHW[0, :, 4:6, 5:8] = False
    masks_NTHW[0, 1] = False
    masks_NTHW[1, :, 12:17, 1:6] = True
    masks_NTHW[1, 2, 11:14, 16:22] = True
    masks_NTHW[2] = np.random.default_rng(0).random((NUM_FRAMES, HEIGHT, WIDTH)) < 0.3
    return masks_NTHW


@pytest.fixture
def prediction(masks_NTHW: np.ndarray) -> Prediction:
    ones_T = np.ones(NUM_FRAMES)
    first, second, third = (tuple(map(Rle.encode, masks_THW)) for masks_THW in masks_NTHW)
    fish = QueryResult("fish", "", (Masklet(1, first, ones_T), Masklet(2, second, ones_T)))
    return Prediction(VIDEO, (fish, QueryResult("a key", "", (Masklet(1, third, ones_T),))))


def find(root: Path) -> MaskSource:
    masks = MaskFinder(root, {}).find("clip")
    assert masks is not None
    return masks


@pytest.mark.parametrize("name", ["cvat", "labelstudio", "labelme", "coco", "ytvis"])
def test_what_is_exported_with_identity_comes_back_with_it(name, prediction, masks_NTHW, tmp_path):
    prediction.save(tmp_path / "masks" / "clip", name)
    masks = find(tmp_path)
    assert (masks.obj_ids("fish"), masks.obj_ids("a key")) == ((1, 2), (3,))
    for t in range(NUM_FRAMES):
        np.testing.assert_array_equal(masks.masks([1, 2, 3], masks.frames[t], VIDEO), masks_NTHW[:, t])


def test_yolo_comes_back_as_classes(prediction, masks_NTHW, tmp_path):
    prediction.save(tmp_path / "masks" / "clip", "yolo-seg")
    masks = find(tmp_path)
    for t, frame in enumerate(masks.frames):
        np.testing.assert_array_equal(masks.masks([0, 1], frame, VIDEO), [masks_NTHW[:2, t].any(axis=0), masks_NTHW[2, t]])


def cvat_mask(mask_HW: np.ndarray) -> str:
    """The attributes of a mask: runs row by row in the box of its pixels, background first."""
    x0, y0, x1, y1 = Rle.encode(mask_HW).box() or (0, 0, 1, 1)
    runs, value, length = [], False, 0
    for pixel in mask_HW[y0:y1, x0:x1].ravel().tolist():
        if pixel != value:
            runs.append(length)
            value, length = pixel, 0
        length += 1
    return f'rle="{", ".join(map(str, [*runs, length]))}" left="{x0}" top="{y0}" width="{x1 - x0}" height="{y1 - y0}"'


META = (
    "<meta><task><start_frame>0</start_frame><stop_frame>{stop}</stop_frame><frame_filter>{filter}</frame_filter>"
    f"<original_size><width>{WIDTH}</width><height>{HEIGHT}</height></original_size></task></meta>"
)


def write_xml(root: Path, content: str, stop: int = NUM_FRAMES - 1, step: str = "") -> None:
    (root / "masks").mkdir(exist_ok=True)
    text = f"<annotations><version>1.1</version>{META.format(stop=stop, filter=step)}{content}</annotations>"
    (root / "masks" / "clip.xml").write_text(text)


def test_masks_and_boxes_of_cvat(masks_NTHW, tmp_path):
    shapes = "".join(f'<track id="{t}" label="key"><mask frame="{t}" outside="0" {cvat_mask(masks_NTHW[2, t])}/></track>' for t in range(2))
    box = '<track id="7" label="fish" group_id="0"><box frame="1" outside="0" xtl="3.00" ytl="2.00" xbr="12.00" ybr="9.00"/></track>'
    write_xml(tmp_path, shapes + box)
    masks = find(tmp_path)
    assert (masks.obj_ids("key"), masks.obj_ids("fish")) == ((1, 2), (3,))
    np.testing.assert_array_equal(masks.masks([1], "0", VIDEO)[0], masks_NTHW[2, 0])
    expected_HW = np.zeros((HEIGHT, WIDTH), bool)
    expected_HW[2:9, 3:12] = True
    np.testing.assert_array_equal(masks.masks([3], "1", VIDEO)[0], expected_HW)
    assert not masks.masks([3], "2", VIDEO).any(), "the task has this frame, and nothing is on it"


def test_a_task_of_every_second_frame_says_nothing_about_the_others(tmp_path):
    write_xml(tmp_path, "", stop=4, step="step=2")
    assert list(find(tmp_path).frames) == ["0", "2", "4"]


def test_images_of_cvat(tmp_path):
    shape = '<polygon label="fish" points="0,0;4,0;4,4;0,4" group_id="{}"/>'
    image = f'<image id="0" name="sub/frame_000002.PNG" width="{WIDTH}" height="{HEIGHT}">{shape.format(1)}{shape.format(2)}</image>'
    write_xml(tmp_path, image)
    masks = find(tmp_path)
    assert (list(masks.frames), masks.obj_ids("fish")) == (["frame_000002"], (1, 2))


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        ("<track", ["clip.xml", "not valid XML"]),
        ('<track label="a"><ellipse frame="0" outside="0"/></track>', ["frame 0", "ellipse"]),
        ('<track label="a"><polygon outside="0"/></track>', ["'frame'"]),
        ('<track label="a"><mask frame="1" rle="1,2" left="0" top="0" width="9" height="9"/></track>', ["frame 1", "3 pixels", "9 x 9"]),
        ('<track label="a"><mask frame="1" rle="0,4" left="27" top="0" width="2" height="2"/></track>', ["reaches out", "28x20"]),
    ],
)
def test_what_cvat_does_not_write_is_named(content, facts, tmp_path):
    write_xml(tmp_path, content)
    with pytest.raises(DataError) as error:
        find(tmp_path)
    assert all(fact in str(error.value) for fact in facts), error.value


def test_a_document_type_is_not_read(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "clip.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>')
    with pytest.raises(DataError, match="document type"):
        find(tmp_path)


def region(kind: str, value: dict, **more) -> dict:
    size = {"original_width": WIDTH, "original_height": HEIGHT}
    return {"id": "x1", "type": kind, "value": {kind: ["fish"], **value}, **size, **more}


def write_tasks(root: Path, *tasks: dict) -> None:
    (root / "masks").mkdir(exist_ok=True)
    (root / "masks" / "clip.json").write_text(json.dumps(tasks))


def test_polygons_and_rectangles_of_label_studio(tmp_path):
    percent = [[0, 0], [50, 0], [50, 50], [0, 50]]
    drawn = [region("polygonlabels", {"points": percent}), region("rectanglelabels", {"x": 50, "y": 50, "width": 50, "height": 50})]
    write_tasks(tmp_path, {"data": {"image": "/data/upload/1/0a1b2c3d-00001.jpg"}, "annotations": [{"result": drawn}]})
    masks = find(tmp_path)
    assert list(masks.frames) == ["00001"]
    expected_HW = np.zeros((HEIGHT, WIDTH), bool)
    expected_HW[:10, :14] = expected_HW[10:, 14:] = True
    np.testing.assert_array_equal(masks.masks(masks.obj_ids("fish"), "00001", VIDEO)[0], expected_HW)


@pytest.mark.parametrize(
    ("task", "facts"),
    [
        ({"annotations": [{"result": [region("ellipselabels", {})]}]}, ["task 1", "'ellipselabels'"]),
        ({"annotations": [{"result": []}, {"result": []}]}, ["task 1", "2 annotations"]),
        ({"annotations": [{"result": [region("brushlabels", {"format": "rle", "rle": [0, 0, 0, 4]})]}]}, ["task 1", "2240", "28 x 20"]),
        ({"annotations": [{"result": [region("brushlabels", {"format": "rle", "rle": [900]})]}]}, ["task 1", "brush"]),
    ],
)
def test_what_label_studio_does_not_write_is_named(task, facts, tmp_path):
    write_tasks(tmp_path, {"data": {"image": "00000.jpg"}, **task})
    with pytest.raises(DataError) as error:
        find(tmp_path)
    assert all(fact in str(error.value) for fact in facts), error.value


def test_a_cancelled_annotation_does_not_count(tmp_path):
    cancelled = {"was_cancelled": True, "result": [region("rectanglelabels", {"x": 0, "y": 0, "width": 9, "height": 9})]}
    write_tasks(tmp_path, {"data": {"image": "00000.jpg"}, "annotations": [cancelled, {"result": []}]})
    assert find(tmp_path).obj_ids("fish") == ()


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 1])
def test_brushes_are_decoded_as_they_are_encoded(share):
    mask_HW = np.random.default_rng(2).random((173, 211)) < share
    np.testing.assert_array_equal(decode(encode(mask_HW), 173, 211), mask_HW)


def test_brushes_that_label_studio_encodes_are_read():
    brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="the converter of Label Studio is not installed")
    mask_HW = np.random.default_rng(3).random((11, 13)) < 0.5
    np.testing.assert_array_equal(decode(brush.mask2rle(mask_HW.astype(np.uint8) * 255), 11, 13), mask_HW)


def test_mots(masks_NTHW, tmp_path):
    counts = [rle_to_coco(Rle.encode(mask_HW))["counts"] for mask_HW in masks_NTHW[0]]
    lines = [f"{t + 1} 2001 2 {HEIGHT} {WIDTH} {counts[t]}" for t in (0, 2)] + [f"3 10000 10 {HEIGHT} {WIDTH} {counts[0]}"]
    (tmp_path / "masks" / "clip").mkdir(parents=True)
    (tmp_path / "masks" / "clip" / "gt.txt").write_text("\n".join(lines))
    masks = find(tmp_path)
    assert (list(masks.frames), masks.obj_ids("2001"), masks.obj_ids("class 2"), masks.obj_ids("10000")) == (
        ["1", "2", "3"],
        (2001,),
        (2001,),
        (),
    )
    for t in range(NUM_FRAMES):
        np.testing.assert_array_equal(masks.masks([2001], str(t + 1), VIDEO)[0], masks_NTHW[0, t])


def test_a_line_that_is_not_of_mots(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "clip.txt").write_text(f"1 1 1 {HEIGHT} {WIDTH} abc\n1 x 1 1 1 abc\n")
    with pytest.raises(DataError, match=r"clip\.txt line 2"):
        find(tmp_path)


def write_colours(root: Path, pixels_HWC: np.ndarray) -> None:
    folder = root / "masks" / "clip"
    (folder / "SegmentationClass").mkdir(parents=True)
    (folder / "SegmentationObject").mkdir()
    (folder / "labelmap.txt").write_text("# label:color_rgb:parts:actions\nbackground:0,0,0::\nfish:250,50,83::\nkey:10,20,30::\n")
    for place in ("SegmentationClass", "SegmentationObject"):
        Image.fromarray(pixels_HWC).save(folder / place / "frame_000001.png")


def test_the_coloured_masks_of_cvat(masks_NTHW, tmp_path):
    pixels_HWC = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels_HWC[masks_NTHW[0, 0]] = (250, 50, 83)
    pixels_HWC[masks_NTHW[1, 0]] = (10, 20, 30)
    write_colours(tmp_path, pixels_HWC)
    masks = find(tmp_path)
    assert (masks.obj_ids("fish"), masks.obj_ids("key"), list(masks.frames)) == ((1,), (2,), ["frame_000001"])
    np.testing.assert_array_equal(masks.masks([1, 2], "frame_000001", VIDEO), masks_NTHW[:2, 0])


def test_a_colour_of_no_label(tmp_path):
    write_colours(tmp_path, np.full((HEIGHT, WIDTH, 3), 9, np.uint8))
    with pytest.raises(DataError, match=r"\(9, 9, 9\).*labelmap"):
        find(tmp_path).masks([1], "frame_000001", VIDEO)


def own_data(root: Path, sentence: str = "clip,fish,the fish") -> Path:
    """A folder of own data with the video's frames."""
    (root / "videos" / "clip").mkdir(parents=True)
    for t in range(NUM_FRAMES):
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(root / "videos" / "clip" / f"{t:05d}.png")
    (root / "sentences.csv").write_text(f"video,objects,sentence\n{sentence}\n")
    return root


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cvat", ["CVAT for video 1.1", "track", "numbered from 0"]),
        ("labelstudio", ["Label Studio", "label", "numbered from 0"]),
        ("labelme", ["labelme", "group_id"]),
        ("yolo-seg", ["YOLO", "class"]),
        ("coco", ["COCO", "track_id"]),
        ("ytvis", ["YouTube-VIS", "annotation"]),
        ("davis", ["DAVIS", "number"]),
        ("png", ["black-and-white", "folder"]),
    ],
)
def test_the_check_says_form_base_and_identity_in_one_line(name, words, prediction, tmp_path):
    names = {"yolo-seg": "0", "davis": "1", "png": "fish/1"}
    root = own_data(tmp_path, f"clip,{names.get(name, 'fish')},the fish")
    prediction.save(root / "masks" / "clip", name)
    report = check_folder(root)
    assert report.problems == ()
    assert any(all(word in finding.text for word in words) for finding in report.findings), [f.text for f in report.findings]


def test_masks_numbered_from_one_are_said_to_be(tmp_path, masks_NTHW):
    root = own_data(tmp_path)
    (root / "masks" / "clip" / "fish").mkdir(parents=True)
    for t in range(NUM_FRAMES):
        Image.fromarray(masks_NTHW[1, t].astype(np.uint8) * 255).save(root / "masks" / "clip" / "fish" / f"{t + 1:05d}.png")
    report = check_folder(root)
    assert any("masks are numbered from 1" in finding.text for finding in report.findings)
    np.testing.assert_array_equal(load_folder_dataset(root, "train")[0].masks_THW, masks_NTHW[1])
