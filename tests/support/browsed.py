"""The page in the system's Chromium: a server to open, and what a user does and sees there. Controls are found by role and label."""

import re
import shutil
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import uvicorn
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from served import toy_engine, write_drawn_clip

from saymask.cli.demo import SCENE, SPLIT
from saymask.records import Prediction
from saymask.toyworld.dataset import load_toyworld
from saymask.toyworld.render import render
from saymask.web.app import create_app
from saymask.web.settings import Settings

NUM_FRAMES, SIDE = 16, 128
WORK_MILLISECONDS = 60_000
expect.set_options(timeout=20_000)  # a busy machine draws late


@contextmanager
def running(data: Path) -> Iterator[str]:
    """Address of a server on a free port of this machine."""
    server = uvicorn.Server(uvicorn.Config(create_app(Settings(data), toy_engine()), port=0, log_level="warning"))
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


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "no chromium is installed; apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A tab on the page. What goes wrong in its scripts is in `complaints`, every address that was asked for in `addresses`.

    Args:
        browser, address: where it is opened.
        options: of the tab, e.g. `viewport`.
    """

    def __init__(self, browser: Browser, address: str, **options):
        self.page: Page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **options})
        self.complaints: list[str] = []
        self.addresses: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.addresses.append(request.url))
        self.page.goto(address)

    # -- controls ---------------------------------------------------------------------------------------------------------------------

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def radio(self, name: str, group: str = "") -> Locator:
        within = self.page.get_by_role("group", name=group, exact=True) if group else self.page
        return within.get_by_role("radio", name=name, exact=True)

    @property
    def status(self) -> Locator:
        return self.page.get_by_role("status")

    @property
    def view(self) -> Locator:
        return self.page.get_by_role("img", name=re.compile(r"^Frame \d+ with"))

    @property
    def scrub(self) -> Locator:
        return self.page.get_by_role("slider", name="Frame", exact=True)

    # -- what a user does -------------------------------------------------------------------------------------------------------------

    def upload(self, path: Path) -> None:
        self.page.get_by_label("Drop a video here").set_input_files(path)
        expect(self.status).to_have_text("Say what to look for.", timeout=WORK_MILLISECONDS)

    def type_query(self, query: str) -> None:
        self.page.get_by_role("textbox", name="What to look for").fill(query)
        self.page.keyboard.press("Enter")

    def ask(self, query: str) -> None:
        self.type_query(query)
        expect(self.status).to_contain_text(f"for “{query}”.", timeout=WORK_MILLISECONDS)

    def stand_at(self, frame_idx: int) -> None:
        self.scrub.fill(str(frame_idx))
        self.expect_frame(frame_idx)

    def take_tool(self, name: str) -> None:
        self.page.get_by_role("radiogroup", name="Tool").get_by_text(name, exact=True).click()
        expect(self.radio(name)).to_be_checked()

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the video is in the tab."""
        box = self.view.bounding_box()
        return box["x"] + x * box["width"] / SIDE, box["y"] + y * box["height"] / SIDE

    def snapped(self, x: float, y: float) -> tuple[float, float]:
        """The nearest point of the video under a whole pixel of the tab: the browser tells scripts no finer place of a press."""
        box = self.view.bounding_box()
        left, top = (round(value) for value in self.place(x, y))
        return (left - box["x"]) * SIDE / box["width"], (top - box["y"]) * SIDE / box["height"]

    def stroke(self, *points: tuple[float, float]) -> None:
        """With the mouse pressed, from one point of the video to the next; one that is sent and answered."""
        with self.page.expect_response(lambda response: response.url.endswith("/masks")):
            self.page.mouse.move(*self.place(*points[0]))
            self.page.mouse.down()
            for point in points[1:]:
                self.page.mouse.move(*self.place(*point))
            self.page.mouse.up()

    def click_on(self, mask_HW: np.ndarray) -> None:
        """Click on the pixel of a mask that is nearest to its middle."""
        rows, columns = mask_HW.nonzero()
        nearest = np.hypot(rows - rows.mean(), columns - columns.mean()).argmin()
        self.page.mouse.click(*self.place(columns[nearest] + 0.5, rows[nearest] + 0.5))

    def export(self, folder: Path) -> Prediction:
        self.page.get_by_label("Export as").select_option("json")
        with self.page.expect_download() as download:
            self.button("Export").click()
        download.value.save_as(folder / "prediction.json")
        return Prediction.load(folder / "prediction.json")

    # -- what a user sees -------------------------------------------------------------------------------------------------------------

    def expect_frame(self, frame_idx: int, masks: str = "") -> None:
        """The frame is drawn, with e.g. "2 masks"."""
        expect(self.page.get_by_role("img", name=f"Frame {frame_idx} with {masks}")).to_be_visible()

    def pixels(self) -> np.ndarray:
        """uint8 pixels_HW3 of the canvas."""
        _, _, content = self.view.evaluate("view => view.toDataURL('image/png')").partition(",")
        return np.asarray(Image.open(BytesIO(b64decode(content))).convert("RGB"))

    def coloured(self) -> np.ndarray:
        """bool mask_HW: where the canvas differs from itself without masks."""
        label, shown = self.view.get_attribute("aria-label"), self.pixels().astype(int)
        self.button("Masks").click()
        self.expect_frame(int(self.scrub.input_value()), "0 masks")
        bare = self.pixels()
        self.button("Masks").click()
        expect(self.view).to_have_attribute("aria-label", label)
        return np.abs(shown - bare).max(-1) > 12


def write_clip(path: Path) -> Path:
    write_drawn_clip(path, NUM_FRAMES)
    return path


def true_frames() -> np.ndarray:
    """uint8 frames_THWC of the clip."""
    return load_toyworld(None, SPLIT)[SCENE].video.frames(range(NUM_FRAMES))


def true_mask(frame_idx: int, number: int) -> np.ndarray:
    """bool mask_HW of a thing of the scene, numbered as in `saymask.cli.demo.QUESTIONS`."""
    _, ids_BTHW = render([load_toyworld(None, SPLIT).scene(SCENE)], [frame_idx])
    return (ids_BTHW[0, 0] == number).numpy()


def overlap(a_HW: np.ndarray, b_HW: np.ndarray) -> float:
    return (a_HW & b_HW).sum() / (a_HW | b_HW).sum()
