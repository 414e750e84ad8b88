"""A ComfyUI node: images in, a mask for each of them out, for what a sentence names.

Copy this file into ComfyUI's custom_nodes folder, and install saymask into ComfyUI's Python. Frames stay on the CPU until they are looked
at, a few at a time, so a long clip does not fill the GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from comfy_api.latest import ComfyExtension, io

import saymask
from saymask.records import Video
from saymask.session import VideoSession

_loaded: dict[str, Any] = {}
"""Models by name; ComfyUI runs a node many times."""


class SegmentBySentence(io.ComfyNode):
    """Masks of what a sentence names, on every frame."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SaymaskSegment",
            display_name="Segment by sentence",
            category="mask",
            inputs=[
                io.Image.Input("images"),
                io.String.Input("query", default="the red fish"),
                io.String.Input("model", default="toy"),
                io.Float.Input("fps", default=24.0, min=1.0, max=240.0),
            ],
            outputs=[io.Mask.Output(display_name="masks"), io.String.Output(display_name="answer")],
        )

    @classmethod
    def execute(cls, images: torch.Tensor, query: str, model: str, fps: float) -> io.NodeOutput:
        """Float images (frames, height, width, 3) from 0 to 1 -> float masks (frames, height, width), 0 or 1, and the model's text."""
        if model not in _loaded:
            _loaded[model] = saymask.load_model(model)
        frames_THWC = (images[..., :3].clamp(0, 1) * 255).round().byte().cpu().numpy()
        video = Video.from_frames(frames_THWC, name="comfyui", fps=fps)
        with VideoSession(video, _loaded[model]) as session:
            result = session.segment(query).results[0]
        masks_THW = np.zeros(frames_THWC.shape[:3], dtype=np.float32)
        for masklet in result.masklets:
            for index, rle in enumerate(masklet.rle_T):
                masks_THW[index] = np.maximum(masks_THW[index], rle.decode())
        return io.NodeOutput(torch.from_numpy(masks_THW), result.text)


class SaymaskExtension(ComfyExtension):
    """What ComfyUI finds in this file."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return [SegmentBySentence]


async def comfy_entrypoint() -> SaymaskExtension:
    """Called by ComfyUI when it loads the file."""
    return SaymaskExtension()
