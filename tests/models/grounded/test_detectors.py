"""Boxes, scores and phrases equal those of plain calls of transformers."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import (
    AutoTokenizer,
    CLIPSegForImageSegmentation,
    GroundingDinoForObjectDetection,
    GroundingDinoProcessor,
    MMGroundingDinoForObjectDetection,
    Owlv2ForObjectDetection,
)
from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil

from saymask.errors import CheckpointError, ConfigError
from saymask.models.grounded.detection import Detections, first_of_each_phrase, split_phrases, without_doubles
from saymask.models.grounded.loading import load_detector
from saymask.runtime import Runtime

CPU = Runtime("cpu", "float32")
PHRASES = ["the red dog", "a ball"]


def noise(height: int = 90, width: int = 130) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)


# -- each detector beside the library ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fixture", "model_class"), [("dino_folder", GroundingDinoForObjectDetection), ("mm_dino_folder", MMGroundingDinoForObjectDetection)]
)
def test_grounding_dino_equals_the_library(request, fixture, model_class):
    folder = request.getfixturevalue(fixture)
    model = model_class.from_pretrained(folder).eval()
    processor = GroundingDinoProcessor(GroundingDinoImageProcessorPil.from_pretrained(folder), AutoTokenizer.from_pretrained(folder))
    inputs = processor(images=noise(), text=[PHRASES], return_tensors="pt")
    with torch.inference_mode():
        outputs = model(**inputs)
    prob_NL = outputs.logits[0].sigmoid()
    threshold = float(prob_NL.max(-1).values.median())
    (expected,) = processor.post_process_grounded_object_detection(
        outputs, inputs["input_ids"], threshold=threshold, target_sizes=[(90, 130)]
    )
    found = load_detector(str(folder), CPU).detect(noise(), PHRASES, threshold)
    assert 0 < len(found) < model.config.num_queries
    torch.testing.assert_close(found.boxes_N4, expected["boxes"])
    torch.testing.assert_close(found.scores_N, expected["scores"])
    # [CLS] the red dog . a ball . [SEP]
    kept = prob_NL[prob_NL.max(-1).values > threshold]
    assert found.phrase_idx_N.tolist() == [int(row[5:7].max() > row[1:4].max()) for row in kept]


def test_owlv2_equals_the_library(owlv2_folder):
    detector = load_detector(str(owlv2_folder), CPU)
    model = Owlv2ForObjectDetection.from_pretrained(owlv2_folder).eval()
    tokens = AutoTokenizer.from_pretrained(owlv2_folder)(PHRASES, padding="max_length", max_length=8, return_tensors="pt")
    with torch.inference_mode():
        outputs = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], pixel_values=detector.pixel_values(noise()))
    scores_N, phrase_N = outputs.logits[0].sigmoid().max(-1)
    centre_x, centre_y, width, height = outputs.pred_boxes[0].unbind(-1)
    corners = torch.stack([centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2], dim=-1)
    found = detector.detect(noise(), PHRASES, 0.0)
    torch.testing.assert_close(found.boxes_N4, corners * 130)  # of the square that the frame is padded to
    torch.testing.assert_close(found.scores_N, scores_N)
    assert found.phrase_idx_N.tolist() == phrase_N.tolist()


def test_owlv2_pads_at_the_right_and_bottom_with_black(owlv2_folder):
    pixels_1CHW = load_detector(str(owlv2_folder), CPU).pixel_values(np.full((16, 32, 3), 255, np.uint8))
    mean, std = torch.tensor([0.48145466, 0.4578275, 0.40821073]), torch.tensor([0.26862954, 0.26130258, 0.27577711])
    torch.testing.assert_close(pixels_1CHW[0, :, 0, 0], (1 - mean) / std)
    torch.testing.assert_close(pixels_1CHW[0, :, 31, 0], (0 - mean) / std)


def test_clipseg_puts_a_box_around_what_is_hot(clipseg_folder):
    detector = load_detector(str(clipseg_folder), CPU)
    model = CLIPSegForImageSegmentation.from_pretrained(clipseg_folder).eval()
    tokens = AutoTokenizer.from_pretrained(clipseg_folder)("a ball", return_tensors="pt")
    square = noise(32, 32)  # no resizing
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = torch.from_numpy(((square / 255 - mean) / std).astype(np.float32)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        logits = model(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"], pixel_values=pixels).logits
    heat = functional.interpolate(logits.reshape(1, 1, 32, 32), size=(32, 32), mode="bilinear")[0, 0].sigmoid()
    torch.testing.assert_close(detector.heat(square, ["a ball"])[0], heat, atol=1e-5, rtol=1e-4)
    found = detector.detect(square, ["a ball"], 0.0)
    hot = (heat >= 0.5 * heat.max()).nonzero()
    assert found.boxes_N4.tolist() == [[hot[:, 1].min(), hot[:, 0].min(), hot[:, 1].max() + 1, hot[:, 0].max() + 1]]
    assert len(detector.detect(square, ["a ball"], 1.0)) == 0


# -- what is refused ---------------------------------------------------------------------------------------------------------------------


def test_phrases_that_are_too_long_are_refused(dino_folder):
    with pytest.raises(ConfigError, match="it reads 32"):
        load_detector(str(dino_folder), CPU).detect(noise(), ["red " * 40], 0.2)


def test_a_folder_of_another_kind_or_a_damaged_one_is_refused(dino_folder, sam2_folder, tmp_path):
    with pytest.raises(CheckpointError, match="sam2_video"):
        load_detector(str(sam2_folder), CPU)
    with pytest.raises(CheckpointError, match="no/such/folder"):
        load_detector("no/such/folder", CPU)
    copy = shutil.copytree(dino_folder, tmp_path / "copy")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "num_queries": 13}))
    with pytest.raises(CheckpointError, match="query_position_embeddings"):
        load_detector(str(copy), CPU)
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(CheckpointError, match="tokenizer"):
        load_detector(str(copy), CPU)


# -- phrases and boxes -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "phrases"),
    [
        ("the dog", ["the dog"]),
        ("a dog. a ball.", ["a dog", "a ball"]),
        ("a dog; a ball, a dog", ["a dog", "a ball"]),
        ("a black and white dog", ["a black and white dog"]),
    ],
)
def test_phrases_are_separated_by_signs_not_by_words(query, phrases):
    assert split_phrases(query) == phrases


@pytest.mark.parametrize("query", ["who wins?", " ;. "])
def test_a_question_or_nothing_is_refused(query):
    with pytest.raises(ConfigError, match="noun phrases"):
        split_phrases(query)


def test_of_two_boxes_of_one_object_the_better_stays():
    found = Detections(
        torch.tensor([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10], [20, 0, 30, 10]]).float(),
        torch.tensor([0.5, 0.6, 0.4, 0.3]),
        torch.tensor([0, 0, 1, 0]),
    )
    kept = without_doubles(found)  # IoU of the first two is 0.9
    assert kept.scores_N.tolist() == pytest.approx([0.6, 0.4, 0.3])
    assert first_of_each_phrase(kept).tolist() == [True, True, False]
