"""Make the reference pictures of ``tests/imaging/test_scripts.py`` with Chromium."""

from __future__ import annotations

import base64
import io
import runpy
from pathlib import Path

from PIL import Image, ImageChops
from playwright.sync_api import sync_playwright

PAGE = """<style>@font-face {{ font-family: X; src: url(data:font/woff2;base64,{data}) }}
body {{ margin: 80px; background: white }} span {{ font: 48px X; color: black; white-space: nowrap }}</style>
<span dir="auto">{words}</span>"""


def main() -> None:
    """Write the ink of each case."""
    module = runpy.run_path(str(Path(__file__).parents[1] / "imaging" / "test_scripts.py"))
    cases, fonts = module["CASES"], module["FONTS"]
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--font-render-hinting=none", "--disable-lcd-text"]
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=options)
        page = browser.new_page(viewport={"width": 800, "height": 300})
        for name, (words, font) in cases.items():
            data = base64.b64encode((fonts / f"{font}.woff2").read_bytes()).decode()
            page.set_content(PAGE.format(data=data, words=words))
            page.evaluate("document.fonts.ready")
            image = Image.open(io.BytesIO(page.screenshot())).convert("L")
            image.crop(ImageChops.invert(image).getbbox()).save(fonts / "chromium" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
