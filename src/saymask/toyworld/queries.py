"""What can be asked about a toy scene, and the true answer.

A `Query` is a noun (kind and colour, each may be left open) and a predicate. `answer` works out from the facts of the things which of them
are meant, or that the question cannot be decided with a clear margin; the scene generator asks it about every scene it makes and throws the
unclear ones away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saymask.toyworld.motion import DIRECTIONS, TIMELINE
from saymask.toyworld.things import UNCLEAR, Thing

FAMILIES = ("attribute", "spatial", "motion", "event", "compare", "knowledge", "plural", "absent")

RELATIONS: dict[str, tuple[int, int]] = {"above": (1, -1), "below": (1, 1), "left of": (0, -1), "right of": (0, 1)}
EXTREMES: dict[str, tuple[int, int]] = {"highest": (1, -1), "lowest": (1, 1), "leftmost": (0, -1), "rightmost": (0, 1)}
"""Both: axis (0 = x, 1 = y) and sign of the direction."""
WINDOWS: dict[str, slice] = {"": slice(0, TIMELINE), "at the start": slice(0, 4), "at the end": slice(TIMELINE - 4, TIMELINE)}

MOTIONS = ("left", "right", "up", "down", "still", "circle", "zigzag", "turn", "bounce")
EVENTS = ("stop", "start", "appear", "disappear")
ORDERS = ("first", "last", "only")
COMPARISONS = ("fastest", "slowest", "largest", "smallest")

MIN_SPEED_RATIO = 1.5
MIN_SIZE_RATIO = 1.35
MIN_SIDE_RATIO = 1.2
MIN_EVENT_GAP = 3

Verdict = bool | None
"""True, False, or None: a viewer could argue."""


@dataclass(frozen=True)
class Query:
    """A question about a scene.

    Args:
        family: the report's row.
        predicate: "" (the noun says it all), or a relation, extreme, motion, event, comparison.
        kind, colour: what the noun names; "" = open.
        by_use: the kind is not named but described ("the thing that opens a lock").
        plural: asks for all of them.
        order: of an event: "first", "last", or "only" (no other has it).
        window: of a spatial predicate: "", "at the start", "at the end".
        reference: (colour, kind) of the thing a relation refers to.
    """

    family: str
    predicate: str = ""
    kind: str = ""
    colour: str = ""
    by_use: bool = False
    plural: bool = False
    order: str = ""
    window: str = ""
    reference: tuple[str, str] | None = None

    def names(self, thing: Thing) -> bool:
        """Whether the noun fits the thing."""
        return self.kind in ("", thing.kind) and self.colour in ("", thing.colour)


def answer(things: Sequence[Thing], query: Query) -> tuple[int, ...] | None:
    """Indices of the things the query means; None if that is not clear, or not of the number the query's form promises."""
    candidates = [i for i, thing in enumerate(things) if query.names(thing)]
    reference = next((thing for thing in things if thing.pair == query.reference), None)
    if query.reference is not None and reference is None:
        return None
    if query.predicate in EVENTS:
        found = _by_event([things[i] for i in candidates], query)
    elif query.predicate in COMPARISONS:
        found = _by_measure([things[i] for i in candidates], query)
    elif query.predicate in EXTREMES:
        found = _by_extreme([things[i] for i in candidates], query)
    else:
        verdicts = [verdict(things[i], query, reference) for i in candidates]
        found = None if None in verdicts else [j for j, true in enumerate(verdicts) if true]
    if found is None:
        return None
    meant = tuple(candidates[j] for j in found)
    promised = len(meant) >= 2 if query.plural else len(meant) == (0 if query.family == "absent" else 1)
    return meant if promised else None


def verdict(thing: Thing, query: Query, reference: Thing | None = None) -> Verdict:
    """Whether a predicate that looks at one thing (and at most a reference) holds."""
    if query.predicate == "":
        return True
    if query.predicate in RELATIONS:
        return _related(thing, reference, query)
    return moves(thing, query.predicate)


def moves(thing: Thing, motion: str) -> Verdict:
    """Whether a thing moves in the way asked."""
    travel = thing.travel
    total = sum(travel.values())
    if motion == "still":
        return True if total == 0 and thing.seen_frames >= 8 else (False if total >= 14 else None)
    if motion in DIRECTIONS:
        if travel[motion] <= 2:
            return False
        straight = total - travel[motion] <= 0.05 * travel[motion]
        return True if straight and travel[motion] >= 20 else None
    if thing.manner == motion:
        return True if thing.seen_frames >= 14 else None
    confusable = motion in ("turn", "bounce") and thing.manner in ("turn", "bounce", "circle", "zigzag")
    return None if confusable else False


def _related(thing: Thing, reference: Thing | None, query: Query) -> Verdict:
    """A relation holds if it does on every frame (of the window) where both are seen, by a margin and as the main direction."""
    if thing is reference or reference is None:
        return False
    axis, sign = RELATIONS[query.predicate]
    window = WINDOWS[query.window]
    both_T = (thing.seen_T & reference.seen_T)[window]
    if both_T.sum() < 4:
        return None
    gap_T2 = (thing.xy_T2 - reference.xy_T2)[window][both_T]
    ahead, aside = gap_T2[:, axis] * sign, np.abs(gap_T2[:, 1 - axis])
    if (ahead >= 12).all() and (aside <= ahead).all():
        return True
    return False if ((ahead <= 0) | (aside >= 2.2 * ahead)).all() else None


def _by_extreme(things: Sequence[Thing], query: Query) -> list[int] | None:
    """The one that is furthest to one side by 15 pixels on every frame where anything is seen."""
    if len(things) < 2:
        return None
    axis, sign = EXTREMES[query.predicate]
    window = WINDOWS[query.window]
    seen_NT = np.stack([thing.seen_T[window] for thing in things])
    far_NT = np.where(seen_NT, np.stack([thing.xy_T2[window, axis] for thing in things]) * sign, -1e9)
    best = int(far_NT.max(1).argmax())
    rest_T = np.delete(far_NT, best, axis=0).max(0)
    clear_T = (far_NT[best] - rest_T >= 15) & (rest_T > -1e8) & seen_NT[best]
    idle_T = ~seen_NT[best] & (query.window == "")
    return [best] if (clear_T | idle_T).all() and clear_T.sum() >= 4 and seen_NT.sum(1).min() >= 3 else None


def _by_event(things: Sequence[Thing], query: Query) -> list[int] | None:
    """The first, last or only one to stop, start, appear or disappear."""
    frames = [thing.event_frame(query.predicate) for thing in things]
    if UNCLEAR in frames:
        return None
    timed = sorted((frame, j) for j, frame in enumerate(frames) if frame is not None)
    if query.order == "only":
        return [timed[0][1]] if len(timed) == 1 and len(things) >= 2 else None
    if len(timed) < 2:
        return None
    (first, j_first), (second, _) = timed[:2]
    (before, _), (last, j_last) = timed[-2:]
    if query.order == "first":
        return [j_first] if second - first >= MIN_EVENT_GAP else None
    return [j_last] if last - before >= MIN_EVENT_GAP else None


def _by_measure(things: Sequence[Thing], query: Query) -> list[int] | None:
    """The fastest, slowest, largest or smallest, by a clear ratio to the next."""
    if len(things) < 2:
        return None
    if query.predicate in ("largest", "smallest"):
        return _by_size(things, query.predicate == "largest")
    uneven = any(thing.manner in ("stop", "start", "zigzag", "bounce") or thing.seen_frames < 6 for thing in things)
    standing = query.predicate == "slowest" and any(thing.manner == "still" for thing in things)
    if uneven or standing:
        return None
    speeds = [thing.speed for thing in things]
    order = sorted(range(len(things)), key=lambda j: speeds[j])
    if query.predicate == "slowest":
        return [order[0]] if speeds[order[1]] >= MIN_SPEED_RATIO * speeds[order[0]] else None
    return [order[-1]] if speeds[order[-1]] >= MIN_SPEED_RATIO * speeds[order[-2]] else None


def _by_size(things: Sequence[Thing], largest: bool) -> list[int] | None:
    """A long thin thing can look as large as a fat one of twice the area, so both area and side must differ."""
    order = sorted(range(len(things)), key=lambda j: things[j].area, reverse=largest)
    best, *rest = (things[j] for j in order)
    pairs = [(best, other) if largest else (other, best) for other in rest]
    clear = all(
        large.area >= MIN_SIZE_RATIO * MIN_SIZE_RATIO * small.area and large.size >= MIN_SIDE_RATIO * small.size for large, small in pairs
    )
    return [order[0]] if clear else None
