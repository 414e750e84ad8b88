"""One video after another by a model that is loaded once: what `saymask segment` and every worker of `saymask batch` do per video.

    source ─ open ─ the model for it ─ its options ─ VideoSession ─ Prediction

An error the user can mend, and a bug that one video brings to light, cost that video its masks and no other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saymask.errors import SaymaskError, VideoError
from saymask.models import choice
from saymask.storage.drafts import published
from saymask.trackers.references import MIN_STABILITY
from saymask.video.limits import ReadLimits

if TYPE_CHECKING:
    from saymask.exports.feed import Feed
    from saymask.models.base import Segmenter
    from saymask.records import Prediction, Video
    from saymask.trackers.base import Tracker

Watch = Callable[[str], AbstractContextManager[Callable[[int, int], None] | None]]
"""Name of a video -> what follows its progress while it is segmented."""


@dataclass(frozen=True)
class Wording:
    """How queries are asked, as the options of these names and `--set` say; what is None or absent is left to the model's family."""

    template: str | None = None
    answer: str | None = None
    min_presence: float | None = None
    settings: tuple[str, ...] = ()

    def options(self, segmenter: Segmenter, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Options for `VideoSession.segment`, checked by the model's family; `more` is of one video and comes last.

        Raises:
            ConfigError: a template or an option that the family does not have, or a value that it does not take.
        """
        family_options = segmenter.family.load("options")
        where = f"options of {segmenter.name}"
        named = {"template": self.template, "answer": self.answer, "min_presence": self.min_presence}
        given = {name: value for name, value in named.items() if value is not None}
        changed = family_options.parse(given, where).override(self.settings)
        of_all = changed.model_dump(exclude_defaults=True)
        return family_options.parse({**of_all, **more}, where).model_dump(exclude_defaults=True) if more else of_all


@dataclass
class VideoAsker:
    """Asks about videos, one at a time.

    Args:
        models: the model that the user named, or the right one for each video.
        tracker: None for the masks of the model or its family's default tracker.
        wording: how queries are asked.
        tell: called with what the user should know of a video, a model or a query; of models and queries once.
        min_stability, every: as of `VideoSession`.
        limits: larger videos are refused.
        pace: how a video is gone through, `causal` and `ask_every` of `VideoSession.segment`.
        begin: called with the model before it segments a video.
    """

    models: choice.ModelForEach
    tracker: Tracker | None = None
    wording: Wording = Wording()
    tell: Callable[[str], None] = lambda text: None
    min_stability: float = MIN_STABILITY
    every: int | None = None
    limits: ReadLimits = field(default_factory=ReadLimits)
    pace: Mapping[str, Any] = field(default_factory=dict)
    begin: Callable[[Segmenter], None] = lambda segmenter: None
    _told: set[str] = field(default_factory=set, repr=False)

    def prepare(self) -> None:
        """Load the model and check the wording and `every`, where they are known before a video is opened.

        Raises:
            UnknownName, CheckpointError, ConfigError: the model or an option cannot be used, whatever the video.
        """
        if self.models.name == choice.AUTO:
            return
        segmenter = self.models.for_video(None)
        self.wording.options(segmenter)
        if self.every is not None:
            from saymask.session.asking import require_masks_of_any_frame

            require_masks_of_any_frame(segmenter, self.every)

    def ask(
        self,
        source: Path,
        queries: Sequence[str],
        feed: Feed,
        more: Mapping[str, Any] | None = None,
        watch: Watch = lambda name: nullcontext(),
    ) -> Prediction:
        """Segment what the queries name.

        Args:
            source: a video, an image or a folder of frames.
            queries: all are served by one pass over the video.
            feed: writes what can be written while the masks are found; the rest is left to its `finish`.
            more: options for this video alone.
            watch: follows the progress.

        Raises:
            SaymaskError: what is wrong with the source, the model, the options or the disk.
        """
        # Here and not above: a command that is refused at once needs no torch.
        from saymask.session import VideoSession
        from saymask.video.reader import open_source

        with disk_trouble_named(source):
            video = open_source(source, self.limits)
        for remark in video.remarks:
            self.tell(f"{source}: {remark}")
        segmenter, options = self.introduce(video, queries, more)
        self.begin(segmenter)
        with disk_trouble_named(source), watch(video.name) as progress:
            runtime = self.models.runtime
            how = {"min_stability": self.min_stability, "every": self.every}
            watched = video if self.pace else feed.watched(video)  # causally, nothing is written before the end
            with VideoSession(watched, segmenter, self.tracker, runtime=runtime, **how) as session:
                prediction = session.segment(queries, progress=progress, each=feed.add, **options, **self.pace)
            return replace(prediction, video=video)

    def introduce(self, video: Video, queries: Sequence[str], more: Mapping[str, Any] | None = None) -> tuple[Segmenter, dict[str, Any]]:
        """The model for a video and its options; what the user should know of both is told.

        Raises:
            UnknownName, CheckpointError, ConfigError: the model or an option cannot be used.
        """
        segmenter = self.models.for_video(video)
        options = self.wording.options(segmenter, more)
        if self.models.name == choice.AUTO and not choice.drawn_for(video):
            self._tell_once(f"model {segmenter.name} (chosen for this video; name another with -m)")
        self._tell_once(_unknown_words(segmenter, queries))
        for part in (segmenter, self.tracker):
            self._tell_once(part.notice(video) if part else None)
        return segmenter, options

    def _tell_once(self, notice: str | None) -> None:
        if notice and notice not in self._told:
            self._told.add(notice)
            self.tell(notice)


@contextmanager
def disk_trouble_named(source: Path) -> Iterator[None]:
    """Turn what the disk refuses while a source is worked on into an error about that source, so that the others can go on.

    Raises:
        VideoError: with the file that the system names and its reason.
    """
    try:
        yield
    except BrokenPipeError:
        raise  # nobody reads the terminal any more: that concerns all sources
    except OSError as error:
        where = f"{published(Path(os.fsdecode(error.filename)))}: " if error.filename else ""
        reason = error.strerror or str(error)
        raise VideoError(
            f"{source}: stopped ({where}{reason}); check that it can be read and that the output folder can be written"
        ) from error


def why_failed(error: Exception, source: Path | str) -> str:
    """The line about a source that could not be done, of an error of the user or of a bug."""
    return str(error) if isinstance(error, SaymaskError) else f"{source}: unexpected {error!r}; please report this"


def _unknown_words(segmenter: Segmenter, queries: Sequence[str]) -> str | None:
    """A warning that names the words that the model has never seen."""
    words = dict.fromkeys(word for query in queries for word in segmenter.unknown_words(query))
    return f"warning: {segmenter.name} was never trained on: {', '.join(words)}" if words else None
