"""A video read once, and queries read on top of it, give the states of a chat read whole."""

import pytest
import torch

from saymask.models.parts.chat import IMAGE_TOKEN_ID
from saymask.models.parts.visual_prefix import VisualPrefix, split_at_video
from saymask.models.videolisa.model import VideoLisaConfig, VideoLisaModel

CHATS = torch.tensor([[7, 8, IMAGE_TOKEN_ID, 9, 10, 5, 11], [7, 8, IMAGE_TOKEN_ID, 12, 5, 0, 0]])


def build(sliding_window):
    config = VideoLisaConfig.debug()
    config.text_config.sliding_window = sliding_window
    torch.manual_seed(0)
    return VideoLisaModel(config).eval()


@pytest.mark.parametrize("sliding_window", [None, 200, 15, 9, 4])
def test_states_after_the_video_equal_those_of_the_whole_chat(sliding_window):
    """The chat is 18 tokens long, 14 of them before the query: windows that hold all of it, part of it and next to nothing."""
    model, visual = build(sliding_window), torch.randn(1, 12, 32)
    opening, suffix = split_at_video(CHATS)
    with torch.inference_mode():
        prefix = model.read_prefix(opening, visual)
        first, _ = model.read_suffix(prefix, suffix)
        again, _ = model.read_suffix(prefix, suffix)
        whole, spliced = model.hidden_states(CHATS, visual.expand(2, -1, -1))
        alone, _ = model.read_suffix(prefix, suffix[1:, :2])
    assert prefix.num_tokens == 14
    assert whole.shape[1] == 18
    expected = whole.gather(1, spliced.position_BI[:, 3:, None].expand(-1, -1, 32))
    assert torch.allclose(first, expected, atol=1e-5)
    assert torch.equal(first, again)  # nothing that is read on top of a prefix changes it
    assert torch.allclose(first[1:, :2], alone, atol=1e-5)


def test_a_window_matters_here():
    """Else the test above would prove nothing about windows."""
    visual, (opening, suffix) = torch.randn(1, 12, 32), split_at_video(CHATS)
    states = []
    for window in (200, 9):
        model = build(window)
        states.append(model.read_suffix(model.read_prefix(opening, visual), suffix)[0])
    assert (states[0] - states[1]).abs().max() > 1e-3


def test_rows_within_a_budget():
    model = build(None)
    prefix = model.read_prefix(torch.tensor([7, 8]), torch.randn(1, 12, 32))
    assert prefix.nbytes == 2 * 2 * 14 * 32 * 4  # layers, keys and values, tokens, width, bytes
    row_of_21_tokens = 2 * 2 * 21 * 32 * 4
    assert prefix.rows_within(3 * row_of_21_tokens, num_more=7) == 3
    assert prefix.rows_within(3 * row_of_21_tokens - 1, num_more=7) == 2
    assert prefix.rows_within(0, num_more=7) == 1


def test_copies_take_no_memory_until_they_are_extended():
    model = build(None)
    prefix = model.read_prefix(torch.tensor([7]), torch.randn(1, 12, 32))
    layer, original = prefix.copies(1000).layers[1], prefix.cache.layers[1]
    assert layer.keys.shape[0] == 1000
    assert layer.keys.untyped_storage().data_ptr() == original.keys.untyped_storage().data_ptr()
    assert isinstance(prefix, VisualPrefix) and original.keys.shape[0] == 1


@pytest.mark.parametrize(
    "chats",
    [[[7, IMAGE_TOKEN_ID, 9], [8, IMAGE_TOKEN_ID, 9]], [[7, IMAGE_TOKEN_ID, 9], [7, 9, IMAGE_TOKEN_ID]], [[7, 8, 9]]],
    ids=["another word", "another place", "no video"],
)
def test_chats_that_begin_differently_share_nothing(chats):
    with pytest.raises(ValueError, match="what stands before it cannot be shared"):
        split_at_video(torch.tensor(chats))
