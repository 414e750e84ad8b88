"""Recipes of the VideoLISA family. A recipe is a function that returns the complete configuration of a run."""

from __future__ import annotations

from typing import Any

from saymask.training.config import OptimConfig, ValidationConfig
from saymask.training.tasks.questions_config import Phase, QuestionsConfig, ToyDataConfig

TOY_MODEL: dict[str, Any] = {
    "text_config": {
        "model_type": "phi3",
        "hidden_size": 128,
        "intermediate_size": 224,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "max_position_embeddings": 1024,
        "original_max_position_embeddings": 1024,
        "tie_word_embeddings": True,
    },
    "vision_config": {
        "hidden_size": 96,
        "intermediate_size": 192,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "image_size": 72,
        "patch_size": 12,
        "projection_dim": 96,
        "initializer_factor": 1.0,
    },
    "mask_config": {
        "vision_config": {
            "hidden_size": 96,
            "output_channels": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "image_size": 128,
            "patch_size": 8,
            "mlp_dim": 192,
            "mlp_ratio": 2.0,
            "use_rel_pos": False,
            "window_size": 0,
            "global_attn_indexes": [],
            "initializer_range": 0.02,
            "num_pos_feats": 32,
        },
        "prompt_encoder_config": {"hidden_size": 64, "image_size": 128, "patch_size": 8, "mask_input_channels": 8},
        "mask_decoder_config": {
            "hidden_size": 64,
            "mlp_dim": 128,
            "num_attention_heads": 2,
            "iou_head_hidden_dim": 32,
            "layer_norm_eps": 1e-5,
        },
    },
    "num_sparse": 8,
    "num_dense": 3,
    "vision_select_layer": -1,
    "system_prompt": "",
    "aux_loss_weight": 1.0,
    "token_layout": "sparse_dense",
    "token_per_frame": False,
    "frames_seen": "spread",
    "domain_tag": "saymask-toyworld",
    # On a CPU the backward pass of fused attention is the slower one for sequences this short.
    "attn_implementation": {"text_config": "eager", "vision_config": "eager"},
}


def videolisa_toy() -> QuestionsConfig:
    """The bundled model: VideoLISA (2409.19603) with toy numbers, from scratch on drawn scenes.

    Command: `saymask train videolisa_toy -o runs/toy`. Figures and cost: the model card in `src/saymask/weights/toy`.
    Families answered from words alone come first; those that need the video are added when the words are known.
    """
    words = {"attribute": 4, "knowledge": 1, "plural": 1, "absent": 1, "spatial": 1, "motion": 1, "compare": 0.5, "event": 0.5}
    everything = {"attribute": 1.5, "knowledge": 1, "plural": 1, "absent": 1, "spatial": 2, "motion": 2, "compare": 1, "event": 1}
    return QuestionsConfig(
        family="videolisa",
        model=TOY_MODEL,
        data=ToyDataConfig(phases=(Phase(until=0.3, mix=words), Phase(until=1, mix=everything))),
        optim=OptimConfig(lr=1.5e-3),
        steps=4000,
        batch_size=32,
        processor={"num_supervised": 1, "clips": "jittered"},
        workers=1,
        validation=ValidationConfig(dataset="toyworld", split="val", limit=80),
    )


def videolisa_toy_more() -> QuestionsConfig:
    """The bundled model's second stage: a finished `videolisa_toy` goes on, with a fourth dense frame and more of what it finds hard.

    Command: `saymask train videolisa_toy_more init_from=runs/toy/model -o runs/toy-more`. Figures and cost: the model card.
    """
    lagging = {"attribute": 1, "knowledge": 1, "plural": 1, "absent": 1.5, "spatial": 2, "motion": 2, "compare": 1.5, "event": 2.5}
    return QuestionsConfig(
        family="videolisa",
        model={**TOY_MODEL, "num_dense": 4},
        data=ToyDataConfig(phases=(Phase(until=1, mix=lagging),)),
        init_from="runs/toy/model",
        optim=OptimConfig(lr=1e-3),
        seed=1,
        steps=4000,
        batch_size=32,
        processor={"num_supervised": 1, "clips": "jittered"},
        workers=1,
        save_every=250,
    )


def videolisa_toy_ablation() -> QuestionsConfig:
    """What every variant of `docs/ablations.md` is given: the bundled model goes on with the same samples, with the variant's switches.

    Command: `python bench/ablations.py runs/ablations`. More than half of the questions are about motion and events, where the choices
    of the paper (2409.19603, Tables 5, 6, 8 to 10) should matter.
    """
    timely = {"motion": 3, "event": 3, "attribute": 1, "spatial": 1, "compare": 1, "knowledge": 0.5, "plural": 0.5, "absent": 0.5}
    return QuestionsConfig(
        family="videolisa",
        model={**TOY_MODEL, "num_dense": 4},
        data=ToyDataConfig(phases=(Phase(until=1, mix=timely),)),
        init_from="toy",
        optim=OptimConfig(lr=7e-4, warmup_steps=50),
        steps=700,
        batch_size=32,
        processor={"num_supervised": 1, "clips": "jittered"},
        workers=1,
    )
