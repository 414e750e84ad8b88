"""How the page looks and what it says: narrow, dark, when something is wrong, and with videos that are not simple."""

import re
from base64 import b64encode
from fractions import Fraction

import av
import numpy as np
import pytest
from browsed import write_clip
from PIL import Image
from playwright.sync_api import expect
from served import SAID

pytestmark = pytest.mark.slow
CONTRAST = 4.5
"""Of text, WCAG 2 AA."""
TRANSFER = """content => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], "dropped.mp4"));
  return transfer;
}"""
TEXT_COLOURS = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const under = (element) => {
    const layers = [];
    for (let layer = element; layer; layer = layer.parentElement) layers.unshift(getComputedStyle(layer).backgroundColor);
    return layers;
  };
  const flat = (colours) => {
    canvas.fillStyle = "white";
    canvas.fillRect(0, 0, 1, 1);
    for (canvas.fillStyle of colours) canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  return [...document.querySelectorAll("body *")].filter((element) => element.checkVisibility() && !element.disabled
      && [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim()))
    .map((element) => {
      const layers = under(element);
      return [element.textContent.trim().slice(0, 30), flat([...layers, getComputedStyle(element).color]), flat(layers)];
    });
}"""


def luminance(colour) -> float:
    """Of sRGB 0 ... 255, as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in colour)]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(one, other) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def opened(visit, tmp_path, **options):
    tab = visit(**options)
    tab.upload(write_clip(tmp_path / "clip.mp4"))
    return tab


def grey_levels(path, times, codec: str, start: int = 0) -> int:
    """Write a video of plain frames of 16, 32, 48, ... shown at these milliseconds; how many."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 16 * (number + 1), np.uint8), "rgb24")
            frame.pts, frame.time_base = start + time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return len(times)


def test_contrast_is_that_of_a_calculator():
    assert contrast((255, 255, 255), (0, 0, 0)) == pytest.approx(21)
    assert contrast((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(visit, tmp_path, scheme):
    tab = opened(visit, tmp_path, color_scheme=scheme)
    back = tab.page.evaluate(TEXT_COLOURS)[0][2]
    assert (luminance(back) > 0.5) == (scheme == "light")
    tab.ask(SAID)
    tab.page.get_by_text("Keys", exact=True).click()
    pale = {text: contrast(front, back) for text, front, back in tab.page.evaluate(TEXT_COLOURS) if contrast(front, back) < CONTRAST}
    assert pale == {}


def test_a_narrow_screen_shows_everything(visit, tmp_path):
    tab = visit(viewport={"width": 390, "height": 844}, has_touch=True)
    width = lambda: tab.page.evaluate("document.documentElement.scrollWidth")  # noqa: E731
    assert width() == 390
    tab.upload(write_clip(tmp_path / "clip.mp4"))
    tab.ask("the yellow fish")
    tab.take_tool("Brush")
    tab.page.get_by_text("Keys", exact=True).click()
    assert width() == 390
    for role in ("button", "textbox", "combobox", "slider", "img"):
        for control in tab.page.get_by_role(role).all():
            box = control.bounding_box()
            assert box and box["x"] >= 0 and box["x"] + box["width"] <= 390, control
    tall = tab.page.viewport_size["height"]
    for control in (tab.page.get_by_role("textbox", name="What to look for"), tab.view, tab.scrub):
        box = control.bounding_box()
        assert box["y"] + box["height"] <= tall, "asking, looking and scrubbing need no scrolling"


def test_every_control_has_a_name(visit, tmp_path):
    tab = opened(visit, tmp_path)
    tab.ask(SAID)
    for role in ("button", "radio", "textbox", "combobox", "slider", "img", "radiogroup"):
        controls = tab.page.get_by_role(role)
        named = controls.and_(tab.page.get_by_role(role, name=re.compile(r"\w")))
        assert controls.count() == named.count() > 0, role


def test_problems_say_what_to_do(visit, tmp_path):
    (tmp_path / "notes.mp4").write_text("no video")
    tab = visit()
    alert = tab.page.get_by_role("alert")
    tab.page.get_by_label("Drop a video here").set_input_files(tmp_path / "notes.mp4")
    expect(alert).to_contain_text("notes.mp4")
    tab.button("Dismiss").click()
    expect(alert).to_be_hidden()
    tab.upload(write_clip(tmp_path / "clip.mp4"))
    tab.view.focus()
    tab.page.keyboard.press("c")
    expect(alert).to_contain_text("add_mask, add_box or add_click there first")
    tab.page.context.set_offline(True)
    tab.type_query(SAID)
    expect(alert).to_contain_text("the server cannot be reached")
    tab.page.context.set_offline(False)
    tab.ask(SAID)
    expect(alert).to_be_hidden()


@pytest.mark.parametrize(
    ("name", "codec", "start"),
    [("uneven.mp4", "libx264", 0), ("late.mp4", "libx264", 700), ("uneven.webm", "libvpx-vp9", 0), ("old.avi", "mpeg4", 0)],
)
def test_frames_are_found_however_they_are_timed_and_coded(visit, tmp_path, name, codec, start):
    times = [0, 40, 80, 120] if name.endswith("avi") else [0, 20, 100, 110, 300, 310, 330, 500, 520, 900]
    count = grey_levels(tmp_path / name, times, codec, start)
    tab = visit()
    tab.upload(tmp_path / name)
    for frame_idx in (*range(count), 3, 1, 2, count - 1, 0):
        tab.stand_at(frame_idx)
        assert abs(tab.pixels().mean() - 16 * (frame_idx + 1)) < 5, frame_idx


def test_a_video_is_dropped_on_the_page(visit, tmp_path):
    content = b64encode(write_clip(tmp_path / "clip.mp4").read_bytes()).decode()
    tab = visit()
    tab.page.dispatch_event("body", "drop", {"dataTransfer": tab.page.evaluate_handle(TRANSFER, content)})
    expect(tab.status).to_have_text("Say what to look for.")
    expect(tab.page.get_by_text("dropped.mp4 · ")).to_be_visible()


def test_an_image_is_a_video_of_one_frame(visit, tmp_path):
    Image.fromarray(np.full((48, 80, 3), (10, 200, 90), np.uint8)).save(tmp_path / "plain.png")
    tab = visit()
    tab.upload(tmp_path / "plain.png")
    tab.expect_frame(0, "0 masks")
    assert (tab.pixels() == (10, 200, 90)).all() and tab.pixels().shape == (48, 80, 3)
    for name in ("Play", "Previous", "Next", "In", "Out"):
        expect(tab.button(name)).to_be_disabled()
