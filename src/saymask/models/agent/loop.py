"""The loop: propose, find candidates, verify, look again at what is unsure, within a budget. Bad text of a model never ends it.

frames + query ─ ask ─ {absent, targets} ─ candidates ─┬─ ask about a contact sheet ─ accept / reject / unsure ─┬─ the accepted
                                                       └──────────── other frames of the unsure ◄───────────────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from saymask.errors import ServiceError
from saymask.models.agent.calls import BudgetSpent, Calls
from saymask.models.agent.candidates import Candidate, find_candidates
from saymask.models.agent.options import AgentOptions
from saymask.models.agent.sheets import contact_sheet, frame_image
from saymask.models.agent.trace import trace_files
from saymask.models.agent.vision_model import VisionModel
from saymask.models.agent.wording import Proposal, Target, Verdicts, propose_prompt, verify_prompt
from saymask.models.base import Answer, ObjectAnswer, Segmenter, VideoView
from saymask.video.sampling import uniform

SHEET_FRAMES = 4
ABSENT = "not in this video"


def answer(view: VideoView, query: str, number: int, model: VisionModel, segmenter: Segmenter, options: AgentOptions) -> Answer:
    """Answer one query; `number` is its place, from 1, for the names of its trace.

    Raises:
        ServiceError: the vision-language model cannot be reached for its first answer.
        ConfigError: options that the segmenter does not have.
    """
    inner = segmenter.family.load("options").parse(options.segmenter_options, f"segmenter_options of {segmenter.name}")
    calls = Calls(model, options)
    notes: dict[str, Any] = {"vision_model": model.name, "segmenter": segmenter.name, "low_confidence": False, "rounds": 0}
    objects: tuple[ObjectAnswer, ...] = ()
    text = ABSENT
    proposal = _propose(view, query, calls, options, notes)
    if not proposal.absent:
        shown = _shown_frames(view, options)
        candidates = find_candidates(view, segmenter, proposal.targets, shown, model.name, inner)
        _verify(view, query, candidates, calls, options, notes)
        objects = _decide(candidates, options, notes)
        text = ", ".join(dict.fromkeys(obj.phrase for obj in objects)) or ABSENT
        notes["candidates"] = [{"phrase": each.obj.phrase, "verdict": each.verdict, "probability": each.probability} for each in candidates]
    cached = len(calls.exchanges) - calls.num_calls
    notes |= {"calls": calls.num_calls, "cached_calls": cached, "tokens": calls.tokens, "seconds": round(calls.seconds, 2)}
    return Answer(text, objects, notes, trace_files(number, query, notes, calls.exchanges))


def _shown_frames(view: VideoView, options: AgentOptions) -> list[int]:
    """The frames of the first question, each once."""
    num_frames = view.video.num_frames
    return sorted(set(uniform(num_frames, min(options.num_frames, num_frames)).tolist()))


def _propose(view: VideoView, query: str, calls: Calls, options: AgentOptions, notes: dict[str, Any]) -> Proposal:
    """What the query means; the query itself where the model has not said it in a way that can be read."""
    shown = _shown_frames(view, options)
    images = [frame_image(view.frames([frame_idx])[0]) for frame_idx in shown]
    prompt = propose_prompt(query, view.video.timestamps_T[shown].tolist(), calls.model.name)
    try:
        proposal = calls.ask_json(prompt, images, Proposal)
    except BudgetSpent:
        proposal = None
    if proposal is not None and (proposal.targets or proposal.absent):
        notes["targets"] = [target.model_dump(exclude_none=True) for target in proposal.targets]
        forced = options.answer == "forced" and proposal.absent
        return Proposal(targets=proposal.targets or [Target(phrase=query[:200])]) if forced else proposal
    notes["proposal"] = "could not be read; the query itself was looked for"
    return Proposal(targets=[Target(phrase=query[:200])])


def _verify(
    view: VideoView, query: str, candidates: Sequence[Candidate], calls: Calls, options: AgentOptions, notes: dict[str, Any]
) -> None:
    """Ask about the candidates, then about those that stay unsure, on frames that were not shown before."""
    used: set[int] = set()
    for _ in range(options.max_rounds):
        numbered = {number: each for number, each in enumerate(candidates, start=1) if each.verdict in (None, "unsure")}
        frames = _sheet_frames(numbered.values(), used)
        if not numbered or not frames:
            return
        used.update(frames)
        notes["rounds"] += 1
        sheet = _sheet(view, frames, numbered)
        try:
            verdicts = calls.ask_json(verify_prompt(query, list(numbered)), [sheet], Verdicts)
        except BudgetSpent:
            notes["stopped"] = "the budget is spent"
            return
        except ServiceError as error:
            notes["stopped"] = str(error)
            return
        for verdict in verdicts.verdicts if verdicts else ():
            if verdict.number in numbered:
                numbered[verdict.number].verdict = verdict.verdict
                numbered[verdict.number].probability = verdict.probability


def _sheet_frames(candidates: Any, used: set[int]) -> list[int]:
    """Up to four frames that show the candidates: in turn, the best not yet shown frame of each."""
    chosen: list[int] = []
    queues = [[t for t in each.shown_frames if t not in used] for each in candidates]
    while len(chosen) < SHEET_FRAMES and any(queues):
        for queue in queues:
            while queue and queue[0] in chosen:
                queue.pop(0)
            if queue and len(chosen) < SHEET_FRAMES:
                chosen.append(queue.pop(0))
    return sorted(chosen)


def _sheet(view: VideoView, frames: Sequence[int], numbered: dict[int, Candidate]) -> bytes:
    masks = [
        {number: mask for number, each in numbered.items() if (mask := each.obj.track_T[frame_idx][0].decode()).any()}
        for frame_idx in frames
    ]
    labels = [f"{seconds:.1f} s" for seconds in view.video.timestamps_T[list(frames)]]
    return contact_sheet(np.asarray(view.frames(frames)), labels, masks)


def _decide(candidates: Sequence[Candidate], options: AgentOptions, notes: dict[str, Any]) -> tuple[ObjectAnswer, ...]:
    """The accepted; otherwise the best of those that were not rejected, flagged; nothing if all were rejected."""
    accepted = [each for each in candidates if each.verdict == "accept"]
    if not accepted:
        open_ones = [each for each in candidates if each.verdict != "reject" or options.answer == "forced"]
        accepted = sorted(open_ones, key=lambda each: -each.rank)[:1]
        notes["low_confidence"] = bool(accepted)
    return tuple(replace(each.obj, presence=each.probability if each.probability is not None else each.obj.presence) for each in accepted)
