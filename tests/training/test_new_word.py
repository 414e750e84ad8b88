"""A word the model has never seen, taught by six clips in a folder of one's own with the recipe `finetune` as it is."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saymask.metrics.region_contour import video_scores
from saymask.models.checkpoints import load_model
from saymask.recipes.videolisa_tuning import finetune
from saymask.runtime import Runtime
from saymask.samples import Expression, Sample, masks_by_id
from saymask.session import VideoSession
from saymask.toyworld.dataset import TIMELINE, draw_scenes, to_samples
from saymask.training.loop import train

CPU = Runtime("cpu", "float32")
WORD, MEANS = "the blicket", "umbrella"


def blickets(count: int, seed: int) -> list[Sample]:
    """Drawn clips, each with one blicket among other things."""
    found: list[Sample] = []
    for step in range(100):
        scenes = draw_scenes(seed, step, 0, 8, {"attribute": 1})
        fitting = [scene for scene in scenes if [thing.kind for thing in scene.things].count(MEANS) == 1]
        for scene in fitting[: count - len(found)]:
            (sample,) = to_samples([scene], [f"clip-{len(found)}"], np.arange(TIMELINE), 128)
            obj_id = 1 + [thing.kind for thing in scene.things].index(MEANS)
            blicket = masks_by_id(sample.regions(range(TIMELINE)), (obj_id,))
            found.append(Sample(sample.video, Expression("0", WORD, (obj_id,)), blicket))
    assert len(found) == count
    return found


def write_own_data(root: Path, samples: list[Sample]) -> None:
    """What a person would have: frames, black-and-white masks, a table."""
    for sample in samples:
        name = sample.video.name
        (root / "videos" / name).mkdir(parents=True)
        (root / "masks" / name / "blicket").mkdir(parents=True)
        frames_THWC = sample.video.frames(range(TIMELINE))
        for t, (frame_HWC, mask_HW) in enumerate(zip(frames_THWC, sample.masks_THW, strict=True)):
            Image.fromarray(frame_HWC).save(root / "videos" / name / f"{t:05d}.png")
            Image.fromarray(mask_HW.astype(np.uint8) * 255).save(root / "masks" / name / "blicket" / f"{t:05d}.png")
    rows = [("video", "objects", "sentence"), *((sample.video.name, "blicket", WORD) for sample in samples)]
    with (root / "sentences.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def mean_j(name: str, samples: list[Sample]) -> float:
    """J over all frames of all samples, in per cent."""
    segmenter = load_model(name, CPU)
    scores = []
    for sample in samples:
        with VideoSession(sample.video, segmenter) as session:
            prediction = session.segment([sample.expression.text])
        masks_THW = np.stack([prediction.masks(t)[0] for t in range(TIMELINE)])
        scores.append(video_scores(masks_THW, sample.masks_THW)[0].mean())
    return 100 * float(np.mean(scores))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_six_clips_teach_a_word(tmp_path):
    write_own_data(tmp_path / "own", blickets(6, seed=101))
    held_out = blickets(16, seed=202)
    before = mean_j("toy", held_out)
    adapter = train(finetune().override([f"data.root={tmp_path / 'own'}"]), tmp_path / "run", runtime=CPU)
    after = mean_j(f"toy+{adapter}", held_out)
    print(f"\nJ {before:.1f} -> {after:.1f} on {len(held_out)} held-out clips")
    assert after - before >= 20
    assert load_model(f"toy+{adapter}", CPU).unknown_words(WORD) == []
    assert load_model("toy", CPU).unknown_words(WORD) == ["blicket"]
