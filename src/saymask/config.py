"""Configurations: frozen pydantic models, read from JSON or YAML, changed by checked `a.b=value` overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from saymask.errors import ConfigError
from saymask.lookup import suggest

_MAX_BYTES = 2**24


class Config(BaseModel):
    """Base of every configuration: immutable, and an unknown key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, values: Mapping[str, Any], source: str = "configuration") -> Self:
        """Validate plain values.

        Raises:
            ConfigError: names the key by its dotted path, the value given, and what is allowed.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
                key = str(first["loc"][0])
                raise ConfigError(f"{source}: unknown key {key!r}; {suggest(key, list(cls.model_fields))}") from None
            path, value = ".".join(map(str, first["loc"])), first["input"]
            # What is wrong with several keys together belongs to no value; the message names them.
            place = [path] * bool(path) if isinstance(value, Mapping | BaseModel) else [f"{path} = {value!r}"]
            raise ConfigError(": ".join([source, *place, first["msg"].lower()])) from None

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a JSON or YAML file (JSON is YAML).

        Raises:
            ConfigError: the file cannot be parsed, or holds something else than this configuration.
        """
        path = Path(path)
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{path}: no regular file of at most {_MAX_BYTES:,} bytes; give a configuration in JSON or YAML")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: not a text in UTF-8; give a configuration in JSON or YAML") from None
        values = _read_yaml(text, str(path))
        if not isinstance(values, dict):
            raise ConfigError(f"{path}: expected keys and values, found {type(values).__name__}")
        return cls.parse(values, str(path))

    def save(self, path: Path | str) -> None:
        """Write as JSON; `load` gives back an equal configuration."""
        Path(path).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

    def override(self, assignments: Sequence[str]) -> Self:
        """Return a copy changed by `a.b=value` strings; values are read as YAML (3, 1e-4, true, [a, b]).

        Raises:
            ConfigError: no `=`, an unknown key (with the closest one), or a value of the wrong type.
        """
        values = self.model_dump()
        for assignment in assignments:
            path, equals, text = assignment.partition("=")
            if not equals:
                raise ConfigError(f"override {assignment!r} is not of the form key=value")
            *parents, key = path.split(".")
            section: Any = values
            for parent in parents:
                section = section.get(parent) if isinstance(section, dict) else None
            if not isinstance(section, dict) or key not in section:
                raise ConfigError(f"unknown key {path!r}; {suggest(path, _leaves(self.model_dump()))}")
            section[key] = _number(_read_yaml(text, f"override {assignment!r}"))
        return type(self).parse(values, "overrides")


def _read_yaml(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: more digits than Python reads
        problem = getattr(error, "problem", None) or str(error).partition(";")[0] or "not readable"
        raise ConfigError(f"{source}: not valid YAML or JSON ({problem})") from None


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 (no dot) as text; take it as the number that was meant."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _leaves(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted paths of all settable keys."""
    paths: list[str] = []
    for key, value in values.items():
        path = f"{prefix}{key}"
        paths += _leaves(value, f"{path}.") if isinstance(value, dict) and value else [path]
    return paths
