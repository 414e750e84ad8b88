"""The structure of VideoLISA's published inference script, on the same weights: what a session is measured against.

    read and preprocess every frame, keep them all; then for each query from scratch:
    tower + projector -> chat with the video -> [SEG] state -> image encoder, frame by frame -> mask decoder, frame by frame
    -> logits of the whole video at its own size, kept -> threshold

Attention is eager (the product of queries and keys is a tensor), one frame goes through the mask encoder and decoder at a time, nothing is
shared between queries. Within that structure nothing is wasted: each frame is read and preprocessed once, the chat is read in one pass,
tower layers behind the chosen one are not run, and no mask is encoded or written. The numbers are those of a session but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor

from saymask.models.parts.eager_attention import eager_attention
from saymask.models.videolisa.segmenter import VideoLisaSegmenter
from saymask.records import Video

Stage = Callable[[str], AbstractContextManager[None]]
"""Times a block under the name of one of the stages of `saymask bench`."""


@torch.inference_mode()
def naive_masks(video: Video, segmenter: VideoLisaSegmenter, queries: Sequence[str], stage: Stage) -> list[np.ndarray]:
    """Masks of the forced answer to each query, bool masks_THW at video size, computed as the published script does."""
    model, processor = segmenter.model, segmenter.processor
    with stage("read"):
        frames_THWC = video.frames(range(video.num_frames))
    chosen = processor.choose_frames(video.num_frames)
    with stage("vision_tower"):
        tower_pixels_SChw = processor.tower_pixels(frames_THWC[chosen.sparse_frame_idx], model.device).to(model.dtype)
    with stage("image_encoder"):
        pixels_1Chw = [processor.mask_pixels(frames_THWC[t : t + 1], model.device)[0].to(model.dtype) for t in range(video.num_frames)]
    geometry = processor.geometry(video.height, video.width)
    dense_slots_1D = torch.from_numpy(chosen.dense_slots)[None].to(model.device)
    masks = []
    with eager_attention(model):
        for query in queries:
            with stage("vision_tower"):
                tokens_SPE = model.visual(tower_pixels_SChw)
            with stage("language_model"):
                prompt_111C = _read_chat(segmenter, query, model.lay_out(tokens_SPE[None], dense_slots_1D))
            with stage("image_encoder"):
                features_1Chw = [model.mask_head.encode(pixels) for pixels in pixels_1Chw]
            with stage("mask_decoder"):
                lowres_11hw = [model.mask_head.decode(features, prompt_111C) for features in features_1Chw]
            with stage("masks"):
                logits_THW = torch.stack([geometry.undo(lowres[0, 0]) for lowres in lowres_11hw])
                masks.append((logits_THW > 0).cpu().numpy())
    return masks


def _read_chat(segmenter: VideoLisaSegmenter, query: str, visual_1VE: Tensor) -> Tensor:
    """The chat in one pass, and the prompt its [SEG] stands for -> prompt_111C."""
    model = segmenter.model
    input_ids_1I = segmenter.processor.to_inputs([query]).to(model.device)
    hidden_1LE, spliced = model.hidden_states(input_ids_1I, visual_1VE)
    seg_hidden_NE, _ = model.seg_hidden(input_ids_1I, hidden_1LE, spliced)
    return model.prompt_projector(seg_hidden_NE[-1])[None, None, None]
