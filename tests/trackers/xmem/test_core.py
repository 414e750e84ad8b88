"""When the core remembers, what it does with given masks, and what new objects start with: by a network that answers as told."""

import math
from types import SimpleNamespace

import pytest
import torch

from saymask.trackers.xmem.core import GivenMasks, XMemCore
from saymask.trackers.xmem.memory import Memory

LOGITS = [1.0, -2.0]
"""What the network says about the first and the second object, everywhere."""


class ToldNetwork:
    """Two pixels per frame; keeps a list of what it was asked for. The sensory memory counts its updates: decoder 1, value 100."""

    def __init__(self):
        self.deep: list[bool] = []
        self.encoded_prob: list[torch.Tensor] = []

    def encode_value(self, image, f16, hidden, prob_BNHW, deep_update):
        self.deep.append(deep_update)
        self.encoded_prob.append(prob_BNHW[0, :, 0])
        return torch.zeros(1, prob_BNHW.shape[1], 3, 1, 1), hidden + 100 if deep_update else hidden

    def deep_update(self, value, hidden):
        return hidden + 100

    def decode(self, frame, readout_BNChw, hidden, update_hidden):
        logits_BNHW = torch.tensor(LOGITS[: readout_BNChw.shape[1]])[None, :, None, None].expand(1, -1, 1, 2)
        return logits_BNHW, hidden + 1 if update_hidden else hidden

    def initial_hidden(self, frame, num_objects):
        return torch.zeros(1, num_objects, 1, 1, 1)


FRAME = SimpleNamespace(
    image_13HW=None,
    key=SimpleNamespace(
        key_BChw=torch.zeros(1, 2, 1, 1), shrinkage_B1hw=torch.ones(1, 1, 1, 1), selection_BChw=torch.ones(1, 2, 1, 1), f16_BChw=None
    ),
)


def core(mem_every: int = 3, deep_update_every: int = -1) -> tuple[XMemCore, ToldNetwork]:
    network = ToldNetwork()
    return XMemCore(network, Memory(30, None), mem_every, deep_update_every), network


def given(*rows: list[float], trusted: list[bool] | None = None, remember: bool = True) -> GivenMasks:
    return GivenMasks(torch.tensor(rows)[:, None], torch.tensor(trusted or [True] * len(rows)), remember)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def walk(tracked: XMemCore, given_at: dict[int, GivenMasks], num_frames: int) -> list[int]:
    """Step through frames and say which of them were remembered."""
    remembered, before = [], 0
    for t in range(num_frames):
        tracked.step(FRAME, given_at.get(t), last=t == num_frames - 1)
        now = 0 if tracked.memory.working is None else len(tracked.memory.working)
        remembered += [t] * (now - before)
        before = now
    return remembered


def test_memory_frames_are_the_given_ones_and_every_third_after_them_but_never_the_last():
    tracked, _ = core(mem_every=3)
    one = given([1.0, 0.0])
    assert walk(tracked, {0: one, 5: one}, 12) == [0, 3, 5, 8]


def test_a_reference_that_is_not_to_be_remembered_still_moves_the_cadence():
    tracked, network = core(mem_every=3)
    tracked.learn(FRAME, torch.tensor([[[1.0, 0.0]]]))
    assert walk(tracked, {4: given([1.0, 0.0], remember=False)}, 12) == [3, 7, 10]
    assert network.deep == [False, True, True, True, True]  # learnt; then frames 3, 4, 7 and 10


def test_the_sensory_memory_is_updated_by_the_decoder_or_at_memory_frames_by_the_value():
    tracked, _ = core(mem_every=3)
    walk(tracked, {0: given([1.0, 0.0])}, 8)
    # Frames 0, 3, 6 from their values, 1, 2, 4, 5 from the decoder; the last frame leaves it alone.
    assert tracked.hidden_BNChw.item() == 3 * 100 + 4


def test_with_a_cadence_of_its_own_the_deep_update_waits_for_a_memory_frame():
    tracked, network = core(mem_every=3, deep_update_every=4)
    walk(tracked, {0: given([1.0, 0.0])}, 11)
    assert network.deep == [True, False, True, False]  # frames 0, 3, 6, 9: due at 0, 4, 10
    assert tracked.hidden_BNChw.item() == 2 * 100 + 9  # the decoder's update is never left out, but on the given and the last frame


def test_an_object_alone_is_as_likely_as_the_square_of_its_odds():
    """Soft aggregation of one object: background p0 = 1 - p, then the odds of both are compared."""
    tracked, _ = core()
    tracked.step(FRAME, given([1.0, 0.0]))
    prob_KHW = tracked.step(FRAME)
    assert prob_KHW[1, 0].tolist() == pytest.approx([sigmoid(2 * LOGITS[0])] * 2, rel=1e-5)


def test_known_objects_are_predicted_around_the_mask_of_a_new_one():
    tracked, network = core()
    tracked.step(FRAME, given([1.0, 0.0]))
    prob_KHW = tracked.step(FRAME, given([0.0, 0.0], [0.0, 1.0], trusted=[False, True]))
    first, second = prob_KHW[1, 0].tolist(), prob_KHW[2, 0].tolist()
    # Left: the first object as predicted, sigmoid(2), aggregated once more; right: the new object's mask leaves it nothing.
    assert first == pytest.approx([sigmoid(4), 0], abs=1e-5)
    assert second == pytest.approx([0, 1], abs=1e-5)
    assert torch.equal(network.encoded_prob[-1], prob_KHW[1:, 0])


def test_what_an_untrusted_row_holds_counts_for_nothing():
    probs = []
    for untrusted in ([0.0, 0.0], [0.9, 0.3]):
        tracked, _ = core()
        tracked.step(FRAME, given([1.0, 0.0]))
        probs.append(tracked.step(FRAME, given(untrusted, [0.0, 1.0], trusted=[False, True])))
    assert torch.equal(*probs)


def test_a_new_object_starts_with_an_empty_sensory_memory_and_the_known_keep_theirs():
    tracked, _ = core(mem_every=100)
    tracked.step(FRAME, given([1.0, 0.0]))
    tracked.step(FRAME)
    tracked.step(FRAME, given([1.0, 0.0], [0.0, 1.0]))
    assert tracked.hidden_BNChw.flatten().tolist() == [100 + 1 + 100, 100]
    assert tracked.memory.group_sizes == [1, 1]


def test_a_network_without_sensory_memory_has_none(monkeypatch):
    tracked, network = core()
    monkeypatch.setattr(network, "initial_hidden", lambda frame, num_objects: None)
    monkeypatch.setattr(network, "encode_value", lambda *args, deep_update: (torch.zeros(1, 1, 3, 1, 1), None))
    monkeypatch.setattr(network, "decode", lambda frame, readout, hidden, update_hidden: (torch.zeros(1, 1, 1, 2), hidden))
    walk(tracked, {0: given([1.0, 0.0])}, 5)
    assert tracked.hidden_BNChw is None


def test_a_value_that_was_learnt_is_not_made_again_but_updates_the_sensory_memory():
    tracked, network = core()
    learnt = GivenMasks(torch.tensor([[[1.0, 0.0]]]), torch.tensor([True]), remember=False, value_BNChw=torch.zeros(1, 1, 3, 1, 1))
    tracked.step(FRAME, learnt)
    assert network.encoded_prob == []
    assert tracked.hidden_BNChw is not None and tracked.hidden_BNChw.tolist() == [[[[[100.0]]]]]
