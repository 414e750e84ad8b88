"""The three modules at their neutral settings, and what each may look at."""

import numpy as np
import pytest
import torch

from saymask.models.villa.context_synthesizer import ContextSynthesizer
from saymask.models.villa.temporal_synchronizer import TemporalSynchronizer
from saymask.samples import Expression, Phrase

TWO = Expression("0", "the fish and the key", (1, 2), phrases=(Phrase("the fish", (1,)), Phrase("the key", (2,))))


def query_embeddings(villa, fraction=(0.1, 0.4, 0.6, 0.9)):
    model, fraction_1K = villa.model, torch.tensor([fraction])
    torch.manual_seed(3)
    key_1KPE = torch.randn(1, 4, 4, model.config.text_config.hidden_size)
    ids_1I = villa.processor.to_inputs("Where is the red fish?", 4)
    embeds_1IE, relevance_1K = model.read_query(ids_1I, model.is_query(ids_1I), key_1KPE, fraction_1K)
    return ids_1I, embeds_1IE, relevance_1K


def test_at_its_start_the_context_synthesizer_leaves_the_inputs_of_the_language_model_bit_identical(make_villa):
    with_it, without = make_villa(), make_villa(context_synthesizer=False)
    without.model.load_state_dict({k: v for k, v in with_it.model.state_dict().items() if not k.startswith("context_synthesizer.")})
    _, embeds, relevance_1K = query_embeddings(with_it)
    assert torch.equal(embeds, query_embeddings(without)[1])
    assert relevance_1K.sum().item() == pytest.approx(1)


def test_an_open_gate_changes_the_words_of_the_query_and_nothing_else(make_villa):
    villa = make_villa()
    ids_1I, before, _ = query_embeddings(villa)
    torch.nn.init.constant_(villa.model.context_synthesizer.gate, 0.5)
    _, after, _ = query_embeddings(villa)
    changed_I = (before != after).any(-1)[0]
    words = villa.processor.decode_answer([i for i, is_changed in zip(ids_1I[0].tolist(), changed_I.tolist(), strict=True) if is_changed])
    assert words == "\nWhere is the red fish?"


def test_words_read_frames_in_time():
    """Distance matters once its decay is learnt: the same frames at other times are another summary."""
    torch.manual_seed(0)
    synthesizer = ContextSynthesizer(8, 8, 2)
    torch.nn.init.constant_(synthesizer.gate, 1.0)
    words, frames, is_query = torch.randn(1, 3, 8), torch.randn(1, 2, 4, 8), torch.ones(1, 3, dtype=torch.bool)
    near, far = (synthesizer(words, is_query, frames, torch.tensor([times]))[0] for times in ([0.5, 0.5], [0.1, 0.9]))
    assert not torch.allclose(near, far)


def test_the_temporal_synchronizer_at_scale_zero_equals_the_model_without_it(make_villa):
    with_it, without = make_villa(), make_villa(temporal_synchronizer=False)
    without.model.load_state_dict({k: v for k, v in with_it.model.state_dict().items() if not k.startswith("temporal_synchronizer.")})
    torch.nn.init.zeros_(with_it.model.temporal_synchronizer.scale)
    width = with_it.config.text_config.hidden_size
    states, registers = torch.randn(3, width), torch.randn(3, 4, width)
    row_N, segment_NK = torch.tensor([0, 0, 1]), torch.tensor([[0, 0, 1, 1]] * 3)
    one, other = (villa.model.object_tokens(states, registers, row_N, segment_NK) for villa in (with_it, without))
    for name in ("frames_NKC", "video_NC", "frame_presence_NK", "video_presence_N"):
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def synchronized(frames_NKC, video_NC, row_N, segment, steps=1):
    torch.manual_seed(1)
    synchronizer = TemporalSynchronizer(8, 8, 2, steps, window=1)
    torch.nn.init.ones_(synchronizer.scale)
    return synchronizer(frames_NKC, video_NC, torch.tensor(row_N), torch.tensor([segment] * len(row_N)))


def test_objects_of_one_answer_see_each_other_and_no_others():
    frames_NKC, video_NC = torch.randn(3, 4, 8), torch.randn(3, 8)
    changed = frames_NKC.clone()
    changed[2] = torch.randn(4, 8)
    before, after = (synchronized(frames, video_NC, [0, 0, 1], [0, 0, 1, 1])[0] for frames in (frames_NKC, changed))
    assert torch.allclose(before[:2], after[:2])
    before, after = (synchronized(frames, video_NC, [0, 1, 1], [0, 0, 1, 1])[0] for frames in (frames_NKC, changed))
    assert torch.allclose(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


def test_local_time_stays_in_the_segment_and_the_video_token_carries_across():
    """What changes on frame 0 reaches its neighbour, frame 1, in a layer; frames of the other segment only through the video token."""
    frames_NKC, video_NC = torch.randn(1, 4, 8), torch.randn(1, 8)
    changed = frames_NKC.clone()
    changed[0, 0] = torch.randn(8)
    torch.manual_seed(1)
    layer = TemporalSynchronizer(8, 8, 2, 1, window=1).layers[0]
    for parameter in layer.write.parameters():
        torch.nn.init.zeros_(parameter)  # nothing is written back
    segment, alone = torch.tensor([[0, 0, 1, 1]]), torch.zeros(1, 1, 1)
    before, after = (layer(frames, video_NC[:, None], alone, segment) for frames in (frames_NKC, changed))
    moved_K = [not torch.allclose(before[0][0, k], after[0][0, k]) for k in range(4)]
    assert moved_K == [True, True, False, False]
    assert not torch.allclose(before[1], after[1])


@pytest.mark.parametrize("switch", ["context_synthesizer", "temporal_synchronizer", "key_segments", "temporal_layer"])
def test_each_module_can_be_switched_off(make_villa, make_squares, switch):
    villa = make_villa(**{switch: False})
    if switch != "key_segments":
        attribute = {"temporal_layer": "segment_time"}.get(switch, switch)
        assert getattr(villa.model, attribute) is None
    loss = villa.model(**villa.processor.to_batch([make_squares(TWO)], np.random.default_rng(0))).loss
    loss.backward()
    assert torch.isfinite(loss)
