"""A finished demo in, pictures of the web page out: the two of serve.md, and one as narrow as a phone to look at.

make demo
namesake run zutis --preset mini --names "NAMES OF THE DEMO" --config training.iterations=60 --out demo/zutis
    --images demo/world/unlabelled/images
python docs/serve.py demo docs
"""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

NAMES, EXAMPLE = "tree, duck, mug", 3
WIDTH, HEIGHT, PHONE = 1280, 980, 400
PATIENCE = 120_000
"""Milliseconds."""


def main(demo: Path, out: Path) -> None:
    """Serve two runs, use the page as a visitor does."""
    command = [sys.executable, "-m", "namesake", "serve", demo / "namedmask", demo / "zutis", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
        assert server.stdout is not None
        address = json.loads(server.stdout.readline())["url"]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        page.fill("#names textarea", NAMES)
        page.locator("#examples button img").nth(EXAMPLE).click()
        page.locator("#legend-1 table.legend").wait_for()
        page.fill("#least input[type=number]", "50")
        page.press("#least input[type=number]", "Enter")
        page.locator("#legend-0 >> text=not sure").wait_for()
        page.hover("#view input:checked")
        save(page, out / "serve-segment.jpg")
        page.set_viewport_size({"width": PHONE, "height": HEIGHT})
        save(page, demo / "serve-phone.jpg", full_page=True)
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        page.click("button[role=tab]:has-text('Learned from')")
        page.locator("#tiles figure img").first.wait_for()
        save(page, out / "serve-learned.jpg")
        server.terminate()


def save(page: Any, out: Path, *, full_page: bool = False) -> None:  # noqa: ANN401
    """The page as a JPEG, once nothing moves any more."""
    page.wait_for_timeout(1500)
    Image.open(io.BytesIO(page.screenshot(full_page=full_page))).convert("RGB").save(out, quality=85)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
