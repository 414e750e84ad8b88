"""Questions about two things at once: a second exam beside the frozen one, made of the same things, motions and words.

Families: `pair` names two things, `crossing` names two that pass in front of each other, `meeting` asks which two do; `plural` is that
of the first exam. In the scenes of `crossing` and `meeting` exactly one pair crosses: apart at both ends, over each other in between, and
no third thing touches either. So who is who after the crossing is a matter of looking at the whole video.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from saymask.toyworld.casting import Plan, draw_cast
from saymask.toyworld.motion import CANVAS, TIMELINE, Dice
from saymask.toyworld.queries import Query
from saymask.toyworld.scene import Scene, draw_background, draw_thing, is_of_size, touching_T, visibility
from saymask.toyworld.sentences import MANY, words
from saymask.toyworld.things import Thing

PAIR_FAMILIES = ("pair", "crossing", "meeting")
_MEETING_PHRASES = ("the two things that cross", "the two things that cross each other")
_MEETING_QUESTIONS = ("Which two things cross?", "Which two things cross each other?")
_APART_AT_ENDS = 3
_ATTEMPTS = 4000


def draw_pair_scene(dice: Dice, family: str) -> Scene:
    """Make a scene for one question of `PAIR_FAMILIES`."""
    for _ in range(_ATTEMPTS):
        pairs = draw_cast(dice)
        plan = Plan(Query(family), pairs, meant_parts=())
        things = _apart(dice, plan) if family == "pair" else _crossed(dice, plan)
        if things is None:
            continue
        first, second = things[:2]
        things = dice.shuffled(things)
        meant = _in_order(family, things, first, second)
        _, visible_NT = visibility(things)
        seen_NT = visible_NT >= 0.6
        if seen_NT.sum(1).min() < 4 or seen_NT[list(meant)].sum(1).min() < 8:
            continue
        text, is_sentence = _phrase(dice, family, [things[i] for i in meant])
        return Scene(tuple(things), plan.query, text, is_sentence, meant, draw_background(dice))
    raise RuntimeError(f"no scene for {family!r} in {_ATTEMPTS} attempts")


def crosses(one: Thing, other: Thing) -> bool:
    """Whether two things pass over each other: apart on the first and last frames, nearly centred on each other in between."""
    touch_T = touching_T(one, other)
    ends_T = np.r_[touch_T[:_APART_AT_ENDS], touch_T[-_APART_AT_ENDS:]]
    both_T = one.seen_T & other.seen_T
    gap_T = np.abs(one.xy_T2 - other.xy_T2).max(1)
    return bool(not ends_T.any() and both_T.all() and (gap_T < 0.2 * (one.size + other.size)).any())


def pair_words() -> tuple[str, ...]:
    """Words of these questions."""
    said = (*_MEETING_PHRASES, *_MEETING_QUESTIONS, "and", *MANY)
    return tuple(sorted({word for text in said for word in words(text)}))


def _apart(dice: Dice, plan: Plan) -> list[Thing] | None:
    """Things that may do anything; the first two are meant."""
    things: list[Thing] = []
    for part in range(len(plan.pairs)):
        tries = [draw_thing(dice, plan, part, {}) for _ in range(2)]
        fitting = [thing for thing in tries if is_of_size(thing)]
        if not fitting:
            return None
        things.append(min(fitting, key=lambda thing: sum(int(touching_T(thing, other).sum()) for other in things)))
    return things


def _crossed(dice: Dice, plan: Plan) -> list[Thing] | None:
    """The first two cross, and nobody else touches anybody."""
    first = _crossable(dice, plan, 0, None)
    if first is None:
        return None
    frame = dice.integer(8, TIMELINE - 9)
    second = _crossable(dice, plan, 1, (frame, first.xy_T2[frame]))
    if second is None or not crosses(first, second):
        return None
    things = [first, second]
    for part in range(2, len(plan.pairs)):
        tries = (draw_thing(dice, plan, part, {}) for _ in range(10))
        free = (thing for thing in tries if is_of_size(thing) and not any(touching_T(thing, other).any() for other in things))
        thing = next(free, None)
        if thing is None:
            break
        things.append(thing)
    return things if len(things) > 2 else None


def _crossable(dice: Dice, plan: Plan, part: int, through: tuple[int, np.ndarray] | None) -> Thing | None:
    """A thing that stays in view, at a given place on a given frame."""
    for _ in range(12):
        thing = draw_thing(dice, plan, part, {}, hidden=False, through=through)
        margin = 0.4 * thing.size
        inside = (thing.xy_T2 >= margin).all() and (thing.xy_T2 <= CANVAS - margin).all()
        if inside and thing.present_T.all() and is_of_size(thing) and thing.manner in ("line", "stop", "start"):
            return thing
    return None


def _in_order(family: str, things: Sequence[Thing], first: Thing, second: Thing) -> tuple[int, ...]:
    """Indices of the two, in the order an answer names them: as the question does, or from left to right on the first frame."""
    both = [things.index(first), things.index(second)]
    return tuple(sorted(both, key=lambda i: things[i].xy_T2[0, 0]) if family == "meeting" else both)


def _phrase(dice: Dice, family: str, meant: Sequence[Thing]) -> tuple[str, bool]:
    """Word the question -> its text, and whether that is a full sentence."""
    if family == "meeting" and dice.happens(0.5):
        return dice.choice(_MEETING_QUESTIONS), True
    said = dice.choice(_MEETING_PHRASES) if family == "meeting" else " and ".join(f"the {thing.colour} {thing.kind}" for thing in meant)
    return (said, False) if dice.happens(0.45) else (dice.choice(MANY).format(said), True)


def only_one_pair_crosses(things: Sequence[Thing]) -> bool:
    """Whether exactly two of the things ever touch, and they cross."""
    touching = [(a, b) for a, b in combinations(things, 2) if touching_T(a, b).any()]
    return len(touching) == 1 and crosses(*touching[0])
