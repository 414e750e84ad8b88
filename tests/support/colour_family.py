"""A whole family in one file, without weights: it finds what has the colour that a query names.

query ─ colour word ─ prompt_KC = the colour ─ decode: how near each pixel is to it
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from saymask.models.base import Answer, MaskLogits, ObjectAnswer, Options, VideoView
from saymask.models.family import Family
from saymask.records import Video
from saymask.runtime import Runtime
from saymask.video.transforms import Geometry

FAMILY = Family(
    name="colour",
    segmenter="colour_family:ColourSegmenter",
    options="colour_family:ColourOptions",
    models={"colour": "colour_family:load_colour"},
)
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColourOptions(Options):
    """It writes its answers; `tolerance` is how far a pixel may be from the colour, in levels."""

    templates = ("auto", "plain")

    answer: str = "generate"
    tolerance: float = Field(default=60, gt=0)


class ColourSegmenter:
    """Answers each colour of a query with an object, if some frame has it."""

    family = FAMILY
    name = "colour"
    weights_files: tuple[Path, ...] = ()

    def reason(self, view: VideoView, queries: Sequence[str], options: ColourOptions) -> list[Answer]:
        frames_THWC = view.frames(range(view.video.num_frames))
        return [self._answer(frames_THWC, query, options) for query in queries]

    def _answer(self, frames_THWC: np.ndarray, query: str, options: ColourOptions) -> Answer:
        objects, words = [], []
        for word, colour in COLOURS.items():
            seen_T = (_distance(frames_THWC, colour) < options.tolerance).any(axis=(1, 2))
            if word in query.split() and (seen_T.any() or options.answer == "forced"):
                prompt_1C = torch.tensor([[*colour, options.tolerance]], dtype=torch.float32)
                frames = tuple(np.flatnonzero(seen_T).tolist())
                objects.append(ObjectAnswer(word, presence=float(seen_T.mean()), prompt_KC=prompt_1C, reference_frames=frames[:1]))
                words.append(f"{word} [SEG]")
        return Answer(", ".join(words) or "nothing of that colour", tuple(objects), {"colours": len(words)})

    def encode_image(self, frames_THWC: np.ndarray) -> Tensor:
        return torch.from_numpy(frames_THWC).movedim(-1, 1).float()

    def decode(self, features_TChw: Tensor, frame_idx: Sequence[int], video: Video, answers: Sequence[Answer]) -> MaskLogits:
        prompts_NC = torch.cat([obj.prompt_KC for answer in answers for obj in answer.objects if obj.prompt_KC is not None])
        distance_TNhw = (features_TChw[:, None] - prompts_NC[None, :, :3, None, None]).norm(dim=2)
        size = (video.height, video.width)
        return MaskLogits(prompts_NC[:, 3, None, None] - distance_TNhw, Geometry(size, size, size))

    def notice(self, video: Video) -> str | None:
        return None

    def unknown_words(self, query: str) -> list[str]:
        return []


def load_colour(runtime: Runtime) -> ColourSegmenter:
    """Finds what is red, green or blue; has no weights."""
    return ColourSegmenter()


def _distance(frames_THWC: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return np.linalg.norm(frames_THWC.astype(np.float32) - np.array(colour, dtype=np.float32), axis=-1)
