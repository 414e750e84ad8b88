"""The rules behind the toy world: margins of answers, wording, drawing; on things placed by hand."""

import numpy as np
import pytest

from saymask.toyworld.motion import Dice, along, bounce, circle, line, still, turn
from saymask.toyworld.queries import Query, answer
from saymask.toyworld.render import render
from saymask.toyworld.scene import Background, Scene, visibility
from saymask.toyworld.sentences import noun_phrases, phrase, questions
from saymask.toyworld.shapes import BODY, COLOURS, KINDS, PALE, palette, sprite, sprite_area
from saymask.toyworld.things import UNCLEAR, Thing

TIME = np.arange(24)
RIGHT = (1.0, 0.0)


def thing(colour="red", kind="fish", at=(64.0, 64.0), steps=None, manner="still", size=24, present=None) -> Thing:
    xy_T2 = np.array(at) + (still() if steps is None else steps)
    return Thing(kind, colour, size, manner, xy_T2, np.ones(24, bool) if present is None else present)


def scene(*things: Thing) -> Scene:
    grey = Background(np.zeros((6, 6), np.int32), np.zeros((25, 25), np.int32), np.full(3, 80, np.int32))
    return Scene(things, Query("attribute"), "", False, (0,), grey)


def test_a_noun_that_fits_two_things_is_no_question_about_one():
    things = (thing("red", "fish"), thing("red", "key"), thing("blue", "fish"))
    assert answer(things, Query("attribute", kind="fish", colour="red")) == (0,)
    assert answer(things, Query("attribute", kind="fish")) is None
    assert answer(things, Query("plural", kind="fish", plural=True)) == (0, 2)
    assert answer(things, Query("plural", kind="key", plural=True)) is None
    assert answer(things, Query("absent", kind="key", colour="blue")) == ()
    assert answer(things, Query("absent", kind="key", colour="red")) is None


@pytest.mark.parametrize(("speed", "found"), [(2.9, None), (3.1, (0,))])
def test_fastest_needs_one_and_a_half_times_the_speed(speed, found):
    things = (
        thing("red", at=(10, 40), steps=line(RIGHT, speed), manner="line"),
        thing("blue", at=(10, 90), steps=line(RIGHT, 2.0), manner="line"),
    )
    assert answer(things, Query("compare", "fastest")) == found


def test_the_slowest_is_not_asked_beside_a_thing_at_rest():
    moving = [thing(c, at=(10, y), steps=line(RIGHT, v), manner="line") for c, y, v in (("red", 30, 1.0), ("blue", 60, 3.0))]
    assert answer(moving, Query("compare", "slowest")) == (0,)
    assert answer([*moving, thing("pink", at=(60, 100))], Query("compare", "slowest")) is None


@pytest.mark.parametrize(("small", "found"), [(24, None), (20, (0,))])
def test_largest_needs_a_clear_ratio(small, found):
    things = (thing("red", size=30), thing("blue", size=small))
    assert sprite_area("fish", 30) / sprite_area("fish", 24) < 1.35**2 < sprite_area("fish", 30) / sprite_area("fish", 20)
    assert answer(things, Query("compare", "largest")) == found


def test_a_long_thin_thing_is_not_called_smaller_than_a_compact_one():
    clock, key = thing("red", "clock", size=30), thing("blue", "key", size=34)
    assert clock.area > 1.9 * key.area
    assert answer((clock, key), Query("compare", "largest")) is None


@pytest.mark.parametrize(("second", "found"), [(10, None), (11, (0,))])
def test_events_are_three_frames_apart(second, found):
    things = (thing("red", present=TIME >= 8), thing("blue", present=TIME >= second), thing("pink"))
    assert answer(things, Query("event", "appear", order="first")) == found


def test_a_thing_that_only_comes_into_view_does_not_appear():
    enters = thing("red", at=(-30, 64), steps=line(RIGHT, 4.0), manner="line")
    assert enters.event_frame("appear") == UNCLEAR
    assert answer((enters, thing("blue", present=TIME >= 9)), Query("event", "appear", order="only")) is None


def test_stop_and_start_are_the_first_frames_of_the_new_state():
    stops = thing(at=(20, 64), steps=line(RIGHT, 3.0, stop=11), manner="stop")
    starts = thing(at=(20, 64), steps=line(RIGHT, 3.0, start=7), manner="start")
    assert (stops.xy_T2[11:] == stops.xy_T2[11]).all() and (stops.xy_T2[10] != stops.xy_T2[11]).any()
    assert (stops.event_frame("stop"), stops.event_frame("start")) == (11, None)
    assert (starts.event_frame("start"), starts.event_frame("stop")) == (7, None)


@pytest.mark.parametrize(
    ("place", "found"),
    [((64, 50), (0,)), ((64, 54), None), ((50, 45), (0,)), ((40, 45), None), ((20, 60), "not above"), ((64, 80), "not above")],
)
def test_above_is_clearly_above(place, found):
    things = (thing("red", at=place), thing("blue", "car"))
    query = Query("spatial", "above", reference=("blue", "car"))
    if found == "not above":
        above = thing("pink", at=(64, 20))
        assert answer((*things, above), query) == (2,)
    else:
        assert answer(things, query) == found


def test_an_extreme_holds_on_every_frame():
    wanders = thing("red", at=(20, 30), steps=line(RIGHT, 2.0), manner="line")
    things = (wanders, thing("blue", at=(50, 90)))
    assert answer(things, Query("spatial", "leftmost")) is None
    assert answer(things, Query("spatial", "leftmost", window="at the start")) == (0,)
    assert answer(things, Query("spatial", "leftmost", window="at the end")) is None
    assert answer(things, Query("spatial", "highest")) == (0,)


@pytest.mark.parametrize(
    ("steps", "manner", "verdict"),
    [
        (line((-1.0, 0.0), 2.0), "line", (0,)),
        (line((-0.7, -0.7), 2.0), "line", None),
        (line(RIGHT, 2.0), "line", "no"),
        (turn(RIGHT, 2.0, 12), "turn", None),
        (circle(15.0, 1, 0), "circle", None),
    ],
)
def test_moving_left_is_not_said_of_what_only_partly_does(steps, manner, verdict):
    moving = thing("red", at=(64, 64), steps=steps, manner=manner)
    query = Query("motion", "left")
    if verdict == "no":
        left = thing("blue", at=(100, 20), steps=line((-1.0, 0.0), 2.0), manner="line")
        assert answer((moving, left), query) == (1,)
    else:
        assert answer((moving, thing("blue", at=(30, 30))), query) == verdict


def test_turning_around_is_not_asked_beside_bouncing():
    turns = thing("red", at=(20, 30), steps=turn(RIGHT, 3.0, 12), manner="turn")
    assert answer((turns, thing("blue")), Query("motion", "turn")) == (0,)
    bounces = thing("blue", at=(20, 90), steps=bounce(RIGHT, 4.0, 5), manner="bounce")
    assert answer((turns, bounces), Query("motion", "turn")) is None


def test_a_path_along_a_direction():
    np.testing.assert_array_equal(along((0.0, -1.0), np.array([0.0, 2.0])), [[0.0, 0.0], [0.0, -2.0]])
    distance = np.linalg.norm(circle(20.0, 2, 5), axis=1)
    np.testing.assert_allclose(distance, 20.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("query", "noun", "question"),
    [
        (Query("attribute", kind="umbrella", colour="red"), "the red thing that is an umbrella", "Which umbrella is red?"),
        (
            Query("spatial", "above", kind="fish", reference=("yellow", "car")),
            "the fish above the yellow car",
            "Which fish is over the yellow car?",
        ),
        (Query("spatial", "leftmost", window="at the end"), "the leftmost thing at the end", "Which thing is on the far left at the end?"),
        (Query("motion", "circle", colour="red"), "the red thing going round in a circle", "Which red thing moves in a circle?"),
        (Query("event", "stop", order="first"), "the first thing to stop", "Which thing stops first?"),
        (Query("compare", "fastest", kind="key"), "the fastest key", "Which key moves the quickest?"),
        (
            Query("knowledge", kind="umbrella", by_use=True),
            "the thing that keeps you dry in the rain",
            "Which thing keeps you dry in the rain?",
        ),
        (Query("plural", kind="fish", plural=True), "all the fish", "Which things are fish?"),
        (Query("plural", "left", plural=True), "all the things that move left", "Which things go left?"),
        (Query("plural", colour="pink", plural=True), "everything pink", "Which things are pink?"),
        (Query("plural", kind="cup", by_use=True, plural=True), "all the things that hold hot tea", "Which things are made to drink from?"),
    ],
)
def test_wording(query, noun, question):
    assert noun in noun_phrases(query)
    assert question in questions(query)


def test_novel_wording_says_which_or_uses_a_new_frame():
    query = Query("motion", "left", kind="fish")
    said = {phrase(query, Dice(seed), novel=True)[0] for seed in range(60)}
    trained = {phrase(query, Dice(seed))[0] for seed in range(300)}
    assert "the fish which moves left" in said and "Please show me the fish moving left." in said
    assert not said & trained


def test_sprites_are_square_mirrored_by_flip_and_mostly_of_their_colour():
    for kind in KINDS:
        codes = sprite(kind, 32)
        assert codes.shape == (32, 32)
        np.testing.assert_array_equal(sprite(kind, 32, flip=True), codes[:, ::-1])
        tinted = ~np.isin(codes, [0, PALE]) & (codes < 4)
        assert tinted.sum() >= 0.5 * (codes > 0).sum(), kind
        for other in KINDS[: KINDS.index(kind)]:
            agree = ((codes > 0) & (sprite(other, 32) > 0)).sum() / ((codes > 0) | (sprite(other, 32) > 0)).sum()
            assert agree < 0.8, (kind, other)


def test_colours_are_far_apart():
    rgb = np.array(list(COLOURS.values()), dtype=float)
    distance = np.linalg.norm(rgb[:, None] - rgb, axis=2) + np.eye(len(rgb)) * 1e9
    assert distance.min() >= 60


def test_rendering_stacks_later_things_in_front_and_clips_at_the_edge():
    behind, front = thing("red", "apple", at=(64, 64), size=40), thing("blue", "apple", at=(64, 64), size=40)
    corner = thing("pink", "hat", at=(128, 128), size=30)
    frames, ids = render([scene(behind, front, corner)], [0, 23])
    assert frames.shape == (1, 2, 128, 128, 3) and ids.shape == (1, 2, 128, 128)
    assert set(ids.unique().tolist()) == {0, 2, 3}
    assert frames[0, 0, 64, 64].tolist() == palette("blue", 100)[BODY].tolist()
    assert frames[0, 0, 0, 0].tolist() == [80, 80, 80]
    columns = (ids[0, 0] == 3).any(0).nonzero()[:, 0]
    assert int(columns.min()) >= 113 and int(columns.max()) == 127


def test_rendering_a_batch_equals_rendering_each_scene():
    scenes = [scene(thing("red", at=(30, 30))), scene(thing("blue", "car"), thing("pink", "key", at=(90, 40), steps=line(RIGHT, 1.0)))]
    frames, ids = render(scenes, [4, 0], size=64)
    for b, one in enumerate(scenes):
        frames_alone, ids_alone = render([one], [4, 0], size=64)
        assert bool((frames[b] == frames_alone[0]).all()) and bool((ids[b] == ids_alone[0]).all())


def test_a_thing_that_is_not_present_is_not_drawn():
    _, ids = render([scene(thing(present=TIME >= 10))], [9, 10])
    assert [int((ids[0, t] == 1).sum()) > 0 for t in (0, 1)] == [False, True]


def test_visibility_counts_what_the_canvas_and_things_in_front_leave():
    half_out = thing("red", "apple", at=(0, 64), size=40)
    covered = thing("blue", "apple", at=(90, 64), size=40)
    cover = thing("pink", "apple", at=(90, 64), size=40)
    on_canvas, visible = visibility((half_out, covered, cover))
    assert on_canvas[0] == pytest.approx(np.full(24, 0.5), abs=0.08)
    np.testing.assert_array_equal(visible[0], on_canvas[0])
    assert visible[1].max() == 0 and on_canvas[1].min() == 1 and visible[2].min() == 1


def test_dice_depend_on_every_seed_and_nothing_else():
    assert [Dice(1, 2).random() for _ in range(2)] == [Dice(1, 2).random()] * 2
    assert len({Dice(1, 2).random(), Dice(2, 1).random(), Dice(1, 3).random()}) == 3
    dice = Dice(0)
    assert sorted(dice.shuffled(range(9))) == list(range(9))
    drawn = [dice.weighted({"often": 3.0, "never": 0.0, "seldom": 1.0}) for _ in range(2000)]
    assert "never" not in drawn and 0.7 <= drawn.count("often") / 2000 <= 0.8
    assert {dice.integer(2, 4) for _ in range(100)} == {2, 3, 4}
