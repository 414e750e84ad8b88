"""How good one click or one box is on the toy world.

    python bench/toy_prompter.py [--split test] [--videos 100] [--weights DIR]

Takes the first videos of the split whose question means something, and of each the first thing that is meant, on the frame that shows most
of it. Prompts: the pixel of its mask farthest from the outline; a random pixel of the mask; the tight box; and the random pixel with
one correction, a second click where the first mask is wrong (the pixel farthest from right ones). Prints one JSON object: mean J in per
cent by prompt.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import islice

import numpy as np

from saymask.metrics.iou import iou_counts, ious
from saymask.models.prompters.base import Click, Prompt, Prompter
from saymask.models.prompters.loading import load_prompter
from saymask.records import Rle
from saymask.runtime import Runtime
from saymask.toyworld.dataset import ToySample, load_toyworld


def innermost(mask_HW: np.ndarray) -> tuple[int, int]:
    """x y of the pixel farthest from the mask's outline: the last to go when the mask is peeled."""
    left = np.pad(mask_HW, 1)
    while True:
        peeled = left.copy()
        for axis in (0, 1):
            for step in (-1, 1):
                peeled &= np.roll(left, step, axis)
        if not peeled.any():
            row, column = np.argwhere(left)[0] - 1
            return int(column), int(row)
        left = peeled


def _j(mask_HW: np.ndarray, truth_HW: np.ndarray) -> float:
    return float(ious(np.array([iou_counts(mask_HW, truth_HW)]))[0])


def scores(prompter: Prompter, sample: ToySample, rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    """J of every kind of prompt on one frame."""
    truth_THW = sample.regions(range(sample.video.num_frames)) == sample.expression.obj_ids[0]
    frame_idx = int(truth_THW.sum((1, 2)).argmax())
    truth_HW = truth_THW[frame_idx]
    encoded = prompter.encode(sample.video.frames([frame_idx])[0])
    row, column = rng.choice(np.argwhere(truth_HW))
    anywhere = Click(int(column), int(row))
    prompts = {
        "innermost click": Prompt((Click(*innermost(truth_HW)),)),
        "random click": Prompt((anywhere,)),
        "box": Prompt(box=Rle.encode(truth_HW).box()),
    }
    for name, prompt in prompts.items():
        yield name, _j(prompter.mask(encoded, prompt).mask_HW, truth_HW)
    mask_HW = prompter.mask(encoded, prompts["random click"]).mask_HW
    if (mask_HW != truth_HW).any():
        x, y = innermost(mask_HW != truth_HW)
        mask_HW = prompter.mask(encoded, Prompt((anywhere, Click(x, y, adds=bool(truth_HW[y, x]))), mask_HW=mask_HW)).mask_HW
    yield "random click, corrected", _j(mask_HW, truth_HW)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", default="test")
    parser.add_argument("--videos", type=int, default=100)
    parser.add_argument("--weights", help="a folder of weights; the bundled ones if not given")
    options = parser.parse_args()
    prompter = load_prompter("toy-prompter", Runtime("cpu", "float32"), options.weights)
    rng = np.random.default_rng(0)
    found: dict[str, list[float]] = {}
    for sample in islice((s for s in load_toyworld(None, options.split) if s.expression.obj_ids), options.videos):
        for name, j in scores(prompter, sample, rng):
            found.setdefault(name, []).append(j)
    means = {name: round(100 * float(np.mean(values)), 1) for name, values in found.items()}
    print(json.dumps({"split": options.split, "videos": options.videos, "j": means}, indent=2))


if __name__ == "__main__":
    main()
