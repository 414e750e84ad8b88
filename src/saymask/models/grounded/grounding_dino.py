"""Grounding DINO (arXiv 2303.05499) and MM-Grounding-DINO (2401.02361) as published in `transformers`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.models.grounding_dino.image_processing_pil_grounding_dino import GroundingDinoImageProcessorPil
from transformers.models.grounding_dino.modeling_grounding_dino import GroundingDinoForObjectDetection
from transformers.models.grounding_dino.processing_grounding_dino import GroundingDinoProcessor
from transformers.models.mm_grounding_dino.modeling_mm_grounding_dino import MMGroundingDinoForObjectDetection

from saymask.errors import ConfigError
from saymask.models.grounded.detection import Detections
from saymask.runtime import Runtime
from saymask.storage.published import load_published, load_tokenizer
from saymask.storage.strict import reading_settings
from saymask.storage.weight_files import weight_files


class GroundingDino:
    """All phrases are read as one text, "a dog. a ball."; a box shows the phrase that one of its words fits best."""

    default_threshold = 0.25

    def __init__(self, model: Any, processor: Any, name: str, weights_files: tuple[Path, ...] = ()):
        self.model = model
        self.processor = processor
        self.name = name
        self.weights_files = weights_files

    @torch.inference_mode()
    def detect(self, frame_HWC: np.ndarray, phrases: Sequence[str], threshold: float) -> Detections:
        inputs = self.processor(images=frame_HWC, text=[list(phrases)], return_tensors="pt").to(self.model.device, self.model.dtype)
        input_ids_L = inputs["input_ids"][0]
        if len(input_ids_L) > self.model.config.max_text_len:
            raise ConfigError(
                f"{self.name}: {len(input_ids_L)} tokens of phrases, it reads {self.model.config.max_text_len}; give fewer phrases"
            )
        outputs = self.model(**inputs)
        (found,) = self.processor.post_process_grounded_object_detection(
            outputs, inputs["input_ids"], threshold=threshold, target_sizes=[frame_HWC.shape[:2]]
        )
        prob_NL = outputs.logits[0].sigmoid()
        prob_NL = prob_NL[prob_NL.max(-1).values > threshold].float().cpu()
        spans = self._spans(input_ids_L.tolist())
        prob_NP = torch.stack([prob_NL[:, span].max(-1).values for span in spans], dim=1)
        return Detections(found["boxes"].float().cpu(), found["scores"].float().cpu(), prob_NP.argmax(1))

    def _spans(self, input_ids: list[int]) -> list[Tensor]:
        """Places of each phrase's tokens: what lies between the dots."""
        tokenizer: Any = self.processor.tokenizer
        special = {tokenizer.cls_token_id, tokenizer.sep_token_id}
        dot = tokenizer.convert_tokens_to_ids(".")
        spans: list[list[int]] = [[]]
        for place, token in enumerate(input_ids):
            if token == dot:
                spans.append([])
            elif token not in special:
                spans[-1].append(place)
        return [torch.tensor(span) for span in spans if span]


def load_grounding_dino(folder: Path, runtime: Runtime, name: str) -> GroundingDino:
    """Read a folder of Grounding DINO."""
    return _load(GroundingDinoForObjectDetection, folder, runtime, name)


def load_mm_grounding_dino(folder: Path, runtime: Runtime, name: str) -> GroundingDino:
    """Read a folder of MM-Grounding-DINO."""
    return _load(MMGroundingDinoForObjectDetection, folder, runtime, name)


def _load(model_class: Any, folder: Path, runtime: Runtime, name: str) -> GroundingDino:
    model = load_published(model_class, folder, runtime)
    tokenizer = load_tokenizer(folder, model.config.text_config.vocab_size)
    with reading_settings(folder):
        processor = GroundingDinoProcessor(GroundingDinoImageProcessorPil.from_pretrained(folder, trust_remote_code=False), tokenizer)
    return GroundingDino(model, processor, name, tuple(weight_files(folder)))
