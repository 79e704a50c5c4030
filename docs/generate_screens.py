"""Draw ``images/srcset.webp``: the example page on a phone and on a wide screen, and which files each of them loads.

python docs/generate_screens.py      needs Chromium, and the test dependencies
"""

from __future__ import annotations

import base64
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from s3img import Images

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "support"))
TARGET = ROOT / "docs" / "images" / "srcset.webp"
SCREENS = {"a phone: 390 px, two device pixels each": (390, 640, 2), "a wide screen: 1,440 px": (1440, 900, 1)}
LOADED = """() => performance.getEntriesByType('resource').filter(e => /_s3img.*[.](avif|webp|jpe?g|png)$/.test(e.name))
  .map(e => [decodeURIComponent(e.name.split('/').pop()), e.encodedBodySize])"""
STYLE = """
body { font: 15px/1.4 'Liberation Sans', sans-serif; margin: 20px; background: #fff }
body { display: flex; gap: 28px; width: max-content }
h1 { font-size: 16px; margin: 0 0 8px }
img { height: 380px; border: 1px solid #aaa; border-radius: 6px }
td { padding: 1px 14px 1px 0 }
td:last-child { text-align: right }
code { font: 13px 'Liberation Mono', monospace }
"""


def main() -> None:
    """Publish the example, look at it on both screens, and draw what was seen."""
    from chromium import FLAGS, NAMES
    from static_server import serving

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        site = Path(folder) / "site"
        example = ROOT / "examples" / "mkdocs_site" / "mkdocs.yml"
        command = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(example), "-d", str(site)]
        subprocess.run(command, check=True)  # noqa: S603 - our own arguments
        Images().publish(site)
        browser = playwright.chromium.launch(executable_path=next(filter(None, map(shutil.which, NAMES))), args=FLAGS)
        parts = []
        with serving(site) as url:
            for title, (width, height, scale) in SCREENS.items():
                page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
                page.goto(url, wait_until="networkidle")
                files = page.evaluate(LOADED)
                shot = base64.b64encode(page.screenshot()).decode()
                rows = "".join(
                    f"<tr><td><code>{shortened(name)}</code><td>{size / 1000:,.0f} kB" for name, size in files[:4]
                )
                parts.append(
                    f"<div><h1>{title}</h1><img src='data:image/png;base64,{shot}'><table>{rows}</table></div>"
                )
        page = browser.new_page(viewport={"width": 1000, "height": 560})
        page.set_content(f"<style>{STYLE}</style>{''.join(parts)}")
        picture = Image.open(io.BytesIO(page.locator("body").screenshot()))
        picture.convert("RGB").save(TARGET, quality=72, method=6)


def shortened(name: str) -> str:
    """Return ``harbour.5b1e….w-640.avif`` of a variant's whole name."""
    stem, digest, rest = name.split(".", 2)
    return f"{stem}.{digest[:4]}….{rest}"


if __name__ == "__main__":
    main()
