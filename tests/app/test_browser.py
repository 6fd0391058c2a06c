"""The page in a real browser: upload, names, overlay, slider, download, a broken file."""

import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

if os.environ.get("NAMESAKE_REQUIRE_BROWSER") != "1":
    pytest.importorskip("gradio", reason="the web page needs gradio: pip install '.[app]'")
    pytest.importorskip("playwright", reason="the browser is driven by playwright: pip install '.[dev]'")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 120_000  # milliseconds; a busy machine may need them


@pytest.fixture(scope="module")
def page(serve, chromium) -> Iterator:
    """The page, opened in a browser that has never been used; outside requests and dialogs are noted on it."""
    from playwright.sync_api import sync_playwright

    server = serve()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, args=FLAGS, headless=True, timeout=PATIENCE, accept_downloads=True
        )
        context.set_default_timeout(PATIENCE)
        page = context.pages[0]
        page.outside, page.dialogs = [], []
        page.on(
            "request", lambda request: page.outside.append(request.url) if is_outside(request.url, server) else None
        )
        page.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(server.url)
        page.wait_for_selector("#segment")
        yield page
        context.close()


def is_outside(url: str, server) -> bool:
    return not url.startswith((server.url, "data:", "blob:"))


def send(page, name: str, content: bytes) -> None:
    if page.locator("#picture button[aria-label='Clear']").count():
        page.click("#picture button[aria-label='Clear']")
    page.set_input_files("#picture input[type=file]", {"name": name, "mimeType": "image/png", "buffer": content})


def picture(seed: int) -> bytes:
    content = io.BytesIO()
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((80, 60)).save(content, "PNG")
    return content.getvalue()


def test_browser__from_picture_to_download(page, tmp_path: Path):
    page.fill("#names textarea", "dog, <img src=x onerror=alert(2)>")
    send(page, "<b>my photo.png", picture(0))
    for number in (0, 1):
        page.wait_for_selector(f"#result-{number} img")
        assert page.wait_for_selector(f"#legend-{number} table.legend").inner_text()
    shown = page.locator("#result-0 img").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    assert shown == [640, 480]
    assert "<img src=x onerror=alert(2)>" in page.inner_text("#legend-0")
    assert "<img src=x onerror=alert(1)>" in page.inner_text("body")
    with page.expect_download() as waiting:
        page.click("#png-0")
    index = tmp_path / waiting.value.suggested_filename
    waiting.value.save_as(index)
    assert index.name.endswith("-labels.png")
    labels = np.array(Image.open(index))
    assert labels.shape == (60, 80)
    assert set(np.unique(labels)) <= {0, 1, 2}
    with page.expect_download() as waiting:
        page.click("#coco-0")
    waiting.value.save_as(tmp_path / "coco.json")
    coco = json.loads((tmp_path / "coco.json").read_text())
    assert [each["name"] for each in coco["categories"]] == ["dog", "<img src=x onerror=alert(2)>"]
    assert (coco["images"][0]["width"], coco["images"][0]["height"]) == (80, 60)
    assert not page.dialogs
    assert not page.outside


def test_browser__slider_makes_all_unsure(page):
    page.fill("#least input[type=number]", "100")
    page.press("#least input[type=number]", "Enter")
    page.locator("#legend-1 >> text=not sure").wait_for()
    page.click("#view label:has-text('confidence')")
    page.locator("#legend-1 .scale").wait_for()
    page.hover("#view input:checked")
    ground = page.locator("#view input:checked").evaluate("button => getComputedStyle(button).backgroundColor")
    assert ground != "rgb(255, 255, 255)"  # the dot is white


def test_browser__broken_file_then_a_good_one(page):
    send(page, "broken.png", picture(1)[:90])
    page.locator("text=cannot be decoded").first.wait_for()
    page.click("#view label:has-text('areas')")
    send(page, "good.png", picture(1))
    page.locator("#legend-0 table.legend").wait_for()


def test_browser__what_it_learned_from_and_report(page):
    page.click("button[role=tab]:has-text('Learned from')")
    page.locator("#browse-run input").click()
    page.locator("[role=option]", has_text="<b>run").click()
    page.locator("#masks figure img").first.wait_for()
    page.locator("#sheet img").wait_for()
    page.click("button[role=tab]:has-text('Report')")
    page.locator("#report-run label", has_text="<b>run").click()
    page.frame_locator("iframe.report").locator("h1", has_text="<b>run").wait_for()
    assert "49" not in page.inner_text("#report")
    assert not page.dialogs
    assert not page.outside
