"""Label maps: any class of an image can be asked for, what has no name cannot, and unknown numbers are errors."""

import numpy as np
import pytest
from dataset_trees import HEIGHT, WIDTH, block, build_ade20k, build_coco_stuff, write_label_map

from saymask.datasets.public.class_names import ADE20K_CLASSES, COCO_STUFF_CLASSES
from saymask.datasets.public.sem_seg import load_ade20k, load_coco_stuff
from saymask.errors import DataError


def drawn(samples, num_draws=60):
    """What is asked of which image, in so many draws."""
    rng = np.random.default_rng(0)
    found = [samples.draw(rng) for _ in range(num_draws)]
    return {(sample.video.name, sample.expression.text) for sample in found}


def test_in_its_place_an_image_is_asked_for_its_largest_class(tmp_path):
    wall, cars = load_ade20k(build_ade20k(tmp_path), "train")
    assert (wall.video.name, wall.expression.text, wall.expression.obj_ids) == ("ADE_train_00000001", "wall", (1,))
    assert np.array_equal(wall.masks_THW[0], ~(block(1) | block(2)))
    assert wall.ignore_THW is not None and np.array_equal(wall.ignore_THW[0], block(2))
    assert cars.expression.text == "car"
    assert np.array_equal(cars.masks_THW[0], block(1) | block(2))


def test_in_training_any_class_of_an_image_is_asked_for(tmp_path):
    samples = load_ade20k(build_ade20k(tmp_path), "train")
    assert drawn(samples) == {("ADE_train_00000001", "wall"), ("ADE_train_00000001", "person"), ("ADE_train_00000002", "car")}
    rng = np.random.default_rng(0)
    person = next(sample for sample in iter(lambda: samples.draw(rng), None) if sample.expression.text == "person")
    assert np.array_equal(person.masks_THW[0], block(1))
    assert samples.sentences("ADE_train_00000001") == {"wall", "person"}


def test_kinds_of_stuff_with_a_hyphen_are_background(tmp_path):
    samples = load_coco_stuff(build_coco_stuff(tmp_path), "train")
    assert drawn(samples) == {("000000000009", "person"), ("000000000009", "wood"), ("000000000025", "road")}
    ignore_THW = samples[0].ignore_THW
    assert ignore_THW is not None
    assert ignore_THW[0, 8:].all() and not ignore_THW[0, :8].any(), "sky-other counts as background, unlabelled pixels do not count"


def test_an_image_without_a_class_is_passed_over_in_training(tmp_path):
    root = build_coco_stuff(tmp_path)
    label_map = root / "cocostuff/train2017/000000000025.png"
    write_label_map(label_map, np.full((HEIGHT, WIDTH), COCO_STUFF_CLASSES.index("sky-other")))
    samples = load_coco_stuff(root, "train")
    assert drawn(samples) == {("000000000009", "person"), ("000000000009", "wood")}
    with pytest.raises(DataError, match=f"{label_map}: nothing in it can be asked for; training passes over it"):
        samples[1]
    write_label_map(root / "cocostuff/train2017/000000000009.png", np.full((HEIGHT, WIDTH), 255))
    with pytest.raises(DataError, match="train2017: nothing can be asked for in 100 images in a row; download the label maps again"):
        samples.draw(np.random.default_rng(0))


def test_a_number_that_stands_for_nothing_is_named(tmp_path):
    root = build_ade20k(tmp_path)
    label_map = root / "annotations/training/ADE_train_00000002.png"
    write_label_map(label_map, np.where(block(1), 151, 0))
    with pytest.raises(DataError, match=f"{label_map}: a pixel has the number 151, but classes go from 1 to 150; it was compressed"):
        load_ade20k(root, "train")[1]


@pytest.mark.parametrize("gone", ["images/training/ADE_train_00000002.jpg", "annotations/training/ADE_train_00000001.png"])
def test_images_and_label_maps_come_in_pairs(gone, tmp_path):
    root = build_ade20k(tmp_path)
    (root / gone).unlink()
    with pytest.raises(DataError, match=f"{gone}: not found; ade20k is laid out as <root>/"):
        load_ade20k(root, "train")


def test_the_numbers_mean_what_the_authors_say():
    """Some lines of `objectInfo150` and `labels.txt`, the latter's numbers less one."""
    assert (len(ADE20K_CLASSES), len(COCO_STUFF_CLASSES)) == (150, 182)
    assert {number: ADE20K_CLASSES[number - 1] for number in (1, 13, 92, 150)} == {1: "wall", 13: "person", 92: "dirt track", 150: "flag"}
    expected = {1: "person", 14: "parking meter", 91: "hair brush", 92: "banner", 157: "sky-other", 182: "wood"}
    assert {line: COCO_STUFF_CLASSES[line - 1] for line in expected} == expected
