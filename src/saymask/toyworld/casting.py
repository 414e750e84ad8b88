"""Who plays in a toy scene: the question, the cast that makes it a fair one, and the numbers some parts need.

In a cast no two things share colour and kind. Beside the target stand a thing of its kind in another colour and a thing of its colour of
another kind, so neither colour nor kind alone finds it. Some colour-kind pairs are held out: training never shows nor names them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from saymask.toyworld.motion import DIRECTIONS, Dice
from saymask.toyworld.queries import COMPARISONS, EVENTS, EXTREMES, MOTIONS, RELATIONS, Query
from saymask.toyworld.shapes import COLOURS, KINDS

Pair = tuple[str, str]

_COLOURS = tuple(COLOURS)
HELD_OUT: frozenset[Pair] = frozenset((_COLOURS[(3 * i + 1) % len(_COLOURS)], kind) for i, kind in enumerate(KINDS))
"""One colour of every kind: 13 of the 104 pairs, in `test-novel` only."""
ALL_PAIRS: tuple[Pair, ...] = tuple((colour, kind) for colour in _COLOURS for kind in KINDS)
_TRAINED_PAIRS = tuple(pair for pair in ALL_PAIRS if pair not in HELD_OUT)
_NOVEL_PAIRS = tuple(pair for pair in ALL_PAIRS if pair in HELD_OUT)
_NUM_THINGS = {3: 0.14, 4: 0.3, 5: 0.26, 6: 0.18, 7: 0.12}


@dataclass(frozen=True)
class Plan:
    """A question and a cast for it, before anything has a place.

    Args:
        pairs: (colour, kind) of each part; part 0 is the target (of `absent`: any thing).
        meant_parts: the parts the question means, or part 0 where the noun alone decides.
        event_frames: when a part stops, starts, appears or disappears.
        speeds, areas: of the parts that are compared.
        lures: parts that do what is asked but are not what the noun names.
    """

    query: Query
    pairs: tuple[Pair, ...]
    meant_parts: tuple[int, ...] = (0,)
    event_frames: dict[int, int] = field(default_factory=dict)
    speeds: dict[int, float] = field(default_factory=dict)
    areas: dict[int, int] = field(default_factory=dict)
    lures: tuple[int, ...] = ()

    @property
    def careful(self) -> bool:
        """Things that come and go would blur the question."""
        return self.query.predicate in EVENTS or self.query.predicate in EXTREMES or self.query.predicate in COMPARISONS


class _Cast:
    """Pairs still to be had."""

    def __init__(self, dice: Dice, novel: bool) -> None:
        self._dice = dice
        self._free = list(ALL_PAIRS if novel else _TRAINED_PAIRS)
        self.pairs: list[Pair] = []

    def ban(self, colour: str = "", kind: str = "") -> None:
        self._free = [pair for pair in self._free if not (colour in ("", pair[0]) and kind in ("", pair[1]))]

    def add(self, colour: str = "", kind: str = "") -> None:
        """Add a random free pair of the given colour and kind."""
        pair = self._dice.choice([p for p in self._free if colour in ("", p[0]) and kind in ("", p[1])])
        self._free.remove(pair)
        self.pairs.append(pair)

    def fill(self, num_things: int) -> None:
        """Add things that tend to share a kind or a colour with the cast."""
        while len(self.pairs) < num_things:
            colour, kind = self._dice.choice(self.pairs)
            like = self._dice.random()
            wanted = (colour, "") if like < 0.3 else ("", kind) if like < 0.6 else ("", "")
            if not any(wanted[0] in ("", c) and wanted[1] in ("", k) for c, k in self._free):
                wanted = ("", "")
            self.add(*wanted)


def draw_plan(dice: Dice, family: str, novel: bool) -> Plan:
    """Draw a question of a family with a cast for it."""
    cast = _Cast(dice, novel)
    colour, kind = dice.choice(_NOVEL_PAIRS if novel else _TRAINED_PAIRS)
    num_things = dice.weighted(_NUM_THINGS)
    if family == "plural":
        return _plan_plural(dice, cast, colour, kind, num_things)
    if family == "absent":
        cast.ban(colour, kind)
        cast.add(kind=kind)
        cast.add(colour=colour)
        cast.fill(num_things)
        return Plan(Query(family, kind=kind, colour=colour, by_use=dice.happens(0.35)), tuple(cast.pairs), meant_parts=())
    cast.add(colour, kind)
    if family == "knowledge" and dice.happens(0.33):  # nothing but the use is said: it must be the only one of its kind
        cast.ban(kind=kind)
        cast.add(colour=colour)
        cast.fill(num_things)
        return Plan(Query(family, kind=kind, by_use=True), tuple(cast.pairs))
    cast.add(kind=kind)
    cast.add(colour=colour)
    cast.fill(num_things)
    pairs = tuple(cast.pairs)
    if family == "attribute":
        return Plan(Query(family, kind=kind, colour=colour), pairs)
    if family == "knowledge":
        return Plan(Query(family, kind=kind, colour=colour, by_use=True), pairs)
    named = dice.weighted({"kind": 0.42, "colour": 0.23, "nothing": 0.35})
    noun = Query(family, kind=kind if named == "kind" else "", colour=colour if named == "colour" else "")
    candidates = [i for i, (c, k) in enumerate(pairs) if noun.colour in ("", c) and noun.kind in ("", k)]
    if family == "spatial":
        return _plan_spatial(dice, pairs, noun)
    if family == "motion":
        lures = tuple(i for i in range(len(pairs)) if i not in candidates and dice.happens(0.35))
        return Plan(replace(noun, predicate=_draw_motion(dice)), pairs, lures=lures)
    if family == "event":
        return _plan_event(dice, pairs, noun, candidates)
    return _plan_compare(dice, pairs, noun, candidates)


def draw_cast(dice: Dice) -> tuple[Pair, ...]:
    """Three to six trained pairs, none twice: the first two are asked about, beside others of their kinds and colours."""
    cast = _Cast(dice, novel=False)
    cast.add(*dice.choice(_TRAINED_PAIRS))
    cast.add()
    for colour, kind in tuple(cast.pairs):
        cast.add(kind=kind) if dice.happens(0.6) else cast.add(colour=colour)
    cast.fill(min(dice.weighted(_NUM_THINGS), 6))
    return tuple(cast.pairs)


def _draw_motion(dice: Dice) -> str:
    """A direction half of the time."""
    return dice.choice(tuple(DIRECTIONS)) if dice.happens(0.55) else dice.choice(MOTIONS[len(DIRECTIONS) :])


def _plan_plural(dice: Dice, cast: _Cast, colour: str, kind: str, num_things: int) -> Plan:
    """All of a kind, of a colour, of a use, or that move in one way; at least one thing that is like them is not meant."""
    form = dice.weighted({"kind": 0.3, "colour": 0.28, "use": 0.17, "motion": 0.25})
    cast.add(colour, kind)
    cast.add(kind=kind)
    cast.add(colour=colour)
    cast.fill(max(num_things, 4))
    if form == "motion":
        meant = (0, *dice.shuffled(range(1, len(cast.pairs)))[: dice.integer(1, 2)])
        return Plan(Query("plural", _draw_motion(dice), plural=True), tuple(cast.pairs), meant_parts=meant)
    if form == "colour":
        return Plan(Query("plural", colour=colour, plural=True), tuple(cast.pairs))
    return Plan(Query("plural", kind=kind, by_use=form == "use", plural=True), tuple(cast.pairs))


def _plan_spatial(dice: Dice, pairs: tuple[Pair, ...], noun: Query) -> Plan:
    window = dice.weighted({"": 0.7, "at the start": 0.15, "at the end": 0.15})
    if dice.happens(0.68):
        reference = dice.choice(pairs[1:])
        return Plan(replace(noun, predicate=dice.choice(tuple(RELATIONS)), window=window, reference=reference), pairs)
    return Plan(replace(noun, predicate=dice.choice(tuple(EXTREMES)), window=window), pairs)


def _plan_event(dice: Dice, pairs: tuple[Pair, ...], noun: Query, candidates: list[int]) -> Plan:
    """Two or three candidates share the event, well apart in time; or only the target has it."""
    order = dice.weighted({"first": 0.38, "last": 0.38, "only": 0.24})
    rivals = [] if order == "only" else dice.shuffled(candidates[1:])[: dice.integer(1, 2)]
    gap = dice.integer(3, 5) if len(rivals) < 2 else dice.integer(3, 4)
    earliest = dice.integer(5, 17 - gap * len(rivals))
    frames = [earliest + gap * n for n in range(len(rivals) + 1)]
    if order == "last":
        frames.reverse()
    event_frames = dict(zip([0, *rivals], frames, strict=True))
    return Plan(replace(noun, predicate=dice.choice(EVENTS), order=order), pairs, event_frames=event_frames)


def _plan_compare(dice: Dice, pairs: tuple[Pair, ...], noun: Query, candidates: list[int]) -> Plan:
    """Speeds or areas with the target well away from every candidate."""
    predicate = dice.choice(COMPARISONS)
    query = replace(noun, predicate=predicate)
    rivals = candidates[1:]
    if predicate == "fastest":
        best = dice.uniform(3.4, 5.2)
        return Plan(query, pairs, speeds={0: best, **{i: dice.uniform(0.9, best / 1.55) for i in rivals}})
    if predicate == "slowest":
        best = dice.uniform(0.9, 1.5)
        return Plan(query, pairs, speeds={0: best, **{i: dice.uniform(best * 1.55, 4.2) for i in rivals}})
    if predicate == "largest":
        best = dice.uniform(700.0, 1180.0)
        return Plan(query, pairs, areas={0: int(best), **{i: int(dice.uniform(210.0, best / 1.95)) for i in rivals}})
    best = dice.uniform(195.0, 330.0)
    return Plan(query, pairs, areas={0: int(best), **{i: int(dice.uniform(best * 1.95, 1000.0)) for i in rivals}})
