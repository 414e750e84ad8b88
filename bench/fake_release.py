"""Write a fake release: random weights under the true names, in the layout of VideoLISA-3.8B or VISA-7B, and their vision tower.

    python bench/fake_release.py OUT [--family videolisa|visa] [--scale tiny|middle|full] [--layout bin|safetensors] [--seed 0]

OUT/model holds config.json, a small SentencePiece tokenizer and sharded weights, a folder beside it the CLIP tower; so
`saymask segment VIDEO QUERY -m OUT/model` runs the whole path without a download. `full` has the true shapes and takes 11.5 GB of disk for
VideoLISA, 17 GB for VISA; `middle` is a model of 0.5 billion parameters, 1.2 GB.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from accelerate import init_empty_weights
from safetensors.torch import save_file
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from torch import Tensor
from transformers import CLIPVisionConfig

from saymask.models.lisa.names import TOWER_PREFIX, released_name
from saymask.models.videolisa.model import VideoLisaModel
from saymask.models.videolisa.published import CONFIG, TOWER_CONFIG
from saymask.models.videolisa.released import config_from_release
from saymask.models.visa import released as visa
from saymask.models.visa.model import VisaModel

SHARD_BYTES = 2_000_000_000
FLOAT32_PARTS = ("model.visual_model.", "model.text_hidden_fcs.", TOWER_PREFIX)
END_OF_TEXT = "<|endoftext|>"
CHAT_TOKENS = ("<|assistant|>", "<|system|>", "<|end|>", "<|user|>")
BUILT_IN = ("<unk>", "<s>", "</s>")
SPACE_RUNS = ("▁▁", "▁▁▁")
SEG_TOKEN = "[SEG]"
TEXT = (
    "You are a helpful AI assistant. Please segment the red fish in this scene. Sure, it is the blue umbrella, the green key or a jug.",
    "What keeps you dry in the rain? Please output the segmentation masks. Find the quick box that moves over the lazy video!",
)

FULL_CONFIG, FULL_TOWER = dict(CONFIG), dict(TOWER_CONFIG)

TINY_CONFIG = {
    **FULL_CONFIG,
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "eos_token_id": 122,
    "mm_hidden_size": 16,
    "out_dim": 16,
    # Not in a true release, whose code has these numbers built in.
    "num_frames_sparse": 4,
    "num_frames_dense": 2,
    "mask_config": {
        "vision_config": {
            "hidden_size": 16,
            "output_channels": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 64,
            "patch_size": 16,
            "window_size": 3,
            "global_attn_indexes": [1],
            "num_pos_feats": 8,
        },
        "prompt_encoder_config": {"hidden_size": 16, "image_size": 64, "patch_size": 16},
        "mask_decoder_config": {
            "hidden_size": 16,
            "mlp_dim": 16,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 8,
            "layer_norm_eps": 1e-5,
        },
    },
}
MIDDLE_CONFIG = {
    **FULL_CONFIG,
    "hidden_size": 1024,
    "intermediate_size": 2752,
    "num_hidden_layers": 16,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "mm_hidden_size": 768,
    # Not in a true release, whose code has these numbers built in.
    "num_frames_sparse": 8,
    "num_frames_dense": 2,
    "mask_config": {
        "vision_config": {
            "hidden_size": 768,
            "output_channels": 256,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "image_size": 512,
            "patch_size": 16,
            "window_size": 14,
            "global_attn_indexes": [2, 5, 8, 11],
        },
        "prompt_encoder_config": {"image_size": 512, "patch_size": 16},
        "mask_decoder_config": {"layer_norm_eps": 1e-5},
    },
}
_VISA_ONLY: dict[str, Any] = {
    "architectures": [visa.ARCHITECTURE],
    "model_type": visa.MODEL_TYPE,
    "rms_norm_eps": 1e-5,
    "eos_token_id": 2,
    "mm_vision_tower": visa.TOWER_REPO,
    "mm_use_im_start_end": True,  # as the released merge script writes it, although no prompt has such tokens
    "config": {
        "use_cluster": True,
        "freeze": False,
        "mm_tune": True,
        "vision_tune": False,
        "spatial_cluster_rate0": 64,
        "spatial_cluster_rate1": 32,
        "spatial_cluster_rate2": 16,
        "temporal_cluster_rate": 0.0625,
    },
}
_PHI_ONLY = ("original_max_position_embeddings", "sliding_window", "mm_projector_type", "num_frames_sparse", "num_frames_dense")
_VICUNA_7B = {"vocab_size": 32001, "hidden_size": 4096, "intermediate_size": 11008}
FULL_VISA = {key: value for key, value in FULL_CONFIG.items() if key not in _PHI_ONLY} | _VISA_ONLY | _VICUNA_7B
TINY_VISA = {
    **{key: value for key, value in TINY_CONFIG.items() if key not in _PHI_ONLY},
    **_VISA_ONLY,
    "config": {**_VISA_ONLY["config"], "spatial_cluster_rate0": 3, "spatial_cluster_rate1": 2, "spatial_cluster_rate2": 2},
}
TINY_TOWER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
MIDDLE_TOWER = {**FULL_TOWER, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
MIDDLE_VISA = {key: value for key, value in MIDDLE_CONFIG.items() if key not in _PHI_ONLY} | _VISA_ONLY
SCALES = {"tiny": (TINY_CONFIG, TINY_TOWER), "middle": (MIDDLE_CONFIG, MIDDLE_TOWER), "full": (FULL_CONFIG, FULL_TOWER)}
VISA_SCALES = {
    "tiny": (TINY_VISA, TINY_TOWER),
    "middle": (MIDDLE_VISA, {**MIDDLE_TOWER, "image_size": 224}),
    "full": (FULL_VISA, {**FULL_TOWER, "image_size": 224}),
}
FAMILIES = {"videolisa": SCALES, "visa": VISA_SCALES}

MakeTensor = Callable[[str, tuple[int, ...]], Tensor]
"""Released name and shape -> the tensor to write."""


def random_tensors(seed: int) -> MakeTensor:
    """Small random numbers (activations stay finite through any depth) in the dtypes of the release: the language side bf16."""
    generator = torch.Generator().manual_seed(seed)

    def make(name: str, shape: tuple[int, ...]) -> Tensor:
        dtype = torch.float32 if name.startswith(FLOAT32_PARTS) else torch.bfloat16
        return torch.empty(shape, dtype=dtype).normal_(std=0.02, generator=generator)

    return make


def write_release(
    out: Path, values: dict[str, Any], tower: dict[str, Any], make: MakeTensor, layout: str = "bin", shard_bytes: int = SHARD_BYTES
) -> tuple[Path, Path]:
    """Write a release and its vision tower below `out`; return their folders.

    Args:
        values: the release's config.json.
        tower: the CLIP tower's numbers.
        make: gives the tensors, one at a time.
        layout: "bin" (`torch.save`) or "safetensors".
        shard_bytes: a shard is closed when it is at least this big.
    """
    is_visa = values["model_type"] == visa.MODEL_TYPE
    model_folder, tower_folder = out / "model", out / values["mm_vision_tower"].rpartition("/")[2]
    for folder in (model_folder, tower_folder):
        folder.mkdir(parents=True)
    tokens = {"chat_tokens": (), "end_of_text": "</s>"} if is_visa else {}
    seg_token_id = write_tokenizer(model_folder, values["vocab_size"], **tokens)
    (model_folder / "config.json").write_text(json.dumps(values, indent=2))
    (tower_folder / "config.json").write_text(
        json.dumps({"model_type": "clip", "vision_config": {"model_type": "clip_vision_model", **tower}})
    )
    with init_empty_weights():
        model_class, to_config = (VisaModel, visa.config_from_release) if is_visa else (VideoLisaModel, config_from_release)
        model = model_class(to_config(values, CLIPVisionConfig(**tower), seg_token_id, "this script"))
    shapes = {released_name(key): tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    if is_visa:  # tables that the authors' version of transformers saves with the weights
        half = values["hidden_size"] // values["num_attention_heads"] // 2
        shapes |= {f"model.layers.{i}.self_attn.rotary_emb.inv_freq": (half,) for i in range(values["num_hidden_layers"])}
    for folder, prefix in ((model_folder, ""), (tower_folder, TOWER_PREFIX)):
        mine = {name: shape for name, shape in shapes.items() if name.startswith(TOWER_PREFIX) == bool(prefix)}
        write_shards(folder, mine, prefix, make, layout, shard_bytes)
    return model_folder, tower_folder


def write_shards(folder: Path, shapes: dict[str, tuple[int, ...]], prefix: str, make: MakeTensor, layout: str, shard_bytes: int) -> None:
    """Write tensors under their names without `prefix`, with an index; only one shard is in memory at a time."""
    stem, suffix = ("pytorch_model", "bin") if layout == "bin" else ("model", "safetensors")
    weight_map: dict[str, str] = {}
    shard: dict[str, Tensor] = {}
    num_shards = 0
    for position, (name, shape) in enumerate(shapes.items(), start=1):
        shard[name.removeprefix(prefix)] = make(name, shape).contiguous()
        if position == len(shapes) or sum(tensor.nbytes for tensor in shard.values()) >= shard_bytes:
            num_shards += 1
            file = f"{stem}-{num_shards:05d}.{suffix}"
            if layout == "bin":
                torch.save(shard, folder / file)
            else:
                save_file(shard, folder / file, metadata={"format": "pt"})
            weight_map |= dict.fromkeys(shard, file)
            shard = {}
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def write_tokenizer(
    folder: Path,
    vocab_size: int,
    legacy: bool | None = False,
    chat_tokens: tuple[str, ...] = CHAT_TOKENS,
    end_of_text: str = END_OF_TEXT,
) -> int:
    """Train a SentencePiece Llama tokenizer, as many pieces as fit (512 at most), and return the id of [SEG].

    As in the true one, pieces for runs of spaces are merged after all others, and the tokens of the chat swallow white space behind them.

    Args:
        legacy: the setting of this name in tokenizer_config.json; None = not there.
        chat_tokens: added behind the pieces.
        end_of_text: closes an answer.
    """
    seg_token_id = min(vocab_size, 512) - 1
    added_behind = tuple(token for token in (end_of_text, *chat_tokens) if token not in BUILT_IN)
    num_pieces = seg_token_id - len(added_behind)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 4),
        model_prefix=str(folder / "tokenizer"),
        model_type="bpe",
        vocab_size=num_pieces - len(SPACE_RUNS),
        byte_fallback=num_pieces > 400,  # 256 pieces, if there is room for them
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    (folder / "tokenizer.vocab").unlink()
    model = ModelProto.FromString((folder / "tokenizer.model").read_bytes())
    for piece in SPACE_RUNS:
        model.pieces.add(piece=piece, score=-1e9)
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())
    special = [*enumerate(BUILT_IN), *enumerate(added_behind, start=num_pieces)]
    added = {str(i): added_token(token, special=True, rstrip=token in chat_tokens) for i, token in special}
    added[str(seg_token_id)] = added_token(SEG_TOKEN, special=False)
    settings = {
        "tokenizer_class": "LlamaTokenizer",
        "add_bos_token": True,
        "add_eos_token": False,
        "added_tokens_decoder": added,
        "bos_token": "<s>",
        "eos_token": end_of_text,
        "unk_token": "<unk>",
        "pad_token": "<unk>",
        "padding_side": "right",
        "model_max_length": 2048,
        **({} if legacy is None else {"legacy": legacy}),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
    return seg_token_id


def added_token(content: str, special: bool, rstrip: bool = False) -> dict[str, Any]:
    """An entry of `added_tokens_decoder`."""
    flags = {"lstrip": False, "rstrip": rstrip, "single_word": False, "normalized": not special, "special": special}
    return {"content": content, **flags}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--family", choices=FAMILIES, default="videolisa")
    parser.add_argument("--scale", choices=SCALES, default="tiny")
    parser.add_argument("--layout", choices=("bin", "safetensors"), default="bin")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for folder in write_release(options.out, *FAMILIES[options.family][options.scale], random_tensors(options.seed), options.layout):
        print(folder)


if __name__ == "__main__":
    main()
