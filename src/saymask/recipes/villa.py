"""Recipes of the ViLLa family (2407.14500)."""

from __future__ import annotations

from typing import Any

from saymask.datasets.mixture import MixtureConfig, MixtureGroup
from saymask.models.adapters import LoraConfig
from saymask.recipes.videolisa import TOY_MODEL
from saymask.training.config import OptimConfig
from saymask.training.tasks.questions_config import Phase, QuestionsConfig, ToyDataConfig
from saymask.training.tasks.tuning_config import TuningConfig

_SHARED = ("text_config", "vision_config", "vision_select_layer", "system_prompt", "domain_tag", "attn_implementation")
# Masks as prompts, the decoder's three other masks and their quality are never used; without them the modules below fit into 3 MB.
_MASK_CONFIG: dict[str, Any] = {
    **TOY_MODEL["mask_config"],
    "prompt_encoder_config": {**TOY_MODEL["mask_config"]["prompt_encoder_config"], "mask_input_channels": 4},
    "mask_decoder_config": {**TOY_MODEL["mask_config"]["mask_decoder_config"], "num_multimask_outputs": 0, "iou_head_hidden_dim": 8},
}
VILLA_TOY_MODEL: dict[str, Any] = {
    **{name: TOY_MODEL[name] for name in _SHARED},
    "mask_config": _MASK_CONFIG,
    "num_segments": 2,
    "frames_per_segment": 2,
    "num_context": 4,
    "max_objects": 6,
    "token_pool": 1,
    "temporal_layer": False,
    "context_width": 12,
    "context_heads": 2,
    "sync_width": 14,
    "sync_heads": 2,
}
MULTI_MIX: dict[str, float] = {
    "pair": 3, "crossing": 2, "meeting": 1.5, "plural": 2, "absent": 2.5, "attribute": 1.5, "spatial": 1, "motion": 1, "event": 0.5,
    "compare": 0.5, "knowledge": 0.5,
}  # fmt: skip
"""More than half of the questions mean two things or more."""


def villa_toy() -> QuestionsConfig:
    """The bundled ViLLa model: begins with what it shares with the bundled VideoLISA model, and learns to name several things at once.

    Command: `saymask train villa_toy -o runs/villa-toy`. Figures and cost: the model card in `src/saymask/weights/villa-toy`.
    """
    return QuestionsConfig(
        family="villa",
        model=VILLA_TOY_MODEL,
        data=ToyDataConfig(phases=(Phase(until=1, mix=MULTI_MIX),)),
        init_from="toy",
        optim=OptimConfig(lr=1.2e-3, warmup_steps=50),
        steps=500,
        batch_size=16,
        autocast=False,
        processor={"num_supervised": 1},
        log_every=20,
        save_every=100,
    )


def villa_toy_more() -> QuestionsConfig:
    """The bundled ViLLa model's second stage: a finished `villa_toy` goes on in smaller steps, with more weight on naming the right things.

    Command: `saymask train villa_toy_more init_from=runs/villa-toy/model -o runs/villa-toy-more`.
    """
    mix = {**MULTI_MIX, "pair": 4, "meeting": 1, "absent": 2, "attribute": 2, "spatial": 0.7, "motion": 0.7}
    return villa_toy().model_copy(
        update={
            "init_from": "runs/villa-toy/model",
            "model": {**VILLA_TOY_MODEL, "lm_loss_weight": 2.0},
            "data": ToyDataConfig(phases=(Phase(until=1, mix=mix),)),
            "optim": OptimConfig(lr=1e-3, warmup_steps=50),
            "seed": 1,
            "steps": 1400,
            "batch_size": 8,
        }
    )


def villa_toy_plain() -> QuestionsConfig:
    """What `villa_toy` is compared with: the same samples without key segments, context synthesizer and temporal synchronizer.

    Command: `saymask train villa_toy_plain -o runs/villa-toy-plain`.
    """
    full = villa_toy()
    off = {"key_segments": False, "context_synthesizer": False, "temporal_synchronizer": False}
    return full.model_copy(update={"model": {**full.model, **off}})


def videolisa_toy_multi() -> QuestionsConfig:
    """The bundled VideoLISA model after as many of the samples of `villa_toy`: one [SEG] for the union of what is meant.

    Command: `saymask train videolisa_toy_multi -o runs/videolisa-toy-multi`.
    """
    full = villa_toy()
    model = {**TOY_MODEL, "num_dense": 4, "aux_loss_weight": 0.0}
    processor = {"num_supervised": 1, "clips": "jittered"}
    return full.model_copy(update={"family": "videolisa", "model": model, "processor": processor})


VILLA_PARTS = (
    "embeddings", "lm_head", "mask_decoder", "projector", "prompt_projector", "frame_projector", "time_code", "segment_time",
    "context_synthesizer", "temporal_synchronizer", "presence_head",
)  # fmt: skip
"""All that is trained whole: everything but the vision tower, the mask encoder and the language model."""


def villa_mixture() -> MixtureConfig:
    """Images and videos in the rates of VISA's training, so that the two compare, and questions whose answers name several objects."""
    return MixtureConfig(
        groups={
            "sem_seg": MixtureGroup(rate=9, datasets=("ade20k", "coco-stuff", "pascal-part", "paco-lvis")),
            "refer_seg": MixtureGroup(rate=3, datasets=("refclef", "refcoco", "refcoco+", "refcocog")),
            "vqa": MixtureGroup(rate=3, datasets=("llava-vqa",)),
            "reason_seg": MixtureGroup(rate=1, datasets=("reasonseg",)),
            "video_seg": MixtureGroup(rate=12, datasets=("ref-youtube-vos", "mevis", "ref-davis17", "lv-vis", "youtube-vos", "revos")),
            "video_reason_seg": MixtureGroup(rate=4, datasets=("video-reason-seg",)),
        }
    )


def villa() -> TuningConfig:
    """A ViLLa model (2407.14500) on a language model of 3.8 billion parameters; data, numbers and schedule are ours, none were published.

    Commands, with VideoLISA's release as the beginning:
        saymask convert videolisa-3.8b villa-start --family villa
        torchrun --nproc-per-node 8 -m saymask train villa base=villa-start
    The authors' video encoder, InternVideo2, is not in transformers. CLIP sees single frames here, and one temporal layer lets the frames
    of a segment see each other. Not run yet: no figures.
    """
    return TuningConfig(
        base="villa-start",
        train_parts=("lora", *VILLA_PARTS),
        lora=LoraConfig(targets=("qkv_proj",), rank=8, alpha=16, dropout=0.05),
        data=villa_mixture(),
        frozen_dtype="bfloat16",
        optim=OptimConfig(lr=3e-4, betas=(0.9, 0.95), weight_decay=0, warmup_steps=100, final_lr_share=0.05, clip_norm=1.0),
        steps=10_000,
        batch_size=1,
        micro_batches=128,
        gradient_checkpointing=True,
        workers=2,
        save_every=500,
    )
