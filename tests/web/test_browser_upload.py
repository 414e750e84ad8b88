"""A file on its way from the page to the server: in parts, with a bar, over connections that break."""

import re
import secrets
import struct

import httpx2
import numpy as np
import pytest
from browsed import NUM_FRAMES, overlap, true_frames, true_mask, write_clip
from playwright.sync_api import expect
from served import SAID

from saymask.cli.demo import QUESTIONS

pytestmark = pytest.mark.slow
PART = 2**20
NAME = "Möwe & Fisch.mp4"
UPLOADS = re.compile(r"/v1/uploads/\w+$")
WATCH = """() => {
  const bar = document.getElementById("sent");
  window.seen = [];
  new MutationObserver(() => window.seen.push([bar.labels[0].textContent, bar.value, bar.max, bar.checkVisibility()]))
    .observe(bar, { attributes: true, attributeFilter: ["value"] });
}"""


@pytest.fixture
def large(tmp_path):
    """The clip, made larger than three parts by a box that players skip."""
    content = write_clip(tmp_path / NAME).read_bytes()
    skipped = secrets.token_bytes(3 * PART)
    (tmp_path / NAME).write_bytes(content + struct.pack(">I4s", 8 + len(skipped), b"free") + skipped)
    return tmp_path / NAME


@pytest.fixture
def tab(visit):
    tab = visit()
    tab.page.evaluate(WATCH)
    return tab


def sent(tab, method="PATCH"):
    """Addresses of the requests of a method that the page makes from now on."""
    addresses = []
    tab.page.on("request", lambda request: UPLOADS.search(request.url) and request.method == method and addresses.append(request.url))
    return addresses


def expect_whole(tab, path):
    """The server has the file, byte by byte, and the page shows its frames."""
    video_id = tab.page.evaluate("async (id) => (await (await fetch(`v1/sessions/${id}`)).json()).video.id", session_of(tab))
    assert httpx2.get(f"{tab.page.url.partition('#')[0]}v1/videos/{video_id}/file").content == path.read_bytes()
    for frame_idx in (0, 7, NUM_FRAMES - 1):
        tab.stand_at(frame_idx)
        distances = np.abs(true_frames().astype(int) - tab.pixels()).mean((1, 2, 3))
        assert distances.argmin() == frame_idx and distances.min() < 6


def session_of(tab):
    return re.search(r"session=(\w+)", tab.page.url)[1]


def test_a_large_file_comes_in_parts_and_the_bar_says_how_far(tab, large):
    parts, size = sent(tab), large.stat().st_size
    tab.upload(large)
    assert len(parts) == 4
    expect_whole(tab, large)
    assert tab.page.get_by_text(f"{NAME} · ").count() == 1, "the name came along"
    seen = tab.page.evaluate("window.seen")
    values = [value for _, value, _, _ in seen]
    assert set(values) <= {0, PART, 2 * PART, 3 * PART, size} and values == sorted(values) and PART in values
    for label, value, largest, is_visible in seen[:-1]:
        assert (label, largest, is_visible) == (f"Sending {NAME}: {100 * value // size} %", size, True)
    expect(tab.button("Cancel upload")).to_be_hidden()


def test_after_a_break_it_goes_on_and_the_frames_are_right(tab, large):
    parts, asked = sent(tab), sent(tab, "HEAD")

    def break_third(route):
        if route.request.method == "PATCH" and len(parts) == 3:
            route.abort()
        else:
            route.continue_()

    tab.page.route(UPLOADS, break_third)
    tab.upload(large)
    assert (len(parts), len(asked)) == (5, 1)
    expect_whole(tab, large)
    tab.ask(SAID)
    tab.stand_at(7)
    assert overlap(tab.coloured(), true_mask(7, QUESTIONS[SAID])) > 0.8


@pytest.mark.parametrize("number", [2, 4])
def test_a_part_whose_answer_is_lost_is_not_sent_twice(tab, large, number):
    """The server has it; the page does not know, and is told. The answer to the last part says that the file is a video."""
    parts, asked, lost = sent(tab), sent(tab, "HEAD"), []
    connection = tab.page.context.new_cdp_session(tab.page)

    def answered(event):
        if event["request"]["method"] == "PATCH" and len(parts) == number and not lost:
            lost.append(event["responseStatusCode"])
            connection.send("Fetch.failRequest", {"requestId": event["requestId"], "errorReason": "ConnectionReset"})
        else:
            connection.send("Fetch.continueRequest", {"requestId": event["requestId"]})

    connection.on("Fetch.requestPaused", answered)
    connection.send("Fetch.enable", {"patterns": [{"urlPattern": "*/v1/uploads/*", "requestStage": "Response"}]})
    tab.upload(large)
    assert lost == [204] and (len(parts), len(asked)) == (4, 1)
    expect_whole(tab, large)


def test_it_is_given_up_when_the_connection_stays_broken(tab, large):
    parts = sent(tab)
    tab.page.route(UPLOADS, lambda route: route.abort() if parts else route.continue_())
    tab.page.get_by_label("Drop a video here").set_input_files(large)
    expect(tab.page.get_by_role("alert")).to_contain_text("the server cannot be reached")
    expect(tab.button("Cancel upload")).to_be_hidden()
    tab.page.unroute(UPLOADS)
    tab.upload(large)
    expect_whole(tab, large)


def test_a_cancelled_upload_is_forgotten_and_the_file_can_be_chosen_again(tab, large):
    parts, dropped, held = sent(tab), sent(tab, "DELETE"), []

    def hold_second(route):
        if len(parts) == 2 and not held:
            held.append(route)
        else:
            route.continue_()

    tab.page.route(UPLOADS, hold_second)
    tab.page.get_by_label("Drop a video here").set_input_files(large)
    bar = tab.page.get_by_role("progressbar", name=f"Sending {NAME}: {100 * PART // large.stat().st_size} %")
    expect(bar).to_be_visible()
    with tab.page.expect_response(lambda response: response.request.method == "DELETE" and response.status == 204):
        tab.button("Cancel upload").click()
    expect(tab.status).to_have_text(f"Cancelled: sending {NAME}.")
    expect(tab.button("Cancel upload")).to_be_hidden()
    expect(tab.page.get_by_role("alert")).to_be_hidden()
    assert dropped == [parts[0]] and httpx2.head(parts[0]).status_code == 404
    tab.upload(large)
    expect_whole(tab, large)


def test_another_file_takes_its_place(tab, large, tmp_path):
    small, parts, held = write_clip(tmp_path / "small.mp4"), sent(tab), []
    tab.page.route(UPLOADS, lambda route: held.append(route) if len(parts) == 2 and not held else route.continue_())
    chooser = tab.page.get_by_label("Drop a video here")
    chooser.set_input_files(large)
    expect(tab.page.get_by_role("progressbar", name=f"Sending {NAME}: 3")).to_be_visible()
    tab.upload(small)
    assert parts[0] == parts[1] != parts[2] and len(parts) == 3, "the rest of the first file was not sent"
    expect_whole(tab, small)


def test_the_file_that_was_chosen_last_stays(tab, large, tmp_path):
    """The first one has come whole and is being opened; that takes until the second one has come too."""
    small, parts = write_clip(tmp_path / "small.mp4"), sent(tab)
    opened = []

    def hold_first(route):
        opened.append(route)
        if len(opened) > 1:
            route.continue_()

    tab.page.route("**/v1/sessions", hold_first)
    chooser = tab.page.get_by_label("Drop a video here")
    for path, count in ((large, 4), (small, 5)):
        with tab.page.expect_response(lambda response, count=count: response.request.method == "GET" and len(parts) == count):
            chooser.set_input_files(path)
    tab.page.wait_for_timeout(300)
    opened[0].continue_()
    expect(tab.page.get_by_text("small.mp4 · ")).to_be_visible()
    expect(tab.status).to_have_text("Say what to look for.")
    expect_whole(tab, small)


def test_an_empty_file_is_refused_before_it_is_sent(tab, tmp_path):
    (tmp_path / "empty.mp4").touch()
    tab.page.get_by_label("Drop a video here").set_input_files(tmp_path / "empty.mp4")
    expect(tab.page.get_by_role("alert")).to_contain_text("empty.mp4 is empty")
    assert not any("/v1/uploads" in address for address in tab.addresses)
