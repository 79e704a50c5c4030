"""Look at pages as a reader's browser does: fixture ``open_page``, driven through Debian's Chromium."""

from __future__ import annotations

import itertools
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page, Route

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # a test must not depend on the network
]
DEADLINE = 20_000  # ms


class Box(NamedTuple):
    """Where an image stands in its document, in css px."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class ShownImage:
    """An image of a page: the file that the browser chose, that file's own width in px, and its box.

    ``offered`` are the media types that its ``<picture>`` names.
    """

    current_src: str
    natural_width: int
    box: Box
    alt: str
    offered: tuple[str, ...]


@dataclass(frozen=True)
class PageReport:
    """What a reader would have met on a page; images that aren't rendered (``display: none``) are left out."""

    console_errors: tuple[str, ...]
    failed_requests: tuple[str, ...]
    broken_images: tuple[str, ...]
    layout_shift: float
    images: tuple[ShownImage, ...]
    screenshot: Path

    @property
    def faults(self) -> tuple[str, ...]:
        """Return all that must not happen on any page."""
        return self.console_errors + self.failed_requests + self.broken_images


# Layout shifts count when a moved element could have been moved by an image: when one stands before or in it.
_WATCH = """
window.shifts = [];
const after = Node.DOCUMENT_POSITION_FOLLOWING | Node.DOCUMENT_POSITION_CONTAINS;
const movable = node => !node || [...document.images].some(
  image => image === node || image.compareDocumentPosition(node) & after);
new PerformanceObserver(list => list.getEntries().forEach(entry => {
  if (entry.sources.some(source => movable(source.node))) window.shifts.push(entry.value);
})).observe({type: 'layout-shift', buffered: true});
"""
_PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
_SCROLL = """async () => {
  const frame = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const to = top => (scrollTo({top, behavior: 'instant'}), frame());
  for (let top = 0; top < document.documentElement.scrollHeight; top += innerHeight) await to(top);
  await to(0);
}"""
_LOADED = "() => [...document.images].every(image => image.complete || !image.getClientRects().length)"
_IMAGES = """async () => {
  const width = async url => {
    const file = new Image();
    file.src = url;
    try { await file.decode(); } catch { return -1; }
    return file.naturalWidth;
  };
  const shown = [...document.images].filter(image => image.getClientRects().length);
  return Promise.all(shown.map(async image => {
    const box = image.getBoundingClientRect();
    return {
      url: image.currentSrc || image.src, alt: image.alt, width: image.complete ? await width(image.currentSrc) : -1,
      box: [box.x + scrollX, box.y + scrollY, box.width, box.height],
      offered: [...image.parentElement.querySelectorAll(':scope > source')].map(source => source.type),
    };
  }));
}"""


class PageOpener:
    """Open pages in one browser, each with an empty cache of its own."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self._folder = folder
        self._numbers = itertools.count(1)

    def __call__(self, url: str, width: int = 1200, height: int = 900) -> PageReport:
        """Open a page, scroll through all of it, and report once every image has come or failed."""
        context = self._browser.new_context(viewport={"width": width, "height": height})
        try:
            page = context.new_page()
            page.set_default_timeout(DEADLINE)
            return self._report(page, url)
        finally:
            context.close()

    def _report(self, page: Page, url: str) -> PageReport:
        errors: list[str] = []
        failed: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("requestfailed", lambda request: failed.append(f"{request.url}: {request.failure}"))
        page.on("response", lambda r: failed.append(f"{r.url}: {r.status}") if r.status >= 400 else None)
        page.add_init_script(_WATCH)
        self._show(page, url)
        found = page.evaluate(_IMAGES)
        screenshot = self._folder / f"{next(self._numbers)}.png"
        page.screenshot(path=screenshot)
        return PageReport(
            console_errors=tuple(errors),
            failed_requests=tuple(failed),
            broken_images=tuple(one["url"] for one in found if one["width"] < 0),
            layout_shift=page.evaluate("() => shifts.reduce((sum, value) => sum + value, 0)"),
            images=tuple(_image(one) for one in found),
            screenshot=screenshot,
        )

    def _show(self, page: Page, url: str) -> None:
        """Hold images back until the page has been painted without them, as a slow network does."""
        held: list[Route] = []
        is_painted = False

        def hold(route: Route) -> None:
            if is_painted or route.request.resource_type != "image":
                route.continue_()
            else:
                held.append(route)

        page.route("**/*", hold)
        page.goto(url, wait_until="domcontentloaded")
        page.evaluate(_PAINTED)
        is_painted = True
        for route in held:
            route.continue_()
        page.wait_for_load_state("load")
        page.evaluate(_SCROLL)
        page.wait_for_function(_LOADED)


def _image(found: dict[str, Any]) -> ShownImage:
    return ShownImage(found["url"], found["width"], Box(*found["box"]), found["alt"], tuple(found["offered"]))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start the browser once; skip where there is none."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip("no Chromium: install it with `apt-get install chromium`")
    environ: dict[str, str | float | bool] = {**os.environ, "HOME": str(tmp_path_factory.mktemp("chromium"))}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS, env=environ)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, tmp_path: Path) -> PageOpener:
    """Return ``open_page(url, width=1200, height=900)``, which returns a PageReport."""
    folder = tmp_path / "screenshots"
    folder.mkdir()
    return PageOpener(chromium, folder)
