"""Scenes to pixels, a whole batch at once, on any device.

Every sprite is a list of opaque pixels, so all things that share a place in the stacking order are drawn by one indexed write, for all
scenes and frames of the batch together. A byte of the canvas holds `thing * NUM_TONES + tone` (0 = background); colours are looked up once
at the end. Only integer tensor operations and correctly rounded float64 ones (numpy) are used: same scenes, same bytes, everywhere.
    frames_BTHWC uint8, ids_BTHW uint8 (0 background, i + 1 = things[i])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from saymask.data.toy_motion import CANVAS
from saymask.data.toy_shapes import NUM_TONES, palette, sprite_pixels

if TYPE_CHECKING:
    from saymask.data.toy_scene import Background, Scene

MAX_THINGS = 7


def render(
    scenes: Sequence[Scene], frame_idx: Sequence[int] | np.ndarray, size: int = CANVAS, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the frames `frame_idx` (0 ... 23, the same for all) of every scene at `size` x `size` pixels -> frames_BTHWC, ids_BTHW."""
    frame_idx = np.asarray(frame_idx, dtype=np.int64)
    B, T = len(scenes), len(frame_idx)
    canvas = torch.zeros(B * T * size * size + 1, dtype=torch.uint8, device=device)  # the last cell takes what falls outside
    first_TP = torch.arange(T, device=device)[:, None] * (size * size)
    for slot in range(MAX_THINGS):
        drawn = _pixels_of_slot(scenes, slot, frame_idx, size)
        if drawn is None:
            continue
        spots, rows, columns, values, shift_TS, visible_TS = (torch.from_numpy(part).to(device) for part in drawn)
        y_TP, x_TP = rows + shift_TS[..., 1][:, spots[0]], columns + shift_TS[..., 0][:, spots[0]]
        inside = (y_TP >= 0) & (y_TP < size) & (x_TP >= 0) & (x_TP < size) & visible_TS[:, spots[0]]
        cell = torch.where(inside, spots[1] * (T * size * size) + first_TP + y_TP * size + x_TP, len(canvas) - 1)
        canvas[cell.reshape(-1)] = values.expand(T, -1).reshape(-1)
    canvas_BTHW = canvas[:-1].view(B, T, size, size)
    background_BHWC = _backgrounds([scene.background for scene in scenes], size, device)
    frames_BTHWC = background_BHWC[:, None].expand(-1, T, -1, -1, -1).contiguous()
    colours = torch.from_numpy(np.stack([_palette(scene) for scene in scenes])).to(device).view(-1, 3)
    covered = canvas[:-1].nonzero()[:, 0]
    colour_of = covered // (T * size * size) * len(_palette(scenes[0])) + canvas[covered]
    frames_BTHWC.view(-1, 3)[covered] = colours[colour_of]
    return frames_BTHWC, canvas_BTHW // NUM_TONES


def side_at(nominal: int, size: int) -> int:
    """Sprite side in pixels when the canvas is rendered at `size`."""
    return max(3, (2 * nominal * size + CANVAS) // (2 * CANVAS))


def _pixels_of_slot(scenes: Sequence[Scene], slot: int, frame_idx: np.ndarray, size: int) -> tuple[np.ndarray, ...] | None:
    """All sprite pixels of the things at one place of the stacking order.

    Returns:
        (row of the slot and scene of each pixel (2, P), rows_P, columns_P, canvas values_P, top-left corners_TS2, present_TS), S = things
        drawn; None if no scene has so many things.
    """
    drawn = [(b, scene.things[slot]) for b, scene in enumerate(scenes) if slot < len(scene.things)]
    if not drawn:
        return None
    sides = [side_at(thing.size, size) for _, thing in drawn]
    pixels = [sprite_pixels(thing.kind, side, thing.flip) for (_, thing), side in zip(drawn, sides, strict=True)]
    counts = [len(rows) for rows, _, _ in pixels]
    spots = np.stack([np.repeat(np.arange(len(drawn)), counts), np.repeat([b for b, _ in drawn], counts)])
    rows, columns, tones = (np.concatenate(parts) for parts in zip(*pixels, strict=True))
    centres_TS2 = np.stack([thing.xy_T2[frame_idx] for _, thing in drawn], axis=1) * (size / CANVAS)
    corners_TS2 = np.floor(centres_TS2 - np.array(sides)[:, None] * 0.5 + 0.5).astype(np.int64)
    present_TS = np.stack([thing.present_T[frame_idx] for _, thing in drawn], axis=1)
    return spots, rows, columns, (tones + (slot + 1) * NUM_TONES).astype(np.uint8), corners_TS2, present_TS


def _palette(scene: Scene) -> np.ndarray:
    """RGB of every canvas value -> uint8 ((MAX_THINGS + 1) * NUM_TONES, 3)."""
    table = np.zeros((MAX_THINGS + 1, NUM_TONES, 3), dtype=np.uint8)
    for i, thing in enumerate(scene.things):
        table[i + 1] = palette(thing.colour, thing.brightness)
    return table.reshape(-1, 3)


def _backgrounds(backgrounds: Sequence[Background], size: int, device: torch.device | str) -> torch.Tensor:
    """Two grids of brightness, enlarged and added to a muted tint -> uint8 (B, H, W, 3)."""
    coarse_BGG = torch.from_numpy(np.stack([b.coarse for b in backgrounds])).to(device)
    fine_BGG = torch.from_numpy(np.stack([b.fine for b in backgrounds])).to(device)
    light_BHW = _enlarge(coarse_BGG, size) + _enlarge(fine_BGG, size)
    tint_BC = torch.from_numpy(np.stack([b.tint for b in backgrounds])).to(device)
    return (light_BHW[..., None] + tint_BC[:, None, None, :]).clamp(0, 255).to(torch.uint8)


def _enlarge(grid_BGG: torch.Tensor, size: int) -> torch.Tensor:
    """Bilinear, in integers: int32 (B, G, G) -> int32 (B, size, size)."""
    steps = grid_BGG.shape[-1] - 1
    place = torch.arange(size, device=grid_BGG.device, dtype=torch.int32) * (steps * 256) // size
    cell, part = (place >> 8).long(), place & 255
    rows = grid_BGG[:, cell] * (256 - part)[:, None] + grid_BGG[:, cell + 1] * part[:, None]
    return (rows[:, :, cell] * (256 - part) + rows[:, :, cell + 1] * part) >> 16
