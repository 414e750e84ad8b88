"""SAM 2 (Ravi et al. 2024, section 4) as published in `transformers`, with masks as its prompts.

All references are given first, so that each is visible from every frame. Then the video is tracked forwards from the earliest reference,
and from there backwards to its start. Objects are tracked each for itself; a pixel that several claim goes to the largest logit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional
from transformers import Sam2VideoConfig, Sam2VideoModel

from saymask.errors import CheckpointError
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.storage.hub import HUB, HUB_ID, HubRepo, fetch
from saymask.storage.strict import quiet_transformers, raise_unless_exact
from saymask.storage.weight_files import read_json, require_plain_folder, require_sound, weight_files
from saymask.trackers.base import PRESENT_ABOVE, FrameMasks, check_references, exclusive_masks
from saymask.trackers.sam2.session import FrameFeatures, StreamedSession

SAM2_REPO = "facebook/sam2.1-hiera-tiny"
TYPICAL_BYTES = {SAM2_REPO: 156_000_000}
"""What to expect when the hub cannot be asked."""
WEIGHTS_OPTION = "--tracker-weights DIR (in Python: tracker_weights=DIR)"


class Sam2Tracker:
    """A loaded SAM 2, in inference mode."""

    name = "sam2"

    def __init__(self, model: Sam2VideoModel, weights_files: tuple[Path, ...] = ()):
        self.model = model.eval()
        self.weights_files = weights_files

    def features(self, video: Video, budget_bytes: int) -> FrameFeatures:
        return FrameFeatures(budget_bytes, self.model.device)

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: FrameFeatures | None = None) -> Iterator[FrameMasks]:
        check_references(video, reference_masks)
        session = StreamedSession(self.model, video, features or self.features(video, budget_bytes=0))
        prompted = []
        for frame_idx in sorted(reference_masks):
            if session.prompt(frame_idx, reference_masks[frame_idx] > PRESENT_ABOVE):
                self.model(session, frame_idx=frame_idx)
                session.forget()
                prompted.append(frame_idx)
        start = prompted[0]
        for frame_idx in (*range(start, video.num_frames), *reversed(range(start))):
            backwards = frame_idx < start
            output = self.model(session, frame_idx=frame_idx, reverse=backwards)
            # The way back begins with the memory of what follows the start.
            near = (frame_idx,) if backwards else (frame_idx, start)
            session.forget(*near)
            logits_NHW = output.pred_masks[torch.tensor(output.object_ids).argsort(), 0].float()
            yield _frame_masks(frame_idx, logits_NHW, (video.height, video.width))

    def notice(self, video: Video) -> str | None:
        return None


def _frame_masks(frame_idx: int, logits_NHW: Tensor, size: tuple[int, int]) -> FrameMasks:
    """Bring the model's logits to the video's size, where they are compared."""
    logits_NHW = functional.interpolate(logits_NHW[None], size=size, mode="bilinear", align_corners=False)[0]
    masks_NHW = exclusive_masks(logits_NHW, above=0.0)
    sums_N = (logits_NHW.sigmoid() * masks_NHW).flatten(1).sum(1)
    return FrameMasks(frame_idx, masks_NHW, sums_N / masks_NHW.flatten(1).sum(1).clamp(min=1))


def load_sam2(runtime: Runtime, weights: str | Path | None) -> Sam2Tracker:
    """SAM 2.1 tiny or any other SAM 2, for natural video (downloads 0.2 GB once).

    Args:
        runtime: device and dtype.
        weights: a folder that `Sam2VideoModel` of transformers reads, or a repository of the hub; None = `facebook/sam2.1-hiera-tiny`.

    Raises:
        CheckpointError: no such folder, not a SAM 2 video model, tensors that do not fit, or a hub that cannot be reached.
    """
    folder = _folder(str(weights or SAM2_REPO))
    model_type = read_json(folder / "config.json").get("model_type")
    wanted = Sam2VideoConfig.model_type
    if model_type != wanted:
        raise CheckpointError(f"{folder}/config.json: model_type {model_type!r} is not {wanted!r}; give a copy of {HUB}/{SAM2_REPO}")
    files = weight_files(folder)
    require_plain_folder(folder)
    require_sound(files)
    with quiet_transformers():
        try:
            loaded: Any = Sam2VideoModel.from_pretrained(
                folder,
                dtype=runtime.torch_dtype or "auto",
                output_loading_info=True,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                trust_remote_code=False,
            )
        except SafetensorError as error:
            raise CheckpointError(f"{folder}: the weights are damaged or cut off ({error}); copy the folder again") from None
        except (TypeError, ValueError, StrictDataclassError) as error:
            raise CheckpointError(f"{folder}/config.json: no model can be built from it ({error}); copy the folder again") from None
    model, info = loaded
    raise_unless_exact(folder, info["missing_keys"], info["unexpected_keys"], info["mismatched_keys"])
    return Sam2Tracker(model.to(runtime.torch_device), tuple(files))


def _folder(weights: str) -> Path:
    """A folder as it is, a repository from the hub."""
    if Path(weights).is_dir():
        return Path(weights)
    if Path(weights).exists() or not HUB_ID.fullmatch(weights):
        raise CheckpointError(f"{weights}: no such folder; give a copy of {HUB}/{SAM2_REPO} as {WEIGHTS_OPTION}")
    return fetch([HubRepo(weights, TYPICAL_BYTES.get(weights))], f"with a copy of it on disk: give its folder as {WEIGHTS_OPTION}")[0]
