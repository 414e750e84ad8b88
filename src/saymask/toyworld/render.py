"""Scenes to pixels, a whole batch at once, on any device.

Every sprite is a list of opaque pixels, so all things that share a place in the stacking order are drawn by one indexed write, for all
scenes and frames of the batch together. Only integer tensor operations, and float64 ones whose results are exact or correctly rounded, are
used: the same scenes give the same bytes everywhere.
    frames_BTHWC uint8, ids_BTHW uint8 (0 background, i + 1 = things[i])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from saymask.toyworld.motion import CANVAS
from saymask.toyworld.shapes import palette, sprite_pixels

if TYPE_CHECKING:
    from saymask.toyworld.scene import Background, Scene


def render(
    scenes: Sequence[Scene], frame_idx: Sequence[int] | np.ndarray, size: int = CANVAS, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the frames `frame_idx` (0 ... 23, the same for all) of every scene at `size` x `size` pixels -> frames_BTHWC, ids_BTHW."""
    frame_idx = np.asarray(frame_idx, dtype=np.int64)
    B, T = len(scenes), len(frame_idx)
    num_cells = B * T * size * size
    ids = torch.zeros(num_cells + 1, dtype=torch.uint8, device=device)  # the last cell takes what falls outside
    pixels = torch.empty(num_cells + 1, 3, dtype=torch.uint8, device=device)
    ids_BTHW, frames_BTHWC = ids[:-1].view(B, T, size, size), pixels[:-1].view(B, T, size, size, 3)
    frames_BTHWC.copy_(_backgrounds([scene.background for scene in scenes], size, device)[:, None])
    first_TP = torch.arange(T, device=device)[:, None] * (size * size)
    for slot in range(max(len(scene.things) for scene in scenes)):
        drawn = _pixels_of_slot(scenes, slot, frame_idx, size)
        rows, columns, first, colours, corners_TP2, present_TP = (torch.from_numpy(part).to(device) for part in drawn)
        y_TP, x_TP = rows + corners_TP2[..., 1], columns + corners_TP2[..., 0]
        inside = (y_TP >= 0) & (y_TP < size) & (x_TP >= 0) & (x_TP < size) & present_TP
        cell = torch.where(inside, first * (T * size * size) + first_TP + y_TP * size + x_TP, num_cells).reshape(-1)
        ids[cell] = slot + 1
        pixels[cell] = colours.expand(T, -1, -1).reshape(-1, 3)
    return frames_BTHWC, ids_BTHW


def side_at(nominal: int, size: int) -> int:
    """Sprite side in pixels when the canvas is rendered at `size`."""
    return max(3, (2 * nominal * size + CANVAS) // (2 * CANVAS))


def _pixels_of_slot(scenes: Sequence[Scene], slot: int, frame_idx: np.ndarray, size: int) -> tuple[np.ndarray, ...]:
    """All sprite pixels of the things at one place of the stacking order.

    Returns:
        Of each pixel: row_P and column_P in its sprite, scene_P, RGB (P, 3); on each frame the sprite's top-left corner_TP2 and present_TP.
    """
    drawn = [(b, scene.things[slot]) for b, scene in enumerate(scenes) if slot < len(scene.things)]
    things = [thing for _, thing in drawn]
    sides = [side_at(thing.size, size) for thing in things]
    sprites = [sprite_pixels(thing.kind, side, thing.flip) for thing, side in zip(things, sides, strict=True)]
    rows, columns, _ = (np.concatenate(parts) for parts in zip(*sprites, strict=True))
    colours = [palette(thing.colour, thing.brightness)[tones] for thing, (_, _, tones) in zip(things, sprites, strict=True)]
    counts = [len(tones) for _, _, tones in sprites]
    centres_TS2 = np.stack([thing.xy_T2[frame_idx] for thing in things], axis=1) * (size / CANVAS)
    corners_TS2 = np.floor(centres_TS2 - np.array(sides)[:, None] * 0.5 + 0.5).astype(np.int64)
    present_TS = np.stack([thing.present_T[frame_idx] for thing in things], axis=1)
    scene_P = np.repeat([b for b, _ in drawn], counts)
    return rows, columns, scene_P, np.concatenate(colours), np.repeat(corners_TS2, counts, axis=1), np.repeat(present_TS, counts, axis=1)


def _backgrounds(backgrounds: Sequence[Background], size: int, device: torch.device | str) -> torch.Tensor:
    """Two grids of brightness, enlarged and added to a muted tint -> uint8 (B, H, W, 3)."""
    coarse_BGG = torch.from_numpy(np.stack([b.coarse for b in backgrounds])).to(device)
    fine_BGG = torch.from_numpy(np.stack([b.fine for b in backgrounds])).to(device)
    light_BHW = (_enlarge(coarse_BGG, size) + _enlarge(fine_BGG, size)).to(torch.uint8)
    tint_BC = torch.from_numpy(np.stack([b.tint for b in backgrounds]).astype(np.uint8)).to(device)
    return light_BHW[..., None] + tint_BC[:, None, None, :]


def _enlarge(grid_BGG: torch.Tensor, size: int) -> torch.Tensor:
    """Bilinear with weights in 1/256: int32 (B, G, G) -> int32 (B, size, size); float64 holds every sum exactly."""
    steps = grid_BGG.shape[-1] - 1
    pixel = torch.arange(size, device=grid_BGG.device)
    place = pixel * (steps * 256) // size
    weight_PG = torch.zeros(size, steps + 1, dtype=torch.float64, device=grid_BGG.device)
    weight_PG[pixel, place >> 8] = (256 - (place & 255)).double()
    weight_PG[pixel, (place >> 8) + 1] = (place & 255).double()
    return (weight_PG @ grid_BGG.double() @ weight_PG.T).to(torch.int32) >> 16
