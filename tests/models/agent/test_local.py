"""A vision-language model on this machine, narrow and with random weights: one round of the loop, whatever it writes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_parts import ColourDetector, ColourTracker
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor, PreTrainedTokenizerFast
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from saymask.errors import CheckpointError
from saymask.models.agent.local import load_local
from saymask.models.agent.segmenter import AgentSegmenter
from saymask.models.agent.sheets import frame_image
from saymask.models.grounded.segmenter import GroundedSegmenter
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.session import VideoSession

CPU = Runtime("cpu", "float32")
SIGNS = ["<pad>", "<s>", "</s>", "<image>"]
TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    letters = {sign: number for number, sign in enumerate([*SIGNS, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    tokenizer = Tokenizer(models.BPE(vocab=letters, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", extra_special_tokens={"image_token": "<image>"}
    )
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlavaConfig(
        vision_config={"model_type": "clip_vision_model", **size, "image_size": 16, "patch_size": 8},
        text_config={"model_type": "llama", **size, "vocab_size": len(letters), "max_position_embeddings": 4096, "eos_token_id": 2},
        image_token_index=letters["<image>"],
        vision_feature_layer=-1,
    )
    path = tmp_path_factory.mktemp("llava")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlavaForConditionalGeneration(config).save_pretrained(path)
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}),
        fast,
        patch_size=8,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(path)
    return path


def test_it_is_shown_every_image_and_writes_something(folder):
    model = load_local(str(folder), CPU)
    model.max_new_tokens = 4
    image = frame_image(np.zeros((16, 16, 3), np.uint8))
    one, two = model.ask("red", [image]), model.ask("red", [image, image])
    assert two.tokens - one.tokens == 4, "tokens of one image"
    assert one.tokens <= len("red") + 4 + 4


def test_one_round_with_a_model_that_babbles_looks_for_the_query_itself(folder):
    model = load_local(str(folder), CPU)
    model.max_new_tokens = 8
    frames = np.full((6, 20, 80, 3), 40, dtype=np.uint8)
    frames[:, 5:15, 10:20] = (255, 0, 0)
    segmenter = AgentSegmenter(model, GroundedSegmenter(ColourDetector(), ColourTracker()), "agent")
    with VideoSession(Video.from_frames(frames, fps=4), segmenter) as session:
        (result,) = session.segment("red", cache=None, num_frames=2, max_rounds=1).results
    assert result.masklets[0].rle_T[3].box() == (10, 5, 20, 15) and result.notes["low_confidence"]
    assert result.notes["calls"] == 4 and result.notes["rounds"] == 1


def test_a_folder_that_is_no_such_model_is_refused(sam2_folder):
    with pytest.raises(CheckpointError, match=str(sam2_folder)):
        load_local(str(sam2_folder), CPU)
