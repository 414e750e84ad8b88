"""Recipes of the VISA family."""

from __future__ import annotations

from typing import Any

from saymask.datasets.mixture import MixtureConfig, MixtureGroup
from saymask.models.adapters import LoraConfig
from saymask.recipes.videolisa import TOY_MODEL as VIDEOLISA_TOY_MODEL
from saymask.training.config import OptimConfig
from saymask.training.tasks.questions_config import Phase, QuestionsConfig, ToyDataConfig
from saymask.training.tasks.tuning_config import TuningConfig

_PARTS = ("text_config", "vision_config", "mask_config", "vision_select_layer", "aux_loss_weight", "domain_tag", "attn_implementation")
TOY_MODEL: dict[str, Any] = {
    **{key: VIDEOLISA_TOY_MODEL[key] for key in _PARTS},
    "num_context": 6,
    "context_policy": "global",
    # The published shares (64, 32 and 16 of 256) of the toy tower's 36 tokens.
    "merge_rates": [9, 5, 3],
    "merge_neighbours": [5, 3, 3],
    "system_prompt": "",
    # As the bundled VideoLISA toy is spoken to.
    "wording": "brief",
    "end_of_turn": "<|end|>",
}
_MIX = {"attribute": 1.5, "knowledge": 1, "plural": 1, "absent": 1, "spatial": 2, "motion": 2, "compare": 1, "event": 1}


def visa_toy() -> QuestionsConfig:
    """The bundled VISA (2407.11325) with toy numbers, from the parts it shares with the bundled VideoLISA toy, on drawn scenes.

    Command: `saymask train visa_toy -o runs/visa-toy`. Figures and cost: the model card in `src/saymask/weights/visa-toy`.
    Half of the clips with a target are asked the frame sampler's question as well; its sampled answers are the toy's votes.
    """
    return QuestionsConfig(
        family="visa",
        model=TOY_MODEL,
        data=ToyDataConfig(phases=(Phase(until=1, mix=_MIX),)),
        init_from="toy",
        optim=OptimConfig(lr=1e-3, warmup_steps=30),
        steps=700,
        batch_size=16,
        autocast=False,
        processor={"refusal_share": 1.0, "percentage_share": 0.5},
        log_every=25,
        save_every=50,
    )


def visa_toy_comparison() -> QuestionsConfig:
    """VideoLISA from the same parts on as many of the same samples, beside which `visa_toy` is measured.

    Command: `saymask train visa_toy_comparison -o runs/visa-toy-comparison`. Figures: the model card in `src/saymask/weights/visa-toy`.
    """
    visa = visa_toy()
    return visa.model_copy(
        update={
            "family": "videolisa",
            "model": {**VIDEOLISA_TOY_MODEL, "num_dense": 4},
            "processor": {"num_supervised": 1, "clips": "jittered"},
        }
    )


def visa_mixture() -> MixtureConfig:
    """The mixture VISA (2407.11325) was trained on, by the rates of its released scripts (9, 3, 3, 1 and 12).

    Two of its sources have no reader here and are left out: Mapillary among the four others of `sem_seg`, and Chat-UniVi's own questions
    (rate 4). The referring video sets share the rate 12 as 4000 : 15000 : 400 : 3000 : 3000.
    """
    videos = {"mevis": 4000, "ref-youtube-vos": 15000, "ref-davis17": 400, "revos": 3000, "lv-vis": 3000}
    return MixtureConfig(
        groups={
            "sem_seg": MixtureGroup(rate=9, datasets=("ade20k", "coco-stuff", "pascal-part", "paco-lvis")),
            "refer_seg": MixtureGroup(rate=3, datasets=("refclef", "refcoco", "refcoco+", "refcocog")),
            "vqa": MixtureGroup(rate=3, datasets=("llava-vqa",)),
            "reason_seg": MixtureGroup(rate=1, datasets=("reasonseg",)),
            **{name: MixtureGroup(rate=12 * rate / sum(videos.values()), datasets=(name,)) for name, rate in videos.items()},
        },
        expressions=3,
    )


def visa_7b() -> TuningConfig:
    """The paper's training of VISA-7B (2407.11325): LoRA on q and v, embeddings, head, mask decoder and prompt MLP whole.

    Command, with the start points downloaded (docs/visa.md):
        saymask convert CHATUNIVI start --vision-tower CLIP --mask-model SAM
        torchrun --nproc-per-node 8 -m saymask train visa_7b base=start
    Cost: eight A100 with 80 GB (paper). Expected, from the paper and not measured here: J&F 46.9 on ReVOS (Table 2).
    8 to 12 context frames, up to three expressions of a video, 5 % of the targets from another video; 10 epochs of 1,500 steps of 128.
    """
    return TuningConfig(
        base="start",
        train_parts=("lora", "embeddings", "lm_head", "mask_decoder", "prompt_projector"),
        lora=LoraConfig(targets=("q_proj", "v_proj"), rank=8, alpha=16, dropout=0.05),
        data=visa_mixture(),
        processor={"context_range": [8, 12], "foreign_share": 0.05, "refusal_share": 0.0},
        frozen_dtype="bfloat16",
        optim=OptimConfig(lr=3e-4, betas=(0.9, 0.95), weight_decay=0, warmup_steps=100, schedule="linear", final_lr_share=0, clip_norm=1.0),
        steps=15000,
        batch_size=2,
        micro_batches=64,
        gradient_checkpointing=True,
        workers=2,
        save_every=1500,
    )
