"""The gallery in Chromium, through the link of ``s3img gallery``: each part with its script, by mouse and by keyboard."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gallery_visitor import picture
from werkzeug.serving import make_server

from s3img.gallery.loopback_session import LoopbackSession
from s3img.service.factory import QuietHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, ConsoleMessage, Page

    from s3img.buckets import Bucket
    from s3img.gallery import Gallery

IMAGES = Path(__file__).parents[2] / "examples/mkdocs_site/docs/images"
SHOTS = [
    ("gallery-light", "/?prefix=hike/", (1280, 800), "light"),
    ("gallery-dark", "/?prefix=hike/", (1280, 800), "dark"),
    ("gallery-phone", "/?prefix=hike/", (360, 740), "light"),
    ("gallery-picture", "/object?key=hike/meadow.jpg&similar=1", (1280, 1000), "light"),
]


@pytest.fixture
def address(make_gallery: Callable[..., Gallery], bucket: Bucket) -> Iterator[tuple[str, str]]:
    """A running gallery: its address, and the token of its link."""
    session = LoopbackSession()
    server = make_server(
        "127.0.0.1", 0, session.wrap(make_gallery(session.authorize)), threaded=True, request_handler=QuietHandler
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}", session.token
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def page(chromium: Browser, address: tuple[str, str]) -> Iterator[Page]:
    """A browser that has opened the link; it must meet no error."""
    context = chromium.new_context(viewport={"width": 1100, "height": 800})
    opened = context.new_page()
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            errors.append(f"{message.text} {message.location}")

    opened.on("console", note)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(f"{address[0]}/?token={address[1]}")
    # Thumbnails are lazy: one that is still on the way would be answered after a test has moved its picture.
    opened.wait_for_load_state("networkidle")
    yield opened
    context.close()
    # A picture that is refused or can't be shown is an answer of 422 or 415, which Chromium reports as well.
    assert [error for error in errors if not re.search("status of (415|422)", error)] == []


def visit(page: Page, path: str) -> None:
    page.goto("/".join(page.url.split("/")[:3]) + path)
    page.wait_for_load_state("networkidle")


def press(page: Page, name: str, path: str) -> None:
    """Press a button that sends a form, and wait for its answer: a click comes back before the browser goes there."""
    page.get_by_role("button", name=name).click()
    page.wait_for_url(f"**{path}")


def widths_of_thumbnails(page: Page) -> list[int]:
    """The px of all pictures of a page, once each of them is there."""
    page.wait_for_function("() => [...document.querySelectorAll('.card img')].every(image => image.complete)")
    found: list[int] = page.evaluate("[...document.querySelectorAll('.card img')].map(image => image.naturalWidth)")
    return found


def keys(bucket: Bucket) -> set[str]:
    return {info.key for info in bucket.list() if not info.key.startswith(".s3img/")}


def test_link_leaves_no_token_in_the_address(page: Page) -> None:
    assert page.url.endswith("/")
    assert page.locator(".card").count() == 1


def test_thumbnails_are_loaded_in_places_that_were_kept(page: Page) -> None:
    visit(page, "/?prefix=i/")
    sizes = widths_of_thumbnails(page)
    assert len(sizes) == 2
    assert min(sizes) > 0


def test_object_that_only_is_called_a_picture_has_no_empty_frame(page: Page, bucket: Bucket) -> None:
    bucket.put("n/lie.jpg", b"no picture", media_type="image/jpeg")
    visit(page, "/?prefix=n/")
    assert [width > 0 for width in widths_of_thumbnails(page)] == [True]
    assert "text" in page.request.get(page.url.split("?")[0] + "thumb?key=n/lie.jpg&w=240").text()


def test_selection_is_counted_and_a_range_is_chosen_with_shift(page: Page, bucket: Bucket) -> None:
    for number in range(5):
        bucket.put(f"r/{number}.png", picture(), media_type="image/png")
    visit(page, "/?prefix=r/")
    boxes = page.locator(".card input")
    remove = page.get_by_role("button", name="Move to trash")
    assert remove.is_disabled()
    boxes.nth(1).click()
    boxes.nth(3).click(modifiers=["Shift"])
    assert page.locator("#count").inner_text() == "3 selected"
    press(page, "Move to trash", "/remove")
    assert {key for key in keys(bucket) if key.startswith("r/")} == {"r/0.png", "r/4.png"}


def test_everything_is_reached_by_keyboard(page: Page) -> None:
    visit(page, "/?prefix=i/")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert page.locator("#count").inner_text() == "1 selected"
    page.keyboard.press("a")
    assert page.locator("#count").inner_text() == "2 selected"
    page.keyboard.press("/")
    page.keyboard.type("owl")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=owl*")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/object?key=i%2Fn%2Fowl.png")


def test_keys_can_be_switched_off_and_stay_off(page: Page) -> None:
    visit(page, "/?prefix=i/")
    page.get_by_role("button", name="Keyboard").click()
    page.get_by_label("Use these keys").uncheck()
    page.keyboard.press("Escape")
    visit(page, "/?prefix=i/")
    page.keyboard.press("a")
    page.keyboard.press("?")
    assert page.locator("#count").inner_text() == "0 selected"
    assert not page.locator("#help").is_visible()
    page.get_by_role("button", name="Keyboard").click()
    page.get_by_label("Use these keys").check()
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    assert page.locator("#count").inner_text() == "2 selected"


def test_uploads_queue_with_a_result_for_each(page: Page, bucket: Bucket) -> None:
    visit(page, "/?prefix=i/n/")
    good = {"name": "New One.png", "mimeType": "image/png", "buffer": picture("lime")}
    bad: Any = {"name": "bad.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.locator('input[type="file"]').set_input_files([good, bad])  # type: ignore[list-item]
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_function("() => document.querySelectorAll('#queue li a').length === 1")
    page.wait_for_function("() => document.querySelector('#queue').innerText.includes('Try again')")
    assert any(key.startswith("i/n/new-one.") for key in keys(bucket))
    page.locator("#queue li a").click()
    page.wait_for_url("**/object?key=*new-one*")


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_pictures_are_dropped_and_pasted(page: Page, bucket: Bucket, kind: str) -> None:
    visit(page, "/?prefix=i/n/")
    before = keys(bucket)
    page.evaluate(
        """([kind, bytes]) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], 'dropped.png', {type: 'image/png'}));
          const event = kind === 'drop'
            ? new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})
            : new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true});
          document.body.dispatchEvent(event);
        }""",
        [kind, [*picture("lime")]],
    )
    page.wait_for_function("() => document.querySelectorAll('#queue li a').length === 1")
    assert [key.startswith("i/n/dropped.") for key in keys(bucket) - before] == [True]


def test_link_is_copied(page: Page) -> None:
    visit(page, "/object?key=i/cat.png")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy: Markdown").click()
    page.wait_for_function("() => document.getElementById('live').textContent === 'Copied'")
    assert page.evaluate("navigator.clipboard.readText()") == "![cat](https://img.example.com/i/cat.png)"


def test_picture_is_renamed_removed_and_restored(page: Page, bucket: Bucket) -> None:
    visit(page, "/object?key=top.png")
    page.get_by_label("New key").fill("i/renamed.png")
    page.get_by_role("button", name="Rename").click()
    page.wait_for_url("**/object?key=i%2Frenamed.png")
    # Its picture is still on the way, and would be asked for after it was moved.
    page.wait_for_function("() => document.querySelector('.stage img').complete")
    press(page, "Move to trash", "/remove")
    visit(page, "/trash")
    page.get_by_label("Select i/renamed.png").check()
    press(page, "Restore", "/restore")
    assert "i/renamed.png" in keys(bucket)


def test_folder_is_removed_by_its_typed_name(page: Page, bucket: Bucket) -> None:
    visit(page, "/?prefix=i/n/")
    page.get_by_text("Move or remove this folder").click()
    page.get_by_label("Type n to confirm").nth(1).fill("n")
    press(page, "Move this folder to the trash", "/remove-folder")
    assert keys(bucket) == {"i/cat.png", "i/dog.png", "top.png"}


@pytest.mark.parametrize("width", [320, 3840])
def test_no_page_is_wider_than_its_window(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 700})
    for path in ("/?prefix=i/", "/object?key=i/cat.png", "/trash", "/settings"):
        visit(page, path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.nightly
@pytest.mark.parametrize(("name", "path", "size", "scheme"), SHOTS, ids=[shot[0] for shot in SHOTS])
def test_pictures_of_the_documentation_are_made(
    page: Page, bucket: Bucket, tmp_path: Path, name: str, path: str, size: tuple[int, int], scheme: Any
) -> None:
    """Copy them to ``docs/images`` when the pages have changed; they are looked at, not compared."""
    for file in sorted(IMAGES.iterdir()):
        bucket.put(f"hike/{file.name}", file.read_bytes(), media_type="image/x")
        bucket.put(f"hike/day two/{file.name}", file.read_bytes(), media_type="image/x")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    page.emulate_media(color_scheme=scheme)
    visit(page, path)
    page.screenshot(path=tmp_path / f"{name}.png")
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
