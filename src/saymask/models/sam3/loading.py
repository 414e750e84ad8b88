"""SAM 3 from the hub, or from a copy of it."""

from __future__ import annotations

from transformers.models.sam3_video.modeling_sam3_video import Sam3VideoModel

from saymask.models.sam3 import FAMILY, REPO
from saymask.models.sam3.segmenter import Sam3Segmenter
from saymask.runtime import Runtime
from saymask.storage.hub import find_folder
from saymask.storage.published import load_published, load_tokenizer
from saymask.storage.weight_files import weight_files


def load_sam3(runtime: Runtime) -> Sam3Segmenter:
    """SAM 3: noun phrases to tracks in natural video (gated; downloads 3.4 GB once)."""
    return _load(REPO, runtime, "sam3")


def load_copy(spec: str, runtime: Runtime) -> Sam3Segmenter:
    """What `-m sam3:COPY` names: a folder, or another repository.

    Raises:
        CheckpointError: it cannot be had, or does not fit.
    """
    return _load(spec, runtime, f"sam3:{spec}")


def _load(copy: str, runtime: Runtime, name: str) -> Sam3Segmenter:
    folder = find_folder(copy, "SAM 3", FAMILY.choices["sam3"].nbytes if copy == REPO else None)
    model = load_published(Sam3VideoModel, folder, runtime)
    tokenizer = load_tokenizer(folder, model.config.detector_config.text_config.vocab_size)
    return Sam3Segmenter(model, tokenizer, name, tuple(weight_files(folder)))
