"""Every expected answer counts, the means are the stated ones, and the baselines do what their names say.

The world of these tests: 40x40 frames with a red 10x10 square and a larger blue one beside it; a model is a function of the question.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from saymask.errors import ConfigError, DataError, VideoError
from saymask.evaluation import run
from saymask.evaluation.predictors import (
    empty_predictor,
    largest_thing_predictor,
    swapped_questions,
    union_predictor,
)
from saymask.evaluation.run import evaluate, evaluate_rows, format_table, run_eval
from saymask.records import Expression, Masklet, Prediction, QueryResult, Regions, Rle, Sample, Video

RED, BLUE = 1, 2


def things(num_frames: int = 2) -> np.ndarray:
    ids_THW = np.zeros((num_frames, 40, 40), dtype=np.uint8)
    ids_THW[:, 5:15, 5:15] = RED
    ids_THW[:, 5:25, 20:35] = BLUE
    return ids_THW


def sample(name: str, text: str, *obj_ids: int, family: str = "colour", num_frames: int = 2) -> Sample:
    ids_THW = things(num_frames)
    video = Video.from_frames(np.zeros((num_frames, 40, 40, 3), dtype=np.uint8), name=name)
    expression = Expression("0", text, obj_ids, tags={"family": family})
    return Sample(video, expression, np.isin(ids_THW, obj_ids), regions=Regions(lambda: ids_THW, (("red",), ("blue",))))


def predicted(video: Video, *masks_THW: np.ndarray) -> Prediction:
    masklets = [Masklet(n, tuple(map(Rle.encode, masks)), np.ones(len(masks))) for n, masks in enumerate(masks_THW, 1)]
    return Prediction(video, (QueryResult("", "", tuple(masklets)),))


class ColourSession:
    """Stands in for the real session: finds the colours named in the question; a question with "fail" cannot be answered."""

    def __init__(self, video: Video, segmenter: SimpleNamespace, tracker: SimpleNamespace | None):
        self.video, self.log = video, segmenter.log
        self.log.append(f"open {video.name}" + (f" with {tracker.name}" if tracker else ""))

    def segment(self, queries: list[str], answer: str) -> Prediction:
        self.log.append(tuple(queries))
        if "fail" in queries[0]:
            raise VideoError(f"{self.video.name}: unreadable")
        found = [np.isin(things(self.video.num_frames), [RED] * ("red" in q) + [BLUE] * ("blue" in q)) for q in queries]
        results = tuple(predicted(self.video, masks_THW).results[0] for masks_THW in found)
        return Prediction(self.video, results)

    def close(self) -> None:
        self.log.append(f"close {self.video.name}")


@pytest.fixture
def segmenter(monkeypatch):
    monkeypatch.setitem(sys.modules, "saymask.pipeline", SimpleNamespace(VideoSession=ColourSession))
    return SimpleNamespace(name="colours", log=[], weights_files=())


def test_scores_computed_by_hand():
    """A square half beside its target: J 1/3. Frames, then expressions, are averaged; absent and silent is right."""
    half_beside = np.roll(things() == RED, 5, axis=2)
    right_then_nothing = (things() == RED) & np.array([True, False])[:, None, None]
    answers = {"shifted": [half_beside], "lost": [right_then_nothing], "none": [], "two": [things() == RED, things() == BLUE]}
    samples = [
        sample("shifted", "the red one", RED),
        sample("lost", "the red one", RED),
        sample("none", "the green one", family="absent"),
        sample("two", "both", RED, BLUE, family="plural"),
    ]
    scores = evaluate(samples, lambda s: predicted(s.video, *answers[s.video.name]))

    shifted, lost, none, two = scores["expressions"]
    assert shifted["j"] == pytest.approx(1 / 3) and shifted["j_and_f"] == (shifted["j"] + shifted["f"]) / 2
    assert (lost["j"], lost["f"], lost["j_and_f"]) == (0.5, 0.5, 0.5)
    assert (none["j"], none["f"], none["silent"]) == (1.0, 1.0, True)
    assert (two["j"], two["f"]) == (1.0, 1.0) and "silent" not in two
    assert scores["families"]["colour"]["j"] == pytest.approx((1 / 3 + 0.5) / 2)
    assert scores["families"]["absent"] == {"expressions": 1, "j": 1.0, "f": 1.0, "j_and_f": 1.0, "silent": 1.0}
    assert scores["overall"]["j"] == pytest.approx((1 / 3 + 0.5 + 1 + 1) / 4)
    assert (scores["expected"], scores["found"], scores["failed"]) == (4, 4, [])


def test_failed_predictions_count_as_zero_and_are_named():
    samples = [sample("good", "red", RED), sample("bad", "red", RED), sample("empty", "green", family="absent")]

    def predictor(s: Sample) -> Prediction:
        if s.video.name != "good":
            raise VideoError(f"{s.video.name}: unreadable")
        return predicted(s.video, things() == RED)

    scores = evaluate(samples, predictor)
    assert (scores["expected"], scores["found"]) == (3, 1)
    assert scores["failed"] == [
        {"name": "bad/0", "reason": "bad: unreadable"},
        {"name": "empty/0", "reason": "empty: unreadable"},
    ]
    assert scores["overall"]["j_and_f"] == pytest.approx(1 / 3)
    assert scores["families"]["colour"]["f"] == 0.5
    assert scores["families"]["absent"] == {"expressions": 1, "j": 0.0, "f": 0.0, "j_and_f": 0.0, "silent": 0.0}


@pytest.mark.parametrize(
    ("prediction_of", "reason"),
    [
        (lambda s: Prediction(s.video, ()), "v/0: the prediction has 0 results, expected 1"),
        (
            lambda s: predicted(s.video, np.ones((2, 20, 20), dtype=bool)),
            "v/0: the predicted masks are (2, 20, 20) (frames, height, width), expected (2, 40, 40)",
        ),
        (
            lambda s: predicted(sample("w", "red", RED, num_frames=3).video, things(3) == RED),
            "v/0: the predicted masks are (3, 40, 40) (frames, height, width), expected (2, 40, 40)",
        ),
    ],
)
def test_predictions_of_the_wrong_form_are_failures(prediction_of, reason):
    assert evaluate([sample("v", "red", RED)], prediction_of)["failed"] == [{"name": "v/0", "reason": reason}]


def test_a_defect_of_the_predictor_is_not_scored():
    with pytest.raises(ZeroDivisionError):
        evaluate([sample("v", "red", RED)], lambda s: 1 / 0)


def test_ignored_pixels_do_not_count():
    whole = sample("v", "red", RED)
    ignore_THW = np.zeros((2, 40, 40), dtype=bool)
    ignore_THW[:, :, 10:] = True
    ignoring = Sample(whole.video, whole.expression, whole.masks, ignore_THW)
    too_wide = (things() == RED) | ignore_THW
    assert evaluate([whole], lambda s: predicted(s.video, too_wide))["overall"]["j"] < 0.1
    assert evaluate([ignoring], lambda s: predicted(s.video, too_wide))["overall"]["j_and_f"] == 1.0


def test_baselines_ignore_the_question():
    samples = [sample("a", "red", RED), sample("b", "blue", BLUE), sample("c", "both", RED, BLUE), sample("d", "green")]
    rows = evaluate_rows(samples, {"empty": empty_predictor, "largest": largest_thing_predictor, "union": union_predictor})
    j = {row: [round(scores["j"], 9) for scores in rows[row]["expressions"]] for row in rows}
    red_of_both, blue_of_both = 100 / 400, 300 / 400
    assert j == {
        "empty": [0, 0, 0, 1],
        "largest": [0, 1, blue_of_both, 0],
        "union": [red_of_both, blue_of_both, 1, 0],
    }
    assert [rows[row]["overall"]["silent"] for row in rows] == [1.0, 0.0, 0.0]


def test_baselines_say_when_the_dataset_does_not_outline_everything():
    plain = Sample(*(getattr(sample("v", "red", RED), name) for name in ("video", "expression", "masks")))
    with pytest.raises(DataError, match=r"^v/0: this baseline needs the outline of every thing, which the dataset does not state$"):
        union_predictor(plain)


def test_limit_and_progress():
    seen = []
    samples = [sample(str(i), "red", RED) for i in range(3)]
    rows = evaluate_rows(samples, {"empty": empty_predictor}, limit=2, progress=lambda done, total: seen.append((done, total)))
    assert rows["empty"]["expected"] == 2 and seen == [(1, 2), (2, 2)]
    assert evaluate_rows(samples, {"empty": empty_predictor}, limit=9)["empty"]["expected"] == 3
    with pytest.raises(ConfigError, match=r"^limit 0 leaves nothing to evaluate; give 1 or more$"):
        evaluate_rows(samples, {"empty": empty_predictor}, limit=0)
    with pytest.raises(DataError, match=r"^no samples to evaluate; check the dataset and the split$"):
        evaluate([], empty_predictor)


def test_swapped_questions_come_from_the_next_place_in_the_family():
    samples = [
        sample("a", "red", RED),
        sample("b", "larger", BLUE, family="compare"),
        sample("c", "red", RED),
        sample("d", "blue", BLUE),
    ]
    questions = swapped_questions(samples, 4)
    # a skips c, which asks the same; d goes round the end; b is alone in its family and takes the next question of any.
    assert questions == {"a/0": "blue", "b/0": "red", "c/0": "blue", "d/0": "red"}
    assert swapped_questions(samples, 2) == {"a/0": "blue", "b/0": "red"}
    with pytest.raises(DataError, match=r"^no question to swap 'red' with: all 2 samples ask it$"):
        swapped_questions([samples[0], samples[2]], 2)


def test_swapped_questions_do_not_walk_through_an_endless_split():
    class Endless(Sequence):
        def __len__(self) -> int:
            return 10**9

        def __getitem__(self, index: int) -> Sample:
            assert index < 9
            return sample(str(index), ("red", "blue")[index % 2])

    assert swapped_questions(Endless(), 8) == {f"{index}/0": ("blue", "red")[index % 2] for index in range(8)}


@pytest.fixture
def colour_world(monkeypatch):
    samples = [sample("a", "red", RED), sample("b", "blue", BLUE), sample("c", "red fail", RED), sample("d", "green", family="absent")]
    monkeypatch.setattr(run, "resolve", lambda name, kind: lambda root, split: samples if (name, kind) == ("colours", "dataset") else [])
    return samples


def test_run_eval_writes_what_it_returns_and_encodes_each_video_once(tmp_path, monkeypatch, segmenter, colour_world):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"weights")
    segmenter.weights_files = (weights,)
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/saymask", "eval", "colours", "-m", "my model"])

    results = run_eval("colours", "test", segmenter, tmp_path / "out")

    assert json.loads((tmp_path / "out/results.json").read_text()) == results
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["results.json"]
    assert (results["dataset"], results["split"], results["model"], results["tracker"]) == ("colours", "test", "colours", None)
    assert results["run"]["command"] == "saymask eval colours -m 'my model'"
    assert results["run"]["weights_sha256"] == {f"{tmp_path.name}/model.safetensors": hashlib.sha256(b"weights").hexdigest()}
    assert results["run"]["torch_threads"] >= 1
    j = {row: [round(scores["j"], 9) for scores in results["rows"][row]["expressions"]] for row in results["rows"]}
    assert j == {
        "model": [1, 1, 0, 1],
        "empty": [0, 0, 0, 1],
        "largest": [0, 1, 0, 0],
        "union": [0.25, 0.75, 0.25, 0],
        "swapped": [0, 0, 0, 0],
    }
    assert segmenter.log.count("open a") == segmenter.log.count("open b") == 1
    assert ("red", "blue") in segmenter.log


def test_run_eval_says_which_tracker_took_part(tmp_path, segmenter, colour_world):
    weights = tmp_path / "tracker.pth"
    weights.write_bytes(b"tracker")
    results = run_eval(
        "colours", "test", segmenter, tmp_path / "out", limit=1, tracker=SimpleNamespace(name="still", weights_files=(weights,))
    )
    assert results["tracker"] == "still"
    assert results["run"]["weights_sha256"] == {f"{tmp_path.name}/tracker.pth": hashlib.sha256(b"tracker").hexdigest()}
    assert segmenter.log[0] == "open a with still"


def test_run_eval_refuses_to_overwrite_and_leaves_nothing_half_written(tmp_path, segmenter, colour_world):
    run_eval("colours", "test", segmenter, tmp_path, limit=1)
    first = (tmp_path / "results.json").read_text()
    with pytest.raises(VideoError, match=r"results\.json: already exists and is not overwritten"):
        run_eval("colours", "test", segmenter, tmp_path)
    assert (tmp_path / "results.json").read_text() == first

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_eval("colours", "test", segmenter, tmp_path / "stopped", progress=stop)
    assert list((tmp_path / "stopped").iterdir()) == []


def test_format_table_shows_per_cent_per_family_and_counts_failures(tmp_path, segmenter, colour_world):
    table = format_table(run_eval("colours", "test", segmenter, tmp_path))
    assert table.splitlines()[0] == "J&F      colour  absent  overall  silent"
    assert table.splitlines()[1] == "model      66.7   100.0     75.0   100.0"
    assert table.splitlines()[2] == "empty       0.0   100.0     25.0   100.0"
    assert table.splitlines()[5] == "swapped     0.0     0.0      0.0     0.0"
    assert table.splitlines()[6:] == [
        "model: 1 of 4 predictions failed and count as 0; results.json says why",
        "swapped: 1 of 4 predictions failed and count as 0; results.json says why",
    ]


def test_a_table_without_absent_questions_has_no_column_for_silence(tmp_path, segmenter, colour_world):
    table = format_table(run_eval("colours", "test", segmenter, tmp_path, limit=2))
    assert table.splitlines()[:2] == ["J&F      colour  overall", "model     100.0    100.0"]
