"""XMem as a training task: short clips of drawn videos in which a few things are followed from their masks on the first frame.

A batch shares its frame indices, because the toy world draws all its videos in one call: T frames, forwards or backwards in time.
    frames_BTChw normalised, masks_BTNHW 0 or 1, both at the size at which the network sees them when it tracks
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from saymask.errors import ConfigError
from saymask.toyworld.dataset import FAMILIES, TIMELINE, draw_scenes, render
from saymask.trackers.xmem.config import XMemConfig
from saymask.trackers.xmem.frames import Placement
from saymask.trackers.xmem.network import XMemNetwork
from saymask.trackers.xmem.weights import save_xmem
from saymask.training.task import SAMPLE_NAMES, Task
from saymask.training.tasks.xmem_toy_config import ClipConfig, XMemToyConfig

_EVERYTHING: dict[str, float] = dict.fromkeys(FAMILIES, 1.0)


class ClipBatches(Dataset[dict[str, Any]]):
    """The run's micro-batches, drawn from the toy world."""

    def __init__(self, config: XMemToyConfig, placement: Placement):
        self.config = config
        self.placement = placement

    def __getitem__(self, index: int) -> dict[str, Any]:
        config, data = self.config, self.config.data
        rng = np.random.default_rng([config.seed, index])
        progress = index / config.total_micro_batches
        frame_idx = clip_frames(data, progress, rng)
        # As many objects for the whole batch: rows without one would cost as much as any other.
        num_objects = int(rng.integers(1, data.max_objects, endpoint=True))
        scenes = draw_scenes(config.seed, index, 0, config.batch_size, _EVERYTHING)
        top, left = rng.integers(0, data.size - data.crop, size=2, endpoint=True)
        rows, columns = slice(top, top + data.crop), slice(left, left + data.crop)
        frames_BTHWC, ids_BTHW = render(scenes, frame_idx, data.size)
        frames_BTHWC, ids_BTHW = frames_BTHWC[:, :, rows, columns], ids_BTHW[:, :, rows, columns]
        chosen_BN = torch.stack([choose_objects(ids_THW[0], num_objects, data.min_pixels, rng) for ids_THW in ids_BTHW])
        masks_BTNHW = ids_BTHW[:, :, None] == chosen_BN[:, None, :, None, None]
        return {
            "frames_BTChw": self.placement.images(frames_BTHWC.flatten(0, 1)).unflatten(0, frames_BTHWC.shape[:2]),
            "masks_BTNHW": self.placement.masks(masks_BTNHW.flatten(0, 2)).unflatten(0, masks_BTNHW.shape[:3]),
            "valid_BN": chosen_BN != _NOTHING,
            "bce_keep_share": config.bootstrap.keep_share(progress),
            SAMPLE_NAMES: [f"train-{config.seed}-{index}-0-{row}" for row in range(config.batch_size)],
        }


_NOTHING = 255
"""The id of an object that is not there; no drawn thing has it."""


def clip_frames(data: ClipConfig, progress: float, rng: np.random.Generator) -> np.ndarray:
    """Indices of a clip's T frames in the order they are shown; `progress` (0 ... 1) is the run's."""
    bound = 1 + round(min(1.0, 2 * progress) * (data.max_gap - 1))
    gaps = rng.integers(1, bound, size=data.num_frames - 1, endpoint=True)
    steps = np.concatenate([[0], gaps.cumsum()])
    frame_idx = rng.integers(0, TIMELINE - steps[-1]) + steps
    return frame_idx[::-1].copy() if rng.random() < 0.5 else frame_idx


def choose_objects(ids_HW: Tensor, num_objects: int, min_pixels: int, rng: np.random.Generator) -> Tensor:
    """Ids of the things to follow, of those that show `min_pixels` or more -> uint8 (num_objects,); 255 where there are too few."""
    pixels = torch.bincount(ids_HW.flatten()).tolist()
    seen = [thing for thing, count in enumerate(pixels) if thing and count >= min_pixels]
    chosen = rng.permutation(seen)[:num_objects].tolist()
    return torch.tensor(chosen + [_NOTHING] * (num_objects - len(chosen)), dtype=torch.uint8)


def build(config: XMemToyConfig) -> Task:
    """A fresh network.

    Raises:
        ConfigError: numbers no network can be built from, or clips longer than the drawn videos.
    """
    data = config.data
    longest = 1 + (data.num_frames - 1) * data.max_gap
    if longest > TIMELINE:
        raise ConfigError(f"data: {data.num_frames} frames up to {data.max_gap} apart span {longest} frames, a drawn video has {TIMELINE}")
    torch.manual_seed(config.seed)
    try:
        network_config = XMemConfig(**config.model)
        network = XMemNetwork(network_config)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"no network can be built from these numbers ({error}); check the model.* overrides") from None
    short_side = network_config.short_side
    placement = Placement.of(data.crop, data.crop, short_side and short_side * data.crop // data.size)
    return Task(network, ClipBatches(config, placement), partial(save_xmem, network))
