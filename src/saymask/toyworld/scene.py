"""Scenes: a cast of things with trajectories, made so that one question about them has one clear answer.

`draw_scene` wishes first (family, whether the target gets occluded, whether it goes out of view), then plans a question and a cast, gives
each thing a trajectory that fits its part, and finally asks `answer` and `visibility` whether the wish came true; if not, it plans anew.
The wishes survive, so the shares of occluded and hidden targets do not depend on how hard they are to arrange.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from saymask.toyworld.casting import Plan, draw_plan
from saymask.toyworld.motion import CANVAS, CASUAL, DIRECTIONS, TIMELINE, Dice, draw_path
from saymask.toyworld.queries import COMPARISONS, EVENTS, EXTREMES, MOTIONS, RELATIONS, WINDOWS, Query, answer, verdict
from saymask.toyworld.sentences import phrase
from saymask.toyworld.shapes import side_for_area, sprite_pixels
from saymask.toyworld.things import UNCLEAR, Thing

MIN_AREA, MAX_AREA = 0.0105 * CANVAS * CANVAS, 0.0785 * CANVAS * CANVAS
_ATTEMPTS = 2000
_OCCLUDED, _HIDDEN, _OTHERS_HIDDEN = 0.33, 0.2, 0.15
_CHECK_SIZE = 64


@dataclass(frozen=True, eq=False)
class Background:
    """Brightness grids, coarse and fine (int32, 0 ... 255 once added), and a muted tint."""

    coarse: np.ndarray
    fine: np.ndarray
    tint: np.ndarray


@dataclass(frozen=True, eq=False)
class Scene:
    """Things in stacking order (later ones in front), one question about them, and the indices of the things it means."""

    things: tuple[Thing, ...]
    query: Query
    text: str
    is_sentence: bool
    meant: tuple[int, ...]
    background: Background = field(repr=False)


def draw_scene(dice: Dice, family: str, novel: bool = False) -> Scene:
    """Make a scene for one question of `family`; `novel` takes colour-kind pairs and wordings that training never sees."""
    occluded, hidden = dice.happens(_OCCLUDED), dice.happens(_HIDDEN)
    for _ in range(_ATTEMPTS):
        plan = draw_plan(dice, family, novel)
        things = _stage(dice, plan, hidden)
        if things is None:
            continue
        occluder = _occlude(dice, plan, things) if occluded else None
        if occluded and occluder is None:
            continue
        target = things[0]
        things = dice.shuffled(things)
        if occluder is not None:
            low, high = sorted((things.index(target), things.index(occluder)))
            things[low], things[high] = target, occluder
        meant = answer(things, plan.query)
        if meant is None or not _as_wished(things, target, meant, plan.query, occluded, hidden):
            continue
        text, is_sentence = phrase(plan.query, dice, novel)
        return Scene(tuple(things), plan.query, text, is_sentence, meant, draw_background(dice))
    raise RuntimeError(f"no scene for {family!r} in {_ATTEMPTS} attempts")


def _stage(dice: Dice, plan: Plan, hidden: bool) -> list[Thing] | None:
    """Give every member of the cast a trajectory that fits its part, keeping them apart where possible; None if one finds none."""
    query = plan.query
    order = list(range(len(plan.pairs)))
    if query.reference is not None:
        order.insert(0, order.pop(plan.pairs.index(query.reference)))
    things: dict[int, Thing] = {}
    for i in order:
        best, best_overlap, fitting = None, np.inf, 0
        for _ in range(14):
            thing = draw_thing(dice, plan, i, things, hidden=hidden if i == 0 else None)
            if not MIN_AREA <= thing.area <= MAX_AREA or not _fits(thing, plan, i, things):
                continue
            overlap = _overlap(thing, list(things.values()))
            if overlap < best_overlap:
                best, best_overlap = thing, overlap
            fitting += 1
            if fitting == 3 or overlap == 0:
                break
        if best is None:
            return None
        things[i] = best
    return [things[i] for i in range(len(plan.pairs))]


def draw_thing(
    dice: Dice,
    plan: Plan,
    i: int,
    placed: dict[int, Thing],
    hidden: bool | None = None,
    through: tuple[int, np.ndarray] | None = None,
    min_area: int = 0,
) -> Thing:
    """One candidate for part `i`.

    Args:
        placed: the things that already stand.
        hidden: out of view for a quarter of the frames or more; None = as often as usual.
        through: a frame and the place to be at on it; None = wherever it stays on the canvas.
        min_area: make it at least so large, unless the plan says how large it is.
    """
    query, (colour, kind) = plan.query, plan.pairs[i]
    manner, heading = _draw_manner(dice, plan, i)
    event_frame = plan.event_frames.get(i) if query.predicate in ("stop", "start") else None
    steps_T2 = draw_path(dice, manner, heading, event_frame, plan.speeds.get(i))
    share = dice.random()
    size = side_for_area(kind, plan.areas.get(i) or int(max(230 + 670 * share * share, min_area)))
    if hidden is None:
        hidden = dice.happens(_OTHERS_HIDDEN) and not plan.careful
    present_T = np.ones(TIMELINE, dtype=bool)
    entrance = None
    if query.predicate in ("appear", "disappear"):
        frame = plan.event_frames.get(i)
        if frame is not None:
            present_T = np.arange(TIMELINE) >= frame if query.predicate == "appear" else np.arange(TIMELINE) < frame
    elif hidden and manner == "line" and dice.happens(0.5):
        entrance = _cross_edge(dice, steps_T2, size)
    elif hidden:
        present_T = _draw_absence(dice)
    if through is None and i in plan.meant_parts:
        through = _place_by_query(dice, query, placed, plan)
    if through is not None:
        anchor = through[1] - steps_T2[through[0]]
    elif entrance is not None:
        anchor = entrance
    else:
        low, high = size * 0.45 - steps_T2.min(0), CANVAS - size * 0.45 - steps_T2.max(0)
        anchor = low + (high - low) * np.array((dice.random(), dice.random()))
    return Thing(kind, colour, size, manner, steps_T2 + anchor, present_T, dice.happens(0.5), dice.integer(92, 104))


def _draw_manner(dice: Dice, plan: Plan, i: int) -> tuple[str, str | None]:
    """Manner of moving and heading that suit the part."""
    query, is_meant = plan.query, i in plan.meant_parts
    if query.predicate in MOTIONS and (is_meant or i in plan.lures):
        if query.predicate in DIRECTIONS:
            return dice.weighted({"line": 0.8, "stop": 0.1, "start": 0.1}), query.predicate
        return query.predicate, None
    if query.predicate in ("stop", "start") and i in plan.event_frames:
        return query.predicate, None
    if query.predicate in ("fastest", "slowest"):
        manners = {"line": 0.65, "turn": 0.35}
        return dice.weighted(manners | ({"still": 0.25} if query.predicate == "fastest" and not is_meant else {})), None
    if query.predicate in RELATIONS or query.predicate in EXTREMES:
        return dice.weighted({"still": 0.5, "bounce": 0.15, "circle": 0.1, "line": 0.25}), None
    return dice.weighted(CASUAL), None


def _place_by_query(dice: Dice, query: Query, placed: dict[int, Thing], plan: Plan) -> tuple[int, np.ndarray] | None:
    """Where a spatial question wants its target: beside the reference, or near an edge."""
    window = range(TIMELINE)[WINDOWS[query.window]]
    frame = dice.choice(window)
    if query.predicate in RELATIONS:
        axis, sign = RELATIONS[query.predicate]
        reference = placed[plan.pairs.index(query.reference)]
        place = reference.xy_T2[frame].copy()
        ahead = dice.uniform(20.0, 56.0)
        place[axis] += sign * ahead
        place[1 - axis] += dice.uniform(-0.8, 0.8) * ahead
        return frame, place.clip(8, CANVAS - 8)
    if query.predicate in EXTREMES:
        axis, sign = EXTREMES[query.predicate]
        edge = dice.uniform(12.0, 40.0)
        place = np.array((dice.uniform(16.0, CANVAS - 16.0), dice.uniform(16.0, CANVAS - 16.0)))
        place[axis] = edge if sign < 0 else CANVAS - edge
        return frame, place
    return None


def _cross_edge(dice: Dice, steps_T2: np.ndarray, size: int) -> np.ndarray:
    """Anchor of a line that enters the canvas after a third of the video, or leaves it a third before its end."""
    away = dice.integer(7, 10)
    velocity = steps_T2[1] - steps_T2[0]
    axis = int(abs(velocity[1]) > abs(velocity[0]))
    enters, forwards = dice.happens(0.5), velocity[axis] > 0
    anchor = np.array((dice.uniform(24.0, CANVAS - 24.0), dice.uniform(24.0, CANVAS - 24.0)))
    frame = away if enters else TIMELINE - 1 - away
    edge = -size * 0.5 if enters == forwards else CANVAS + size * 0.5
    anchor[axis] = edge - steps_T2[frame, axis]
    return anchor


def _draw_absence(dice: Dice) -> np.ndarray:
    """Frames on which a thing that is gone for 7 to 10 of them is there: late, early or with a gap."""
    away = dice.integer(7, 10)
    gone_from = dice.choice((0, TIMELINE - away, dice.integer(5, 9)))
    frames = np.arange(TIMELINE)
    return (frames < gone_from) | (frames >= gone_from + away)


def _fits(thing: Thing, plan: Plan, i: int, placed: dict[int, Thing]) -> bool:
    """Whether a candidate plays its part: the meant ones make the question true, the others that the noun fits do not."""
    query = plan.query
    if query.predicate == "" or not query.names(thing):
        return True
    if query.predicate in EVENTS:
        frame = thing.event_frame(query.predicate)
        return frame != UNCLEAR and frame == plan.event_frames.get(i)
    if query.predicate in EXTREMES or query.predicate in COMPARISONS:
        return i in plan.meant_parts or answer((placed[0], thing), query) == (0,)
    if thing.pair == query.reference:
        return True
    reference = placed[plan.pairs.index(query.reference)] if query.reference else None
    return verdict(thing, query, reference) is (i in plan.meant_parts)


def _overlap(thing: Thing, others: Sequence[Thing]) -> int:
    """Frames on which the thing touches another, summed over the others."""
    return sum(int(touching_T(thing, other).sum()) for other in others)


def touching_T(one: Thing, other: Thing) -> np.ndarray:
    """Frames on which both are there and so near that their sprites may touch."""
    gap_T = np.abs(other.xy_T2 - one.xy_T2).max(1)
    return (gap_T < (other.size + one.size) * 0.42) & other.present_T & one.present_T


def is_of_size(thing: Thing) -> bool:
    """Whether a thing's area is one that scenes have."""
    return bool(MIN_AREA <= thing.area <= MAX_AREA)


def _occlude(dice: Dice, plan: Plan, things: list[Thing]) -> Thing | None:
    """Send one of the other things in front of the target (things[0]); changes `things`, returns the occluder or None."""
    target = things[0]
    frames = np.flatnonzero(target.seen_T).tolist()
    if not frames:
        return None
    placed = dict(enumerate(things))
    others = [i for i in range(len(things)) if i not in plan.meant_parts and plan.pairs[i] != plan.query.reference]
    for i in dice.shuffled(others)[:3]:
        for _ in range(5):
            frame = dice.choice(frames)
            jitter = np.array((dice.uniform(-0.1, 0.1), dice.uniform(-0.1, 0.1))) * target.size
            through = frame, target.xy_T2[frame] + jitter
            thing = draw_thing(dice, plan, i, placed, hidden=False, through=through, min_area=min(int(target.area * 1.15), 1150))
            if (
                thing.manner == target.manner == "still"
                or not thing.present_T[frame]
                or not MIN_AREA <= thing.area <= MAX_AREA
                or thing.seen_frames < 6
            ):
                continue
            if not _fits(thing, plan, i, placed):
                continue
            on_canvas_NT, visible_NT = visibility((target, thing))
            if _is_occluded(on_canvas_NT[0], visible_NT[0]):
                things[i] = thing
                return thing
    return None


def visibility(things: Sequence[Thing]) -> tuple[np.ndarray, np.ndarray]:
    """Share of each thing's pixels that are on the canvas, and that are also not behind a thing in front -> two float64 (N, T)."""
    front = np.zeros(TIMELINE * _CHECK_SIZE * _CHECK_SIZE + 1, dtype=bool)
    front[-1] = True
    shares = []
    for thing in reversed(things):
        cells_TP = _cells(thing)
        shares.append(((cells_TP < len(front) - 1).mean(1), (~front[cells_TP]).mean(1)))
        front[cells_TP] = True
    on_canvas_NT, visible_NT = (np.stack(rows[::-1]) for rows in zip(*shares, strict=True))
    return on_canvas_NT, visible_NT


def _cells(thing: Thing) -> np.ndarray:
    """Flat (frame, y, x) index of each sprite pixel at the size of the check; the last index stands for "off the canvas"."""
    side = max(3, (thing.size * _CHECK_SIZE + CANVAS // 2) // CANVAS)
    rows, columns, _ = sprite_pixels(thing.kind, side, thing.flip)
    corner_T2 = np.floor(thing.xy_T2 * (_CHECK_SIZE / CANVAS) - side * 0.5 + 0.5).astype(np.int64)
    y_TP, x_TP = corner_T2[:, 1:] + rows, corner_T2[:, :1] + columns
    inside = (y_TP >= 0) & (y_TP < _CHECK_SIZE) & (x_TP >= 0) & (x_TP < _CHECK_SIZE) & thing.present_T[:, None]
    frame_T1 = np.arange(TIMELINE)[:, None]
    return np.where(inside, (frame_T1 * _CHECK_SIZE + y_TP) * _CHECK_SIZE + x_TP, TIMELINE * _CHECK_SIZE * _CHECK_SIZE)


def _is_occluded(on_canvas_T: np.ndarray, visible_T: np.ndarray) -> bool:
    return bool(((on_canvas_T >= 0.7) & (visible_T <= 0.42 * on_canvas_T)).any())


def _as_wished(things: Sequence[Thing], target: Thing, meant: Sequence[int], query: Query, occluded: bool, hidden: bool) -> bool:
    """Whether all things can be seen, those the question is about for long, and the target is occluded and hidden if that was wished."""
    on_canvas_NT, visible_NT = visibility(things)
    if (visible_NT >= 0.6).sum(1).min() < 4:
        return False
    for i, thing in enumerate(things):
        about = i in meant or thing.pair == query.reference or thing is target
        if about and (visible_NT[i] >= 0.6).sum() < 8:
            return False
        frame = thing.event_frame(query.predicate) if query.predicate in EVENTS and query.names(thing) else None
        if frame is not None and visible_NT[i, frame - (query.predicate == "disappear")] < 0.4:
            return False
    focus = things.index(target)
    if occluded and not _is_occluded(on_canvas_NT[focus], visible_NT[focus]):
        return False
    return not hidden or int((visible_NT[focus] == 0).sum()) >= TIMELINE // 4


def draw_background(dice: Dice) -> Background:
    """Blotches, stripes or checks under fine grain, all of middling brightness."""
    coarse = dice.grid(6, 6)
    pattern = dice.choice(("blotches", "blotches", "rows", "columns", "checks"))
    if pattern == "rows":
        coarse = np.repeat(coarse[:, :1], 6, axis=1)
    elif pattern == "columns":
        coarse = np.repeat(coarse[:1], 6, axis=0)
    elif pattern == "checks":
        coarse = (np.add.outer(np.arange(6), np.arange(6)) % 2) * 0.8 + coarse * 0.2
    fine = dice.grid(25, 25)
    tint = 76 + dice.integer(0, 22) + np.array([dice.integer(-11, 11) for _ in range(3)])
    return Background((coarse * 40).astype(np.int32), (fine * dice.integer(6, 22)).astype(np.int32), tint.astype(np.int32))
