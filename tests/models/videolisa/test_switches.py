"""The configuration's switches, which the ablations compare: how frames become tokens, a [SEG] for each frame, one frame seen."""

import numpy as np
import pytest
import torch

from saymask.models.base import Answer, ObjectAnswer
from saymask.models.parts.visual import TOKEN_LAYOUTS
from saymask.models.videolisa.model import VideoLisaConfig, VideoLisaModel
from saymask.models.videolisa.options import VideoLisaOptions
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.records import Video
from saymask.samples import Expression, Sample, in_memory
from saymask.session import VideoSession

GRID_44 = torch.arange(16.0)
TWO_FRAMES_BSPE = torch.stack([GRID_44, GRID_44 + 100])[None, :, :, None]
SECOND_DENSE = torch.tensor([[1]])

BY_HAND = {
    "sparse_dense": [7.5, 107.5, *range(100, 116)],
    "n_frame": [*range(100, 116)],
    "spatial_temporal": [7.5, 107.5, *range(50, 66)],
    # Quarters of the first and second frame, then the second frame's again, since here every 2 x 2 tokens are a quarter.
    "slow_fast": [2.5, 4.5, 10.5, 12.5, 102.5, 104.5, 110.5, 112.5, 102.5, 104.5, 110.5, 112.5],
}


@pytest.mark.parametrize("layout", TOKEN_LAYOUTS)
def test_tokens_of_a_layout_are_those_counted_by_hand(layout):
    visual = TOKEN_LAYOUTS[layout](TWO_FRAMES_BSPE, SECOND_DENSE)
    assert visual[0, :, 0].tolist() == BY_HAND[layout]


@pytest.mark.parametrize(("layout", "num_visual"), [("sparse_dense", 12), ("n_frame", 8), ("spatial_temporal", 8), ("slow_fast", 18)])
def test_the_configuration_counts_the_tokens_of_its_layout(layout, num_visual):
    # Four sparse frames, two of them dense, 2 x 2 patches each.
    assert VideoLisaConfig.debug(token_layout=layout).num_visual == num_visual


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_layout": "n_frames"}, "unknown token_layout 'n_frames'; did you mean 'n_frame'?"),
        ({"frames_seen": "last"}, "frames_seen must be spread or first, got 'last'"),
    ],
)
def test_a_mistyped_switch_is_refused(changes, message):
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        VideoLisaConfig.debug(**changes)


def build(tokenizer, **changes):
    torch.manual_seed(0)
    config = VideoLisaConfig.debug(seg_token_id=tokenizer.convert_tokens_to_ids("[SEG]"), **changes)
    return VideoLisaSegmenter(VideoLisaModel(config), VideoLisaProcessor(tokenizer, config, num_supervised=1), name="debug")


def noise(num_frames=9):
    return Video.from_frames(np.random.default_rng(0).integers(0, 256, (num_frames, 32, 32, 3), dtype=np.uint8))


@pytest.mark.parametrize("layout", TOKEN_LAYOUTS)
def test_every_layout_answers_with_a_mask_on_every_frame(tokenizer, layout):
    with VideoSession(noise(), build(tokenizer, token_layout=layout)) as session:
        assert len(session.segment("the red fish").results[0].masklets[0].rle_T) == 9


def test_a_token_per_frame_steers_its_frame_and_those_nearest(tokenizer):
    segmenter = build(tokenizer, token_per_frame=True)
    with VideoSession(noise(), segmenter) as session:
        (answer,) = segmenter.reason(session, ["the red fish"], VideoLisaOptions())
    # Four sparse frames of nine are 0, 2, 4, 7; slots 0 and 1 are dense.
    assert answer.text == "Sure, [SEG] [SEG]."
    (obj,) = answer.objects
    assert obj.reference_frames == (0, 2) == tuple(obj.frame_prompts)
    first, second = obj.frame_prompts.values()
    assert not torch.equal(first, second)

    def decoded(frame_idx, steered):
        features = segmenter.encode_image(noise().frames([frame_idx]))
        return segmenter.decode(features, [frame_idx], noise(), [Answer("", (steered,))]).lowres_TNhw

    for frame_idx, own in ((0, first), (2, second), (8, second)):
        assert torch.equal(decoded(frame_idx, obj), decoded(frame_idx, ObjectAnswer(prompt_KC=own)))


def test_a_supervised_frame_is_taught_to_its_own_token(tokenizer):
    processor = build(tokenizer, token_per_frame=True).processor
    model = VideoLisaModel(processor.config).train()
    states = []
    model.prompt_projector.register_forward_pre_hook(lambda _, inputs: states.append(inputs[0].detach()))
    sample = Sample(noise(), Expression("0", "the red fish", (1,)), in_memory(np.zeros((9, 1, 32, 32), dtype=bool)))
    seen = set()
    for seed in range(4):
        batch = processor.to_batch([sample, sample], np.random.default_rng(seed))
        assert (batch["input_ids_BI"] == processor.config.seg_token_id).sum(1).tolist() == [2, 2]
        states.clear()
        for index_BD in (batch["seg_index_BD"], torch.zeros(2, 1, dtype=torch.long), torch.ones(2, 1, dtype=torch.long)):
            model(**{**batch, "seg_index_BD": index_BD})
        taught, *of_token = states
        for clip, index in enumerate(batch["seg_index_BD"][:, 0].tolist()):
            seen.add(index)
            assert torch.equal(taught[clip], of_token[index][clip])
            assert not torch.equal(taught[clip], of_token[1 - index][clip])
    assert seen == {0, 1}


@pytest.mark.parametrize(("token_per_frame", "slots"), [(True, [0, 1]), (False, [0, 1, 2, 3])])
def test_the_index_of_a_token_is_the_place_of_its_frame(tokenizer, token_per_frame, slots):
    processor = build(tokenizer, token_per_frame=token_per_frame).processor
    video = Video.from_frames(np.arange(4, dtype=np.uint8)[:, None, None, None].repeat(32, 1).repeat(32, 2).repeat(3, 3))
    sample = Sample(video, Expression("0", "the red fish", (1,)), in_memory(np.zeros((4, 1, 32, 32), dtype=bool)))
    frame_of_index = {}
    for seed in range(20):
        clip = processor._clip(sample, np.random.default_rng(seed))
        frame_of_index.setdefault(int(clip.seg_index[0]), set()).add(int(clip.masked_frames[0, 0, 0, 0]))
    assert frame_of_index == ({0: {0}, 1: {1}} if token_per_frame else {0: set(slots)})


def test_an_image_model_sees_the_first_frame_alone(tokenizer):
    segmenter = build(tokenizer, frames_seen="first")
    video = noise()
    still = Video.from_frames(np.repeat(video.frames([0]), 9, axis=0))
    prompts = []
    for source in (video, still):
        with VideoSession(source, segmenter) as session:
            (answer,) = segmenter.reason(session, ["the red fish"], VideoLisaOptions())
        (obj,) = answer.objects
        assert obj.reference_frames == (0,)
        prompts.append(obj.prompt_KC)
    assert torch.equal(*prompts)
