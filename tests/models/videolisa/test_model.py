"""The network's promises: which state steers the masks, what padding may do, where gradients go."""

import numpy as np
import pytest
import torch

from saymask.models.parts.chat import IGNORE_LABEL
from saymask.models.parts.visual import sparse_dense_tokens
from saymask.models.videolisa.model import VideoLisaConfig, VideoLisaModel
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.records import Video
from saymask.samples import Expression, Sample, in_memory, masks_by_id


def make_sample(text="the red fish", obj_ids=(1,), seed=0, size=(32, 32)):
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (6, *size, 3), dtype=np.uint8)
    ids = np.zeros((6, *size), dtype=np.uint8)
    ids[:, 4:16, 4:16] = 1
    return Sample(
        Video.from_frames(frames),
        Expression("0", text, obj_ids),
        load_masks=masks_by_id(ids, obj_ids),
        load_regions=in_memory(ids),
        region_words=(("red", "fish"),),
    )


def test_pooled_tokens_first_then_dense_frames_in_order():
    tokens_BSPE = torch.arange(12.0).reshape(1, 3, 4, 1)
    visual = sparse_dense_tokens(tokens_BSPE, torch.tensor([[0, 2]]))
    assert visual[0, :, 0].tolist() == [1.5, 5.5, 9.5, 0, 1, 2, 3, 8, 9, 10, 11]


def test_the_state_that_predicts_seg_is_read(segmenter):
    model, processor = segmenter.model, segmenter.processor
    visual = torch.randn(1, 4 + 2 * 4, 32)
    ids, _ = processor.encode_chat("Please segment the red fish in this scene.", "Sure, [SEG].")
    at = ids.index(model.config.seg_token_id)
    hidden, spliced = model.hidden_states(torch.tensor([ids]), visual)
    read, row = model.seg_hidden(torch.tensor([ids]), hidden, spliced)
    # One placeholder became 12 visual tokens; the state before [SEG] predicts it.
    assert torch.equal(read, hidden[:, at + 11 - 1])
    assert row.tolist() == [0]
    # So what stands at [SEG] and after it cannot matter.
    changed = [*ids[: at + 1], 7, 7, 7]
    hidden_changed, spliced_changed = model.hidden_states(torch.tensor([changed]), visual)
    assert torch.allclose(model.seg_hidden(torch.tensor([changed]), hidden_changed, spliced_changed)[0], read, atol=1e-6)


@torch.no_grad()
def test_the_debug_models_masks_are_neither_noise_nor_all_alike(segmenter):
    """What tests of equal masks rest on: logits far from 0, pixels of both kinds on every frame, and masks that follow frame and query."""
    model, processor = segmenter.model, segmenter.processor
    frames_THWC = np.random.default_rng(0).integers(0, 256, (6, 36, 48, 3), dtype=np.uint8)
    chosen = processor.choose_frames(6)
    tokens_1SPE = model.visual(processor.tower_pixels(frames_THWC[chosen.sparse_frame_idx]))[None]
    ids_BI = processor.to_inputs(["the red fish", "the blue key"])
    visual_BVE = model.lay_out(tokens_1SPE, torch.from_numpy(chosen.dense_slots)[None]).expand(2, -1, -1)
    prompts_NC = model.prompt_projector(model.seg_hidden(ids_BI, *model.hidden_states(ids_BI, visual_BVE))[0])
    pixels_TChw, geometry = processor.mask_pixels(frames_THWC)
    logits_TNHW = geometry.undo(
        model.mask_head.decode(model.mask_head.encode(pixels_TChw), prompts_NC[None, :, None].expand(6, -1, -1, -1))
    )
    assert 0.1 < logits_TNHW.abs().mean() < 10
    assert (logits_TNHW.abs() < 1e-3).float().mean() < 0.01
    masks_TNHW = logits_TNHW > 0
    share_TN = masks_TNHW.float().mean((2, 3))
    assert share_TN.min() > 0.001 and share_TN.max() < 0.999
    assert (masks_TNHW[:, 0] != masks_TNHW[:, 1]).float().mean() > 0.02
    assert (masks_TNHW[0] != masks_TNHW[1]).float().mean() > 0.02


def test_right_padding_changes_nothing(segmenter):
    model, processor = segmenter.model, segmenter.processor
    both = processor.to_inputs(["the red fish", "Where is the apple, the one that nobody has ever seen before?"])
    alone = processor.to_inputs(["the red fish"])
    assert both.shape[1] > alone.shape[1]
    visual = torch.randn(1, 12, 32)
    states = []
    for ids in (both, alone):
        hidden, spliced = model.hidden_states(ids, visual.expand(len(ids), -1, -1))
        states.append(model.seg_hidden(ids, hidden, spliced)[0][0])
    assert torch.allclose(*states, atol=1e-5)


def test_labels_cover_the_answer_and_its_end(segmenter):
    ids, labels = segmenter.processor.encode_chat("the red fish", "Sure, [SEG].")
    supervised = [token for token, label in zip(ids, labels, strict=True) if label != IGNORE_LABEL]
    assert segmenter.processor.tokenizer.decode(supervised) == "Sure, [SEG].<|end|>"


@pytest.fixture
def training_parts(tokenizer):
    torch.manual_seed(0)
    seg_token_id = tokenizer.convert_tokens_to_ids("[SEG]")
    config = VideoLisaConfig.debug(seg_token_id=seg_token_id, aux_loss_weight=1.0, region_words=["red", "fish"])
    return VideoLisaModel(config).train(), VideoLisaProcessor(tokenizer, config)


def test_loss_is_the_weighted_sum_and_reaches_every_part(training_parts):
    model, processor = training_parts
    batch = processor.to_batch([make_sample(), make_sample(seed=1)], np.random.default_rng(0))
    out = model(**batch)
    expected = out.lm_loss + 2 * out.mask_bce_loss + 0.5 * out.mask_dice_loss + out.aux_loss
    assert out.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    out.loss.backward()
    for part in (
        model.language_model,
        model.visual,
        model.mask_head.sam.vision_encoder,
        model.mask_head.sam.mask_decoder,
        model.prompt_projector,
    ):
        assert sum(p.grad.abs().sum() for p in part.parameters() if p.grad is not None) > 0


def test_clips_of_two_sizes_give_the_mean_of_their_losses(training_parts):
    model, processor = training_parts
    batch = processor.to_batch([make_sample(), make_sample(seed=1, size=(24, 48))], np.random.default_rng(0))
    batch.pop("regions")
    assert [geometry.original_size for geometry in batch["geometries"]] == [(32, 32), (24, 48)]
    alone = [model(**{name: value[clip : clip + 1] for name, value in batch.items()}).mask_bce_loss.item() for clip in range(2)]
    assert model(**batch).mask_bce_loss.item() == pytest.approx(sum(alone) / 2, rel=1e-5)


def test_absent_samples_affirm_with_an_empty_mask_or_refuse(training_parts):
    model, processor = training_parts
    samples = [make_sample("the blue key", obj_ids=()) for _ in range(40)]
    batch = processor.to_batch(samples, np.random.default_rng(0))
    affirmed = (batch["input_ids_BI"] == model.config.seg_token_id).any(1)
    assert 10 < int(affirmed.sum()) < 30
    assert batch["is_absent_B"].all()
    out = model(**batch)
    assert out.mask_dice_loss.item() == 0
    assert out.mask_bce_loss.item() > 0


def test_a_batch_without_any_mask_has_the_text_loss_alone(training_parts):
    model, processor = training_parts
    batch = processor.to_batch([make_sample()], np.random.default_rng(0))
    refusal = processor.encode_chat("Please segment the red fish in this scene.", "There is no such object.")
    batch["input_ids_BI"], batch["labels_BI"] = (torch.tensor([row]) for row in refusal)
    out = model(**batch)
    assert out.loss.item() == pytest.approx(out.lm_loss.item())
    assert out.mask_bce_loss is None
    out.loss.backward()
    # They have gradients nevertheless: processes that share out the parameters wait for each other's.
    for part in (model.prompt_projector, model.mask_head.sam.vision_encoder.layers, model.mask_head.sam.mask_decoder.transformer):
        assert all(p.grad is not None and not p.grad.any() for p in part.parameters())


def test_region_targets_are_area_shares(training_parts):
    _, processor = training_parts
    batch = processor.to_batch([make_sample()], np.random.default_rng(0))
    regions = batch["regions"]
    # The region covers rows and columns 4..16 of 32; tower patches are 16 pixels, mask cells 8 pixels wide.
    assert regions.tower_words_BSPK[0, 0, 0].tolist() == pytest.approx([0.5 * 144 / 256] * 2)
    assert regions.mask_words_BDhwK[0, 0, 1, 1].tolist() == pytest.approx([0.5, 0.5])
    assert regions.coarse_targets_BDhw[0, 0, 0, 0].item() == pytest.approx(16 / 64)
    assert regions.target_words_BK[0].tolist() == [0.5, 0.5]
