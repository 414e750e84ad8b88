"""Recipes that go on with a VideoLISA model: the paper's training, and one's own words and videos."""

from __future__ import annotations

from saymask.datasets.mixture import MixtureConfig, MixtureGroup
from saymask.models.adapters import LoraConfig
from saymask.training.config import OptimConfig
from saymask.training.tasks.tuning_config import TuningConfig


def videolisa_mixture() -> MixtureConfig:
    """The mixture VideoLISA (2409.19603) was trained on, 47 % images and 53 % videos, but for one split.

    The released code also trains on a part of MeViS valid_u, on which results are reported; here that has to be asked for:
    `saymask train RECIPE data.groups.mevis.datasets="[mevis, mevis:valid_u]"`.
    """
    return MixtureConfig(
        groups={
            "sem_seg": MixtureGroup(rate=8, datasets=("ade20k", "coco-stuff", "pascal-part", "paco-lvis")),
            "refer_seg": MixtureGroup(rate=4, datasets=("refclef", "refcoco", "refcoco+", "refcocog")),
            "reason_seg": MixtureGroup(rate=3, datasets=("reasonseg",)),
            "vos": MixtureGroup(rate=4, datasets=("youtube-vos",)),
            "ref-youtube-vos": MixtureGroup(rate=6, datasets=("ref-youtube-vos",)),
            "mevis": MixtureGroup(rate=6, datasets=("mevis",)),
            "ref-davis17": MixtureGroup(rate=1, datasets=("ref-davis17",)),
        }
    )


def videolisa_phi3() -> TuningConfig:
    """The paper's training of VideoLISA-3.8B (2409.19603): LoRA on Phi-3's fused qkv, embeddings, head, mask decoder and projector whole.

    Command, with the start points downloaded (docs/finetune.md):
        saymask convert LLAVA start --vision-tower CLIP --mask-model SAM
        torchrun --nnodes 8 --nproc-per-node 8 -m saymask train videolisa_phi3 base=start
    Cost: 64 A10 GPUs for about 20 hours (paper). Expected, from the paper and not measured here: J&F 61.7 on Ref-YouTube-VOS and 67.7 on
    Ref-DAVIS17 (Table 1), 42.3 on MeViS valid (Table 2), 45.1 on ReasonVOS (Table 3); gIoU 61.4 on ReasonSeg val (Table 4).
    The numbers of frames (32 sparse, 4 dense) and the weights of the losses (1, 2, 0.5) are those of the base's configuration.
    """
    return TuningConfig(
        base="start",
        train_parts=("lora", "embeddings", "lm_head", "mask_decoder", "prompt_projector"),
        lora=LoraConfig(targets=("qkv_proj",), rank=8, alpha=16, dropout=0.05),
        data=videolisa_mixture(),
        processor={"num_supervised": None, "clips": "refer", "phrases": "paper"},
        frozen_dtype="bfloat16",
        optim=OptimConfig(lr=3e-4, betas=(0.9, 0.95), weight_decay=0, warmup_steps=100, schedule="linear", final_lr_share=0, clip_norm=1.0),
        steps=6000,
        batch_size=2,
        micro_batches=64,
        gradient_checkpointing=True,
        workers=2,
        save_every=300,
    )


def finetune() -> TuningConfig:
    """Your own words and videos taught to a model: an adapter of LoRA matrices, prompt projector and mask decoder.

    Command: `saymask train finetune data.root=DIR -o runs/mine`, then `-m toy+runs/mine/model`. The rates suit the bundled toy; for the
    released model: `base=videolisa-3.8b optim.lr=1e-4 frozen_dtype=bfloat16 gradient_checkpointing=true batch_size=1 micro_batches=8`.
    Paper: LoRA (2106.09685), with VideoLISA's numbers. Cost and expected result, with the toy and six clips of one new word: 42 seconds of
    one CPU core with its measuring, J 22.5 -> 62.4 on 16 held-out clips (`pytest -s -m slow tests/training/test_new_word.py`).
    """
    return TuningConfig(
        base="toy",
        train_parts=("lora", "prompt_projector", "mask_decoder"),
        processor={"num_supervised": None, "clips": "jittered", "phrases": "auto"},
        optim=OptimConfig(lr=1e-3, betas=(0.9, 0.95), weight_decay=0, warmup_steps=10, schedule="linear", final_lr_share=0),
        steps=100,
        batch_size=6,
        log_every=10,
        save_every=100,
    )
