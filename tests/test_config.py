"""Configurations: checked overrides, exact messages, files that give back what was saved."""

import os
import re

import pytest
from pydantic import Field

from saymask.config import Config
from saymask.errors import ConfigError


class Optim(Config):
    lr: float = Field(1e-3, gt=0)
    warmup_steps: int = 100


class Run(Config):
    optim: Optim = Optim()
    mix: dict[str, float] = Field(default_factory=dict)
    frames: tuple[int, ...] = (4, 2)
    name: str = "run"
    compile: bool = False


def test_override_reads_values_as_yaml_and_leaves_the_original_alone():
    run = Run()
    changed = run.override(["optim.lr=1e-4", "optim.warmup_steps=7", "frames=[8, 4]", "compile=true", "name=a=b", "mix={motion: 2}"])
    assert changed == Run(optim=Optim(lr=0.0001, warmup_steps=7), frames=(8, 4), compile=True, name="a=b", mix={"motion": 2.0})
    assert run == Run()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("optim.lr", "override 'optim.lr' is not of the form key=value"),
        ("optim.Ir=1", "unknown key 'optim.Ir'; did you mean 'optim.lr'?"),
        ("opitm.lr=1", "unknown key 'opitm.lr'; did you mean 'optim.lr'?"),
        ("name.first=1", "unknown key 'name.first'; did you mean 'name'?"),
        ("optim.lr=[1", "override 'optim.lr=[1': not valid YAML or JSON (expected ',' or ']', but got '<stream end>')"),
        ("optim.lr=-1", "overrides: optim.lr = -1: input should be greater than 0"),
        (
            "optim.warmup_steps=many",
            "overrides: optim.warmup_steps = 'many': input should be a valid integer, unable to parse string as an integer",
        ),
        ("compile=perhaps", "overrides: compile = 'perhaps': input should be a valid boolean, unable to interpret input"),
    ],
)
def test_a_wrong_override_is_named(assignment, message):
    with pytest.raises(ConfigError) as caught:
        Run().override([assignment])
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000, "\ud800"], ids=["digits", "depth", "surrogate"])
def test_what_yaml_cannot_read_is_named(text):
    with pytest.raises(ConfigError, match=r"^override 'optim.lr=.*not valid YAML or JSON"):
        Run().override([f"optim.lr={text}"])


def test_a_configuration_is_a_regular_file_of_text(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe{}")
    for name in ("pipe.json", "binary.json", "."):
        with pytest.raises(ConfigError, match=f"^{re.escape(str(tmp_path / name))}: "):
            Run.load(tmp_path / name)


def test_an_unknown_key_is_an_error_and_a_config_cannot_be_changed():
    with pytest.raises(ConfigError, match=r"^file: unknown key 'speed'; "):
        Run.parse({"speed": 3}, "file")
    with pytest.raises(ValueError, match="frozen"):
        Run().name = "other"


def test_json_and_yaml_give_back_an_equal_configuration(tmp_path):
    run = Run(optim=Optim(lr=0.5), mix={"event": 0.25}, frames=(1,))
    run.save(tmp_path / "run.json")
    assert Run.load(tmp_path / "run.json") == run
    (tmp_path / "run.yaml").write_text("optim: {lr: 0.5}\nmix: {event: 0.25}\nframes: [1]\n")
    assert Run.load(tmp_path / "run.yaml") == run
