"""From "http://HOST/v1#NAME" or a repository to a loaded agent."""

from __future__ import annotations

from urllib.parse import urlsplit

from saymask.errors import ConfigError
from saymask.models.agent.local import load_local
from saymask.models.agent.segmenter import AgentSegmenter
from saymask.models.agent.server import ServerModel
from saymask.models.agent.vision_model import VisionModel
from saymask.models.checkpoints import load_model
from saymask.runtime import Runtime

DEFAULT_SEGMENTER = "grounded"
HOW = "give agent:http://HOST/v1#NAME or agent:OWNER/NAME, perhaps followed by a comma and the model that segments"


def load_agent(spec: str, runtime: Runtime) -> AgentSegmenter:
    """What `-m agent:VISION_MODEL[,SEGMENTER]` names; without SEGMENTER the candidates come from `grounded`.

    Args:
        spec: VISION_MODEL is an OpenAI-compatible address with the model's name behind "#", a folder or a repository of the hub.
        runtime: for what is computed here.

    Raises:
        ConfigError: an incomplete address, or a segmenter that does not track for itself.
        CheckpointError: weights that cannot be had or do not fit.
    """
    vision, _, segmenter = spec.partition(",")
    model = _vision_model(vision, runtime)
    inner = load_model(segmenter or DEFAULT_SEGMENTER, runtime)
    if inner.family.model:
        raise ConfigError(f"-m agent: {inner.name} gives no tracks of its own that could be verified; leave it out or name another")
    return AgentSegmenter(model, inner, f"agent:{spec}")


def _vision_model(text: str, runtime: Runtime) -> VisionModel:
    if "://" not in text:
        if not text:
            raise ConfigError(f"-m agent: names no vision-language model; {HOW}")
        return load_local(text, runtime)
    address, _, name = text.partition("#")
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or not name:
        raise ConfigError(f"-m agent:{text}: no complete address; {HOW}")
    if parts.username or parts.password or parts.query:
        raise ConfigError("-m agent: the address holds a key or password, which would stand in reports; set SAYMASK_AGENT_KEY instead")
    return ServerModel(address, name)
