"""What the schema says of answers and of bodies that are files; tests compare it with what comes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """Nothing but these fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProblemAnswer(Answer):
    """Why something cannot be done; `code` is for programs, the rest for people."""

    code: str
    message: str
    hint: str


class Health(Answer):
    status: Literal["ok"]
    version: str


class LoadedModel(Answer):
    """As they are named on the command line; None = those in the package for drawn videos, none for others."""

    id: str
    tracker: str | None
    prompter: str | None


class Models(Answer):
    models: list[LoadedModel]
    formats: list[str]


class VideoFacts(Answer):
    """`timestamps` are the times of all frames, in seconds."""

    id: str
    name: str
    width: int
    height: int
    num_frames: int
    duration: float
    timestamps: list[float]


class Created(Answer):
    id: str


class Promised(Answer):
    job_id: int


class RunLengths(Answer):
    """COCO's compressed run lengths; size is height, width."""

    size: tuple[int, int]
    counts: str


class FoundObject(Answer):
    """An object on one frame. box: x0 y0 x1 y1 in pixels, x1 and y1 exclusive; None if the mask is empty."""

    query: str
    obj_id: int
    score: float
    box: tuple[int, int, int, int] | None
    rle: RunLengths


class Frame(Answer):
    """All objects on one frame."""

    frame_idx: int
    objects: list[FoundObject]


class Placed(Frame):
    """The object that was given, and the frame's masks with it."""

    query: str
    obj_id: int


class StoredObject(Answer):
    """An object on all frames, as in a file of the format `json`."""

    obj_id: int
    phrase: str
    presence: float | None
    frame_presence: dict[str, float]
    rle_T: list[str]
    scores_T: list[float]


class StoredResult(Answer):
    query: str
    text: str
    notes: dict[str, Any]
    objects: list[StoredObject]


class GivenMask(Answer):
    """On which frame the user said where an object is."""

    query: str
    obj_id: int
    frame_idx: int


class SessionState(Answer):
    """`jobs` are those that have not ended."""

    id: str
    video: VideoFacts
    jobs: list[int]
    results: list[StoredResult]
    given: list[GivenMask]


class JobState(Answer):
    state: Literal["waiting", "done", "failed", "cancelled"]


class Cancelled(Answer):
    cancelled: int


class DroppedAnswer(Answer):
    dropped: Literal[True]


class Renamed(Answer):
    renamed: Literal[True]


class Undone(Answer):
    undone: bool


class ImageResult(Answer):
    """What was found for one query; `text` is what the model said."""

    query: str
    text: str
    objects: list[FoundObject]


class Predicted(Answer):
    width: int
    height: int
    results: list[ImageResult]


def file_body(kind: str) -> dict[str, Any]:
    """What the schema says of a request whose body is a file, for `openapi_extra`."""
    return {"requestBody": {"required": True, "content": {kind: {"schema": {"type": "string", "format": "binary"}}}}}
