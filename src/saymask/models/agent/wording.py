"""What the vision-language model is asked, and the strict JSON it must answer with."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from saymask.models.agent.coordinates import answers_in_pixels


class Target(BaseModel):
    """Something that the query names: words a detector knows, and perhaps where it is on one of the frames shown."""

    model_config = ConfigDict(extra="ignore")

    phrase: str = Field(min_length=1, max_length=200)
    frame: int | None = None
    box: list[float] | None = None


class Proposal(BaseModel):
    """What the query means in this video."""

    model_config = ConfigDict(extra="ignore")

    absent: bool = False
    targets: list[Target] = Field(default_factory=list, max_length=8)


class Verdict(BaseModel):
    """Whether one numbered candidate is what the query names."""

    model_config = ConfigDict(extra="ignore")

    number: int
    verdict: Literal["accept", "reject", "unsure"]
    probability: float = Field(default=0.5, ge=0, le=1)


class Verdicts(BaseModel):
    model_config = ConfigDict(extra="ignore")

    verdicts: list[Verdict]


Parsed = TypeVar("Parsed", bound=BaseModel)


def propose_prompt(query: str, times: Sequence[float], model: str) -> str:
    """Asks what the query means; the frames follow in the order of `times`, in seconds."""
    unit = "pixels of the image" if answers_in_pixels(model) else "0 to 1000 from the left and the top"
    shown = ", ".join(f"frame {number} at {seconds:.1f} s" for number, seconds in enumerate(times, start=1))
    return (
        f"These are frames of one video: {shown}.\n"
        f"Query: {json.dumps(query, ensure_ascii=False)}\n"
        "Which objects does the query name? Reason about the whole video, then answer with JSON alone:\n"
        '{"absent": false, "targets": [{"phrase": "a short noun phrase", "frame": 1, "box": [x0, y0, x1, y1]}]}\n'
        "phrase: what the object looks like, without relations or negation, for a detector that knows nouns, colours and kinds. "
        f"frame, box: where one of them is clearly seen; the box in {unit}; leave both out if you are not sure. "
        'If nothing in the video is what the query names, answer {"absent": true, "targets": []}.'
    )


def verify_prompt(query: str, numbers: Sequence[int]) -> str:
    """Asks about numbered candidates on a contact sheet."""
    return (
        f"Query: {json.dumps(query, ensure_ascii=False)}\n"
        f"The image shows frames of one video. Candidates are outlined and numbered: {', '.join(map(str, numbers))}.\n"
        "For each candidate: is it what the query names? Answer with JSON alone:\n"
        '{"verdicts": [{"number": 1, "verdict": "accept", "probability": 0.9}]}\n'
        "verdict: accept, reject, or unsure if other frames could tell. probability: 0 to 1, that it is what the query names."
    )


def repair_prompt(prompt: str, problem: str) -> str:
    """The same question, after an answer that could not be read."""
    return f"{prompt}\nYour last answer could not be read ({problem}). Answer again, with the JSON object alone."


def parse(text: str, kind: type[Parsed]) -> Parsed:
    """The JSON object in an answer, with or without words or a code fence around it.

    Raises:
        ValueError: there is none, or it is not of that kind; says why in a few words.
    """
    found = re.search(r"\{.*\}", text, flags=re.DOTALL)
    if not found:
        raise ValueError("no JSON object")
    try:
        return kind.model_validate(json.loads(found.group()))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except (ValueError, RecursionError):
        raise ValueError("the JSON is malformed") from None


def plain_phrase(phrase: str) -> str:
    """A phrase as a detector takes it: no signs that separate phrases or make it a question."""
    return " ".join(re.sub(r"[^\w\s'-]", " ", phrase).split())
