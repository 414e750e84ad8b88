"""The configuration that every family with a language model, a vision tower and a mask head shares."""

from __future__ import annotations

from typing import Any, Self, cast

from transformers.configuration_utils import PreTrainedConfig
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.sam.configuration_sam import SamConfig, SamVisionConfig


class CompositeConfig(PreTrainedConfig):
    """Three parts' own configurations, and what training and answering need to know about their union.

    Args:
        text_config, vision_config, mask_config: of the causal language model, the CLIP tower and SAM.
        vision_select_layer: which of the tower's hidden states is read.
        seg_token_id: id of `[SEG]`.
        system_prompt: the chat's system text; empty = no system block.
        lm_loss_weight, bce_loss_weight, dice_loss_weight: weights of the three losses that all families have.
        aux_loss_weight: weight of the auxiliary losses of `AuxiliaryHeads`; 0 = no such heads (every released layout).
        presence_head: whether the model says how sure it is that an object is in the video (no released layout does).
        presence_loss_weight: of that head's loss.
        presence_temperature: what its logits are divided by, fitted on a validation split (`saymask calibrate`).
        lexicon: words seen in training; empty = not recorded.
        region_words: words that the auxiliary heads tell apart.
        domain_tag: container comment of the videos the model was trained on; other sources get a notice. Empty = any video.
    """

    sub_configs = {"text_config": AutoConfig, "vision_config": CLIPVisionConfig, "mask_config": SamConfig}  # noqa: RUF012

    def __init__(
        self,
        text_config: dict[str, Any] | PreTrainedConfig | None = None,
        vision_config: dict[str, Any] | CLIPVisionConfig | None = None,
        mask_config: dict[str, Any] | SamConfig | None = None,
        vision_select_layer: int = -2,
        seg_token_id: int = 0,
        system_prompt: str = "",
        lm_loss_weight: float = 1.0,
        bce_loss_weight: float = 2.0,
        dice_loss_weight: float = 0.5,
        aux_loss_weight: float = 0.0,
        presence_head: bool = False,
        presence_loss_weight: float = 0.5,
        presence_temperature: float = 1.0,
        lexicon: list[str] | None = None,
        region_words: list[str] | None = None,
        domain_tag: str = "",
        **kwargs: Any,
    ):
        text_config = text_config if text_config is not None else {"model_type": "phi3"}
        self.text_config = AutoConfig.for_model(**text_config) if isinstance(text_config, dict) else text_config
        self.vision_config = CLIPVisionConfig(**vision_config) if isinstance(vision_config, dict) else vision_config or CLIPVisionConfig()
        num_states = self.vision_config.num_hidden_layers + 1
        if not -num_states <= vision_select_layer < num_states:
            raise ValueError(f"{vision_select_layer = } is none of the tower's {num_states} hidden states")
        self.mask_config = SamConfig(**mask_config) if isinstance(mask_config, dict) else mask_config or SamConfig()
        self.vision_select_layer = vision_select_layer
        self.seg_token_id = seg_token_id
        self.system_prompt = system_prompt
        self.lm_loss_weight = lm_loss_weight
        self.bce_loss_weight = bce_loss_weight
        self.dice_loss_weight = dice_loss_weight
        self.aux_loss_weight = aux_loss_weight
        self.presence_head = presence_head
        self.presence_loss_weight = presence_loss_weight
        self.presence_temperature = presence_temperature
        self.lexicon = lexicon or []
        self.region_words = region_words or []
        self.domain_tag = domain_tag
        super().__init__(**kwargs)

    @property
    def tower_size(self) -> tuple[int, int]:
        """Side of the vision tower's input in pixels, and of one of its patches."""
        return cast(int, self.vision_config.image_size), cast(int, self.vision_config.patch_size)

    @property
    def mask_size(self) -> tuple[int, int]:
        """Side of the mask encoder's input in pixels, and of one of its cells."""
        encoder = cast(SamVisionConfig, self.mask_config.vision_config)
        return cast(int, encoder.image_size), cast(int, encoder.patch_size)

    def without_training_aids(self) -> Self:
        """The configuration of the model as it is saved: without auxiliary heads."""
        return type(self).from_dict({**self.to_dict(), "aux_loss_weight": 0.0})


def debug_parts(**text: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The smallest text, vision and mask configurations that exercise every part; a forward pass takes milliseconds on a CPU.

    Weights start wide: so narrow a network with the usual 0.02 gives mask logits of 1e-5, the same for every query, whose signs are
    rounding errors. These are of order 1, and frames and queries get masks of their own.
    """
    numbers = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 400}
    numbers |= {"initializer_range": 0.15}
    tokens = {"pad_token_id": 0, "bos_token_id": None, "eos_token_id": 4}
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision |= {"image_size": 16, "patch_size": 8}
    mask_vision = {"hidden_size": 16, "output_channels": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32}
    mask_vision |= {"patch_size": 8, "window_size": 0, "global_attn_indexes": [], "num_pos_feats": 8, "initializer_range": 0.2}
    mask = {
        "vision_config": mask_vision,
        "prompt_encoder_config": {"hidden_size": 16, "image_size": 32, "patch_size": 8, "mask_input_channels": 4},
        "mask_decoder_config": {"hidden_size": 16, "mlp_dim": 16, "num_attention_heads": 2, "iou_head_hidden_dim": 8},
        "initializer_range": 0.5,
    }
    return {"model_type": "phi3", **numbers, **tokens, **text}, vision, mask
