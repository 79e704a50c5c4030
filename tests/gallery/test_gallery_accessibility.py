"""axe-core finds nothing on any page, in both languages, light and dark, on a phone and on a desk."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest
from gallery_visitor import picture
from werkzeug.serving import make_server

from s3img.service.factory import QuietHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from s3img.buckets import Bucket
    from s3img.gallery import Gallery

PAGES = (
    "/",
    "/?prefix=i/",
    "/?q=png&sort=newest",
    "/?q=nothing-has-this-name",
    "/?prefix=empty/",
    "/object?key=i/cat.png",
    "/object?key=notes.txt",
    "/object?key=none.png",
    "/trash",
    "/settings",
)
FORMS = (("/links", {"key": "i/cat.png"}), ("/remove", {"all": "1", "q": "png"}), ("/remove", {"key": "none.png"}))
LOOKS = [
    (language, scheme, width) for language in ("en", "zh") for scheme in ("light", "dark") for width in (320, 1280)
]

AXE = """async () => {
  const found = await axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']});
  return found.violations.map(one => [one.id, one.nodes.map(node => node.html.slice(0, 200))]);
}"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, as its package on npm holds it."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if not npm:
        pytest.skip("node is not installed")
    command = [npm, "install", "--silent", "--no-audit", "--ignore-scripts", "axe-core@4"]
    try:
        subprocess.run(command, cwd=folder, check=True, timeout=200, capture_output=True)
    except (subprocess.SubprocessError, OSError):
        pytest.skip("the npm registry can't be reached")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


@pytest.fixture
def address(make_gallery: Callable[..., Gallery], bucket: Bucket) -> Iterator[str]:
    """A gallery with folders, pictures, another file, and something in the trash."""
    for number in range(3):
        bucket.put(f"i/long name of a picture {number} \u56fe\u7247.png", picture(), media_type="image/png")
    bucket.put("notes.txt", b"notes", media_type="text/plain")
    bucket.put(".s3img/trash/gone.png", picture(), media_type="image/png")
    server = make_server("127.0.0.1", 0, make_gallery(), threaded=True, request_handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.nightly
@pytest.mark.parametrize(("language", "scheme", "width"), LOOKS)
def test_axe_finds_no_violation(
    chromium: Browser, address: str, axe: str, tmp_path: Path, language: str, scheme: Any, width: int
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": 800}, locale=language, color_scheme=scheme, bypass_csp=True
    )
    found: dict[str, Any] = {}
    try:
        page = context.new_page()

        def examine(name: str) -> None:
            for details in page.locator("details").all():
                details.evaluate("details => { details.open = true; }")
            page.add_script_tag(content=axe)
            if violations := page.evaluate(AXE):
                found[name] = violations
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name

        for path in PAGES:
            page.goto(address + path)
            examine(path)
        for path, fields in FORMS:
            page.goto(f"{address}/?q=png")
            page.evaluate(
                """([path, fields]) => {
                  const form = document.querySelector('main form[method=post]');
                  const own = document.createElement('form');
                  own.method = 'post';
                  own.action = path;
                  for (const [name, value] of Object.entries({token: form.elements.token.value, ...fields})) {
                    const field = document.createElement('input');
                    field.name = name; field.value = value;
                    own.append(field);
                  }
                  document.body.append(own);
                  own.submit();
                }""",
                [path, fields],
            )
            page.wait_for_url(f"**{path}")
            examine(f"{path} {fields}")
    finally:
        context.close()
    assert found == {}, json.dumps(found, indent=1)
