"""The page in a real browser: what a user sees is what the drawn world's truth says."""

import re

import numpy as np
import pytest
from browsed import NUM_FRAMES, WORK_MILLISECONDS, overlap, true_frames, true_mask, write_clip
from playwright.sync_api import expect
from served import SAID

from saymask.cli.demo import QUESTIONS
from saymask.session.live_query import DRAWN
from saymask.web import feed as feed_module

pytestmark = pytest.mark.slow
OTHER = QUESTIONS["the orange cup"]
"""The thing that is clicked."""
WATCH = """() => {
  const view = document.querySelector("[role=img][aria-label^=Frame]"), progress = document.querySelector("progress[aria-label=Progress]");
  window.seen = [];
  new MutationObserver(() => window.seen.push([view.getAttribute("aria-label"), progress.checkVisibility()]))
    .observe(view, { attributes: true, attributeFilter: ["aria-label"] });
}"""


def test_say_it_see_it_correct_it_export_it(visit, tmp_path):
    clip = write_clip(tmp_path / "clip.mp4")
    tab = visit()
    tab.upload(clip)
    tab.ask(SAID)
    tab.page.mouse.move(0, 0)
    for frame_idx in (7, 0, NUM_FRAMES - 1):
        tab.stand_at(frame_idx)
        assert overlap(tab.coloured(), true_mask(frame_idx, QUESTIONS[SAID])) > 0.8
    tab.stand_at(7)
    fish_HW = tab.coloured()
    tab.radio("a new object").check()
    tab.click_on(true_mask(7, OTHER))
    expect(tab.status).to_have_text("Corrected on this frame; carry it to the others.")
    tab.expect_frame(7, "2 masks")
    clicked_HW = tab.coloured() & ~fish_HW
    assert overlap(clicked_HW, true_mask(7, OTHER)) > 0.6
    tab.stand_at(6)
    expect(tab.button("Carry")).to_be_disabled()
    tab.stand_at(7)
    tab.button("Carry").click()
    expect(tab.status).to_have_text("Carried to the other frames.", timeout=WORK_MILLISECONDS)
    before_HW3 = tab.pixels()
    tab.page.reload()
    expect(tab.status).to_have_text("clip.mp4 is as you left it.")
    tab.expect_frame(7, "2 masks")
    assert np.abs(tab.pixels().astype(int) - before_HW3).max() < 12, "the same masks in the same colours"
    expect(tab.radio("object 1", DRAWN)).to_be_checked()
    exported = tab.export(tmp_path)
    assert [result.query for result in exported.results] == [SAID, DRAWN]
    assert overlap(exported.masks(7)[1], clicked_HW) > 0.9, "the export is what the canvas showed"
    assert overlap(exported.masks(0)[1], true_mask(0, OTHER)) > 0.5, "carried back to the first frame"
    assert overlap(exported.masks(7)[0], fish_HW) > 0.9


def test_every_frame_is_the_one_of_its_number(visit, tmp_path):
    tab = visit()
    tab.upload(write_clip(tmp_path / "clip.mp4"))
    frames_THWC = true_frames().astype(int)
    tab.view.focus()
    for frame_idx in range(NUM_FRAMES):
        tab.expect_frame(frame_idx)
        distances = np.abs(frames_THWC - tab.pixels()).mean((1, 2, 3))
        assert distances.argmin() == frame_idx and distances.min() < 6
        tab.page.keyboard.press("ArrowRight")
    tab.expect_frame(NUM_FRAMES - 1)


def test_masks_appear_as_they_come_each_sentence_in_its_colour(visit, tmp_path):
    tab = visit()
    tab.upload(write_clip(tmp_path / "clip.mp4"))
    tab.page.evaluate(WATCH)
    tab.ask(SAID)
    assert ["Frame 0 with 1 mask", True] in tab.page.evaluate("window.seen"), "shown while the rest was still being found"
    tab.ask("the green hammer")
    tab.expect_frame(0, "2 masks")
    pure_HW3 = 2 * tab.pixels().astype(int) - true_frames()[0]  # a mask's colour lies half over the frame
    fish, hammer = (pure_HW3[true_mask(0, QUESTIONS[query])].mean(0) for query in (SAID, "the green hammer"))
    assert np.linalg.norm(fish - hammer) > 150
    strips = [tab.page.get_by_role("img", name=f"Confidence of {query}") for query in (SAID, "the green hammer")]
    for strip in strips:
        expect(strip).to_have_attribute("aria-label", re.compile(r": 0\.[5-9]\d on average, lowest 0\.\d\d on frame \d+|: 1\.00"))
    strips[1].click(position={"x": strips[1].bounding_box()["width"] * 5.5 / NUM_FRAMES, "y": 5})
    tab.expect_frame(5, "2 masks")


def test_comments_between_events_are_skipped(visit, tmp_path, monkeypatch):
    """They come while a job waits or computes; the server runs in this process."""
    monkeypatch.setattr(feed_module, "KEEP_ALIVE_SECONDS", 0.01)
    tab, came = visit(), []

    def read_along(route):
        answer = route.fetch()
        came.append(answer.text())
        route.fulfill(response=answer)

    tab.page.route("**/events", read_along)
    tab.upload(write_clip(tmp_path / "clip.mp4"))
    tab.ask(SAID)
    expect(tab.status).to_have_text(f"Found 1 object for “{SAID}”.")
    assert feed_module.KEEP_ALIVE in came[0] and came[0].count("event: frame") == NUM_FRAMES


def test_two_tabs_are_two_sessions(visit, tmp_path):
    clip = write_clip(tmp_path / "clip.mp4")
    queries = (SAID, "the green hammer")
    tabs = [visit(), visit()]
    for tab in tabs:
        tab.upload(clip)
    for tab, query in zip(tabs, queries, strict=True):
        tab.type_query(query)
    for tab, query in zip(tabs, queries, strict=True):
        expect(tab.status).to_have_text(f"Found 1 object for “{query}”.", timeout=WORK_MILLISECONDS)
    for tab, query in zip(tabs, queries, strict=True):
        tab.stand_at(9)
        tab.expect_frame(9, "1 mask")
        assert overlap(tab.coloured(), true_mask(9, QUESTIONS[query])) > 0.8


def test_a_reload_in_the_middle_goes_on(visit, tmp_path):
    tab = visit()
    tab.upload(write_clip(tmp_path / "clip.mp4"))
    with tab.page.expect_response("**/queries"):
        tab.type_query(SAID)
    tab.page.reload()
    expect(tab.radio("object 1", SAID)).to_be_visible(timeout=WORK_MILLISECONDS)
    expect(tab.button("Cancel")).to_be_hidden(timeout=WORK_MILLISECONDS)
    tab.stand_at(NUM_FRAMES - 1)
    tab.expect_frame(NUM_FRAMES - 1, "1 mask")
    assert overlap(tab.coloured(), true_mask(NUM_FRAMES - 1, QUESTIONS[SAID])) > 0.8


def test_what_waits_is_cancelled(visit, tmp_path):
    tab = visit()
    tab.upload(write_clip(tmp_path / "clip.mp4"))
    queries = (SAID, "the green hammer", "the orange cup")
    for query in queries:
        with tab.page.expect_response("**/queries"):
            tab.type_query(query)
    tab.button("Cancel").click()
    expect(tab.button("Cancel")).to_be_hidden(timeout=WORK_MILLISECONDS)
    expect(tab.status).to_have_text(f"Cancelled: Looking for “{queries[-1]}”.")
    expect(tab.page.get_by_role("group", name=queries[-1])).to_have_count(0)
