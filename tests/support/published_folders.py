"""Narrow models of other libraries with random weights, saved as published ones are."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import Owlv2Config, Owlv2ForObjectDetection, PreTrainedTokenizerFast

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "?", "a", "the", "red", "dog", "ball", "brown", "cat"]
TEXT = {
    "vocab_size": len(WORDS) + 2,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 8,
    "eos_token_id": len(WORDS) + 1,
}
VISION = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Many parameters are zero at first and would hide what is added to them."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    return model


def save_clip_tokenizer(folder: Path) -> None:
    words = {word: number for number, word in enumerate([*WORDS, "<s>", "</s>"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", words["<s>"]), ("</s>", words["</s>"])]
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)


def save_owlv2(folder: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = Owlv2Config(text_config=TEXT, vision_config=VISION, projection_dim=16)
        randomised(Owlv2ForObjectDetection(config)).save_pretrained(folder)
    save_clip_tokenizer(folder)
    return folder
