"""Exports for annotation tools are read back by the tool's own library, or by its documented schema, and give equal masks."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from saymask.errors import ConfigError, UnknownName
from saymask.integrations.fiftyone import frame_labels
from saymask.lookup import resolve_writer
from saymask.records import Masklet, Prediction, QueryResult, Rle, Video
from saymask.video.label_studio_rle import encode

NUM_FRAMES, HEIGHT, WIDTH = 4, 23, 31
QUERIES = ("the red fish", 'all "cars" & more', "a zebra")
PLACES = (0, 1, 1)
"""Of each object, its query."""


@pytest.fixture
def masks_NTHW() -> np.ndarray:
    """Three objects: one with a hole, gone on frame 1; one of two parts; one that is speckled."""
    masks_NTHW = np.zeros((3, NUM_FRAMES, HEIGHT, WIDTH), bool)
    for t in range(NUM_FRAMES):
        masks_NTHW[0, t, 3:12, 2 + t : 11 + t] = True
        masks_NTHW[0, t, 6:9, 5 + t : 7 + t] = False
        masks_NTHW[1, t, 15:20, 1 + t : 6 + t] = True
        masks_NTHW[1, t, 14:18, 20 + t : 24 + t] = t != 2
    masks_NTHW[0, 1] = False
    masks_NTHW[2] = np.random.default_rng(0).random((NUM_FRAMES, HEIGHT, WIDTH)) < 0.3
    return masks_NTHW


@pytest.fixture
def prediction(masks_NTHW: np.ndarray) -> Prediction:
    """The first query found one object, the second two, the third none."""
    scores_T = np.array([0.9, 0.0, 0.6, 0.7])
    masklets = [Masklet(obj_id, tuple(map(Rle.encode, masks)), scores_T) for obj_id, masks in zip((1, 1, 2), masks_NTHW, strict=True)]
    results = [QueryResult(query, "", tuple(found)) for query, found in zip(QUERIES, (masklets[:1], masklets[1:], []), strict=True)]
    return Prediction(Video.from_frames(np.zeros((NUM_FRAMES, HEIGHT, WIDTH, 3), np.uint8), name="clip", fps=10), tuple(results))


def filled(rings: list[list[float]]) -> np.ndarray:
    """Polygons x, y, x, y … as COCO fills them."""
    if not rings:
        return np.zeros((HEIGHT, WIDTH), bool)
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(rings, HEIGHT, WIDTH))).astype(bool)


def test_cvat(prediction, masks_NTHW, tmp_path):
    """By the schema that CVAT documents (CVAT for video 1.1)."""
    (path,) = prediction.save(tmp_path, "cvat")
    root = ElementTree.parse(path).getroot()
    assert root.findtext("version") == "1.1"
    assert [label.text for label in root.findall("meta/task/labels/label/name")] == list(QUERIES)
    assert (root.findtext("meta/task/size"), root.findtext("meta/task/original_size/width")) == (str(NUM_FRAMES), str(WIDTH))
    rings: dict[tuple[str, int], list[list[float]]] = {}
    for track in root.findall("track"):
        assert track.get("label") == QUERIES[PLACES[int(track.get("group_id")) - 1]]
        frames = [int(shape.get("frame")) for shape in track]
        assert frames == sorted(set(frames))
        gone_before = True
        for shape, follows in zip(track, [*list(track)[1:], None], strict=True):
            assert (shape.tag, shape.get("keyframe"), shape.get("occluded")) == ("polygon", "1", "0")
            if shape.get("outside") == "0":
                points = [float(number) for corner in shape.get("points").split(";") for number in corner.split(",")]
                rings.setdefault((track.get("group_id"), int(shape.get("frame"))), []).append(points)
                last_of_run = follows is None or int(follows.get("frame")) > int(shape.get("frame")) + 1
                assert not last_of_run or int(shape.get("frame")) == NUM_FRAMES - 1, "CVAT would go on showing it"
            else:
                assert not gone_before
            gone_before = shape.get("outside") == "1"
    for n in range(3):
        for t in range(NUM_FRAMES):
            np.testing.assert_array_equal(filled(rings.get((str(n + 1), t), [])), masks_NTHW[n, t])


@pytest.fixture
def image_tasks(prediction, tmp_path) -> list[dict]:
    (path,) = prediction.save(tmp_path, "labelstudio")
    return json.loads(path.read_text())


def test_label_studio(image_tasks, masks_NTHW):
    """Tasks by the schema of predictions that Label Studio documents."""
    assert [task["data"]["image"] for task in image_tasks] == [f"0000{t}.jpg" for t in range(NUM_FRAMES)]
    for t, task in enumerate(image_tasks):
        (found,) = task["predictions"]
        assert [region["id"] for region in found["result"]] == [f"object-{n + 1}" for n in range(3) if masks_NTHW[n, t].any()]
        for region in found["result"]:
            assert (region["type"], region["from_name"], region["to_name"], region["value"]["format"]) == (
                "brushlabels",
                "tag",
                "image",
                "rle",
            )
            assert (region["original_width"], region["original_height"], region["image_rotation"]) == (WIDTH, HEIGHT, 0)
            assert region["value"]["brushlabels"] == [QUERIES[PLACES[int(region["id"][-1]) - 1]]]


def test_label_studio_reads_its_brushes(image_tasks, masks_NTHW):
    brush = pytest.importorskip("label_studio_sdk.converter.brush", reason="the converter of Label Studio is not installed")
    for t, task in enumerate(image_tasks):
        for region in task["predictions"][0]["result"]:
            image_HWC = brush.decode_rle(region["value"]["rle"]).reshape(HEIGHT, WIDTH, 4)
            np.testing.assert_array_equal(image_HWC[..., 3] == 255, masks_NTHW[int(region["id"][-1]) - 1, t])


def test_a_run_of_label_studio_by_hand():
    """Six values of one pixel and a half: 32 bits say 8 values, 5 say words of 8 bits, 4 x 4 the sizes 3 4 8 16; then two runs of four."""
    header = f"{8:032b}" + "00111" + "0010" + "0011" + "0111" + "1111"
    runs = "1" + "00" + "011" + "0" * 8 + "1" + "00" + "011" + "1" * 8
    bits = header + runs
    bits += "0" * (-len(bits) % 8)
    assert encode(np.array([[False, True]])) == [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def test_yolo(prediction, masks_NTHW, tmp_path):
    """By the definition of the labels: class, then x and y in fractions of the frame."""
    (path,) = prediction.save(tmp_path, "yolo-seg")
    assert [json.loads(line.partition(": ")[2]) for line in (path / "data.yaml").read_text().splitlines()[4:]] == list(QUERIES)
    for t in range(NUM_FRAMES):
        rings: dict[int, list[list[float]]] = {0: [], 1: []}
        for line in (path / "labels" / f"0000{t}.txt").read_text().splitlines():
            class_id, *corners = line.split()
            rings[int(class_id)].append([float(number) * (WIDTH, HEIGHT)[place % 2] for place, number in enumerate(corners)])
        np.testing.assert_array_equal(filled(rings[0]), masks_NTHW[0, t])
        np.testing.assert_array_equal(filled(rings[1]), masks_NTHW[1, t] | masks_NTHW[2, t])


def test_labelme(prediction, masks_NTHW, tmp_path):
    """By the keys of a labelme file."""
    (path,) = prediction.save(tmp_path, "labelme")
    for t in range(NUM_FRAMES):
        content = json.loads((path / f"0000{t}.json").read_text())
        assert (content["imagePath"], content["imageData"]) == (f"0000{t}.jpg", None)
        assert (content["imageHeight"], content["imageWidth"]) == (HEIGHT, WIDTH)
        for n in range(3):
            shapes = [shape for shape in content["shapes"] if shape["group_id"] == n + 1]
            assert {(shape["label"], shape["shape_type"]) for shape in shapes} <= {(QUERIES[PLACES[n]], "polygon")}
            np.testing.assert_array_equal(filled([np.ravel(shape["points"]).tolist() for shape in shapes]), masks_NTHW[n, t])


def test_boxes(prediction, tmp_path):
    """Lines of the MOT challenge, everything counted from 1."""
    (path,) = prediction.save(tmp_path, "boxes")
    rows = [[float(cell) for cell in row] for row in csv.reader(path.open())]
    assert [row for row in rows if row[1] == 1] == [
        [1, 1, 3, 4, 9, 9, 0.9, -1, -1, -1],
        [3, 1, 5, 4, 9, 9, 0.6, -1, -1, -1],
        [4, 1, 6, 4, 9, 9, 0.7, -1, -1, -1],
    ]
    assert [row[:6] for row in rows if row[1] == 2 and row[0] in (1, 3)] == [[1, 2, 2, 15, 23, 6], [3, 2, 4, 16, 5, 5]]
    assert rows == sorted(rows)


def test_a_tolerance_leaves_out_corners(prediction, tmp_path):
    (exact,) = prediction.save(tmp_path / "exact", "labelme")
    (simple,) = prediction.save(tmp_path / "simple", "labelme:tolerance=3")
    corners = [sum(len(shape["points"]) for shape in json.loads((path / "00000.json").read_text())["shapes"]) for path in (exact, simple)]
    assert corners[1] < corners[0]


@pytest.mark.parametrize(
    ("name", "error", "fact"),
    [
        ("labelme:tolerence=1", ConfigError, "'tolerance'"),
        ("png:tolerance=1", ConfigError, "it has none"),
        ("labelme:tolerance=wide", ConfigError, "'wide'"),
        ("labelme:tolerance=-1", ConfigError, "'-1'"),
        ("labelme:tolerance=nan", ConfigError, "'nan'"),
        ("labelmee:tolerance=1", UnknownName, "'labelme'"),
    ],
)
def test_a_setting_that_does_not_exist(name, error, fact):
    with pytest.raises(error, match=fact):
        resolve_writer(name)


def test_supervision(prediction, masks_NTHW):
    pytest.importorskip("supervision", reason="supervision is not installed")
    from supervision.detection.compact_mask import CompactMask

    detections = prediction.to_supervision(0)
    assert isinstance(detections.mask, CompactMask)
    np.testing.assert_array_equal(detections.mask.to_dense(), masks_NTHW[:, 0])
    assert detections.tracker_id.tolist() == [1, 2, 3]
    assert detections.class_id.tolist() == list(PLACES)
    assert detections.data["class_name"].tolist() == [QUERIES[place] for place in PLACES]
    assert detections.xyxy[0].tolist() == [2, 3, 10, 11]
    assert detections.confidence.tolist() == pytest.approx([0.9] * 3)
    assert prediction.to_supervision(1).tracker_id.tolist() == [2, 3], "the first is not on this frame"
    assert len(Prediction(prediction.video, prediction.results[2:]).to_supervision(0)) == 0
    with pytest.raises(IndexError, match="frames 0 to 3"):
        prediction.to_supervision(4)


def test_the_labels_of_fiftyone(prediction, masks_NTHW):
    """By the documented fields of `fiftyone.Detection`: a relative box, and a mask that covers it."""
    labels = frame_labels(prediction)
    assert list(labels) == [1, 2, 3, 4]
    first = labels[1][0]
    assert first["bounding_box"] == pytest.approx([2 / WIDTH, 3 / HEIGHT, 9 / WIDTH, 9 / HEIGHT])
    np.testing.assert_array_equal(first["mask"], masks_NTHW[0, 0, 3:12, 2:11])
    assert [(one["label"], one["index"]) for one in labels[2]] == [(QUERIES[1], 2), (QUERIES[1], 3)]


def test_fiftyone(prediction):
    pytest.importorskip("fiftyone", reason="FiftyOne, an optional extra, is not installed")
    sample = prediction.to_fiftyone()
    assert [len(sample.frames[number]["saymask"].detections) for number in range(1, 5)] == [3, 2, 3, 3]


def frame_names_of(path: Path) -> set[str]:
    return {file.stem for file in path.rglob("*") if file.suffix in (".json", ".txt")}


def test_files_are_called_as_the_frames_of_the_source(prediction, tmp_path):
    names = ("a-1", "a-2", "b", "c")
    files = {name: f"{name}.PNG" for name in names}
    video = prediction.video
    renamed = Video(video.name, video.source, HEIGHT, WIDTH, video.timestamps_T, video.duration, video.read, names, frame_files=files)
    labelme, yolo, tasks = Prediction(renamed, prediction.results).save(tmp_path, ["labelme", "yolo-seg", "labelstudio"])
    assert frame_names_of(labelme) == frame_names_of(yolo) == set(names)
    assert json.loads((labelme / "b.json").read_text())["imagePath"] == "b.PNG"
    assert [task["data"]["image"] for task in json.loads(tasks.read_text())] == list(files.values())
