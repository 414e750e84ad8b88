"""Clicks and boxes to masks: what SAM 2 says alone, what a narrow SAM reads and draws, and prompts that say nothing."""

import re
from itertools import islice

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import Sam2Model

from saymask.errors import CheckpointError, ConfigError, UnknownName
from saymask.metrics.iou import iou_counts, ious
from saymask.models.prompters.base import Click, Prompt, check_prompt
from saymask.models.prompters.loading import load_prompter
from saymask.models.prompters.narrow_sam import _under
from saymask.models.prompters.prior import LOGIT, draw_prompts, mask_logits
from saymask.records import Rle, Video
from saymask.runtime import Runtime
from saymask.toyworld.dataset import load_toyworld
from saymask.video.transforms import stretched

CPU = Runtime("cpu", "float32")
HEIGHT, WIDTH = 40, 60
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


# -- SAM 2 --------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sam2(sam2_folder):
    return load_prompter("sam2", CPU, sam2_folder)


@pytest.fixture(scope="module")
def plain(sam2_folder) -> Sam2Model:
    """The library's own model of the same folder."""
    return Sam2Model.from_pretrained(sam2_folder).eval()


EARLIER = np.zeros((HEIGHT, WIDTH), dtype=bool)
EARLIER[10:30, 20:50] = True
ONE_CLICK = {"input_points": [[[[30.0, 10.0]]]], "input_labels": [[[1]]]}
TWO_CLICKS = {"input_points": [[[[30.0, 10.0], [6.0, 20.0]]]], "input_labels": [[[1, 0]]]}


@pytest.mark.parametrize(
    ("prompt", "inputs", "several"),
    [
        (Prompt((Click(30, 10),)), ONE_CLICK, True),
        (Prompt((Click(30, 10), Click(6, 20, adds=False))), TWO_CLICKS, False),
        (Prompt(box=(15, 5, 45, 25)), {"input_boxes": [[[15.0, 5.0, 45.0, 25.0]]]}, False),
        (Prompt((Click(30, 10),), (15, 5, 45, 25)), {**ONE_CLICK, "input_boxes": [[[15.0, 5.0, 45.0, 25.0]]]}, False),
        (Prompt((Click(30, 10),), mask_HW=EARLIER), ONE_CLICK, False),
    ],
    ids=["one click", "two clicks", "box", "click in a box", "correction"],
)
def test_masks_equal_those_of_the_library_alone(sam2, plain, prompt, inputs, several):
    scale = torch.tensor([64 / WIDTH, 64 / HEIGHT])
    given = {name: torch.tensor(values) for name, values in inputs.items()}
    for name in given.keys() & {"input_points", "input_boxes"}:
        given[name] = (given[name].unflatten(-1, (-1, 2)) * scale).flatten(-2)
    if prompt.mask_HW is not None:
        shares = functional.interpolate(torch.from_numpy(EARLIER)[None, None].float(), (16, 16), mode="bilinear", antialias=True)
        given["input_masks"] = 20 * shares - 10
    pixels = stretched(torch.from_numpy(noise()), 64, MEAN, STD)[None]
    with torch.inference_mode():
        output = plain(pixel_values=pixels, multimask_output=several, **given)
    best = int(output.iou_scores[0, 0].argmax())
    assert output.pred_masks.shape[2] == (3 if several else 1)
    logits = functional.interpolate(output.pred_masks[:, 0, best][None], (64, 64), mode="bilinear", align_corners=False)
    logits = functional.interpolate(logits, (HEIGHT, WIDTH), mode="bilinear", align_corners=False)
    found = sam2.mask(sam2.encode(noise()), prompt)
    assert np.array_equal(found.mask_HW, (logits[0, 0] > 0).numpy())
    assert found.score == pytest.approx(float(output.iou_scores[0, 0, best].clamp(0, 1)), abs=1e-6)


def test_a_frame_is_encoded_once_for_all_clicks(sam2):
    calls = []
    hook = sam2.model.vision_encoder.register_forward_hook(lambda *_: calls.append(1))
    encoded = sam2.encode(noise())
    for x in (5, 20, 40):
        sam2.mask(encoded, Prompt((Click(x, 20),)))
    hook.remove()
    assert calls == [1]


# -- the narrow SAM -----------------------------------------------------------------------------------------------------------------------


def test_prompts_are_drawn_over_what_is_known():
    """A grid of 4 cells over 8 pixels; centres at 1, 3, 5, 7; a click reaches 1.5 cells = 3 pixels."""
    known = torch.full((1, 1, 4, 4), 2.0)
    box = draw_prompts(known, 8, boxes_M4=torch.tensor([[0.0, 0.0, 4.0, 6.0]]))
    assert box[0, 0].tolist() == [[2, 2, -LOGIT, -LOGIT]] * 3 + [[-LOGIT] * 4]
    clicks = draw_prompts(known, 8, torch.tensor([[[0.0, 1.0], [7.0, 7.0]]]), torch.tensor([[1, 0]]))
    # From (0, 1): (1, 1) and (1, 3) are within 3 pixels, as is (0 + 3, 1), at 3 exactly. From (7, 7): its own cell and the two beside it.
    assert clicks[0, 0].tolist() == [
        [LOGIT, LOGIT, 2, 2],
        [LOGIT, 2, 2, 2],
        [2, 2, -LOGIT, -LOGIT],
        [2, 2, -LOGIT, -LOGIT],
    ]
    assert known.eq(2).all(), "what was given is written to"


def test_a_mask_becomes_logits_between_no_and_yes():
    share_11HW = torch.zeros(1, 1, 4, 4)
    share_11HW[..., :2, :2] = 1
    share_11HW[..., 2, 2] = 1
    assert mask_logits(share_11HW, 2).round(decimals=3).tolist()[0][0][0][1] < -LOGIT / 2
    assert mask_logits(torch.ones(1, 1, 4, 4), 2).tolist() == [[[[LOGIT, LOGIT], [LOGIT, LOGIT]]]]


def test_a_click_reads_the_features_under_it():
    """Two by two patches of 4 pixels: at a patch's centre its own value, half way between two their mean."""
    embeddings = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
    points = torch.tensor([[[1.5, 1.5], [5.5, 1.5], [3.5, 1.5], [1.5, 5.5]]])
    assert _under(embeddings, points, 8)[0, :, 0].tolist() == [1, 3, 2, 5]


@pytest.fixture(scope="module")
def toy():
    return load_prompter("toy-prompter", CPU)


def test_one_click_or_box_finds_drawn_things(toy):
    """The figures of its card, over a few videos."""
    found: dict[str, list[float]] = {"click": [], "box": []}
    for sample in islice((s for s in load_toyworld(None, "val") if s.expression.obj_ids), 12):
        truth_THW = sample.regions(range(sample.video.num_frames)) == sample.expression.obj_ids[0]
        frame_idx = int(truth_THW.sum((1, 2)).argmax())
        truth_HW = truth_THW[frame_idx]
        rows, columns = np.nonzero(truth_HW)
        encoded = toy.encode(sample.video.frames([frame_idx])[0])
        prompts = {"click": Prompt((Click(int(columns[len(columns) // 2]), int(rows[len(rows) // 2])),))}
        prompts["box"] = Prompt(box=Rle.encode(truth_HW).box())
        for name, prompt in prompts.items():
            made = toy.mask(encoded, prompt)
            found[name].append(float(ious(np.array([iou_counts(made.mask_HW, truth_HW)]))[0]))
            assert 0 <= made.score <= 1
    assert np.mean(found["click"]) > 0.7 and np.mean(found["box"]) > 0.75


def test_frames_of_any_shape_lie_in_its_input(toy):
    made = toy.mask(toy.encode(noise(30, 200)), Prompt((Click(199, 29),), mask_HW=np.ones((30, 200), dtype=bool)))
    assert made.mask_HW.shape == (30, 200)


def test_it_says_what_it_was_trained_on(toy, sam2):
    natural, drawn = Video.from_frames(noise()[None]), Video.from_frames(noise()[None], comment="saymask-toyworld")
    assert "drawn scenes" in toy.notice(natural) and toy.notice(drawn) is None and sam2.notice(natural) is None


# -- what cannot be -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "facts"),
    [
        (Prompt(), "nothing is pointed at"),
        (Prompt((Click(1, 1, adds=False),)), "no mask to take from"),
        (Prompt((Click(60, 1),)), "click (60, 1) is outside the frame; x is 0 to 59, y is 0 to 39"),
        (Prompt(box=(5, 5, 5, 9)), "box (5, 5, 5, 9) is none of a 60 x 40 frame"),
        (Prompt(box=(5, 5, 61, 9)), "x1 <= 60"),
        (Prompt((Click(1, 1),), mask_HW=np.ones((3, 4), bool)), "(3, 4); give (40, 60)"),
    ],
)
def test_prompts_that_say_nothing_are_refused(prompt, facts):
    with pytest.raises(ConfigError, match=re.escape(facts)):
        check_prompt(prompt, HEIGHT, WIDTH)


def test_names_and_folders_that_do_not_exist_are_named(tmp_path, sam2_folder):
    with pytest.raises(UnknownName, match="'toy-prompter'"):
        load_prompter("toy-promter", CPU)
    with pytest.raises(CheckpointError, match=re.escape(str(tmp_path / "none"))):
        load_prompter("toy-prompter", CPU, tmp_path / "none")
    with pytest.raises(CheckpointError, match="sam2_video"):
        load_prompter("toy-prompter", CPU, sam2_folder)
