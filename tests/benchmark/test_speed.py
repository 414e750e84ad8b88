"""What `saymask bench` reports: medians without the warm-up, how far two answers agree, errors that say what to do."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from saymask.benchmark import speed
from saymask.benchmark.noise_video import moving_noise, write_noise_video
from saymask.benchmark.speed import QUERIES, Measured, Run, agreement, compare, format_table, measure
from saymask.benchmark.stopwatch import STAGES
from saymask.errors import ConfigError, SaymaskError
from saymask.models.family import Family
from saymask.records import Rle
from saymask.runtime import Runtime
from saymask.trackers.loading import load_tracker
from saymask.video.reader import open_source


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "noise.mp4"
    write_noise_video(path, 11, 32, 48)
    return path


def rles(*masks: list[list[int]]) -> tuple[Rle, ...]:
    return tuple(Rle.encode(np.array(mask, dtype=bool)) for mask in masks)


def test_the_drawn_video_moves_by_a_pixel_and_is_always_the_same(source):
    first, second, third = moving_noise(3, 32, 48)
    assert (first, second.shape) == (pytest.approx(next(moving_noise(1, 32, 48))), (32, 48, 3))
    assert (second == np.roll(first, 1, axis=1)).all()
    assert (third == np.roll(first, (1, 2), axis=(0, 1))).all()
    video = open_source(source)
    assert (video.num_frames, video.height, video.width, video.fps) == (11, 32, 48, pytest.approx(24))


def test_agreement_counts_masks_that_are_empty_in_both_only_as_pixels():
    ours = [rles([[1, 1], [0, 0]], [[1, 1], [0, 0]]), rles([[1, 1], [1, 1]], [[0, 0], [0, 0]])]
    naive = [rles([[1, 0], [0, 0]], [[1, 1], [0, 0]]), rles([[1, 1], [1, 1]], [[0, 0], [0, 0]])]
    assert agreement(ours, naive) == {"masks": 3, "lowest_mask_iou": 0.5, "lowest_query_iou": 0.75, "differing_pixels": 1 / 16}
    empty = {"masks": 0, "lowest_mask_iou": None, "lowest_query_iou": None, "differing_pixels": 0.0}
    assert agreement([rles([[0]])], [rles([[0]])]) == empty


def test_the_median_counts_and_the_warm_up_does_not(source, monkeypatch):
    seen = []

    def pretend(video, segmenter, tracker, queries, stopwatch):
        seen.append((video.num_frames, queries))
        stopwatch.seconds["masks"] = [100.0, 4.0, 1.0, 2.0][len(seen) - 1]
        stopwatch.seconds["image_encoder"] = 0.5
        return [rles([[1]])]

    monkeypatch.setitem(speed.VARIANTS, "ours", pretend)
    measured = measure(Run(source, "toy", Runtime("cpu", "float32"), num_queries=2, repeat=3))
    assert seen == [(8, QUERIES[:2]), *[(11, QUERIES[:2])] * 3]
    assert measured.report["seconds"] == 2.5
    assert measured.report["frames_per_second"] == 11 / 2.5
    assert measured.report["stages"]["masks"] == 2.0
    assert measured.report["image_encoder"]["share_of_time"] == 0.2
    assert measured.report["peak_vram_mb"] is None
    assert 100 < measured.report["loaded_rss_mb"] <= measured.report["peak_rss_mb"]
    assert (measured.environment["device"], measured.environment["dtype"]) == ("cpu", "float32")


def test_naive_encodes_every_frame_for_every_query(source, monkeypatch):
    """The encoder's operations per second follow from how many frames it was given."""

    def pretend(video, segmenter, tracker, queries, stopwatch):
        stopwatch.seconds["image_encoder"] = 1.0
        return [rles([[1]])]

    monkeypatch.setattr(speed, "VARIANTS", {"ours": pretend, "naive": pretend})
    run = Run(source, "toy", Runtime("cpu", "float32"), num_queries=3)
    ours, naive = (measure(speed.replace(run, variant=variant)).report["image_encoder"]["tflop_per_second"] for variant in speed.VARIANTS)
    assert naive == pytest.approx(3 * ours)
    # Multiplications and additions of one frame: 256 tokens of 96 channels through three layers (attention in, products, out, MLP of 192)
    layer = 2 * 256 * 96 * (4 * 96 + 2 * 192) + 2 * 2 * 256 * 256 * 96
    patches, neck = 2 * 256 * 3 * 8 * 8 * 96, 2 * 256 * 64 * (96 + 9 * 64)
    assert ours * 1e12 == pytest.approx(11 * (3 * layer + patches + neck))


def test_both_variants_in_one_report(source, monkeypatch):
    """The real thing but for the processes; a process of its own is what the command's test has."""
    monkeypatch.setattr(speed, "_in_own_process", measure)
    told = []
    results = compare(Run(source, "toy", Runtime("cpu", "float32")), [1, 2], list(speed.VARIANTS), told.append)
    assert told[-1] == "naive, 2 queries about 11 frames of 48 x 32"
    assert results["video"] == {"frames": 11, "height": 32, "width": 48}
    assert [row["queries"] for row in results["rows"]] == [1, 2]
    for row in results["rows"]:
        for variant in ("ours", "naive"):
            stages = row[variant]["stages"]
            assert tuple(stages) == STAGES
            assert sum(stages.values()) == pytest.approx(row[variant]["seconds"])
            assert all(stages[stage] > 0 for stage in STAGES if stage != "tracker") and stages["tracker"] == 0
        assert row["speedup"] == row["naive"]["seconds"] / row["ours"]["seconds"]
        assert row["agree"]["differing_pixels"] < 1e-3
    lines = format_table(results).splitlines()
    assert [line.split()[:2] for line in lines[1:5]] == [["1", "ours"], ["1", "naive"], ["2", "ours"], ["2", "naive"]]
    assert [line.split(":")[0] for line in lines[5:]] == ["queries 1", "queries 2"]


@pytest.mark.slow
def test_a_family_that_tracks_is_measured_with_its_tracker_in_both(source):
    run = Run(source, "visa-toy", Runtime("cpu", "float32"))
    for variant in speed.VARIANTS:
        measured = measure(speed.replace(run, variant=variant))
        assert measured.report["stages"]["tracker"] > 0 and measured.masks is None


def test_naive_tracks_from_the_middle_frame_in_both_directions(source):
    """`hold` keeps what it is given: every frame shows the middle one's mask; without one there is nothing to track."""
    masks_THW = np.zeros((11, 32, 48), bool)
    masks_THW[5, 3:9, 4:20] = masks_THW[0, 0] = True
    video, tracker = open_source(source), load_tracker("hold")
    assert (speed._tracked(video, tracker, masks_THW) == masks_THW[5]).all()
    masks_THW[5] = False
    assert not speed._tracked(video, tracker, masks_THW).any()


def test_a_table_shows_the_stages_that_took_time():
    def report(seconds: float) -> dict:
        stages = dict.fromkeys(STAGES, 0.0) | {"masks": seconds}
        return {"seconds": seconds, "stages": stages, "frames_per_second": 8 / seconds, "peak_rss_mb": 512.4, "peak_vram_mb": None}

    rows = [
        {
            "queries": 16,
            "ours": report(2.0),
            "naive": report(16.0),
            "speedup": 8.0,
            "agree": {"masks": 3, "lowest_query_iou": 0.99512},
        },
        {"queries": 1, "ours": report(2.0), "naive": report(2.0), "speedup": 1.0, "agree": {"masks": 0, "lowest_query_iou": None}},
    ]
    assert format_table({"rows": rows}).splitlines() == [
        "queries         seconds  masks  frames/s  RSS MB  VRAM MB",
        "     16   ours     2.00   2.00       4.0     512        -",
        "     16  naive    16.00  16.00       0.5     512        -",
        "      1   ours     2.00   2.00       4.0     512        -",
        "      1  naive     2.00   2.00       4.0     512        -",
        "queries 16: 8.0 times as fast as naive; 3 masks, lowest IoU of a query 0.9951",
        "queries 1: 1.0 times as fast as naive; all masks are empty",
    ]


@pytest.mark.parametrize("count", [0, len(QUERIES) + 1])
def test_a_number_of_queries_that_cannot_be_asked(source, count):
    with pytest.raises(ConfigError, match=rf"--queries {count} cannot be asked; give numbers from 1 to 64"):
        compare(Run(source, "toy", Runtime("cpu")), [1, count], ["ours"], print)


def test_a_model_of_another_family(source, monkeypatch):
    family = Family("colour", segmenter="", options="")
    monkeypatch.setattr(speed, "load_model", lambda *args: SimpleNamespace(family=family))
    with pytest.raises(ConfigError, match="model 'other': there is no published script of family 'colour'"):
        measure(Run(source, "other", Runtime("cpu")))


def test_a_killed_process_is_reported(source, monkeypatch):
    class Pool:
        def __init__(self, *args, **kwargs): ...
        def __enter__(self):
            return self

        def __exit__(self, *args): ...
        def submit(self, *args):
            raise BrokenProcessPool

    monkeypatch.setattr(speed, "ProcessPoolExecutor", Pool)
    with pytest.raises(SaymaskError, match=r"'naive' with 1 queries was killed, most likely for lack of memory; measure fewer"):
        compare(Run(source, "toy", Runtime("cpu")), [1], ["naive"], print)


def test_an_image_is_a_video_of_one_frame(tmp_path):
    Image.new("RGB", (24, 16)).save(tmp_path / "one.png")
    measured = measure(Run(tmp_path / "one.png", "toy", Runtime("cpu", "float32")))
    assert isinstance(measured, Measured)
    assert [len(rle_T) for rle_T in measured.masks] == [1]
