"""The page in a real browser: what a user sees is what the drawn world's truth says."""

import shutil
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import uvicorn
from playwright.sync_api import expect, sync_playwright
from served import SAID, toy_engine, write_drawn_clip

from saymask.cli.demo import QUESTIONS, SCENE, SPLIT
from saymask.records import Prediction
from saymask.toyworld.dataset import load_toyworld
from saymask.toyworld.render import render
from saymask.web.app import create_app
from saymask.web.settings import Settings

pytestmark = pytest.mark.slow
NUM_FRAMES = 12
OTHER = QUESTIONS["the orange cup"]
"""The thing that is clicked."""
READ_CANVAS = "view => Array.from(view.getContext('2d').getImageData(0, 0, view.width, view.height).data)"


@contextmanager
def running(data):
    """A server on a free port of this machine."""
    app = create_app(Settings(data), toy_engine())
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def browser():
    chromium = shutil.which("chromium")
    assert chromium, "no chromium is installed; apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


def canvas(page) -> np.ndarray:
    """uint8 pixels_HW3 of the canvas."""
    return np.array(page.locator("#view").evaluate(READ_CANVAS), dtype=np.uint8).reshape(128, 128, 4)[..., :3]


def stand_at(page, frame_idx):
    page.locator("#scrub").fill(str(frame_idx))
    expect(page.locator("#view")).to_have_attribute("data-frame", str(frame_idx))


def overlap(a_HW, b_HW) -> float:
    return (a_HW & b_HW).sum() / (a_HW | b_HW).sum()


def test_say_it_see_it_correct_it_export_it(browser, tmp_path, loopback):
    scene = load_toyworld(None, SPLIT)[SCENE]
    frames_THWC = scene.video.frames(range(NUM_FRAMES))
    write_drawn_clip(tmp_path / "clip.mp4", NUM_FRAMES)
    requests, complaints = [], []
    with running(tmp_path / "server") as address:
        page = browser.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        page.get_by_label("Drop a video here").set_input_files(tmp_path / "clip.mp4")
        expect(page.get_by_role("status")).to_have_text(f"clip.mp4: {NUM_FRAMES} frames")
        bare = {}
        for frame_idx in (0, 7):
            stand_at(page, frame_idx)
            bare[frame_idx] = canvas(page)
            difference = np.abs(bare[frame_idx].astype(int) - frames_THWC[frame_idx]).mean()
            assert difference < 6, f"frame {frame_idx} is another one: {difference:.1f}"
        page.get_by_label("What to look for").fill(SAID)
        page.get_by_role("button", name="Ask").click()
        expect(page.get_by_role("status")).to_have_text("done", timeout=60_000)
        for frame_idx in (0, 7):
            stand_at(page, frame_idx)
            coloured_HW = np.abs(canvas(page).astype(int) - bare[frame_idx]).max(-1) > 12
            assert overlap(coloured_HW, true_mask(frame_idx, QUESTIONS[SAID])) > 0.8
        page.get_by_label("a new object").check()
        click_on(page, true_mask(7, OTHER))
        expect(page.get_by_role("status")).to_have_text("corrected on this frame; carry it to the others")
        clicked_HW = (np.abs(canvas(page).astype(int) - bare[7]).max(-1) > 12) & ~coloured_HW
        assert overlap(clicked_HW, true_mask(7, OTHER)) > 0.6
        page.screenshot(path=tmp_path / "corrected.png", full_page=True)
        page.get_by_role("button", name="Carry from this frame").click()
        expect(page.get_by_role("status")).to_have_text("done", timeout=60_000)
        page.reload()
        expect(page.get_by_role("status")).to_have_text(f"clip.mp4: {NUM_FRAMES} frames")
        stand_at(page, 7)
        page.get_by_label("Format").select_option("json")
        with page.expect_download() as download:
            page.get_by_role("button", name="Export").click()
        download.value.save_as(tmp_path / "prediction.json")
        exported = Prediction.load(tmp_path / "prediction.json")
        assert [result.query for result in exported.results] == [SAID, "drawn by hand"]
        assert overlap(exported.masks(7)[1], clicked_HW) > 0.9, "the export is what the canvas showed"
        assert overlap(exported.masks(0)[1], true_mask(0, OTHER)) > 0.5, "carried back to the first frame"
        assert {url.split("/", 3)[2] for url in requests if not url.startswith(("blob:", "data:"))} == {address.split("/")[2]}
        assert complaints == []


def true_mask(frame_idx: int, number: int) -> np.ndarray:
    """bool mask_HW of a thing of the scene, numbered as in `QUESTIONS`."""
    _, ids_BTHW = render([load_toyworld(None, SPLIT).scene(SCENE)], [frame_idx])
    return (ids_BTHW[0, 0] == number).numpy()


def click_on(page, mask_HW: np.ndarray) -> None:
    """Click on the pixel of a mask that is nearest to its middle."""
    rows, columns = mask_HW.nonzero()
    nearest = np.hypot(rows - rows.mean(), columns - columns.mean()).argmin()
    box = page.locator("#view").bounding_box()
    scale = min(box["width"], box["height"]) / 128
    left, top = (box["width"] - 128 * scale) / 2, (box["height"] - 128 * scale) / 2
    page.locator("#view").click(position={"x": left + (columns[nearest] + 0.5) * scale, "y": top + (rows[nearest] + 0.5) * scale})
