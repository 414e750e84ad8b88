"""How VISA is asked: how the target frame is chosen, what is seen beside it, and how a query is worded."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from saymask.lookup import suggest
from saymask.models.base import Options
from saymask.models.visa.context import CONTEXT_POLICIES
from saymask.models.visa.prompts import TEMPLATES
from saymask.models.visa.votes import NUM_VOTES, VOTE_TEMPERATURE, VOTE_TOP_P


class VisaOptions(Options):
    """The model writes its answer by default, and may refuse.

    Args:
        scorer: who chooses the target frame: "votes" of a video language model, "similarity" of a dual encoder's image and text
            embeddings, the "first" or "middle" frame, or the "oracle", which is told (`target_frame`).
        target_frame: the oracle's.
        num_votes, temperature, top_p, seed: of the votes; equal seeds give equal votes of the model itself.
        vote_choice: "mode" takes the mark with the most votes, and the second one where the target's mask is empty; "released" averages as
            the authors' code does.
        votes_url, votes_model: address of an OpenAI-compatible service (".../v1") that votes instead of the model itself, and the model's
            name there. The key is read from the environment (SAYMASK_VOTES_KEY or OPENAI_API_KEY) alone.
        similarity_model: folder or hub name of the dual encoder, CLIP or SigLIP.
        context: where context frames lie; None = as the model's configuration says. `strided` is the released code's.
        num_context: how many; None = as many as the model's configuration says.
    """

    templates: ClassVar[tuple[str, ...]] = TEMPLATES

    answer: Literal["forced", "generate"] = "generate"
    scorer: Literal["votes", "similarity", "first", "middle", "oracle"] = "votes"
    target_frame: int | None = Field(default=None, ge=0)
    num_votes: int = Field(default=NUM_VOTES, ge=1)
    temperature: float = Field(default=VOTE_TEMPERATURE, gt=0)
    top_p: float = Field(default=VOTE_TOP_P, gt=0, le=1)
    seed: int = Field(default=0, ge=0)
    vote_choice: Literal["mode", "released"] = "mode"
    votes_url: str | None = None
    votes_model: str | None = None
    similarity_model: str = "openai/clip-vit-base-patch32"
    context: str | None = None
    num_context: int | None = Field(default=None, ge=0)

    @field_validator("context")
    @classmethod
    def _context_is_known(cls, context: str | None) -> str | None:
        if context is not None and context not in CONTEXT_POLICIES:
            raise ValueError(f"unknown context; {suggest(context, CONTEXT_POLICIES)}")
        return context

    @model_validator(mode="after")
    def _options_go_together(self) -> Self:
        if (self.scorer == "oracle") != (self.target_frame is not None):
            raise ValueError("scorer=oracle and target_frame go together: give both or neither")
        if (self.votes_url is None) != (self.votes_model is None):
            raise ValueError("votes_url and votes_model go together: give both or neither")
        if self.votes_url is not None and not self.votes_url.startswith(("http://", "https://")):
            raise ValueError(f"votes_url = {self.votes_url}: give an http or https address, such as https://host/v1")
        return self
