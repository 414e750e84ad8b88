"""What a user does with an input of each kind; returns what is wrong with the result, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from saymask.errors import DataError
from saymask.records import Video


def _decode(path: Path) -> str:
    """Every frame."""
    from saymask.video.reader import open_source

    video = open_source(path)
    for index in range(video.num_frames):
        if video.frames([index]).shape != (1, video.height, video.width, 3):
            return f"frame {index} has another shape"
    return "" if (np.diff(video.timestamps_T) > 0).all() and video.duration > 0 else "times do not increase"


def _check_and_load(path: Path) -> str:
    """The check, and loading every mask: what the check passes must load, and what it finds names a place."""
    from saymask.datasets.own.check import check_folder
    from saymask.datasets.own.folder import load_folder_dataset

    if problems := [finding.text for finding in check_folder(path).findings if finding.is_problem]:
        raise DataError("; ".join([*problems, f"found in {path}"]))
    for sample in load_folder_dataset(path, "train"):
        for masks_NHW in sample.load_masks(range(sample.video.num_frames)):
            if masks_NHW.shape[1:] != (sample.video.height, sample.video.width):
                return "a mask has another size"
    return ""


def _ask(path: Path) -> str:
    """Load, and ask a drawn video."""
    from saymask.models.checkpoints import load_model
    from saymask.runtime import Runtime
    from saymask.session import VideoSession

    model = load_model(path, Runtime("cpu", "float32"))
    if not all(parameter.isfinite().all() for parameter in model.model.parameters()):
        return "a weight is not finite"
    with VideoSession(_drawn_video(), model) as session:
        prediction = session.segment("the red box")
    scores = [masklet.frame_scores_T for _, masklet in prediction.objects()]
    return "" if np.isfinite(scores).all() else "a score is not finite"


def _track(path: Path) -> str:
    """Load, and follow an object through a drawn video."""
    import torch

    from saymask.runtime import Runtime
    from saymask.trackers.loading import load_tracker

    video = _drawn_video()
    mask_NHW = torch.zeros(1, video.height, video.width, dtype=torch.bool)
    mask_NHW[:, 10:20, :10] = True
    tracked = list(load_tracker("xmem", Runtime("cpu", "float32"), path).propagate(video, {0: mask_NHW}))
    return "" if all(masks.scores_N.isfinite().all() for masks in tracked) and len(tracked) == 4 else "a frame has no sound masks"


def _detect(path: Path) -> str:
    """Load, and look for a phrase on a drawn frame."""
    from saymask.models.grounded.loading import load_detector
    from saymask.runtime import Runtime

    found = load_detector(str(path), Runtime("cpu", "float32")).detect(_drawn_video().frames([0])[0], ["red ball"], 0.0)
    return "" if found.boxes_N4.isfinite().all() and found.scores_N.isfinite().all() else "a box is not finite"


def _drawn_video() -> Video:
    frames_THWC = np.full((4, 48, 64, 3), 90, dtype=np.uint8)
    for number, frame_HWC in enumerate(frames_THWC):
        frame_HWC[10:20, 4 * number : 4 * number + 10] = (200, 30, 30)
    return Video(
        name="drawn",
        source="drawn",
        height=48,
        width=64,
        timestamps_T=np.arange(4) / 10,
        duration=0.4,
        read=lambda frame_idx: frames_THWC[list(frame_idx)],
        frame_names=tuple(f"{number:05d}" for number in range(4)),
    )


USES: dict[str, Callable[[Path], str]] = {
    **dict.fromkeys(("mp4", "mkv", "gif", "avi", "png", "frames"), _decode),
    **dict.fromkeys(("own-coco", "own-rle", "own-maps", "own-labelme"), _check_and_load),
    **dict.fromkeys(("model", "released"), _ask),
    "tracker": _track,
    "detector": _detect,
}
