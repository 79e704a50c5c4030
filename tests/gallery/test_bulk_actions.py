"""All matches of a search, whole folders, copies and links: each object has a result, each request an end."""

from __future__ import annotations

import json
import logging
import re
import threading
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from gallery_visitor import Visitor, picture

from s3img.errors import Unreachable
from s3img.gallery import object_actions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from s3img.buckets import Bucket, ObjectInfo
    from s3img.gallery import Gallery


def keys(bucket: Bucket) -> set[str]:
    return {info.key for info in bucket.list() if not info.key.startswith(".s3img/")}


def hidden_fields(page: str) -> dict[str, str]:
    """The hidden fields of the page's first form, as a browser would send them back."""
    form = page.partition("<form")[2].partition("</form>")[0]
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)}


def send_to_the_end(visitor: Visitor, path: str, form: dict[str, Any]) -> list[str]:
    """Send a form, then what it asks for, until nothing is left; return the pages."""
    pages = []
    while form:
        answer = visitor.post(path, form)
        assert answer.status_code in {200, 409}
        pages.append(answer.get_data(as_text=True))
        form = hidden_fields(pages[-1].partition("<main")[2]) if "<form" in pages[-1].partition("<main")[2] else {}
        form = form if f'action="{path}"' in pages[-1] else {}
    return pages


def test_number_of_matches_is_named_where_it_is_known(visitor: Visitor) -> None:
    assert "All 4 matches" in visitor.get("/?q=png").get_data(as_text=True)
    assert "All matches" not in visitor.get("/?prefix=i/").get_data(as_text=True)


@pytest.mark.parametrize("form", [{}, {"prefix": "i/"}, {"sort": "newest"}, {"type": "nonsense", "q": "  "}])
@pytest.mark.parametrize("path", ["/remove", "/move", "/copy"])
def test_all_of_a_bucket_is_never_all_matches(
    visitor: Visitor, bucket: Bucket, path: str, form: dict[str, str]
) -> None:
    before = keys(bucket)
    assert visitor.post(path, {"all": "1", "confirmed": "1", "target": "k", **form}).status_code == 400
    assert keys(bucket) == before
    assert 'name="all"' not in visitor.get("/?sort=newest").get_data(as_text=True)


def test_all_matches_are_counted_before_they_change(visitor: Visitor, bucket: Bucket) -> None:
    before = keys(bucket)
    page = visitor.post("/remove", {"all": "1", "q": "png", "prefix": "i/"}).get_data(as_text=True)
    assert "Move 3 objects" in page
    assert "<li>i/n/owl.png</li>" in page
    assert keys(bucket) == before


@pytest.mark.parametrize(
    ("path", "form", "left"),
    [
        ("/remove", {}, {"top.png"}),
        ("/move", {"target": "k/"}, {"top.png", "k/cat.png", "k/dog.png", "k/owl.png"}),
        ("/copy", {"target": "k/"}, {"top.png", "i/cat.png", "i/dog.png", "i/n/owl.png", "k/cat.png", "k/dog.png", "k/owl.png"}),
        ("/move", {"target": "i/"}, {"top.png", "i/cat.png", "i/dog.png", "i/owl.png"}),
    ],
    ids=["remove", "move", "copy", "into the searched folder"],
)  # fmt: skip
@pytest.mark.parametrize("at_a_time", [1, 2, 1000])
def test_all_matches_change_in_as_many_requests_as_it_takes(
    visitor: Visitor,
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    form: dict[str, str],
    left: set[str],
    at_a_time: int,
) -> None:
    monkeypatch.setattr(object_actions, "MOST_CHANGED", at_a_time)
    pages = send_to_the_end(visitor, path, {"all": "1", "q": "png", "prefix": "i/", **form})
    assert keys(bucket) == left
    assert len(pages) <= 6


def test_request_that_has_no_time_left_goes_on_in_the_next(
    visitor: Visitor, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_actions, "CHUNK", 1)
    monkeypatch.setattr(object_actions, "CHANGE_SECONDS", 0.0)
    page = visitor.post("/remove", {"all": "1", "q": "png", "confirmed": "1"}).get_data(as_text=True)
    assert "1 done, 0 failed" in page
    assert "Go on with the rest" in page
    assert hidden_fields(page.partition("<main")[2])["after"] == "i/cat.png"
    send_to_the_end(visitor, "/remove", {"all": "1", "q": "png", "confirmed": "1"})
    assert keys(bucket) == set()


def test_one_failure_keeps_no_other_match_from_moving(visitor: Visitor, bucket: Bucket) -> None:
    bucket.put("k/dog.png", picture("white"), media_type="image/png")
    page = visitor.post("/move", {"all": "1", "q": "i/ png", "target": "k", "confirmed": "1"}).get_data(as_text=True)
    assert "2 done, 1 failed" in page
    assert "another object has the key" in page
    assert keys(bucket) == {"k/cat.png", "k/dog.png", "k/owl.png", "i/dog.png", "top.png"}


def test_two_objects_are_never_moved_to_one_key(visitor: Visitor, bucket: Bucket) -> None:
    bucket.put("j/cat.png", picture("white"), media_type="image/png")
    page = visitor.post("/move", {"key": ["i/cat.png", "j/cat.png"], "target": "k"}).get_data(as_text=True)
    assert "1 done, 1 failed" in page
    assert {"j/cat.png", "k/cat.png"} < keys(bucket)


def test_only_matches_that_may_change_are_counted_and_changed(
    make_gallery: Callable[..., Gallery], bucket: Bucket
) -> None:
    visitor = Visitor(make_gallery(lambda action, key, environ: key != "i/dog.png"))
    visitor.get("/")
    assert "Move 3 objects" in visitor.post("/remove", {"all": "1", "q": "png"}).get_data(as_text=True)
    visitor.post("/remove", {"all": "1", "q": "png", "confirmed": "1"})
    assert keys(bucket) == {"i/dog.png"}


def test_copy_needs_the_right_to_see_and_to_upload(make_gallery: Callable[..., Gallery], bucket: Bucket) -> None:
    before = keys(bucket)
    for denied in (("view", "i/cat.png"), ("upload", "k/cat.png")):
        visitor = Visitor(make_gallery(lambda action, key, environ, denied=denied: (action, key) != denied))
        visitor.get("/")
        assert visitor.post("/copy", {"key": "i/cat.png", "target": "k"}).status_code == 403
        visitor.post("/copy", {"all": "1", "q": "cat", "target": "k", "confirmed": "1"})
        assert keys(bucket) == before


def test_copy_of_what_is_there_is_made_and_of_what_differs_refused(visitor: Visitor, bucket: Bucket) -> None:
    bucket.put("k/cat.png", bucket.get("i/cat.png"), media_type="image/png")
    bucket.put("k/dog.png", picture("white"), media_type="image/png")
    page = visitor.post("/copy", {"key": ["i/cat.png", "i/dog.png", "gone.png"], "target": "k"}).get_data(as_text=True)
    assert "1 done, 2 failed" in page
    assert bucket.get("k/dog.png") == picture("white")


@pytest.mark.parametrize("target", ["../x", ".s3img/x", "a\\b", "x//y"])
def test_copy_to_what_is_no_key_is_refused(visitor: Visitor, bucket: Bucket, target: str) -> None:
    before = {info.key for info in bucket.list()}
    assert visitor.post("/copy", {"key": "i/cat.png", "target": target}).status_code in {403, 409}
    assert {info.key for info in bucket.list()} == before


def test_links_of_many_are_one_a_line_in_any_form(visitor: Visitor) -> None:
    page = visitor.post("/links", {"key": ["i/cat.png", "top.png"], "form": "markdown"}).get_data(as_text=True)
    lines = "![cat](https://img.example.com/i/cat.png)\n![top](https://img.example.com/top.png)"
    assert f"readonly>{lines}</textarea>" in unescape(page)
    page = visitor.post("/links", {"all": "1", "q": "owl", "form": "nonsense"}).get_data(as_text=True)
    assert ">https://img.example.com/i/n/owl.png</textarea>" in page


def test_folder_moves_with_the_folders_below_it(visitor: Visitor, bucket: Bucket) -> None:
    assert visitor.post("/move-folder", {"folder": "i/", "target": "k/l", "confirm": "i"}).status_code == 200
    assert keys(bucket) == {"k/l/cat.png", "k/l/dog.png", "k/l/n/owl.png", "top.png"}


@pytest.mark.parametrize(
    "form",
    [
        {"folder": "i/", "target": "k", "confirm": "I"},
        {"folder": "i/", "target": "i/x", "confirm": "i"},
        {"folder": "i/", "target": "i", "confirm": "i"},
        {"folder": "i/", "target": "../k", "confirm": "i"},
        {"folder": "", "target": "k", "confirm": ""},
    ],
)
def test_folder_does_not_move_by_mistake(visitor: Visitor, bucket: Bucket, form: dict[str, str]) -> None:
    before = keys(bucket)
    assert visitor.post("/move-folder", form).status_code == 400
    assert keys(bucket) == before


def test_folders_have_counts_that_say_where_they_stopped(
    visitor: Visitor, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert json.loads(visitor.get("/?counts=1", headers={"Accept": "application/json"}).data) == {"counts": {"i/": "3"}}
    assert re.search(r'<small data-folder="i/">3</small>', visitor.get("/?counts=1").get_data(as_text=True))
    monkeypatch.setattr("s3img.gallery.folder_page.MOST_COUNTED", 2)
    assert json.loads(visitor.get("/?counts=1", headers={"Accept": "application/json"}).data) == {
        "counts": {"i/": "2+"}
    }


def test_permission_is_asked_in_the_thread_of_the_request(make_gallery: Callable[..., Gallery], tmp_path: Path) -> None:
    """Frameworks know the request, and so the visitor, in its own thread only."""
    threads = set()

    def authorize(action: str, key: str, environ: Any) -> bool:
        threads.add(threading.get_ident())
        return True

    visitor = Visitor(make_gallery(authorize))
    visitor.get("/?counts=1")
    for path in ("/copy", "/move", "/remove"):
        visitor.post(path, {"all": "1", "q": "png", "target": "k", "confirmed": "1"})
    assert threads == {threading.get_ident()}


def test_folder_whose_name_ends_in_a_blank_goes_when_it_was_typed(visitor: Visitor, bucket: Bucket) -> None:
    bucket.put("trip /a.png", picture(), media_type="image/png")
    assert visitor.post("/remove-folder", {"folder": "trip /", "confirm": "trip"}).status_code == 400
    assert visitor.post("/remove-folder", {"folder": "trip /", "confirm": "trip "}).status_code == 200
    assert "trip /a.png" not in keys(bucket)


def test_folder_is_told_why_it_can_not_be_moved(visitor: Visitor) -> None:
    form = {"folder": "i/", "confirm": "i"}
    assert "not into itself" in visitor.post("/move-folder", {**form, "target": "i/k"}).get_data(as_text=True)
    page = unescape(visitor.post("/move-folder", {**form, "target": "../k"}).get_data(as_text=True))
    assert "no empty, '.' or '..' segment" in page


def test_what_was_done_is_in_the_log_also_when_the_listing_fails(
    make_gallery: Callable[..., Gallery],
    bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    gallery = make_gallery(bucket=bucket)
    visitor = Visitor(gallery)
    visitor.get("/")
    monkeypatch.setattr(object_actions, "CHUNK", 1)
    monkeypatch.setattr("s3img.gallery.folder_page.list_after", lambda *args: cut_listing([*bucket.list("i/")]))
    caplog.set_level(logging.INFO, "s3img.gallery")
    assert visitor.post("/remove-folder", {"folder": "i/", "confirm": "i"}).status_code == 502
    (line,) = [json.loads(one.getMessage()) for one in caplog.records if one.name == "s3img.gallery"]
    assert (line["action"], line["count"]) == ("delete", 3)


def cut_listing(infos: list[ObjectInfo]) -> Iterator[ObjectInfo]:
    yield from infos
    raise Unreachable("the store has gone")
