"""Losses: order inside a group phrase, what an absent object counts for, and that training reads what answering reads."""

import numpy as np
import pytest
import torch

from saymask.models.parts.splice import splice
from saymask.models.parts.visual_prefix import split_at_video
from saymask.models.villa.group_matching import match_groups
from saymask.models.villa.model import ObjectTargets
from saymask.samples import Expression, Phrase

GROUP = Expression("0", "the cups", (1, 2), phrases=(Phrase("the cups", (1, 2)),))
APART = Expression("0", "the fish and the key", (1, 2), phrases=(Phrase("the fish", (1,)), Phrase("the key", (2,))))


def swapped(targets: ObjectTargets) -> ObjectTargets:
    return ObjectTargets(targets.masks_NDHW.flip(0), targets.visible_NK.flip(0), targets.group_N, targets.is_absent)


@pytest.mark.parametrize(("expression", "free"), [(GROUP, True), (APART, False)], ids=["one phrase", "two phrases"])
def test_the_loss_does_not_depend_on_the_order_inside_a_group_phrase(make_villa, make_squares, expression, free):
    villa = make_villa()
    for part in (villa.model.prompt_projector, villa.model.mask_head.sam.mask_decoder):
        for name, parameter in part.named_parameters():
            if name.endswith("weight") and parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.5)  # an untrained model draws the same mask for every token
    batch = villa.processor.to_batch([make_squares(expression)], np.random.default_rng(0))
    losses = [villa.model(**{**batch, "targets": targets}).loss for targets in (batch["targets"], [swapped(batch["targets"][0])])]
    assert torch.allclose(losses[0], losses[1], rtol=0, atol=1e-5) == free


def test_each_token_of_a_group_takes_the_object_it_fits_best():
    masks_NDHW = torch.zeros(3, 1, 4, 4)
    for n in range(3):
        masks_NDHW[n, :, n] = 1
    logits_NDHW = (masks_NDHW[[0, 2, 1]] - 0.5) * 20  # the second and the third token have found each other's object
    presence, visible = torch.full((3, 2), 5.0), torch.ones(3, 2)
    assert match_groups(logits_NDHW, presence, masks_NDHW, visible, (0, 1, 1)) == [0, 2, 1]
    assert match_groups(logits_NDHW, presence, masks_NDHW, visible, (0, 1, 2)) == [0, 1, 2]


def test_perfect_masks_cost_nothing(make_villa):
    villa = make_villa()
    truth = [torch.zeros(1, 32, 32)]
    truth[0][:, 8:16, 8:16] = 1
    lowres_NDhw = (truth[0][None, :, ::4, ::4] - 0.5) * 200
    geometry = villa.processor.geometry(32, 32)
    bce, dice = villa.model._mask_losses(lowres_NDhw, truth, [False], torch.tensor([0]), [geometry])
    assert bce.item() < 2  # upsampling blurs the edge of a mask of eight cells
    assert dice.item() < 0.2


def test_a_batch_without_objects_still_reaches_every_parameter(make_villa, make_squares):
    villa = make_villa()
    sample = make_squares(Expression("0", "How many?", (), answer="None."))
    out = villa.model(**villa.processor.to_batch([sample], np.random.default_rng(0)))
    out.loss.backward()
    without = [name for name, parameter in villa.model.named_parameters() if parameter.grad is None]
    assert out.mask_bce_loss is None
    assert not [
        name for name in without if name.startswith(("frame_projector", "temporal_synchronizer", "presence_head", "language_model"))
    ]


def test_written_states_are_those_of_teacher_forcing(make_villa, make_squares):
    """The [SEG] states and registers that a written answer is decoded from are those that training computes for the same chat."""
    villa = make_villa()
    torch.nn.init.constant_(villa.model.context_synthesizer.gate, 0.5)
    sample = make_squares(APART)
    batch = villa.processor.to_batch([sample], np.random.default_rng(0))
    ids_BI, fraction_BS, segment_BK = batch["input_ids_BI"], batch["fraction_BS"], batch["segment_BK"]
    model, G = villa.model, villa.config.num_context
    tokens_BSPE = model.visual(batch["tower_pixels_BSChw"][0])[None]
    key = model.key_tokens(tokens_BSPE[:, G:], fraction_BS[:, G:], segment_BK)
    visual = model.lay_out(tokens_BSPE[:, :G], fraction_BS[:, :G], key)
    embeds, _ = model.read_query(ids_BI, model.is_query(ids_BI), key, fraction_BS[:, G:])
    whole = model.language_model.model(inputs_embeds=splice(ids_BI, embeds, visual).embeds_BLE, use_cache=False).last_hidden_state
    opening_P, suffix_1J = split_at_video(ids_BI)
    embeds_1JE, _ = model.read_query(suffix_1J, model.is_query(suffix_1J), key, fraction_BS[:, G:])
    parts, _ = model.read_embedded_suffix(model.read_prefix(opening_P, visual), embeds_1JE)
    assert torch.allclose(whole[:, -suffix_1J.shape[1] :], parts, atol=1e-4)
