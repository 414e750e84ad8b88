"""Which model for which video: what can be chosen, what is on this disk, and what `-m auto` takes. Loads neither torch nor transformers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from saymask.errors import ConfigError
from saymask.lookup import families
from saymask.models.family import Choice
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.startup.collector import collector_paused

if TYPE_CHECKING:
    from saymask.models.base import Segmenter

AUTO = "auto"
"""The name that stands for "the right one for this video"."""


def choices() -> dict[str, Choice]:
    """Everything that can be chosen, by the name that is typed."""
    return {name: choice for family in families().values() for name, choice in family.choices.items()}


def is_on_disk(choice: Choice) -> bool:
    """Whether a model can be loaded without a network; what comes with the package always can."""
    from saymask.storage.hub import HubRepo

    return not choice.how and all(HubRepo(repo_id).cached() for repo_id in choice.repos)


def drawn_for(video: Video) -> str | None:
    """The model that is made for drawn videos like this one, by the tag of its container."""
    tag = video.tags.get("comment")
    return next((name for name, choice in choices().items() if choice.drawn_tag and choice.drawn_tag == tag), None)


def choose(video: Video) -> str:
    """The model for a video: one that is made for such drawn videos, or the best one for natural video on this disk.

    Raises:
        ConfigError: there is none; lists what there is to choose from, with sizes, licences and commands.
    """
    known = choices()
    if drawn := drawn_for(video):
        return drawn
    natural = sorted((name for name, choice in known.items() if choice.preference), key=lambda name: -known[name].preference)
    found = next((name for name in natural if is_on_disk(known[name])), None)
    if found is None:
        raise ConfigError("\n".join([f"{video.name}: no model for natural video is on this disk; choose one:", *_offers(known)]))
    return found


def _offers(known: dict[str, Choice]) -> list[str]:
    """Lines about each model that is not in the package, the smallest first; then those that are."""
    remote = sorted(((name, choice) for name, choice in known.items() if choice.repos), key=lambda item: item[1].nbytes)
    remote += [(name, choice) for name, choice in known.items() if choice.how]
    commands = {name: choice.how or f"saymask fetch {name}" for name, choice in remote}
    width = max(map(len, commands.values()))
    lines = []
    for name, choice in remote:
        size = [f"{choice.nbytes / 1e9:.1f} GB"] if choice.repos else []
        facts = ", ".join([*size, f"licence: {choice.licence}", *([choice.gate] if choice.gate else [])])
        lines += [f"  {commands[name]:<{width}}  {choice.understands}", f"  {'':<{width}}  {facts}"]
    drawn = [f"-m {name} ({choice.understands})" for name, choice in known.items() if not (choice.repos or choice.how)]
    return [
        *lines,
        "after `saymask fetch` the same command works as it is; `saymask doctor` says how fast this machine is and what fits its memory",
        f"in the package: {', '.join(drawn)}",
    ]


class ModelForEach:
    """The model that a user named, or with "auto" the right one for each video; each is loaded once.

    Args:
        name: as for `load_model`, or "auto".
        runtime, vision_tower: as for `load_model`.
    """

    def __init__(self, name: str | Path, runtime: Runtime, vision_tower: Path | None = None):
        self.name = name
        self.runtime = runtime
        self.vision_tower = vision_tower
        self._loaded: dict[str | Path, Segmenter] = {}

    def for_video(self, video: Video | None) -> Segmenter:
        """The model for a video; None only where the user named a model.

        Raises:
            ConfigError: there is none (`choose`).
            UnknownName, CheckpointError: as from `load_model`.
        """
        with collector_paused():
            from saymask.models.checkpoints import load_model

        name = choose(video) if self.name == AUTO and video is not None else self.name
        if name not in self._loaded:
            self._loaded[name] = load_model(name, self.runtime, self.vision_tower)
        return self._loaded[name]
