"""Parts of things: one annotation, one sentence, and half of the time the other wording."""

import json

import numpy as np
import pytest
from dataset_trees import block, build_paco_lvis, build_pascal_part, write_json

from saymask.datasets.public.part_seg import load_paco_lvis, load_pascal_part
from saymask.errors import DataError

PACO_FILE = "vlpart/paco/annotations/paco_lvis_v1_train.json"


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)


def test_an_annotation_is_a_sample_unless_it_has_no_outline(tmp_path):
    samples = load_paco_lvis(build_paco_lvis(tmp_path), "train")
    assert [(item.video_name, item.expression.text, dict(item.expression.tags)) for item in samples.items] == [
        ("000000000030", "bench", {"thing": "bench"}),
        ("000000000030", "bench arm", {"thing": "bench", "part": "arm"}),
        ("000000000042", "trash can lid", {"thing": "trash can", "part": "lid"}),
    ]
    for sample, obj_id in zip(samples, (1, 2, 3), strict=True):
        assert np.array_equal(sample.masks_THW[0], block(obj_id))
    assert samples.left_out == ()


def test_a_picture_in_which_nothing_is_outlined_is_left_out_by_name(tmp_path):
    root = build_paco_lvis(tmp_path)
    edit(root / PACO_FILE, lambda content: content["annotations"].pop(2))
    assert load_paco_lvis(root, "train").left_out == (f"{root / 'coco/train2017/000000000042.jpg'}: nothing in it is outlined",)


def test_training_draws_a_picture_then_an_annotation_then_its_words(tmp_path):
    samples = load_paco_lvis(build_paco_lvis(tmp_path), "train")
    rng = np.random.default_rng(0)
    texts = [samples.draw(rng).expression.text for _ in range(800)]
    shares = {text: texts.count(text) / len(texts) for text in set(texts)}
    expected = {"bench": 1 / 4, "bench arm": 1 / 8, "the arm of the bench": 1 / 8}
    expected |= {"trash can lid": 1 / 4, "the lid of the trash can": 1 / 4}
    assert shares == pytest.approx(expected, abs=0.05)


def test_the_words_do_not_change_the_target(tmp_path):
    samples = load_pascal_part(build_pascal_part(tmp_path), "train")
    words = {1: ("dog head", "the head of the dog"), 2: ("aeroplane wing", "the wing of the aeroplane")}
    rng = np.random.default_rng(0)
    for sample in (samples.draw(rng) for _ in range(20)):
        (obj_id,) = sample.expression.obj_ids
        assert sample.expression.text in words[min(obj_id, 2)]
        assert np.array_equal(sample.masks_THW[0], block(obj_id))


@pytest.mark.parametrize("folder", [".", "vlpart", "vlpart/pascal_part"])
def test_the_folder_may_be_any_on_the_way(folder, tmp_path):
    root = build_pascal_part(tmp_path)
    assert len(load_pascal_part(root / folder, "train")) == 3


def test_an_annotation_of_nothing_is_named(tmp_path):
    root = build_paco_lvis(tmp_path)
    edit(root / PACO_FILE, lambda content: content["categories"].pop(1))
    with pytest.raises(DataError, match=r"v1_train\.json: annotation 502: the file has no image 30 or no category 2; download it again"):
        load_paco_lvis(root, "train")
