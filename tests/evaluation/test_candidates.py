"""Asking a model: every video once, everything together; what goes wrong concerns nobody else."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
import torch
from squares import BLUE, RED, predicted, sample, set_of, things

from saymask.errors import ConfigError, DataError, SaymaskError, VideoError
from saymask.evaluation.candidates import OWN, SWAPPED, VideoAsker, swapped_questions, with_model
from saymask.evaluation.exam import Exam
from saymask.models.family import Family
from saymask.records import Prediction, Video
from saymask.samples import Benchmark, Expression, Item, LazyItems, Sample, SampleSet


class Session:
    """Answers every question with the red square; the words of a question say what goes wrong instead."""

    log: list[object]

    def __init__(self, video: Video, segmenter: SimpleNamespace, tracker: SimpleNamespace | None, every: int | None = None):
        self.video = video
        Session.log.append(f"open {video.name}" + (f" with {tracker.name}" if tracker else "") + (f" every {every}" if every else ""))

    def segment(self, queries: list[str], **options: str) -> Prediction:
        Session.log.append((*options.values(), *queries))
        for words, error in {
            "too long": ConfigError("too long"),
            "unreadable": VideoError("cut off"),
            "huge": torch.OutOfMemoryError(),
        }.items():
            if any(words in query for query in queries):
                raise error
        results = tuple(predicted(self.video, things() == RED, query=query).results[0] for query in queries)
        return Prediction(self.video, results)

    def close(self) -> None:
        Session.log.append(f"close {self.video.name}")


@pytest.fixture
def log(monkeypatch) -> list[object]:
    monkeypatch.setitem(sys.modules, "saymask.session", SimpleNamespace(VideoSession=Session))
    monkeypatch.setattr(Session, "log", [], raising=False)
    return Session.log


FAMILY = Family("red", segmenter="", options="saymask.models.videolisa.options:VideoLisaOptions")
SEGMENTER = SimpleNamespace(name="red", weights_files=(), family=FAMILY)


def asker(**questions: Sequence[str]) -> VideoAsker:
    return VideoAsker(SEGMENTER, questions, SimpleNamespace(name="still"), {"answer": "generate"})


def test_all_questions_about_a_video_are_asked_at_once_and_none_twice(log):
    ask = asker(a=["one", "two", "one"], b=["three"])
    assert ask(sample("a/0", "one", RED), "one").results[0].query == "one"
    assert ask(sample("a/1", "two", RED), "two").results[0].query == "two"
    assert ask(sample("b/0", "three", RED), "three").results[0].query == "three"
    assert log == ["open a with still", ("generate", "one", "two"), "close a", "open b with still", ("generate", "three"), "close b"]


def test_every_nth_frame_is_the_sessions_matter_and_is_recorded(log):
    samples = [sample("a/0", "red", RED)]
    candidate = with_model(SEGMENTER, SimpleNamespace(name="still", weights_files=()), every=4)
    exam = Exam("squares", "test", set_of(*samples))
    candidate.predictors(exam)[OWN](samples[0])
    assert (candidate.every, log[0]) == (4, "open a with still every 4")


def test_a_question_that_cannot_be_asked_does_not_harm_the_others(log):
    ask = asker(a=["one", "too long"])
    assert ask(sample("a/0", "one", RED), "one").results[0].query == "one"
    with pytest.raises(ConfigError, match=r"^too long$"):
        ask(sample("a/1", "too long", RED), "too long")
    assert [event for event in log if isinstance(event, tuple)] == [
        ("generate", "one", "too long"),
        ("generate", "one"),
        ("generate", "too long"),
    ]


def test_a_video_that_cannot_be_read_is_tried_once(log):
    ask = asker(a=["one", "unreadable"])
    for _ in range(2):
        with pytest.raises(VideoError, match=r"^cut off$"):
            ask(sample("a/0", "one", RED), "one")
    assert len(log) == 3 and log[-1] == "close a"


def test_too_little_memory_for_one_video_is_a_failure_like_others(log):
    ask = asker(a=["huge"])
    with pytest.raises(SaymaskError, match=r"^a: 2 frames did not fit into the device's memory; use a larger device$"):
        ask(sample("a/0", "huge", RED), "huge")


def test_a_model_is_asked_other_videos_questions_only_where_everything_is_outlined(log):
    samples = [sample("a/0", "red", RED), sample("b/0", "blue", BLUE)]
    outlined = Benchmark(outlines_everything=True)
    answers = with_model(SEGMENTER).predictors(Exam("squares", "test", set_of(*samples, benchmark=outlined)))
    assert list(answers) == [OWN, SWAPPED]
    assert answers[SWAPPED](samples[0]).results[0].query == "blue"
    assert ("red", "blue") in log
    assert list(with_model(SEGMENTER).predictors(Exam("squares", "test", set_of(*samples)))) == [OWN]


def test_questions_are_worded_as_asked_for(log):
    asked = sample("a/0", "red", RED)
    candidate = with_model(SEGMENTER, options={"template": "raw"})
    candidate.predictors(Exam("squares", "test", set_of(asked)))[OWN](asked)
    assert (candidate.template, candidate.answer) == ("raw", "forced")
    assert log[1] == ("raw", "red")


def test_a_candidate_names_its_files_with_their_hashes(tmp_path):
    for name in ("model", "tracker"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights.bin").write_bytes(name.encode())
    (tmp_path / "model/config.json").write_text("{}")
    model = SimpleNamespace(name="m", family=FAMILY, weights_files=(tmp_path / "model/weights.bin",))
    tracker = SimpleNamespace(name="t", weights_files=(tmp_path / "tracker/weights.bin",))
    candidate = with_model(model, tracker)
    assert (candidate.predictor, candidate.model, candidate.tracker, candidate.answer) == ("session", "m", "t", "forced")
    contents = {"model/weights.bin": b"model", "tracker/weights.bin": b"tracker", "model/config.json": b"{}"}
    assert candidate.fingerprints() == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def test_files_that_are_called_the_same_are_told_apart(tmp_path):
    for place in ("a", "b"):
        (tmp_path / place / "toy").mkdir(parents=True)
        (tmp_path / place / "toy/weights.bin").write_bytes(place.encode())
    model = SimpleNamespace(name="m", family=FAMILY, weights_files=(tmp_path / "a/toy/weights.bin",))
    tracker = SimpleNamespace(name="t", weights_files=(tmp_path / "b/toy/weights.bin",))
    hashes = {place: hashlib.sha256(place.encode()).hexdigest() for place in "ab"}
    assert with_model(model, tracker).fingerprints() == {"toy/weights.bin": hashes["a"], "b/toy/weights.bin": hashes["b"]}


def test_swapped_questions_come_from_the_next_place_in_the_family():
    samples = [
        sample("a/0", "red", RED, family="colour"),
        sample("b/0", "larger", BLUE, family="compare"),
        sample("c/0", "red", RED, family="colour"),
        sample("d/0", "blue", BLUE, family="colour"),
    ]
    # a skips c, which asks the same; d goes round the end; b is alone in its family and takes the next question of any.
    families = Benchmark(groups=("family",))
    swapped = {"a/0": "blue", "b/0": "red", "c/0": "blue", "d/0": "red"}
    assert swapped_questions(Exam("squares", "test", set_of(*samples, benchmark=families))) == swapped
    assert swapped_questions(Exam("squares", "test", set_of(*samples, benchmark=families), limit=2)) == {"a/0": "blue", "b/0": "red"}
    # Without groups the next other wording counts.
    assert swapped_questions(Exam("squares", "test", set_of(*samples), limit=1)) == {"a/0": "larger"}
    with pytest.raises(DataError, match=r"^no question to swap 'red' with: all 2 samples ask it$"):
        swapped_questions(Exam("squares", "test", set_of(samples[0], samples[2])))


def test_swapped_questions_do_not_walk_through_an_endless_split():
    asked = Counter()

    def make(index: int) -> Item:
        asked[index] += 1
        return Item(str(index), Expression("0", ("red", "blue")[index % 2], ()))

    class Endless(SampleSet):
        items = LazyItems(10**9, make)

        def read(self, item: Item) -> Sample:
            pytest.fail("opened")

        def texts(self) -> tuple[str, ...]:
            return ("red", "blue")

    exam = Exam("endless", "test", Endless(Benchmark()), limit=8)
    assert swapped_questions(exam) == {f"{i}/0": ("blue", "red")[i % 2] for i in range(8)}
    assert set(asked) == set(range(9)) and max(asked.values()) == 1
