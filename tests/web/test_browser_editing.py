"""Correcting in a real browser: brush and eraser, markers, names, deleting, undo, and all of it by keys."""

import re
from itertools import pairwise

import numpy as np
import pytest
from browsed import NUM_FRAMES, SIDE, WORK_MILLISECONDS, overlap, true_mask, write_clip
from playwright.sync_api import expect
from served import SAID

from saymask.cli.demo import QUESTIONS
from saymask.session.live_query import DRAWN

pytestmark = pytest.mark.slow


@pytest.fixture
def tab(visit, tmp_path):
    tab = visit()
    tab.upload(write_clip(tmp_path / "clip.mp4"))
    return tab


def painted(points, size: float) -> np.ndarray:
    """bool mask_HW: pixels whose middle is at most half of `size` from the line through the points."""
    rows_HW, columns_HW = np.mgrid[:SIDE, :SIDE] + 0.5
    mask_HW = np.zeros((SIDE, SIDE), bool)
    for (x0, y0), (x1, y1) in pairwise(points):
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        part_HW = np.clip(((columns_HW - x0) * (x1 - x0) + (rows_HW - y0) * (y1 - y0)) / length, 0, 1) if length else 0
        mask_HW |= np.hypot(columns_HW - x0 - part_HW * (x1 - x0), rows_HW - y0 - part_HW * (y1 - y0)) <= size / 2
    return mask_HW


def set_brush(tab, size: int) -> None:
    tab.page.get_by_role("slider", name="Size").fill(str(size))


def test_brush_and_eraser_change_exactly_the_painted_pixels(tab, tmp_path):
    tab.ask(SAID)
    tab.stand_at(3)
    before = tab.export(tmp_path)
    tab.radio("object 1", SAID).check()
    tab.take_tool("Brush")
    set_brush(tab, 12)
    line = [tab.snapped(*point) for point in ((20, 20), (40, 30), (40, 50))]
    tab.stroke(*line)
    after = tab.export(tmp_path)
    expected_HW = before.masks(3)[0] | painted(line, 12)
    assert np.array_equal(after.masks(3)[0], expected_HW)
    tab.take_tool("Eraser")
    set_brush(tab, 7)
    dot = [tab.snapped(30, 25)] * 2
    tab.stroke(*dot)
    erased = tab.export(tmp_path)
    assert np.array_equal(erased.masks(3)[0], expected_HW & ~painted(dot, 7))
    assert (expected_HW & painted(dot, 7)).sum() > 20, "there was something to erase"
    for frame_idx in (2, 4):
        assert np.array_equal(erased.masks(frame_idx), before.masks(frame_idx))
    tab.button("Undo").click()
    expect(tab.status).to_have_text("Taken back.")
    assert np.array_equal(tab.export(tmp_path).masks(3)[0], expected_HW)


def test_a_new_object_is_painted_and_carried(tab, tmp_path):
    hammer_HW = true_mask(2, QUESTIONS["the green hammer"])
    tab.stand_at(2)
    tab.take_tool("Brush")
    set_brush(tab, 1)
    for row in hammer_HW.any(1).nonzero()[0]:
        columns = hammer_HW[row].nonzero()[0]
        tab.stroke((columns[0] + 0.5, row + 0.5), (columns[-1] + 0.5, row + 0.5))
    expect(tab.radio("object 1", DRAWN)).to_be_checked()
    tab.page.get_by_label("Carry this frame's corrections").select_option("forwards")
    tab.button("Carry").click()
    expect(tab.status).to_have_text("Carried to the other frames.", timeout=WORK_MILLISECONDS)
    found = tab.export(tmp_path)
    assert overlap(found.masks(2)[0], hammer_HW) > 0.9
    assert overlap(found.masks(8)[0], true_mask(8, QUESTIONS["the green hammer"])) > 0.6
    assert not found.masks(1).any(), "forwards only"


def test_a_click_takes_away(tab):
    tab.ask(SAID)
    tab.stand_at(7)
    tab.radio("object 1", SAID).check()
    before_HW = tab.coloured()
    tab.take_tool("Take away")
    _, columns = before_HW.nonzero()
    tail_HW = before_HW & (np.arange(SIDE) > np.quantile(columns, 0.9))
    with tab.page.expect_response("**/clicks") as answered:
        tab.click_on(tail_HW)
    assert answered.value.request.post_data_json["adds"] is False
    expect(tab.status).to_have_text("Corrected on this frame; carry it to the others.")
    assert (tab.coloured() & tail_HW).sum() < tail_HW.sum()


def test_a_sentence_is_tried_between_the_markers_and_then_on_all_frames(tab, tmp_path):
    tab.stand_at(4)
    tab.button("In").click()
    tab.stand_at(9)
    tab.button("Out").click()
    tab.page.get_by_role("textbox", name="What to look for").fill(SAID)
    tab.button("Ask frames 4 to 9").click()
    expect(tab.status).to_have_text(f"Found 1 object for “{SAID}”.", timeout=WORK_MILLISECONDS)
    expect(tab.page.get_by_role("group", name=SAID)).to_contain_text("only frames 4 to 9")
    covered = [bool(masks_NHW.any()) for masks_NHW in map(tab.export(tmp_path).masks, range(NUM_FRAMES))]
    assert covered == [4 <= i <= 9 for i in range(NUM_FRAMES)]
    tab.button("Play").click()
    seen = set()
    for _ in range(12):
        tab.page.wait_for_timeout(80)
        seen.add(int(tab.scrub.input_value()))
    tab.button("Pause").click()
    assert len(seen) > 2 and seen <= set(range(4, 10)), "it plays between the markers"
    tab.button("Clear markers").click()
    expect(tab.button("Ask")).to_be_visible()
    tab.button(f"Ask all frames: {SAID}").click()
    expect(tab.page.get_by_role("group", name=SAID)).not_to_contain_text("only frames", timeout=WORK_MILLISECONDS)
    assert all(masks_NHW.any() for masks_NHW in map(tab.export(tmp_path).masks, range(NUM_FRAMES)))


def test_objects_are_renamed_deleted_and_brought_back(tab, tmp_path):
    tab.ask(SAID)
    tab.ask("the green hammer")
    tab.button(f"Rename object 1 of {SAID}").click()
    name = tab.page.get_by_role("textbox", name="New name of object 1")
    name.fill("Goldie <b>&")
    name.press("Enter")
    expect(tab.radio("Goldie <b>&", SAID)).to_be_visible()
    assert tab.export(tmp_path).results[0].masklets[0].phrase == "Goldie <b>&"
    tab.button(f"Rename Goldie <b>& of {SAID}").click()
    tab.page.get_by_role("textbox", name="New name of Goldie").fill("not kept")
    tab.page.keyboard.press("Escape")
    expect(tab.radio("Goldie <b>&", SAID)).to_be_visible()
    tab.button(f"Delete Goldie <b>& of {SAID}").click()
    expect(tab.page.get_by_role("group", name=SAID)).to_contain_text("Nothing in the video answers to this.")
    tab.button("Delete the green hammer").click()
    expect(tab.page.get_by_role("group", name="the green hammer")).to_have_count(0)
    tab.expect_frame(0, "0 masks")
    for _ in range(2):
        tab.button("Undo").click()
        expect(tab.status).to_have_text("Taken back.")
    tab.expect_frame(0, "2 masks")
    expect(tab.radio("Goldie <b>&", SAID)).to_be_visible()


def test_everything_has_a_key(tab):
    press = tab.page.keyboard.press
    tab.view.focus()
    press("/")
    expect(tab.page.get_by_role("textbox", name="What to look for")).to_be_focused()
    tab.page.keyboard.type(SAID)
    press("Enter")
    expect(tab.status).to_contain_text(f"for “{SAID}”.", timeout=WORK_MILLISECONDS)
    tab.view.focus()
    for key, frame_idx in (
        ("ArrowRight", 1),
        ("Shift+ArrowRight", 11),
        ("ArrowLeft", 10),
        ("End", NUM_FRAMES - 1),
        ("Home", 0),
        ("Shift+ArrowLeft", 0),
    ):
        press(key)
        tab.expect_frame(frame_idx)
    for key, name in (("b", "Brush"), ("e", "Eraser"), ("r", "Take away"), ("a", "Add"), ("b", "Brush")):
        press(key)
        expect(tab.radio(name)).to_be_checked()
    size = int(tab.page.get_by_role("slider", name="Size").input_value())
    press("]")
    assert int(tab.page.get_by_role("slider", name="Size").input_value()) == size + 2
    press("ArrowRight")
    press("i")
    press("Shift+ArrowRight")
    press("o")
    expect(tab.button("Ask frames 1 to 11")).to_be_visible()
    press("x")
    expect(tab.button("Ask")).to_be_visible()
    press("m")
    tab.expect_frame(11, "0 masks")
    press("m")
    tab.expect_frame(11, "1 mask")
    press("n")
    expect(tab.radio("a new object")).to_be_checked()
    tab.radio("object 1", SAID).focus()
    press("Space")
    press("Delete")
    expect(tab.status).to_have_text("Deleted; undo brings it back.")
    tab.expect_frame(11, "0 masks")
    press("Control+z")
    expect(tab.status).to_have_text("Taken back.")
    tab.expect_frame(11, "1 mask")
    press("c")
    expect(tab.page.get_by_role("alert")).to_contain_text("frame 11")
    press("Escape")
    expect(tab.page.get_by_role("alert")).to_be_hidden()
    tab.view.focus()
    press("Space")
    expect(tab.button("Pause")).to_be_visible()
    press("Space")
    expect(tab.button("Play")).to_be_visible()
    press("?")
    listed = tab.page.get_by_role("definition")
    expect(listed.first).to_be_visible()
    assert listed.count() == tab.page.get_by_role("term").count() > 12


def test_keys_stay_out_of_what_is_typed(tab):
    tab.page.get_by_role("textbox", name="What to look for").press_sequentially("b/x i?")
    expect(tab.page.get_by_role("textbox", name="What to look for")).to_have_value(re.compile(r"^b/x i\?$"))
    expect(tab.radio("Add")).to_be_checked()
