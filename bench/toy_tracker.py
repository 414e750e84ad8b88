"""How well trackers follow one thing of the toy world from one true mask.

    python bench/toy_tracker.py [--split test] [--videos 100] [--weights DIR]

Takes the first videos of the split whose question means something, and of each the first thing that is meant. Its true mask is given on the
first frame that shows any pixel of it; J and F are means over the frames after that one, then over videos. Prints one JSON object: for
each tracker the overall figures and J&F by family of the question, all in per cent.
"""

from __future__ import annotations

import argparse
import json
from itertools import islice

import numpy as np
import torch

from saymask.metrics.region_contour import video_scores
from saymask.runtime import Runtime
from saymask.toyworld.dataset import FAMILIES, ToySample, load_toyworld
from saymask.trackers.base import Tracker
from saymask.trackers.loading import load_tracker


def score(tracker: Tracker, sample: ToySample) -> tuple[float, float]:
    """J and F of one video."""
    truth_THW = sample.regions(range(sample.video.num_frames)) == sample.expression.obj_ids[0]
    given = int(truth_THW.any((1, 2)).argmax())
    reference_masks = {given: torch.from_numpy(truth_THW[given])[None]}
    masks = {frame.frame_idx: frame.masks_NHW[0].numpy() for frame in tracker.propagate(sample.video, reference_masks)}
    after = range(given + 1, sample.video.num_frames)
    j_T, f_T = video_scores(np.stack([masks[i] for i in after]), truth_THW[list(after)])
    return float(j_T.mean()), float(f_T.mean())


def per_cent(scores_V2: np.ndarray) -> dict[str, float]:
    j, f = 100 * scores_V2.mean(0)
    return {"j_and_f": round((j + f) / 2, 1), "j": round(j, 1), "f": round(f, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--split", default="test")
    parser.add_argument("--videos", type=int, default=100)
    parser.add_argument("--weights", help="a folder of XMem weights; the bundled ones if not given")
    options = parser.parse_args()
    samples = list(islice((s for s in load_toyworld(None, options.split) if s.expression.obj_ids), options.videos))
    families = np.array([sample.expression.tags["family"] for sample in samples])
    result: dict[str, object] = {"split": options.split, "videos": len(samples)}
    runtime = Runtime.choose("cpu")
    for tracker in (load_tracker("xmem", runtime, options.weights), load_tracker("hold", runtime)):
        scores_V2 = np.array([score(tracker, sample) for sample in samples])
        by_family = {family: per_cent(scores_V2[families == family])["j_and_f"] for family in FAMILIES if family in families}
        result[tracker.name] = {**per_cent(scores_V2), "by_family": by_family}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
