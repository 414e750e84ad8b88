"""What VideoLISA's training begins with: LLaVA-Phi-3, its CLIP tower and Segment Anything, put together as one untrained model.

On the hub: MBZUAI/LLaVA-Phi-3-mini-4k-instruct, openai/clip-vit-large-patch14-336, facebook/sam-vit-huge.
"""

from __future__ import annotations

from pathlib import Path

from saymask.models.lisa.start import assemble_start
from saymask.models.videolisa.release_loading import LAYOUT
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.runtime import Runtime


def assemble(llava: Path, tower: Path, mask_model: Path, runtime: Runtime) -> VideoLisaSegmenter:
    """Put the start points of a training together; arguments and errors as of `assemble_start`."""
    return assemble_start(LAYOUT, llava, tower, mask_model, runtime)
