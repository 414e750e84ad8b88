"""Numbers of an XMem tracker (arXiv 2207.07115): the network's widths, and when and how much its driver remembers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers.configuration_utils import PreTrainedConfig


class XMemConfig(PreTrainedConfig):
    """The defaults are the published network, and the driver's settings in VideoLISA's post-optimisation.

    Args:
        key_dim, value_dim: channels of keys and values in memory (CK, CV).
        hidden_dim: channels of the sensory memory (CH); 0 = none.
        key_encoder_width, key_encoder_depths: stem width w and blocks per stage of the ResNet of bottlenecks (w, 4w, 8w, 16w channels).
        value_encoder_width, value_encoder_depths: the same of the ResNet of basic blocks (w, w, 2w, 4w channels).
        decoder_width: channels of the decoder at stride 8 and 4; twice as many at stride 16.
        short_side: frames are resized to this many pixels on their short side; None = never.
        mem_every: frames from one memory frame to the next.
        deep_update_every: frames between updates of the sensory memory from values; -1 = at every memory frame.
        top_k: memory elements that a position reads.
        enable_long_term: consolidate working memory into long-term memory instead of keeping all of it.
        max_mid_term_frames, min_mid_term_frames: working memory at which consolidation starts, and what it leaves, in frames.
        num_prototypes: elements that one consolidation adds to long-term memory.
        max_long_term_elements: size of long-term memory at which the least used elements are dropped.
        domain_tag: container comment of the videos the network was trained on; other sources get a notice. Empty = any video.
    """

    model_type = "saymask-xmem"

    def __init__(
        self,
        key_dim: int = 64,
        value_dim: int = 512,
        hidden_dim: int = 64,
        key_encoder_width: int = 64,
        key_encoder_depths: Sequence[int] = (3, 4, 6),
        value_encoder_width: int = 64,
        value_encoder_depths: Sequence[int] = (2, 2, 2),
        decoder_width: int = 256,
        short_side: int | None = 480,
        mem_every: int = 10,
        deep_update_every: int = -1,
        top_k: int = 30,
        enable_long_term: bool = True,
        max_mid_term_frames: int = 10,
        min_mid_term_frames: int = 5,
        num_prototypes: int = 128,
        max_long_term_elements: int = 10_000,
        domain_tag: str = "",
        **kwargs: Any,
    ):
        for name, depths in (("key_encoder_depths", key_encoder_depths), ("value_encoder_depths", value_encoder_depths)):
            if len(depths) != 3 or min(depths) < 1:
                raise ValueError(f"{name} = {list(depths)} must be three numbers of blocks, each at least 1")
        if not 1 <= min_mid_term_frames < max_mid_term_frames:
            raise ValueError(f"min_mid_term_frames = {min_mid_term_frames} must be at least 1 and less than {max_mid_term_frames = }")
        if min(mem_every, top_k, num_prototypes, short_side or 1) < 1:
            raise ValueError(f"{mem_every = }, {top_k = }, {num_prototypes = } and {short_side = } must be at least 1")
        if not num_prototypes < max_long_term_elements:
            raise ValueError(f"num_prototypes = {num_prototypes} must be less than {max_long_term_elements = }")
        self.key_dim = key_dim
        self.value_dim = value_dim
        self.hidden_dim = hidden_dim
        self.key_encoder_width = key_encoder_width
        self.key_encoder_depths = list(key_encoder_depths)
        self.value_encoder_width = value_encoder_width
        self.value_encoder_depths = list(value_encoder_depths)
        self.decoder_width = decoder_width
        self.short_side = short_side
        self.mem_every = mem_every
        self.deep_update_every = deep_update_every
        self.top_k = top_k
        self.enable_long_term = enable_long_term
        self.max_mid_term_frames = max_mid_term_frames
        self.min_mid_term_frames = min_mid_term_frames
        self.num_prototypes = num_prototypes
        self.max_long_term_elements = max_long_term_elements
        self.domain_tag = domain_tag
        super().__init__(**kwargs)

    @classmethod
    def debug(cls, **changes: Any) -> XMemConfig:
        """The smallest numbers that exercise every part; a step takes milliseconds on a CPU."""
        numbers: dict[str, Any] = {"key_dim": 8, "value_dim": 16, "hidden_dim": 8, "decoder_width": 8}
        numbers |= {"key_encoder_width": 4, "key_encoder_depths": (1, 1, 1), "value_encoder_width": 4, "value_encoder_depths": (1, 1, 1)}
        numbers |= {"short_side": None, "mem_every": 2, "top_k": 8, "max_mid_term_frames": 4, "min_mid_term_frames": 2}
        numbers |= {"num_prototypes": 8, "max_long_term_elements": 32}
        return cls(**(numbers | changes))
