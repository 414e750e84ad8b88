"""What a method family is, said once: a folder in `models/` whose `__init__` holds a `FAMILY`, and one line in `lookup.FAMILIES`.

Everything outside that folder asks the descriptor. Names of classes are "module:attribute" strings, so that `saymask list` and
`saymask --help` can read it without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from saymask.startup.collector import collector_paused


@dataclass(frozen=True)
class Choice:
    """What one has to know of a model to choose it.

    Args:
        understands: what can be asked, with an example.
        licence: of its weights.
        repos: repositories of the hub that it is read from -> bytes to download; empty for a model in the package.
        parameters: how many numbers its weights are.
        preference: the largest one on this disk is what `-m auto` takes for natural video; 0 = never.
        drawn_tag: the container tag ("comment") of the drawn videos that it is made for.
        gate: what has to be done before the hub hands it out; empty = nothing.
        how: what to type, of a choice that is not fetched by its name.
    """

    understands: str
    licence: str
    repos: Mapping[str, int] = field(default_factory=dict)
    parameters: int = 0
    preference: int = 0
    drawn_tag: str = ""
    gate: str = ""
    how: str = ""

    @property
    def nbytes(self) -> int:
        """What has to be downloaded."""
        return sum(self.repos.values())


@dataclass(frozen=True)
class Family:
    """One method family.

    Args:
        name: its key in `lookup.FAMILIES`, and its word in messages.
        segmenter: the class that fulfils `Segmenter`; for a network, `segmenter(model, processor, name, weights_files)`.
        options: a subclass of `base.Options`: how the family can be asked, with its defaults.
        models: names a user can type -> "module:function", a function of the `Runtime` that loads that model.
        model_type: what `config.json` says in our own layout; empty for a family that has none.
        config, model, processor: the network's classes, of a family that has our layout.
        open_spec: "module:function" for names "<family>:SPEC", whose parts a user chooses: a function of SPEC and the `Runtime`.
        choices: name of a model -> what one has to know to choose it (`saymask list`, `-m auto`, `saymask fetch`).
        release: "module:attribute" of the `base.Release` that reads the layout its authors published, if there is one.
        start_point: "module:function" that puts published parts together as an untrained model (`saymask convert --mask-model`).
        default_tracker: the tracker used where the user names none; None = the family segments every frame itself.
        train_parts: what fine-tuning may train as a whole -> where it lies in the model.
        language_model: where the causal language model lies in the model: for LoRA, device maps and quantisation.
        int8_parts: what keeps its weights as 8-bit integers with `--dtype int8`: the language model's layers and the encoders.
        workload: "module:function" with what a call asks of the network, a `workload.Workload`, of the configuration, the number of frames,
            the queries, "forced" or "generate", and a function that counts a text's tokens (`saymask plan`).
        known_configs: name of a model -> "module:function" with its published configuration, of those that have to be downloaded.
        naive: "module:function" with the structure of the authors' script, which `saymask bench` measures beside a session.
    """

    name: str
    segmenter: str
    options: str
    models: Mapping[str, str] = field(default_factory=dict)
    model_type: str = ""
    config: str = ""
    model: str = ""
    processor: str = ""
    open_spec: str = ""
    choices: Mapping[str, Choice] = field(default_factory=dict)
    release: str = ""
    start_point: str = ""
    default_tracker: str | None = None
    train_parts: Mapping[str, str] = field(default_factory=dict)
    language_model: str = "language_model"
    int8_parts: tuple[str, ...] = ("language_model.model", "visual", "mask_head.sam.vision_encoder")
    workload: str = ""
    known_configs: Mapping[str, str] = field(default_factory=dict)
    naive: str = ""

    def load(self, part: str) -> Any:
        """Import one of the parts that are named by "module:attribute": `family.load("processor")`.

        Raises:
            ValueError: the family has no such part; callers ask for optional ones only where they are named.
        """
        target = getattr(self, part)
        if not target:
            raise ValueError(f"family {self.name!r} has no {part}")
        return _imported(target)

    def known_config(self, name: str) -> Any:
        """The configuration of a model of `known_configs`."""
        return _imported(self.known_configs[name])()

    @property
    def templates(self) -> tuple[str, ...]:
        """Ways to word a query that the family knows."""
        return self.load("options").templates

    @property
    def default_answer(self) -> str:
        """ "forced" or "generate": what it does where the user does not say."""
        return self.load("options").model_fields["answer"].default


def _imported(target: str) -> Any:
    """What "module:attribute" names."""
    module, attribute = target.split(":")
    with collector_paused():
        return getattr(import_module(module), attribute)
