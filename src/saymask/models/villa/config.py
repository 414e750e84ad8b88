"""Numbers of a ViLLa model."""

from __future__ import annotations

from typing import Any

from transformers.configuration_utils import PreTrainedConfig
from transformers.models.clip.configuration_clip import CLIPVisionConfig
from transformers.models.sam.configuration_sam import SamConfig

from saymask.models.parts.composite_config import CompositeConfig, debug_parts


class VillaConfig(CompositeConfig):
    """Numbers of a ViLLa model.

    Args:
        num_segments, frames_per_segment: key segments of a video, and frames of each that the language model reads; their product is K,
            the most key frames.
        num_context: frames spread over the whole video that it sees as one pooled token each.
        max_objects: [SEG] of an answer that are followed.
        token_pool: side of the squares of patches that become one token.
        temporal_layer: let the patches of a segment's frames see each other over time, in one layer behind the frame-wise tower.
        key_segments: choose key frames by content; False = spread evenly.
        context_synthesizer: let the query's words read the video; `context_width` and `context_heads` are its numbers.
        temporal_synchronizer: let [SEG] tokens of frames and video read each other; `sync_width`, `sync_heads` and `sync_layers` are its.
        local_window: how many key frames away a frame's token looks.
        noobj_token_id, frame_token_id: ids of `[NOOBJ]` and `[FRM]`.
        video_mask_weight: weight of the losses of masks made from the video token alone.
        parts: as of `CompositeConfig`.
    """

    model_type = "saymask-villa"

    def __init__(
        self,
        text_config: dict[str, Any] | PreTrainedConfig | None = None,
        vision_config: dict[str, Any] | CLIPVisionConfig | None = None,
        mask_config: dict[str, Any] | SamConfig | None = None,
        num_segments: int = 2,
        frames_per_segment: int = 8,
        num_context: int = 4,
        max_objects: int = 8,
        token_pool: int = 2,
        temporal_layer: bool = True,
        key_segments: bool = True,
        context_synthesizer: bool = True,
        context_width: int = 1024,
        context_heads: int = 16,
        temporal_synchronizer: bool = True,
        sync_width: int = 256,
        sync_heads: int = 8,
        sync_layers: int = 2,
        local_window: int = 2,
        noobj_token_id: int = 0,
        frame_token_id: int = 0,
        video_mask_weight: float = 0.5,
        **parts: Any,
    ):
        numbers = {"num_segments": num_segments, "frames_per_segment": frames_per_segment, "num_context": num_context}
        numbers |= {"max_objects": max_objects, "token_pool": token_pool, "sync_layers": sync_layers, "local_window": local_window}
        for name, value in numbers.items():
            if value < 1:
                raise ValueError(f"{name} = {value} must be at least 1")
        self.num_segments = num_segments
        self.frames_per_segment = frames_per_segment
        self.num_context = num_context
        self.max_objects = max_objects
        self.token_pool = token_pool
        self.temporal_layer = temporal_layer
        self.key_segments = key_segments
        self.context_synthesizer = context_synthesizer
        self.context_width = context_width
        self.context_heads = context_heads
        self.temporal_synchronizer = temporal_synchronizer
        self.sync_width = sync_width
        self.sync_heads = sync_heads
        self.sync_layers = sync_layers
        self.local_window = local_window
        self.noobj_token_id = noobj_token_id
        self.frame_token_id = frame_token_id
        self.video_mask_weight = video_mask_weight
        parts = {"presence_head": True, **parts}
        super().__init__(text_config, vision_config, mask_config, **parts)

    @property
    def num_key_frames(self) -> int:
        """K, the most key frames."""
        return self.num_segments * self.frames_per_segment

    @property
    def num_visual(self) -> int:
        """V, the most visual tokens in a chat."""
        side, patch = self.tower_size
        return self.num_context + self.num_key_frames * (side // patch // self.token_pool) ** 2

    @classmethod
    def debug(cls, **changes: Any) -> VillaConfig:
        """The smallest numbers that exercise every part; a forward pass takes milliseconds on a CPU."""
        numbers: dict[str, Any] = {"num_segments": 2, "frames_per_segment": 2, "num_context": 2, "token_pool": 1, "vision_select_layer": -1}
        numbers |= {"context_width": 16, "context_heads": 2, "sync_width": 16, "sync_heads": 2, "temporal_layer": True}
        numbers |= {"seg_token_id": 5, "noobj_token_id": 6, "frame_token_id": 7, "system_prompt": ""}
        return cls(*debug_parts(), **(numbers | changes))
