"""What requests hold: checked before anything else sees it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from saymask.session.live_query import DRAWN

Text = Annotated[str, Field(min_length=1, max_length=500)]
FrameIdx = Annotated[int, Field(ge=0)]
ObjId = Annotated[int, Field(ge=1)]
JobId = Annotated[int, Path(ge=1, le=2**63 - 1)]


class Body(BaseModel):
    """Fields that nobody knows are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class VideoPath(Body):
    """A video under the server's root."""

    path: Annotated[str, Field(min_length=1, max_length=1000)]


class NewSession(Body):
    video_id: str


class NewQuery(Body):
    """What to find.

    Args:
        answer: as on the command line; the model's default if it is left out.
        window: first and last frame that are asked about, to try a sentence; the whole video if it is left out.
        again: a query that is there already gives way to what is found now.
    """

    query: Text
    answer: Literal["forced", "generate"] | None = None
    window: tuple[FrameIdx, FrameIdx] | None = None
    again: bool = False


class Propagation(Body):
    """Carry what was given on a frame, so many frames in each direction; to the video's ends if it is left out."""

    frame_idx: FrameIdx
    direction: Literal["forwards", "backwards", "both"] = "both"
    num_frames: Annotated[int, Field(ge=1)] | None = None


class Place(Body):
    """An object on a frame; without `obj_id` a new one of the query."""

    frame_idx: FrameIdx
    query: Text = DRAWN
    obj_id: ObjId | None = None


class NewClick(Place):
    """A point in pixels of the video that is in the object or, with `adds` false, outside it."""

    x: float
    y: float
    adds: bool = True


class NewBox(Place):
    """x0 y0 x1 y1 in pixels of the video, x1 and y1 exclusive."""

    box: tuple[float, float, float, float]


class CocoRle(Body):
    """COCO's run lengths, compressed or as a list."""

    size: tuple[int, int]
    counts: str | list[int]


class NewMask(Place):
    """The object's whole mask on the frame."""

    rle: CocoRle


class NewName(Body):
    """What an object is called; an empty phrase = by its query."""

    query: Text
    obj_id: ObjId
    phrase: Annotated[str, Field(max_length=200)]


class Dropped(Body):
    """An object, or without `obj_id` a query with all its objects."""

    query: Text
    obj_id: ObjId | None = None
