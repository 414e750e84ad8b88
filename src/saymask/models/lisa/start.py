"""What a training of LISA's descendants begins with: a LLaVA-like model, its CLIP tower and Segment Anything, as one untrained model.

Language model and visual projector come from the first folder, the tower from CLIP's, the mask head from Segment Anything's, as the hub has
them. The tokenizer gets `[SEG]`, the embeddings its number of rows, and the prompt projector is random: saved, this is a model folder like
any other, the base of an adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.sam.configuration_sam import SamConfig

from saymask.errors import CheckpointError
from saymask.models.lisa.files import is_of_another_model
from saymask.models.lisa.names import TOWER_PREFIX, our_name
from saymask.models.lisa.release import LisaLayout, read_tower_config
from saymask.models.parts.chat import SEG_TOKEN
from saymask.models.parts.reasoning import ReasoningModel
from saymask.models.placement import place
from saymask.runtime import Runtime
from saymask.storage.config_values import building_from
from saymask.storage.strict import raise_unless_exact
from saymask.storage.weight_files import read_json, read_tensors, weight_files

_PER_TOKEN = ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight")
"""One row for each token."""
_FRESH = "prompt_projector."
_MASK_HEAD = "mask_head.sam."
# transformers' name for a second handle of the positional encoding, which our mask head has once.
_SECOND_HANDLE = "prompt_encoder.shared_embedding."


def assemble_start(layout: LisaLayout, language: Path, tower: Path, mask_model: Path, runtime: Runtime) -> Any:
    """Put the start points of a training together -> a segmenter.

    Args:
        layout: the family's.
        language: the language model's folder: config.json, SentencePiece tokenizer and weights.
        tower: the CLIP tower's folder.
        mask_model: Segment Anything's folder, in the layout of transformers' `SamModel`.
        runtime: device and dtype; without a dtype bf16. The random weights depend on torch's global random numbers.

    Raises:
        CheckpointError: a file is absent or damaged, a setting unknown, or tensors are missing, unexpected or of the wrong shape.
    """
    from accelerate import init_empty_weights  # here: loading it takes longer than opening a small model

    values, sam_values = read_json(language / "config.json"), read_json(mask_model / "config.json")
    tokenizer = layout.load_tokenizer(language)
    vision_config = read_tower_config(tower)
    with building_from(mask_model / "config.json"):
        # Segment Anything's own code leaves torch's eps in its decoder's blocks; the published 1e-6 changes masks.
        decoder = {**(sam_values.get("mask_decoder_config") or {}), "layer_norm_eps": 1e-5}
        sam_config = SamConfig.from_dict({**sam_values, "mask_decoder_config": decoder})
    numbers = {**values, "vocab_size": len(tokenizer), "mask_config": sam_config.to_dict()}
    seg_token_id = tokenizer.convert_tokens_to_ids(SEG_TOKEN)
    with building_from(language / "config.json"):
        config = layout.to_config(numbers, vision_config, seg_token_id, f"{language}/config.json")
        with init_empty_weights():
            model: ReasoningModel = layout.family.load("model")(config)
    dtype = runtime.torch_dtype or torch.bfloat16
    _make_prompt_projector(model, dtype)
    _fill(model, lambda: _tensors(layout.language, language, tower, mask_model), dtype, f"{language} with {tower} and {mask_model}")
    place(model, runtime, layout.family.language_model)
    files = [file for folder in (language, tower, mask_model) for file in weight_files(folder)]
    processor = layout.family.load("processor")(tokenizer, config)
    return layout.family.load("segmenter")(model, processor, language.name, files)


def _make_prompt_projector(model: ReasoningModel, dtype: torch.dtype) -> None:
    """Random numbers as torch gives them to linear layers."""
    model.prompt_projector.to_empty(device="cpu").to(dtype)
    for layer in model.prompt_projector:
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()


def _tensors(called: str, llava: Path, tower: Path, mask_model: Path) -> Iterator[tuple[str, Tensor]]:
    """Every tensor of the three folders that the model takes, by its name there."""
    for file in weight_files(llava):
        for name, tensor in read_tensors(file):
            if not name.startswith(TOWER_PREFIX):  # a copy of CLIP that some LLaVA folders hold as well
                yield _llava_name(called, name, file), tensor
    for file in weight_files(tower):
        for name, tensor in read_tensors(file):
            if not is_of_another_model(name):
                yield our_name(TOWER_PREFIX + name), tensor
    for file in weight_files(mask_model):
        for name, tensor in read_tensors(file):
            if not name.startswith(_SECOND_HANDLE):
                yield _MASK_HEAD + name, tensor


def _llava_name(called: str, name: str, file: Path) -> str:
    try:
        return our_name(name)
    except ValueError:
        raise CheckpointError(f"{file}: {name!r} is no tensor of {called}; give the folder of that model") from None


def _fill(model: ReasoningModel, tensors: Callable[[], Iterator[tuple[str, Tensor]]], dtype: torch.dtype, source: str) -> None:
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
