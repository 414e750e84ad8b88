"""How alike frames and a text are to a dual encoder: CLIP or SigLIP, as `transformers` loads them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.models.auto.modeling_auto import AutoModel
from transformers.models.auto.processing_auto import AutoProcessor

from saymask.models.base import VideoView
from saymask.storage.strict import quiet_transformers


@torch.inference_mode()
def frame_similarities(view: VideoView, frame_idx: Sequence[int], text: str, name: str) -> np.ndarray:
    """Cosine of each frame's image embedding with the text's -> scores_K.

    Args:
        view: the video; image embeddings are kept for its next query.
        frame_idx: K frames.
        text: the query.
        name: folder or hub name of the dual encoder.

    Raises:
        OSError, ValueError: there is no such model, it cannot be fetched, or it is no dual encoder.
    """
    model, processor = _load(name)

    def encode(frames_THWC: np.ndarray) -> Tensor:
        return _embedding(model.get_image_features(**processor(images=list(frames_THWC), return_tensors="pt")))

    image_KC = view.recall_frames(("similarity", name), frame_idx, encode)
    padding = "max_length" if model.config.model_type.startswith("siglip") else True  # SigLIP was trained on padded texts
    words = processor(text=[text], padding=padding, truncation=True, return_tensors="pt")
    text_1C = _embedding(model.get_text_features(**words))
    return torch.nn.functional.cosine_similarity(image_KC, text_1C).float().numpy()


@lru_cache(maxsize=1)
def _load(name: str) -> tuple[Any, Any]:
    with quiet_transformers():
        model = AutoModel.from_pretrained(name, trust_remote_code=False).eval()
        if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
            raise ValueError(f"{type(model).__name__} does not embed images and texts")
        return model, AutoProcessor.from_pretrained(name, trust_remote_code=False)


def _embedding(features: Any) -> Tensor:
    """Newer versions of transformers wrap the embedding."""
    return features if isinstance(features, Tensor) else features.pooler_output
