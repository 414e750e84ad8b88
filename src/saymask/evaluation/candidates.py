"""Who is evaluated: a model, perhaps with a tracker, or a predictor that needs none; and what tells one from another later.

A model is asked all questions about a video at once. On exams whose things are all outlined it also answers another video's questions,
in the same session: what is left of its score then does not come from following the sentence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from saymask.errors import ConfigError, DataError, SaymaskError
from saymask.evaluation.exam import Exam
from saymask.evaluation.predictors import WITHOUT_MODEL, Predictor
from saymask.records import Prediction, QueryResult, Video
from saymask.runtime import INT8, dtype_name
from saymask.samples import Expression, Sample

if TYPE_CHECKING:
    from saymask.models.base import Segmenter
    from saymask.trackers.base import Tracker

OWN, SWAPPED = "predictions", "swapped"
"""Sets of answers, by the folder they are kept in: to the samples' own questions, and to other videos' questions."""

Reply = QueryResult | SaymaskError


@dataclass(frozen=True)
class Candidate:
    """Somebody who can take an exam.

    Args:
        predictor: "session" for a model, otherwise a name of `WITHOUT_MODEL`.
        model: its name in reports.
        predictors: exam -> set of answers -> who gives them.
        tracker, every, answer, template, min_presence: of a model.
        dtype: the precision a model computes in; None = that of the files of a family without a network of ours.
        files: which decide what it predicts.
    """

    predictor: str
    model: str
    predictors: Callable[[Exam], dict[str, Predictor]] = field(repr=False)
    tracker: str | None = None
    answer: str | None = None
    template: str | None = None
    min_presence: float | None = None
    dtype: str | None = None
    every: int | None = None
    files: tuple[Path, ...] = ()

    def fingerprints(self) -> dict[str, str]:
        """SHA-256 of each file, by its name and its folder's; by more of its path where two would be called the same."""
        fingerprints: dict[str, str] = {}
        for file in dict.fromkeys(path.absolute() for path in self.files):
            names = ("/".join(file.parts[-depth:]) for depth in range(2, len(file.parts) + 1))
            fingerprints[next(name for name in names if name not in fingerprints)] = _sha256(file)
        return fingerprints


def without_model(name: str) -> Candidate:
    """The candidate of one of the predictors of `WITHOUT_MODEL`."""
    return Candidate(name, name, lambda exam: {OWN: WITHOUT_MODEL[name]})


def with_model(
    segmenter: Segmenter,
    tracker: Tracker | None = None,
    options: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    every: int | None = None,
) -> Candidate:
    """The candidate that asks a model.

    Args:
        segmenter, tracker, every: as for `VideoSession`.
        options: as for its `segment`; what is left out is the family's default.
        dtype: what the user asked for.

    Raises:
        ConfigError: an option that the family does not know.
    """
    asked = segmenter.family.load("options").parse(options or {}, f"options of {segmenter.name}")
    weights = [*segmenter.weights_files, *(tracker.weights_files if tracker else ())]
    configs = [folder / "config.json" for folder in dict.fromkeys(file.parent for file in weights)]

    def predictors(exam: Exam) -> dict[str, Predictor]:
        swapped = swapped_questions(exam) if exam.samples.benchmark.outlines_everything else {}
        questions = {
            name: [exam.item(i).expression.text for i in indices] + [swapped[exam.name(i)] for i in indices if swapped]
            for name, indices in exam.videos.items()
        }
        asker = VideoAsker(segmenter, questions, tracker, options, every)
        answers: dict[str, Predictor] = {OWN: lambda sample: asker(sample, sample.expression.text)}
        if swapped:
            answers[SWAPPED] = lambda sample: asker(sample, swapped[sample.name])
        return answers

    files = (*weights, *(config for config in configs if config.exists()))
    if segmenter.family.model and dtype != INT8:
        dtype = dtype_name(cast(Any, segmenter).model.dtype)
    tracker_name = tracker.name if tracker else segmenter.family.default_tracker
    wording = (asked.answer, asked.template, asked.min_presence)
    return Candidate("session", segmenter.name, predictors, tracker_name, *wording, dtype, every, files)


def own_answers(exam: Exam, segmenter: Segmenter) -> Predictor:
    """A model asked the exam's own questions and no others, with its family's defaults: what choosing between models needs."""
    questions = {name: [exam.item(i).expression.text for i in indices] for name, indices in exam.videos.items()}
    asker = VideoAsker(segmenter, questions)
    return lambda sample: asker(sample, sample.expression.text)


class VideoAsker:
    """Asks a model all questions about a video the first time one of them comes up, and keeps the answers until the next video.

    Always all: the same questions together give the same answers, also where a stopped evaluation goes on in the middle of a video.

    Args:
        segmenter: the model.
        questions: by video name.
        tracker, options, every: as in `with_model`.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        questions: Mapping[str, Sequence[str]],
        tracker: Tracker | None = None,
        options: Mapping[str, Any] | None = None,
        every: int | None = None,
    ) -> None:
        self.segmenter = segmenter
        self.questions = questions
        self.tracker = tracker
        self.options = options or {}
        self.every = every
        self._asked: str | None = None
        self._replies: dict[str, Reply] = {}

    def __call__(self, sample: Sample, text: str) -> Prediction:
        """The answer to one of the questions about the sample's video.

        Raises:
            SaymaskError: it could not be answered.
        """
        if self._asked != sample.video.name:
            self._replies = {}  # given back before the next ones need room
            self._replies = self._ask(sample.video, list(dict.fromkeys(self.questions[sample.video.name])))
            self._asked = sample.video.name
        reply = self._replies[text]
        if isinstance(reply, SaymaskError):
            raise reply
        return Prediction(sample.video, (reply,))

    def _ask(self, video: Video, texts: list[str]) -> dict[str, Reply]:
        """Every question with its answer, or with the reason why there is none."""
        # Here and not above: whoever only scores needs no library that reads videos.
        from torch import OutOfMemoryError

        from saymask.session import VideoSession

        with closing(VideoSession(video, self.segmenter, self.tracker, every=self.every)) as session:
            try:
                return dict(zip(texts, session.segment(texts, **self.options).results, strict=True))
            except ConfigError as error:  # one of the questions cannot be asked; the others need not suffer
                if len(texts) == 1:
                    return {texts[0]: error}
            except SaymaskError as error:
                return dict.fromkeys(texts, error)
            except OutOfMemoryError:
                trouble = SaymaskError(f"{video.name}: {video.num_frames} frames did not fit into the device's memory; use a larger device")
                return dict.fromkeys(texts, trouble)
        return {text: reply for text in texts for reply in self._ask(video, [text]).values()}


def swapped_questions(exam: Exam) -> dict[str, str]:
    """Pick another sample's question for each sample of an exam, by sample name.

    It is the next question of the same group (of the toy world: family) that is worded differently, counting round the end of the split;
    where the group has none, the next one of any group. So it does not depend on the exam's limit.

    Raises:
        DataError: all questions are the same.
    """
    total, groups = len(exam.samples), exam.samples.benchmark.groups
    swapped = {}
    for index in range(len(exam)):
        own = exam.item(index).expression
        others = (exam.item((index + step) % total).expression for step in range(1, total))
        text = _first_different(own, others, groups)
        if text is None:
            raise DataError(f"no question to swap {own.text!r} with: all {total} samples ask it")
        swapped[exam.name(index)] = text
    return swapped


def _first_different(own: Expression, others: Iterable[Expression], groups: Sequence[str]) -> str | None:
    """The first other wording with the same value of all tags in `groups`, else the first of any group, else None."""
    of_any_group = None
    for other in others:
        if other.text == own.text:
            continue
        if all(other.tags[tag] == own.tags[tag] for tag in groups):
            return other.text
        of_any_group = of_any_group or other.text
    return of_any_group


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
