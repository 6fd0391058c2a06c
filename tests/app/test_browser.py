"""The page in a real browser: upload, names, panes, slider, downloads, a broken file, curating, on three screens."""

import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from namesake.records import Names

pytestmark = pytest.mark.slow

if os.environ.get("NAMESAKE_REQUIRE_BROWSER") != "1":
    pytest.importorskip("gradio", reason="the web page needs gradio: pip install '.[app]'")
    pytest.importorskip("playwright", reason="the browser is driven by playwright: pip install '.[dev]'")
    pytest.importorskip(
        "axe_playwright_python", reason="axe-core comes with axe-playwright-python: pip install '.[dev]'"
    )

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
TOLD = """at => {
    const tip = document.querySelector("#result-0 .tip");
    return tip.textContent.includes("% sure") && Math.abs(parseFloat(tip.style.left) - 100 * at) < 1;
}"""
WHOLE = """() => [...document.querySelectorAll(".plate")].map(plate => {
    const [name, pane] = [plate, plate.closest(".stage")].map(each => each.getBoundingClientRect());
    return ["left", "top"].every(side => name[side] >= pane[side] - 1)
        && ["right", "bottom"].every(side => name[side] <= pane[side] + 1);
})"""
HOSTILE = Names(("<img src=x onerror=alert(1)>", "${7*7}{{7*7}}"))
PATIENCE = 120_000  # milliseconds; a busy machine may need them
SCREENS = {
    "desktop": {"viewport": {"width": 1360, "height": 900}},
    "dark": {"viewport": {"width": 1360, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}


@pytest.fixture(scope="module")
def server(serve):
    return serve("--megapixels", "2")  # a camera's picture is larger than those of other tests


@contextmanager
def browsing(server, chromium: str, screen: str) -> Iterator:
    """The page in a browser that has never been used; outside requests, dialogs and errors are noted on it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=chromium,
            args=FLAGS,
            headless=True,
            timeout=PATIENCE,
            accept_downloads=True,
            permissions=["camera", "clipboard-read", "clipboard-write"],
            **SCREENS[screen],
        )
        context.set_default_timeout(PATIENCE)
        page = context.pages[0]
        page.screen, page.outside, page.dialogs, page.errors = screen, [], [], []
        page.on("request", lambda sent: page.outside.append(sent.url) if is_outside(sent.url, server) else None)
        page.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
        page.on("console", lambda said: page.errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(server.url)
        page.wait_for_selector("#segment")
        yield page
        context.close()


@pytest.fixture(scope="module", params=SCREENS)
def page(server, chromium, request) -> Iterator:
    """Each screen in turn; whatever was done on it, it had no error, asked nobody else and opened no dialog."""
    with browsing(server, chromium, request.param) as page:
        yield page
        assert not page.errors
        assert not page.outside
        assert not page.dialogs


def is_outside(url: str, server) -> bool:
    return not url.startswith((server.url, "data:", "blob:"))


def send(page, name: str, content: bytes) -> None:
    clear(page)
    page.set_input_files("#picture input[type=file]", {"name": name, "mimeType": "image/png", "buffer": content})


def clear(page) -> None:
    if page.locator("#picture button[aria-label='Remove Image']").count():
        page.click("#picture button[aria-label='Remove Image']")
        page.locator("#viewer .hint").first.wait_for()


def picture(seed: int) -> bytes:
    content = io.BytesIO()
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((80, 60)).save(content, "PNG")
    return content.getvalue()


def accessible(page) -> None:
    """Nothing that axe-core calls serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    page.mouse.move(0, 0)
    page.locator(".toast-body").first.wait_for(state="detached")  # errors are gradio's own: a button within an alert
    page.wait_for_timeout(400)  # colours fade in, and in between they have less contrast
    found = Axe().run(page).response["violations"]
    assert not [
        (each["id"], each["help"], [node["target"] for node in each["nodes"]])
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


def share(page, what: str) -> float:
    """A style property of the panes as a number."""
    return float(
        page.locator(".panes").evaluate("(panes, what) => panes.style.getPropertyValue(what)", what).strip("%")
    )


def download(page, button: str, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.click(button)
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def open_tab(page, name: str) -> None:
    page.click(f"button[role=tab]:has-text('{name}')")


def test_browser__the_start(page):
    assert page.inner_text(".head .product").startswith("namesake")
    accessible(page)
    page.click(".head a")
    page.locator(".help dt", has_text="Pseudo-mask").wait_for()
    accessible(page)
    open_tab(page, "Segment")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_browser__from_picture_to_download(page, tmp_path: Path):
    page.evaluate("window.scrollTo(0, 0)")
    page.fill("#names textarea", "dog, <img src=x onerror=alert(2)>")
    send(page, "<b>my photo.png", picture(0))
    for number in (0, 1):
        page.wait_for_selector(f"#result-{number} .photo")
        assert page.wait_for_selector(f"#legend-{number} table.legend").inner_text()
    shown = page.locator("#result-0 .photo").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert shown == [640, 480]
    box = page.locator("#result-0 .stage").bounding_box()
    assert 0 <= box["y"] < page.viewport_size["height"] * 0.6  # it lies on the screen, also where it is below the rest
    whole = page.evaluate(WHOLE)
    assert whole  # there are names
    assert all(whole)  # and none is cut
    assert "<img src=x onerror=alert(2)>" in page.inner_text("#legend-0")
    assert "<img src=x onerror=alert(1)>" in page.inner_text("body")
    assert "my photo.png" in page.locator("#result-0 .photo").get_attribute("alt")
    accessible(page)
    index = download(page, "#png-0", tmp_path)
    assert index.name.endswith("-labels.png")
    with Image.open(index) as opened:
        labels = np.array(opened)
    assert labels.shape == (60, 80)
    assert set(np.unique(labels)) <= {0, 1, 2}
    coco = json.loads(download(page, "#coco-0", tmp_path).read_text())
    assert [each["name"] for each in coco["categories"]] == ["dog", "<img src=x onerror=alert(2)>"]
    assert (coco["images"][0]["width"], coco["images"][0]["height"]) == (80, 60)
    with Image.open(download(page, "#overlay-0", tmp_path)) as drawn:
        assert drawn.size[0] == 4 * 80


def test_browser__a_name_under_the_mouse_or_the_finger(page):
    stage = page.locator("#result-1 .stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    point = page.touchscreen.tap if page.screen == "phone" else page.mouse.move
    for at in (0.4, 0.7):  # the second time there is nothing to be read any more, and the answer comes at once
        point(box["x"] + box["width"] * at, box["y"] + box["height"] * 0.4)
        page.wait_for_function(TOLD, arg=at)
        page.wait_for_timeout(300)
        assert page.evaluate(TOLD, at)  # also when the finger is lifted
    tips = page.locator(".tip").all_inner_texts()
    words = json.loads(stage.get_attribute("data-words"))
    assert tips[1].rpartition(",")[0] in words
    assert page.locator("#result-1 tr.pointed").count() <= 1


def test_browser__opacity_zoom_and_swipe(page):
    page.locator(".tools [name=opacity]").fill("80")
    assert share(page, "--opacity") == 0.8
    fill = page.locator("#result-0 .fill").evaluate("layer => getComputedStyle(layer).opacity")
    assert fill == "0.8"
    page.click(".tools [data-do=in]")
    moved = page.locator("#result-0 .moved").evaluate("each => each.style.transform")
    assert "scale(1.5)" in moved
    assert page.inner_text(".tools .size") == "150 %"
    page.click(".tools [data-do=whole]")
    assert page.inner_text(".tools .size") == "100 %"
    page.click(".tools [data-do=swipe]")
    page.locator(".tools [name=at]").fill("20")
    assert share(page, "--at") == 20
    first, second = (page.locator(f"#result-{number} .stage").bounding_box() for number in (0, 1))
    assert first == second  # one lies over the other
    clipped = page.locator("#result-1 .stage").evaluate("stage => getComputedStyle(stage).clipPath")
    assert "20%" in clipped
    accessible(page)
    page.click(".tools [data-do=swipe]")


def test_browser__slider_makes_all_unsure(page):
    page.fill("#least input[type=number]", "100")
    page.press("#least input[type=number]", "Enter")
    page.locator("#legend-1 >> text=not sure").wait_for()
    assert share(page, "--opacity") == 0.8  # what was chosen stays
    page.click("#view label:has-text('confidence')")
    page.locator("#legend-1 .scale").wait_for()
    page.hover("#view input:checked")
    ground = page.locator("#view input:checked").evaluate("button => getComputedStyle(button).backgroundColor")
    assert ground != "rgb(255, 255, 255)"  # the dot is white
    page.click("#view label:has-text('areas')")


def test_browser__focus_is_seen(page):
    for chosen in ("#ticks input[type=checkbox]", "#names textarea", "#result-0 .stage", "#png-0"):
        page.locator(chosen).first.focus()
        page.keyboard.press("Shift")  # focus by the keyboard, not by the mouse
        width = page.locator(chosen).first.evaluate("each => getComputedStyle(each).outlineWidth")
        assert width == "3px", chosen


def test_browser__enter_segments_and_shift_enter_makes_a_line(page):
    page.fill("#names textarea", "cat")
    page.press("#names textarea", "Shift+Enter")
    page.locator("#names textarea").press_sequentially("red")
    assert page.input_value("#names textarea") == "cat\nred"
    page.press("#names textarea", "Enter")
    page.wait_for_function("document.querySelector('#result-0 .stage').dataset.words.includes('red')")
    assert page.input_value("#names textarea") == "cat\nred"


def test_browser__the_camera_and_what_was_copied(page):
    clear(page)
    page.click("#picture button[aria-label='Capture from camera']")
    page.locator("#picture button:has-text('Click to Access Webcam')").click()
    page.locator("#picture video").wait_for()
    page.wait_for_function("document.querySelector('#picture video').videoWidth")  # the camera gives its first frame
    page.click("#picture button[aria-label='capture photo']")
    page.wait_for_selector("#picture img")
    assert page.locator("#picture button[aria-label='Paste from clipboard']").count()


def test_browser__a_picture_of_the_run(page):
    clear(page)
    examples = page.locator("#examples button img")
    assert len({each.get_attribute("src") for each in examples.all()}) == examples.count() > 1
    examples.first.click()
    page.wait_for_selector("#result-0 .photo")


def test_browser__broken_file_then_a_good_one(page):
    send(page, "broken.png", picture(1)[:90])
    page.locator("text=cannot be decoded").first.wait_for()
    send(page, "good.png", picture(1))
    page.locator("#legend-0 table.legend").wait_for()


def test_browser__what_a_person_chooses_is_kept(page, server):
    """An image crossed out, a mask rejected and accepted, words changed, and all of it taken back."""
    path = server.closed / "curation.json"
    open_tab(page, "Learned from")
    page.locator("#browse-run input").click()
    page.locator("[role=option]", has_text="<b>run").click()
    page.locator("#tiles figure img").first.wait_for()
    image = page.locator("#tiles button[data-choice=cross]").first.get_attribute("data-image")

    def press(choice: str, state: str, pressed: bool) -> None:
        page.locator(f"#tiles button[data-choice={choice}][data-image='{image}']").click()
        chosen = page.locator(f"#tiles .tile.{state}")
        chosen.first.wait_for() if pressed else chosen.wait_for(state="detached")

    press("cross", "crossed", pressed=True)
    press("rejected", "rejected", pressed=True)
    press("accepted", "accepted", pressed=True)
    page.fill("#browse-words :is(input, textarea)", "a pet, dog")
    page.press("#browse-words :is(input, textarea)", "Enter")
    page.locator("#curation", has_text="1 names reworded").wait_for()
    kept = json.loads(path.read_text())
    assert kept["left_out"] == {HOSTILE.names[0]: [image]}
    assert kept["words"] == {HOSTILE.names[0]: ["a pet", "dog"]}
    assert kept["masks"][image]["state"] == "accepted"
    press("cross", "crossed", pressed=False)
    press("accepted", "accepted", pressed=False)
    page.fill("#browse-words :is(input, textarea)", "")
    page.press("#browse-words :is(input, textarea)", "Enter")
    page.locator("#curation", has_text="Nothing is chosen yet").wait_for()
    assert not path.exists()


def test_browser__a_mask_redrawn_by_clicks(page, server):
    if page.screen == "dark":
        return  # SAM takes its time: once with the mouse and once with the finger
    path = server.closed / "curation.json"
    page.locator("#tiles button[data-choice=redraw]").first.click()
    page.locator("#clicked img").wait_for()
    before = page.locator("#clicked img").get_attribute("src")
    page.wait_for_timeout(500)
    (page.locator("#clicked img").tap if page.screen == "phone" else page.locator("#clicked img").click)()
    page.wait_for_function("before => document.querySelector('#clicked img').src !== before", arg=before)
    page.click("#redraw-keep")
    page.locator("#tiles .corrected").wait_for()
    page.locator("#curation", has_text="tier M").wait_for()
    (mask,) = json.loads(path.read_text())["masks"].values()
    assert (mask["state"], mask["size"], mask["model"]) == ("corrected", [48, 60], "embedded:sam")
    path.unlink()


def test_browser__what_it_learned_from_and_report(page):
    open_tab(page, "Learned from")
    page.locator("#browse-run input").click()
    page.locator("[role=option]", has_text="<b>run").click()
    page.locator("#tiles figure img").first.wait_for()
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    open_tab(page, "Report")
    page.locator("#report-run label", has_text="<b>run").click()
    page.frame_locator("iframe.report").locator("h1", has_text="<b>run").wait_for()
    assert "49" not in page.inner_text("#report")
    accessible(page)
