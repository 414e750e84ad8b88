"""The structure of VISA's published inference scripts, on the same weights: what a session is measured against.

    for each query and each frame from scratch: context frames and this frame -> tower + merges + projector -> chat with a given answer
    -> [SEG] state -> image encoder + mask decoder on this frame -> mask; in the end only the mask of the target frame is used
    tracker from the target frame, in both directions

Context frames are the strided ones of the released code, the target is the middle frame (its sampler is another model). Attention is
eager, nothing is shared between queries or frames. Within that structure nothing is wasted: a frame is read and preprocessed once, tower
layers behind the chosen one are not run, a chat is read in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor

from saymask.models.parts.eager_attention import eager_attention
from saymask.models.visa.context import strided
from saymask.models.visa.segmenter import VisaSegmenter
from saymask.records import Video

Stage = Callable[[str], AbstractContextManager[None]]
"""Times a block under the name of one of the stages of `saymask bench`."""


@torch.inference_mode()
def naive_masks(video: Video, segmenter: VisaSegmenter, queries: Sequence[str], stage: Stage) -> list[np.ndarray]:
    """Masks of the forced answer to each query, bool masks_THW at video size, as the published scripts make them before they track."""
    model, processor = segmenter.model, segmenter.processor
    with stage("read"):
        frames_THWC = video.frames(range(video.num_frames))
    with stage("vision_tower"):
        tower_pixels_TChw = processor.tower_pixels(frames_THWC, model.device).to(model.dtype)
    with stage("image_encoder"):
        mask_pixels_TChw = processor.mask_pixels(frames_THWC, model.device)[0].to(model.dtype)
    geometry = processor.geometry(video.height, video.width)
    masks = []
    with eager_attention(model):
        for query in queries:
            of_query = []
            for frame_idx in range(video.num_frames):
                context_idx = strided(video.num_frames, frame_idx, model.config.num_context)
                with stage("vision_tower"):
                    visual_KVE = model.visual(tower_pixels_TChw[[*context_idx, frame_idx]])
                with stage("language_model"):
                    prompt_111C = _read_chat(segmenter, query, visual_KVE)
                with stage("image_encoder"):
                    features_1Chw = model.mask_head.encode(mask_pixels_TChw[frame_idx : frame_idx + 1])
                with stage("mask_decoder"):
                    lowres_11hw = model.mask_head.decode(features_1Chw, prompt_111C)
                with stage("masks"):
                    of_query.append((geometry.undo(lowres_11hw[0, 0]) > 0).cpu().numpy())
            masks.append(np.stack(of_query))
    return masks


def _read_chat(segmenter: VisaSegmenter, query: str, visual_KVE: Tensor) -> Tensor:
    """A chat in one pass, and the prompt its [SEG] stands for -> prompt_111C."""
    model, words = segmenter.model, segmenter.config.words
    question = words.about_target(words.instruct(query), len(visual_KVE) - 1)
    input_ids_1I = torch.tensor(segmenter.processor.encode_chat((question, words.forced_answer))[0], device=model.device)[None]
    hidden_1LE, spliced = model.read_chats(input_ids_1I, [visual_KVE])
    seg_hidden_NE, _ = model.seg_hidden(input_ids_1I, hidden_1LE, spliced)
    return model.prompt_projector(seg_hidden_NE[-1])[None, None, None]
