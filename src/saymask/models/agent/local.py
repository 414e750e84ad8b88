"""A vision-language model of `transformers` on this machine (SmolVLM2, Qwen3-VL, LLaVA ...)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.modeling_auto import AutoModelForImageTextToText
from transformers.models.auto.processing_auto import AutoProcessor

from saymask.models.agent.vision_model import MAX_ANSWER_TOKENS, Reply
from saymask.runtime import Runtime
from saymask.storage.hub import find_folder
from saymask.storage.published import load_strictly
from saymask.storage.strict import reading_settings


class LocalModel:
    """Greedy answers of a loaded model.

    Args:
        model, processor: of `transformers`; the processor has a chat template.
        name: its repository or folder.
        max_new_tokens: how long an answer may be.
    """

    def __init__(self, model: Any, processor: Any, name: str, max_new_tokens: int = MAX_ANSWER_TOKENS):
        self.model = model
        self.processor = processor
        self.name = name
        self.max_new_tokens = max_new_tokens

    @torch.inference_mode()
    def ask(self, text: str, images: Sequence[bytes]) -> Reply:
        content = [*({"type": "image"} for _ in images), {"type": "text", "text": text}]
        prompt = self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        opened = [Image.open(io.BytesIO(image)).convert("RGB") for image in images]
        inputs = self.processor(images=opened or None, text=prompt, return_tensors="pt").to(self.model.device, self.model.dtype)
        output_BL = self.model.generate(**inputs, max_new_tokens=self.max_new_tokens, do_sample=False)
        written_L = output_BL[0, inputs["input_ids"].shape[1] :]
        return Reply(self.processor.decode(written_L, skip_special_tokens=True), output_BL.shape[1])


def load_local(name: str, runtime: Runtime) -> LocalModel:
    """Read a vision-language model from a folder or the hub, strictly.

    Raises:
        CheckpointError: it cannot be had, is damaged, or is of no kind that reads images.
    """
    folder = find_folder(name, "a vision-language model")
    with reading_settings(folder):
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    model = load_strictly(
        AutoModelForImageTextToText,
        folder,
        runtime,
        lambda values: AutoModelForImageTextToText.from_config(AutoConfig.for_model(**values), trust_remote_code=False),
    )
    return LocalModel(model, processor, name)
