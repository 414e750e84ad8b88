"""A folder in the released VideoLISA layout, and the CLIP tower from its own, as a loaded model.

The model is built without memory for its parameters, every name and shape is compared with what the files hold, and only then are the
tensors read, file by file, in the dtype and on the device wanted: the peak is the model itself.
"""

from __future__ import annotations

from pathlib import Path

from accelerate import init_empty_weights
from transformers import CLIPVisionConfig

from saymask.errors import CheckpointError, ConfigError
from saymask.models.lisa.files import fill, tower_beside
from saymask.models.lisa.names import TOWER_PREFIX
from saymask.models.parts.chat import SEG_TOKEN
from saymask.models.parts.sentencepiece_tokenizer import SentencePieceTokenizer
from saymask.models.placement import place
from saymask.models.videolisa import FAMILY
from saymask.models.videolisa.model import VideoLisaModel
from saymask.models.videolisa.processor import VideoLisaProcessor
from saymask.models.videolisa.released import MODEL_TYPE, config_from_release
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.runtime import Runtime
from saymask.storage.strict import quiet_transformers
from saymask.storage.weight_files import read_json, weight_files


def load_release(folder: Path, runtime: Runtime, name: str, vision_tower: Path | None = None) -> VideoLisaSegmenter:
    """Load a released model.

    Args:
        folder: config.json, tokenizer and weights (`pytorch_model*.bin` or safetensors, in one file or in shards).
        runtime: device and dtype; without a dtype everything is bf16, as the authors run it, whatever the files hold.
        name: what the model is called in reports.
        vision_tower: folder of the CLIP tower (`openai/clip-vit-large-patch14-336`); if not given, one of that name beside the weights.

    Raises:
        CheckpointError: a file is absent or damaged, or tensors are missing, unexpected or of the wrong shape, named as in the release.
    """
    values = read_json(folder / "config.json")
    if values.get("model_type") != MODEL_TYPE:
        raise CheckpointError(
            f"{folder}/config.json: model_type {values.get('model_type')!r} is not the released VideoLISA's, {MODEL_TYPE!r}"
        )
    tower = vision_tower or tower_beside(folder, values, usual="openai/clip-vit-large-patch14-336")
    read_json(tower / "config.json")
    tokenizer = load_tokenizer(folder)
    with quiet_transformers():
        vision_config = CLIPVisionConfig.from_pretrained(tower)
    seg_token_id = tokenizer.convert_tokens_to_ids(SEG_TOKEN)
    config = config_from_release(values, vision_config, seg_token_id, f"{folder}/config.json")
    if seg_token_id >= values["vocab_size"]:
        raise CheckpointError(
            f"{folder}: the tokenizer gives {SEG_TOKEN} the id {seg_token_id}, the embeddings end at {values['vocab_size'] - 1}"
        )
    if runtime.quantization_config is not None:
        raise ConfigError(f"{folder}: quantisation reads our own layout; write it first with `saymask convert {folder} DST`, then load DST")
    with init_empty_weights():
        model = VideoLisaModel(config)
    files = {file: "" for file in weight_files(folder)} | {file: TOWER_PREFIX for file in weight_files(tower)}
    fill(model, files, runtime, f"{folder} with {tower}")
    place(model, runtime, FAMILY.language_model)  # also the buffers that no file holds
    return VideoLisaSegmenter(model, VideoLisaProcessor(tokenizer, config), name, list(files))


def load_tokenizer(folder: Path) -> SentencePieceTokenizer:
    """The release's tokenizer, which always knows `[SEG]`.

    Raises:
        CheckpointError: the SentencePiece model or its settings are absent or damaged.
    """
    return SentencePieceTokenizer.from_folder(folder, extra_tokens=(SEG_TOKEN,))
