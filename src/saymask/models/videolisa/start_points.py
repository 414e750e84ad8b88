"""What VideoLISA's training begins with: LLaVA-Phi-3, its CLIP tower and Segment Anything, put together as one untrained model.

Language model and projector come from LLaVA's folder, the tower from CLIP's, the mask head from Segment Anything's, as the hub has them
(MBZUAI/LLaVA-Phi-3-mini-4k-instruct, openai/clip-vit-large-patch14-336, facebook/sam-vit-huge). The tokenizer gets `[SEG]`, the embeddings
its number of rows, and the prompt projector is random: saved, this is a model folder like any other, the base of an adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate import init_empty_weights
from torch import Tensor, nn
from transformers import CLIPVisionConfig, SamConfig

from saymask.errors import CheckpointError
from saymask.models.parts.chat import SEG_TOKEN
from saymask.models.parts.lisa_files import is_of_another_model
from saymask.models.parts.lisa_names import TOWER_PREFIX, our_name
from saymask.models.placement import place
from saymask.models.videolisa import FAMILY
from saymask.models.videolisa.model import VideoLisaModel
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.models.videolisa.release_loading import load_tokenizer
from saymask.models.videolisa.released import config_from_release
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.runtime import Runtime
from saymask.storage.strict import quiet_transformers, raise_unless_exact
from saymask.storage.weight_files import read_json, read_tensors, weight_files

_PER_TOKEN = ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight")
"""One row for each token."""
_FRESH = "prompt_projector."
_MASK_HEAD = "mask_head.sam."
# transformers' name for a second handle of the positional encoding, which our mask head has once.
_SECOND_HANDLE = "prompt_encoder.shared_embedding."


def assemble(llava: Path, tower: Path, mask_model: Path, runtime: Runtime) -> VideoLisaSegmenter:
    """Put the start points of a training together.

    Args:
        llava: LLaVA-Phi-3's folder: config.json, SentencePiece tokenizer and weights.
        tower: the CLIP tower's folder.
        mask_model: Segment Anything's folder, in the layout of transformers' `SamModel`.
        runtime: device and dtype; without a dtype bf16. The random weights depend on torch's global random numbers.

    Raises:
        CheckpointError: a file is absent or damaged, a setting unknown, or tensors are missing, unexpected or of the wrong shape.
    """
    values, sam_values = read_json(llava / "config.json"), read_json(mask_model / "config.json")
    # Segment Anything's own code leaves torch's eps in its decoder's blocks; the published configuration says 1e-6, which changes masks.
    decoder = {**(sam_values.get("mask_decoder_config") or {}), "layer_norm_eps": 1e-5}
    read_json(tower / "config.json")
    tokenizer = load_tokenizer(llava)
    with quiet_transformers():
        vision_config = CLIPVisionConfig.from_pretrained(tower)
        sam_config = SamConfig.from_dict({**sam_values, "mask_decoder_config": decoder})
    numbers = {**values, "vocab_size": len(tokenizer), "mask_config": sam_config.to_dict()}
    seg_token_id = tokenizer.convert_tokens_to_ids(SEG_TOKEN)
    config = config_from_release(numbers, vision_config, seg_token_id, f"{llava}/config.json")
    with init_empty_weights():
        model = VideoLisaModel(config)
    dtype = runtime.torch_dtype or torch.bfloat16
    _make_prompt_projector(model, dtype)
    _fill(model, lambda: _tensors(llava, tower, mask_model), dtype, f"{llava} with {tower} and {mask_model}")
    place(model, runtime, FAMILY.language_model)
    files = [file for folder in (llava, tower, mask_model) for file in weight_files(folder)]
    return VideoLisaSegmenter(model, VideoLisaProcessor(tokenizer, config), llava.name, files)


def _make_prompt_projector(model: VideoLisaModel, dtype: torch.dtype) -> None:
    """Random numbers as torch gives them to linear layers."""
    model.prompt_projector.to_empty(device="cpu").to(dtype)
    for layer in model.prompt_projector:
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()


def _tensors(llava: Path, tower: Path, mask_model: Path) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the three folders that the model takes, by its name there."""
    for file in weight_files(llava):
        for name, tensor in read_tensors(file):
            if not name.startswith(TOWER_PREFIX):  # a copy of CLIP that some LLaVA folders hold as well
                yield _llava_name(name, file), tensor
    for file in weight_files(tower):
        for name, tensor in read_tensors(file):
            if not is_of_another_model(name):
                yield our_name(TOWER_PREFIX + name), tensor
    for file in weight_files(mask_model):
        for name, tensor in read_tensors(file):
            if not name.startswith(_SECOND_HANDLE):
                yield _MASK_HEAD + name, tensor


def _llava_name(name: str, file: Path) -> str:
    try:
        return our_name(name)
    except ValueError:
        raise CheckpointError(f"{file}: {name!r} is no tensor of LLaVA-Phi-3; give the folder of that model") from None


def _fill(model: VideoLisaModel, tensors: Callable[[], Iterator[tuple[str, Tensor]]], dtype: torch.dtype, source: str) -> None:
    """Check all names and shapes, then give every tensor but the fresh ones its value, one at a time."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items() if not name.startswith(_FRESH)}
    found = {name: _shape_with_rows(tensor, wanted[name]) if name in _PER_TOKEN else tuple(tensor.shape) for name, tensor in tensors()}
    mismatched = [(name, shape, wanted[name]) for name, shape in found.items() if name in wanted and shape != wanted[name]]
    raise_unless_exact(source, wanted.keys() - found.keys(), found.keys() - wanted.keys(), mismatched)
    for name, tensor in tensors():
        value = _with_rows(tensor, wanted[name][0], model.config.text_config.initializer_range) if name in _PER_TOKEN else tensor
        model.load_state_dict({name: value.to(dtype)}, strict=False, assign=True)


def _shape_with_rows(tensor: Tensor, wanted: tuple[int, ...]) -> tuple[int, ...]:
    return (wanted[0], *tensor.shape[1:])


def _with_rows(rows: Tensor, num_tokens: int, std: float) -> Tensor:
    """As many rows as there are tokens: published embeddings have spare ones; where they have too few, the last ones are random."""
    num_fresh = max(0, num_tokens - len(rows))
    fresh = torch.empty(num_fresh, *rows.shape[1:]).normal_(std=std)
    return torch.cat([rows[:num_tokens], fresh.to(rows)])
