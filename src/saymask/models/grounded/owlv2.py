"""OWLv2 (arXiv 2306.09683) as published in `transformers`: every phrase is a query of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD
from transformers.models.owlv2.image_processing_pil_owlv2 import Owlv2ImageProcessorPil
from transformers.models.owlv2.modeling_owlv2 import Owlv2ForObjectDetection

from saymask.models.grounded.detection import Detections
from saymask.runtime import Runtime
from saymask.storage.published import load_published, load_tokenizer
from saymask.storage.weight_files import weight_files
from saymask.video.transforms import stretched


class Owlv2:
    """Frames are padded to a square at the right and bottom. They are resized as the other models' are: the library's way needs scipy."""

    default_threshold = 0.1

    def __init__(self, model: Any, tokenizer: Any, name: str, weights_files: tuple[Path, ...] = ()):
        self.model = model
        self.tokenizer = tokenizer
        self.name = name
        self.weights_files = weights_files

    @torch.inference_mode()
    def detect(self, frame_HWC: np.ndarray, phrases: Sequence[str], threshold: float) -> Detections:
        text = self.tokenizer(list(phrases), padding="max_length", truncation=True, return_tensors="pt").to(self.model.device)
        outputs = self.model(input_ids=text["input_ids"], attention_mask=text["attention_mask"], pixel_values=self.pixel_values(frame_HWC))
        sizes = [frame_HWC.shape[:2]]
        found: Any = Owlv2ImageProcessorPil().post_process_object_detection(outputs, threshold=threshold, target_sizes=sizes)[0]
        return Detections(found["boxes"].float().cpu(), found["scores"].float().cpu(), found["labels"].cpu())

    def pixel_values(self, frame_HWC: np.ndarray) -> Tensor:
        """The frame as the model takes it (1, 3, size, size)."""
        height, width = frame_HWC.shape[:2]
        side = max(height, width)
        square_HWC = functional.pad(torch.from_numpy(frame_HWC).to(self.model.device), (0, 0, 0, side - width, 0, side - height))
        size = self.model.config.vision_config.image_size
        return stretched(square_HWC, size, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)[None].to(self.model.dtype)


def load_owlv2(folder: Path, runtime: Runtime, name: str) -> Owlv2:
    """Read a folder of OWLv2."""
    model = load_published(Owlv2ForObjectDetection, folder, runtime)
    tokenizer = load_tokenizer(folder, model.config.text_config.vocab_size)
    tokenizer.model_max_length = model.config.text_config.max_position_embeddings
    return Owlv2(model, tokenizer, name, tuple(weight_files(folder)))
