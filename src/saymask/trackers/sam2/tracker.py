"""SAM 2 (Ravi et al. 2024, section 4) and EdgeTAM (arXiv 2501.07256) as published in `transformers`, with masks as their prompts.

All references are given first, so that each is visible from every frame. Then the video is tracked forwards from the earliest reference,
and from there backwards to its start. Objects are tracked each for itself; a pixel that several claim goes to the largest logit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import Sam2VideoModel

from saymask.errors import CheckpointError
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.storage.hub import HUB, HUB_ID, HubRepo, fetch
from saymask.storage.published import load_published
from saymask.storage.weight_files import read_json, weight_files
from saymask.trackers.base import PRESENT_ABOVE, FrameMasks, check_references, exclusive_masks
from saymask.trackers.sam2.edgetam import EdgeTam
from saymask.trackers.sam2.session import FrameFeatures, StreamedSession

SAM2_REPO = "facebook/sam2.1-hiera-tiny"
TYPICAL_BYTES = {SAM2_REPO: 156_000_000}
"""What to expect when the hub cannot be asked."""
WEIGHTS_OPTION = "--tracker-weights DIR (in Python: tracker_weights=DIR)"
MODELS = {"sam2_video": Sam2VideoModel, "edgetam_video": EdgeTam}
"""`model_type` of a folder -> the model in it; all take the same session."""


class Sam2Tracker:
    """A loaded SAM 2 or EdgeTAM, in inference mode."""

    name = "sam2"

    def __init__(self, model: Sam2VideoModel | EdgeTam, weights_files: tuple[Path, ...] = ()):
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
            logits_NHW = _full_size(logits_NHW, (video.height, video.width))
            yield _scored(frame_idx, logits_NHW, exclusive_masks(logits_NHW, above=0.0))

    def masks_in_boxes(self, video: Video, frame_idx: int, boxes_N4: Tensor, features: FrameFeatures | None = None) -> FrameMasks:
        """The object in each box of one frame; unlike tracked masks, these may overlap.

        Args:
            video: the video.
            frame_idx: which frame.
            boxes_N4: x0 y0 x1 y1 in pixels; at least one.
            features: from `features`; the frame need not be encoded again for tracking.
        """
        session = StreamedSession(self.model, video, features or self.features(video, budget_bytes=0))
        session.prompt_boxes(frame_idx, boxes_N4)
        logits_NHW = _full_size(self.model(session, frame_idx=frame_idx).pred_masks[:, 0].float(), (video.height, video.width))
        return _scored(frame_idx, logits_NHW, logits_NHW > 0)

    def notice(self, video: Video) -> str | None:
        return None


def _full_size(logits_NHW: Tensor, size: tuple[int, int]) -> Tensor:
    """The model's logits at the video's size, where they are compared."""
    return functional.interpolate(logits_NHW[None], size=size, mode="bilinear", align_corners=False)[0]


def _scored(frame_idx: int, logits_NHW: Tensor, masks_NHW: Tensor) -> FrameMasks:
    """Masks with the mean probability of their pixels."""
    sums_N = (logits_NHW.sigmoid() * masks_NHW).flatten(1).sum(1)
    return FrameMasks(frame_idx, masks_NHW, sums_N / masks_NHW.flatten(1).sum(1).clamp(min=1))


def load_sam2(runtime: Runtime, weights: str | Path | None) -> Sam2Tracker:
    """SAM 2.1 tiny or any other SAM 2 or EdgeTAM, for natural video (downloads 0.2 GB once).

    Args:
        runtime: device and dtype.
        weights: a folder that `Sam2VideoModel` or `EdgeTamVideoModel` of transformers reads, or a repository of the hub; None =
            `facebook/sam2.1-hiera-tiny`.

    Raises:
        CheckpointError: no such folder, no such video model, tensors that do not fit, or a hub that cannot be reached.
    """
    folder = _folder(str(weights or SAM2_REPO))
    model_type = str(read_json(folder / "config.json").get("model_type"))
    if model_type not in MODELS:
        raise CheckpointError(
            f"{folder}/config.json: model_type {model_type!r} is none of {', '.join(MODELS)}; give a copy of {HUB}/{SAM2_REPO}"
        )
    return Sam2Tracker(load_published(MODELS[model_type], folder, runtime), tuple(weight_files(folder)))


def _folder(weights: str) -> Path:
    """A folder as it is, a repository from the hub."""
    if Path(weights).is_dir():
        return Path(weights)
    if Path(weights).exists() or not HUB_ID.fullmatch(weights):
        raise CheckpointError(f"{weights}: no such folder; give a copy of {HUB}/{SAM2_REPO} as {WEIGHTS_OPTION}")
    return fetch([HubRepo(weights, TYPICAL_BYTES.get(weights))], f"with a copy of it on disk: give its folder as {WEIGHTS_OPTION}")[0]
