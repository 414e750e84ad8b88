"""Recipes of the VISA family."""

from __future__ import annotations

from typing import Any

from saymask.recipes.videolisa import TOY_MODEL as VIDEOLISA_TOY_MODEL
from saymask.training.config import OptimConfig
from saymask.training.tasks.questions_config import Phase, QuestionsConfig, ToyDataConfig

SHARED_PARTS = ("language_model", "visual.tower", "mask_head", "prompt_projector")
"""What the bundled `toy` has that a VISA toy has as well; projector and auxiliary heads begin at random."""

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
        init_parts=SHARED_PARTS,
        optim=OptimConfig(lr=1e-3, warmup_steps=30),
        steps=1000,
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
