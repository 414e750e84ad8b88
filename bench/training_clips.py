"""How fast fine-tuning's samples are made of a folder of long clips with label maps, and how many label maps that decodes.

    python bench/training_clips.py [--clips 8] [--batches 20]

Writes own data (docs/own-data.md) into a temporary folder: clips of 80 frames of 854 x 480 as JPEG, a label map for each with two moving
boxes, and three sentences per clip: one about each box, one about both. Then it makes micro-batches as `saymask train finetune` does, in
one process and one thread, without training on them. Prints one JSON object; `label_maps_per_sample` counts the mask files whose pixels are
read.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, PngImagePlugin

from saymask.recipes.videolisa_tuning import finetune

NUM_FRAMES, HEIGHT, WIDTH = 80, 480, 854
SENTENCES = {"1": "the red box", "2": "the blue box", "1; 2": "both boxes"}
COLOURS = np.array([[90, 110, 90], [220, 40, 40], [40, 60, 220]], np.uint8)


def label_map(clip: int, frame_idx: int) -> np.ndarray:
    """Two boxes that go to the right, one slower than the other -> uint8 labels_HW."""
    labels_HW = np.zeros((HEIGHT, WIDTH), np.uint8)
    for number, (top, speed) in enumerate(((60 + 10 * clip % 60, 6), (300, 4)), start=1):
        left = 20 + speed * frame_idx
        labels_HW[top : top + 110, left : left + 150] = number
    return labels_HW


def write_data(folder: Path, num_clips: int) -> None:
    """Own data of `num_clips` clips; every sentence is of the split train."""
    noise_HWC = np.random.default_rng(0).integers(0, 30, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    rows = [("video", "objects", "sentence")]
    for clip in range(num_clips):
        name = f"clip-{clip:02d}"
        rows += [(name, objects, sentence) for objects, sentence in SENTENCES.items()]
        for part in ("videos", "masks"):
            (folder / part / name).mkdir(parents=True)
        for frame_idx in range(NUM_FRAMES):
            labels_HW = label_map(clip, frame_idx)
            Image.fromarray(labels_HW).save(folder / "masks" / name / f"{frame_idx:05d}.png")
            Image.fromarray(COLOURS[labels_HW] + noise_HWC).save(folder / "videos" / name / f"{frame_idx:05d}.jpg", quality=90)
    with (folder / "sentences.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


@contextmanager
def counted_label_maps() -> Iterator[list[str]]:
    """PNG files whose pixels are read meanwhile; the frames are no PNG."""
    read: list[str] = []
    load = PngImagePlugin.PngImageFile.load_prepare

    def counting(image: PngImagePlugin.PngImageFile) -> Any:
        read.append(str(image.filename))
        return load(image)

    PngImagePlugin.PngImageFile.load_prepare = counting
    try:
        yield read
    finally:
        PngImagePlugin.PngImageFile.load_prepare = load


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--batches", type=int, default=20, help="micro-batches that are timed, after one that is not")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder), given.clips)
        config = finetune().override([f"data.root={folder}"])
        batches = config.task().batches
        _ = batches[0]
        with counted_label_maps() as read:
            start = time.perf_counter()
            for index in range(1, given.batches + 1):
                _ = batches[index]
            seconds = time.perf_counter() - start
    num_samples = given.batches * config.batch_size
    report = {
        "clips": given.clips,
        "frames": NUM_FRAMES,
        "size": [HEIGHT, WIDTH],
        "batch_size": config.batch_size,
        "samples": num_samples,
        "threads": 1,
        "samples_per_second": round(num_samples / seconds, 2),
        "label_maps_per_sample": round(len(read) / num_samples, 1),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
