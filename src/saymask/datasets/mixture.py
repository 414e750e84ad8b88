"""Several datasets as one stream of training samples: which one, which of its videos and which words are drawn anew for every number.

Draw i is a pure function of (seed, i): a dataset by its rate, then one of its samples, as its own `draw` chooses. So any process can make
any part of the stream, and nothing has to be remembered to go on with it.

A `MixtureConfig` names groups of datasets; a group's rate is shared equally by its datasets. Published ones stand in `recipes/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydantic import Field

from saymask.config import Config
from saymask.errors import ConfigError, DataError, SaymaskError
from saymask.lookup import resolve
from saymask.samples import Sample, SampleSet, no_objects

_STREAM = 0x6D6978
"""Keeps the numbers drawn here apart from those of whoever seeds a generator with (seed, i) as well."""
_MAX_TRIES = 100  # for a sentence of another video that does not fit


class MixtureGroup(Config):
    """Datasets that share a rate.

    Args:
        rate: how often, relative to the other groups, one of them is drawn; 0 leaves the group out.
        datasets: names of `saymask list`, each with the split behind a colon unless it is train: "mevis", "mevis:valid_u".
        absent_rate: share of their samples that ask for something which is not there; see `Mixture`.
    """

    rate: float = Field(ge=0, allow_inf_nan=False)
    datasets: tuple[str, ...] = Field(min_length=1)
    absent_rate: float = Field(default=0, ge=0, le=1)


class MixtureConfig(Config):
    """Which datasets are mixed.

    Args:
        groups: by a name of your choice.
        roots: folders of datasets, by name; a dataset that is not in it is looked for where `dataset_root` knows.
        expressions: how many expressions of a drawn video are asked at most, one after the other in a batch.
    """

    groups: dict[str, MixtureGroup]
    expressions: int = Field(default=1, ge=1)
    roots: dict[str, Path] = Field(default_factory=dict)


@dataclass(frozen=True)
class Member:
    """A dataset in a mixture.

    Args:
        name: what messages call it.
        samples: of the dataset.
        rate: how often it is drawn, relative to the other members.
        absent_rate: share of its samples that ask for something which is not there.

    Raises:
        ValueError: a rate that is none.
        ConfigError: samples of nothing that is there are wanted, but this dataset cannot say what is.
    """

    name: str
    samples: SampleSet = field(repr=False)
    rate: float
    absent_rate: float = 0

    def __post_init__(self) -> None:
        if self.rate < 0 or not 0 <= self.absent_rate <= 1:
            raise ValueError(f"{self.name}: rate {self.rate} or absent_rate {self.absent_rate} is no rate")
        if self.absent_rate and not self.samples.knows_sentences:
            raise ConfigError(f"{self.name} cannot say what is in a video, so nothing can be known to be absent; set its absent_rate to 0")


class Mixture:
    """Draws from several datasets.

    A sample of something absent (`absent_rate`) is a drawn video with the sentence of another one, no targets and empty masks. The sentence
    is refused if its words are among those the annotations have about the video. Categories are thereby known to be absent as far as the
    annotations are complete; a free sentence ("the man on the left") may still happen to fit in other words.

    Args:
        members: at least one with a rate above 0; those with rate 0 are never drawn.
        seed: another seed is another stream.
        expressions: most samples of one draw: the drawn one, and others about the same video.
    """

    def __init__(self, members: Sequence[Member], seed: int, expressions: int = 1) -> None:
        rates = np.array([member.rate for member in members], dtype=float)
        if not rates.sum() > 0:
            raise ValueError("a mixture needs a member with a rate above 0")
        self.members = tuple(members)
        self.probabilities = rates / rates.sum()
        self.seed = seed
        self.expressions = expressions

    def draw(self, index: int) -> Sample:
        """Sample `index` of the stream, from 0 and without end; errors as of `draw_video`."""
        return self.draw_video(index)[0]

    def draw_video(self, index: int) -> list[Sample]:
        """The sample of a draw, and others about the same video, without replacement.

        Raises:
            DataError: what was drawn is damaged; names the draw, the dataset and the file. Damage to masks that are read when asked for
                shows only then.
        """
        rng = np.random.default_rng([_STREAM, self.seed, index])
        member = self.members[rng.choice(len(self.members), p=self.probabilities)]
        try:
            sample = member.samples.draw(rng)
            if rng.random() < member.absent_rate:
                return [_ask_for_something_absent(sample, member, rng)]
            return [sample, *_others(sample, member.samples, self.expressions - 1, rng)]
        except SaymaskError as error:
            raise DataError(f"draw {index} of the mixture, from {member.name}: {error}") from None

    def samples(self, index: int, batch_size: int) -> list[Sample]:
        """Batch `index` of the stream: the samples of `batch_size` draws that no other batch of this size has.

        Raises:
            DataError: as `draw_video`.
        """
        return [sample for place in range(batch_size) for sample in self.draw_video(index * batch_size + place)]


def open_mixture(config: MixtureConfig, seed: int) -> Mixture:
    """Find the datasets of a mixture on this computer and read their annotations.

    Raises:
        UnknownName: no such dataset.
        ConfigError: no group has a rate above 0, `roots` names a dataset that is not mixed, or samples of absent things cannot be made.
        DataError: a dataset cannot be found or read; says how to leave it out.
    """
    groups = {name: group for name, group in config.groups.items() if group.rate > 0}
    if not groups:
        raise ConfigError("the mixture has no group with a rate above 0; give one of them a rate")
    mixed = {_dataset_and_split(dataset)[0] for group in config.groups.values() for dataset in group.datasets}
    if unused := sorted(config.roots.keys() - mixed):
        raise ConfigError(f"roots names {unused[0]!r}, which is not in the mixture ({', '.join(sorted(mixed))}); correct the name")
    members = []
    for group_name, group in groups.items():
        for dataset in group.datasets:
            name, split = _dataset_and_split(dataset)
            load = resolve(name, "dataset")
            try:
                samples = load(config.roots.get(name), split)
            except SaymaskError as error:
                raise DataError(f"{error}; or leave it out of the mixture: {_how_to_leave_out(dataset, group_name, group)}") from None
            members.append(Member(dataset, samples, group.rate / len(group.datasets), group.absent_rate))
    return Mixture(members, seed, config.expressions)


def _dataset_and_split(dataset: str) -> tuple[str, str]:
    """ "mevis:valid_u" -> ("mevis", "valid_u")."""
    name, _, split = dataset.partition(":")
    return name, split or "train"


def _how_to_leave_out(dataset: str, group_name: str, group: MixtureGroup) -> str:
    """The override that takes a dataset out of its group, or the group out of the mixture; a training run calls its mixture `data`."""
    others = ", ".join(other for other in group.datasets if other != dataset)
    return f"data.groups.{group_name}.datasets=[{others}]" if others else f"data.groups.{group_name}.rate=0"


def _others(sample: Sample, samples: SampleSet, most: int, rng: np.random.Generator) -> list[Sample]:
    """Samples with other expressions about the same video."""
    items = [item for item in samples.about(sample.video.name) if item.expression.exp_id != sample.expression.exp_id] if most else []
    return [samples.read(items[place]) for place in rng.permutation(len(items))[:most]]


def _ask_for_something_absent(sample: Sample, member: Member, rng: np.random.Generator) -> Sample:
    """The video of a sample with the sentence of another one of the dataset."""
    present = {_words(text) for text in member.samples.sentences(sample.video.name)}
    for _ in range(_MAX_TRIES):
        other = member.samples.any_expression(rng)
        if other.obj_ids and _words(other.text) not in present:
            return Sample(sample.video, replace(other, obj_ids=(), answer=None), no_objects(sample.video))
    raise DataError(f"every sentence may be true of {sample.video.name}, so none can be asked of it in vain; set absent_rate to 0")


def _words(text: str) -> tuple[str, ...]:
    """A sentence without its case, its spaces and a leading article."""
    words = text.lower().split()
    return tuple(words[1:] if words[:1] in (["the"], ["a"], ["an"]) else words)
