"""SAM 2 (Ravi et al. 2024, section 4) and EdgeTAM (arXiv 2501.07256) as published in `transformers`, with masks as their prompts.

All references are given first, so that each is visible from every frame. Then the video is tracked forwards from the earliest reference,
and from there backwards to its start. Objects are tracked each for itself; a pixel that several claim goes to the largest logit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoModel

from saymask.errors import CheckpointError
from saymask.records import FrameSource, Video
from saymask.runtime import Runtime
from saymask.storage.hub import HUB, HUB_ID, HubRepo, fetch
from saymask.storage.published import load_published
from saymask.storage.weight_files import read_json, weight_files
from saymask.trackers.base import FrameMasks, check_references
from saymask.trackers.sam2.edgetam import EdgeTam
from saymask.trackers.sam2.run import Sam2Run, full_size, scored
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

    def features(self, source: FrameSource, budget_bytes: int) -> FrameFeatures:
        return FrameFeatures(budget_bytes, self.model.device)

    def start(self, source: FrameSource, features: FrameFeatures | None = None) -> Sam2Run:
        return Sam2Run(self.model, source, features or self.features(source, budget_bytes=0), None)

    def propagate(self, video: Video, reference_masks: Mapping[int, Tensor], features: FrameFeatures | None = None) -> Iterator[FrameMasks]:
        check_references(video, reference_masks)
        run = Sam2Run(self.model, video, features or self.features(video, budget_bytes=0), video.num_frames)
        references = {i: dict(enumerate(reference_masks[i])) for i in sorted(reference_masks)}
        shown = [frame_idx for frame_idx, masks in references.items() if run.learn(frame_idx, masks)]
        start = shown[0]
        for frame_idx in range(start, video.num_frames):
            yield run.track(frame_idx, near=(frame_idx, start))  # the way back begins with the memory of what follows the start
        for frame_idx in reversed(range(start)):
            yield run.track(frame_idx, near=(frame_idx,), reverse=True)

    def masks_in_boxes(self, video: Video, frame_idx: int, boxes_N4: Tensor, features: FrameFeatures | None = None) -> FrameMasks:
        """The object in each box of one frame; unlike tracked masks, these may overlap.

        Args:
            video: the video.
            frame_idx: which frame.
            boxes_N4: x0 y0 x1 y1 in pixels; at least one.
            features: from `features`; the frame need not be encoded again for tracking.
        """
        session = StreamedSession(self.model, video, features or self.features(video, budget_bytes=0), video.num_frames)
        session.prompt_boxes(frame_idx, boxes_N4)
        logits_NHW = full_size(self.model(session, frame_idx=frame_idx).pred_masks[:, 0].float(), (video.height, video.width))
        return scored(frame_idx, logits_NHW, logits_NHW > 0)

    def notice(self, video: Video) -> str | None:
        return None


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
