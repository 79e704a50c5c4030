"""What the pages show and do, without a script."""

from __future__ import annotations

import io
import json
import os
import re
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from gallery_visitor import Visitor, picture
from PIL import Image

from s3img.buckets import ObjectInfo, open_bucket
from s3img.errors import AccessDenied
from s3img.gallery import messages
from s3img.gallery.folder_page import PAGE, count_folders, folder_page, search_page
from s3img.gallery.html_builder import element
from s3img.gallery.messages import words_for
from s3img.gallery.object_files import look_at
from s3img.gallery.page_layout import Layout
from s3img.lock import Lock, LockEntry, write_lock
from s3img.manage import ObjectFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3_servers import TestBucket

    from s3img.buckets import Bucket
    from s3img.gallery import Gallery


def text_of(visitor: Visitor, path: str, **options: Any) -> str:
    answer = visitor.get(path, **options)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def names(page: str) -> list[str]:
    return re.findall(r'<span class="name" title="([^"]+)"', page)


def folders(page: str) -> list[str]:
    return re.findall(r'<li><a href="[^"]*prefix=[^"]*"><span>([^<]+)</span>', page.partition('class="folders"')[2])


def keys(bucket: Bucket) -> set[str]:
    return {info.key for info in bucket.list() if not info.key.startswith(".s3img/")}


def test_folder_shows_its_folders_and_pictures(visitor: Visitor) -> None:
    page = text_of(visitor, "/")
    assert (folders(page), names(page)) == (["i"], ["top.png"])
    page = text_of(visitor, "/?prefix=i/")
    assert (folders(page), names(page)) == (["n"], ["cat.png", "dog.png"])


def test_own_records_are_not_shown(visitor: Visitor, bucket: Bucket) -> None:
    bucket.put(".s3img/results/x.png", picture(), media_type="image/png")
    assert folders(text_of(visitor, "/")) == ["i"]
    assert names(text_of(visitor, "/?q=x.png")) == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=OWL", ["i/n/owl.png"]),
        ("q=i+png&prefix=i/", ["cat.png", "dog.png", "n/owl.png"]),
        ("type=jpg", []),
        ("until=2001-01-01", []),
        ("sort=largest&type=png&prefix=i/n/", ["owl.png"]),
    ],
)
def test_search_and_filters_have_an_address(visitor: Visitor, query: str, found: list[str]) -> None:
    page = text_of(visitor, f"/?{query}")
    assert names(page) == found
    assert "Searched all" in page


def test_order_is_by_date_and_size(visitor: Visitor, bucket: Bucket) -> None:
    bucket.put("a-big.png", picture(size=(900, 900)) + b"\0" * 9000, media_type="image/png")
    assert names(text_of(visitor, "/?sort=largest"))[0] == "a-big.png"
    assert names(text_of(visitor, "/?sort=newest"))[0] == "a-big.png"
    assert names(text_of(visitor, "/?sort=oldest"))[-1] == "a-big.png"


def test_thumbnail_is_small_private_and_named_by_the_objects_etag(visitor: Visitor, bucket: Bucket) -> None:
    page = text_of(visitor, "/?prefix=i/")
    info = bucket.head("i/cat.png")
    assert info
    url = re.findall(r'src="([^"]+)"', page.partition("<main")[2])[0].replace("&amp;", "&")
    assert url.endswith(f"v={info.etag}")
    answer = visitor.get(url, headers={"Accept": "image/webp,*/*"})
    with Image.open(io.BytesIO(answer.data)) as image:
        assert image.size == (240, 150)
    assert answer.headers["Cache-Control"] == "private, max-age=86400"
    again = visitor.get(url, headers={"Accept": "image/webp,*/*", "If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize(
    ("data", "status"), [(b"no picture", 415), (picture(form="jpeg")[:200], 422)], ids=["other kind", "damaged"]
)
def test_thumbnail_of_what_is_no_picture_says_so(visitor: Visitor, bucket: Bucket, data: bytes, status: int) -> None:
    bucket.put("i/lie.jpg", data, media_type="image/jpeg")
    answer = visitor.get("/thumb?key=i/lie.jpg&w=240", headers={"Accept-Language": "zh"})
    assert (answer.status_code, answer.content_type) == (status, "image/svg+xml")
    assert ">无预览</text></svg>" in answer.get_data(as_text=True)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_replaced_picture_has_another_thumbnail_at_once(visitor: Visitor, bucket: Bucket) -> None:
    first = visitor.get("/thumb?key=i/cat.png&w=240").data
    bucket.put("i/cat.png", picture("purple", (64, 64)), media_type="image/png")
    assert visitor.get("/thumb?key=i/cat.png&w=240").data != first


def test_picture_page_has_facts_links_and_uses(
    make_gallery: Callable[..., Gallery], bucket: Bucket, tmp_path: Path
) -> None:
    entry = LockEntry("static/cat.png", "0" * 64, 1, 320, 200, "image/png", "i/cat.png")
    write_lock(tmp_path / "s3img.lock", Lock.of([entry]))
    page = text_of(Visitor(make_gallery(lock=tmp_path / "s3img.lock")), "/object?key=i/cat.png")
    assert "320 \u00d7 200" in page
    assert "![cat](https://img.example.com/i/cat.png)" in page
    assert "lock: static/cat.png" in page


def test_place_of_a_photo_is_warned_of(visitor: Visitor, bucket: Bucket) -> None:
    exif = Image.Exif()
    exif[0x0110] = "Camera 1"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (1.0, 2.0, 3.0)
    file = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(file, "jpeg", exif=exif)
    bucket.put("p.jpg", file.getvalue(), media_type="image/jpeg")
    page = text_of(visitor, "/object?key=p.jpg")
    assert "where it was taken" in page
    assert "Camera 1" in page
    assert "where it was taken" not in text_of(visitor, "/object?key=i/cat.png")


def test_picture_page_has_the_link_in_each_form(visitor: Visitor, bucket: Bucket) -> None:
    bucket.put("i/a (b).png", picture(), media_type="image/png")
    page = unescape(text_of(visitor, "/object?key=i/a (b).png"))
    for text in (
        "https://img.example.com/i/a%20%28b%29.png",
        "![a (b)](https://img.example.com/i/a%20%28b%29.png)",
        '<img src="https://img.example.com/i/a%20%28b%29.png" width="320" height="200" alt="a (b)">',
        ".. image:: https://img.example.com/i/a%20%28b%29.png",
        "image::https://img.example.com/i/a%20%28b%29.png[]",
        "[img]https://img.example.com/i/a%20%28b%29.png[/img]",
    ):
        assert f'value="{text}"' in page


def test_upload_by_a_plain_form_has_a_result_for_each_file(visitor: Visitor, bucket: Bucket) -> None:
    files = [(io.BytesIO(picture("lime")), "My Cat!.png"), (io.BytesIO(b"no picture"), "bad.png")]
    answer = visitor.post("/upload?prefix=i/n/", {"files": files})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 200
    new = keys(bucket) - {"i/cat.png", "i/dog.png", "i/n/owl.png", "top.png"}
    assert [bool(re.fullmatch(r"i/n/my-cat\.[0-9a-f]{8}\.png", key)) for key in new] == [True]
    assert "“bad.png”" in page


def test_upload_by_script_is_answered_as_json_and_knows_what_was_there(visitor: Visitor) -> None:
    found = []
    for _ in range(2):
        answer = visitor.post(
            "/upload?prefix=", {"files": (io.BytesIO(picture("lime")), "a.png")}, headers={"Accept": "application/json"}
        )
        found.append(json.loads(answer.data)["results"][0])
    assert [one["existed"] for one in found] == [False, True]
    assert found[0]["url"] == found[1]["url"]


def test_refused_upload_is_told_in_json(visitor: Visitor) -> None:
    answer = visitor.post("/upload", {"files": (io.BytesIO(b"x"), "a.png")}, headers={"Accept": "application/json"})
    assert (answer.status_code, json.loads(answer.data)["results"][0]["ok"]) == (422, False)


def test_bulk_move_has_a_result_for_each_object(visitor: Visitor, bucket: Bucket) -> None:
    bucket.put("k/dog.png", picture("white"), media_type="image/png")
    answer = visitor.post("/move", {"key": ["i/cat.png", "i/dog.png"], "target": "/k"})
    page = answer.get_data(as_text=True)
    assert keys(bucket) == {"k/cat.png", "k/dog.png", "i/dog.png", "i/n/owl.png", "top.png"}
    assert page.count("<tr>") >= 2
    assert "another object has the key" in page


def test_rename_leads_to_the_new_page(visitor: Visitor, bucket: Bucket) -> None:
    answer = visitor.post("/rename", {"key": "i/cat.png", "new": "i/kitten #1.png"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/object?key=i%2Fkitten+%231.png")
    assert text_of(visitor, answer.headers["Location"])


@pytest.mark.parametrize("new", ["", "../x", ".s3img/x", "i/dog.png", "a\\b"])
def test_rename_to_what_is_no_key_changes_nothing(visitor: Visitor, bucket: Bucket, new: str) -> None:
    before = keys(bucket)
    assert visitor.post("/rename", {"key": "i/cat.png", "new": new}).status_code == 409
    assert keys(bucket) == before


def test_removed_pictures_are_in_the_trash_and_come_back(visitor: Visitor, bucket: Bucket) -> None:
    visitor.post("/remove", {"key": ["i/cat.png", "top.png"]})
    assert names(text_of(visitor, "/trash")) == ["i/cat.png", "top.png"]
    assert keys(bucket) == {"i/dog.png", "i/n/owl.png"}
    visitor.post("/restore", {"key": "i/cat.png"})
    assert "i/cat.png" in keys(bucket)
    assert names(text_of(visitor, "/trash")) == ["top.png"]


@pytest.mark.parametrize(("confirm", "left"), [("i", {"top.png"}), ("I", None), ("", None)])
def test_folder_goes_when_its_name_is_typed(
    visitor: Visitor, bucket: Bucket, confirm: str, left: set[str] | None
) -> None:
    before = keys(bucket)
    visitor.post("/remove-folder", {"folder": "i/", "confirm": confirm})
    assert keys(bucket) == (before if left is None else left)


def test_settings_show_no_secret(visitor: Visitor) -> None:
    page = text_of(visitor, "/settings")
    assert "https://img.example.com" in page
    assert "AVIF" in page.upper()


def test_gallery_below_a_mount_keeps_to_it(make_gallery: Callable[..., Gallery]) -> None:
    from werkzeug.middleware.dispatcher import DispatcherMiddleware
    from werkzeug.wrappers import Response

    visitor = Visitor(DispatcherMiddleware(Response("app"), {"/admin/images": make_gallery()}), "/admin/images")
    page = text_of(visitor, "/")
    assert {url.startswith("/admin/images/") for url in re.findall(r'(?:href|src|action)="([^"#]+)"', page)} == {True}
    assert visitor.post("/remove", {"key": "top.png"}).status_code == 200


@pytest.mark.parametrize(
    ("header", "language"),
    [
        *(("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("zh-CN,en;q=0.9", "zh"), ("en-US,zh;q=0.9", "en"), ("en-GB", "en")),
        *(("fr, zh;q=0.5", "zh"), ("zh;q=0", "en"), ("ZH_hant", "zh"), ("", "en"), ("*;q=x,,", "en")),
    ],
)
def test_language_is_the_browsers(header: str, language: str) -> None:
    assert words_for(header).language == language


def test_tables_of_messages_have_the_same_entries_and_values() -> None:
    values = re.compile(r"\{\w+\}")
    for table in messages.TABLES.values():
        assert table.keys() == messages.TABLES["en"].keys()
        for name, text in table.items():
            assert sorted(values.findall(text)) == sorted(values.findall(messages.TABLES["en"][name])), name


def test_page_in_chinese(visitor: Visitor) -> None:
    page = text_of(visitor, "/", headers={"Accept-Language": "zh"})
    assert '<html lang="zh">' in page
    assert "全部图片" in page


def test_element_escapes_all_that_is_put_in() -> None:
    made = element("a", "<b>", ["x", element("i", "&")], href='"><script>', hidden=True, title=None)
    assert made == '<a href="&#34;&gt;&lt;script&gt;" hidden>&lt;b&gt;x<i>&amp;</i></a>'


class Million:
    """A store with a million keys in one folder, which are made while they are asked for."""

    name = "s3://million"

    def __init__(self) -> None:
        self.made = 0

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        from datetime import UTC, datetime

        start = int(after[-11:-4]) + 1 if after else 0
        for number in range(start, 1_000_000):
            self.made += 1
            yield ObjectInfo(f"i/{number:07}.png", number, "e", datetime(2026, 1, 1, tzinfo=UTC))

    def list_folder(self, prefix: str, *, after: str = "", limit: int = 1000) -> Any:
        page = [info for info, _ in zip(self.list(prefix, after=after), range(limit), strict=False)]
        return [], page, True


def allow(key: str) -> bool:
    return True


def test_first_page_of_a_million_keys_takes_one_request(make_gallery: Callable[..., Gallery]) -> None:
    million: Any = Million()
    page = folder_page(million, "i/", allowed=allow)
    assert (len(page.objects), page.after) == (PAGE, f"i/{PAGE - 1:07}.png")
    assert folder_page(million, "i/", page.after, allowed=allow).objects[0].key == f"i/{PAGE:07}.png"
    assert million.made <= 2 * (PAGE + 1)


def test_search_stops_in_time_and_goes_on_where_it_was() -> None:
    million: Any = Million()
    times = iter(range(100_000))
    page = search_page(million, "", ObjectFilter.of("999999"), allowed=allow, clock=lambda: float(next(times)))
    assert (page.is_whole, page.objects) == (False, ())
    assert 0 < page.searched < 10_000
    found = search_page(million, "", ObjectFilter.of("999999"), "i/0990000.png", allowed=allow, clock=lambda: 0.0)
    assert [info.key for info in found.objects] == ["i/0999999.png"]
    assert found.is_whole


@pytest.mark.slow
def test_order_by_size_keeps_one_page_of_what_it_saw() -> None:
    million: Any = Million()
    page = search_page(million, "", ObjectFilter(), by="size", reverse=True, allowed=allow, clock=lambda: 0.0)
    assert (page.searched, page.found, page.is_whole, len(page.objects)) == (100_000, 100_000, False, PAGE)
    assert page.objects[0].size == 99_999


@pytest.mark.parametrize("store", ["moto", "seaweedfs"])
def test_pages_of_a_real_store_hold_each_entry_once(store: str, request: pytest.FixtureRequest) -> None:
    made: TestBucket = request.getfixturevalue(f"{store}_bucket")
    bucket = open_bucket(f"{made.address}/docs", made.options)
    wanted = [f"i/{number:03}.png" for number in range(PAGE + 5)] + ["i/a/x.png", "i/b/y.png", "i-old/z.png"]
    for key in wanted:
        bucket.put(key, b"x", media_type="image/png")
    found: list[str] = []
    after = ""
    for _ in range(5):
        page = folder_page(bucket, "i/", after, allowed=allow)
        found += [*page.folders, *(info.key for info in page.objects)]
        after = page.after
        if not after:
            break
    assert sorted(found) == sorted([*wanted[: PAGE + 5], "i/a/", "i/b/"])
    assert found.count("i/a/") == 1
    result = search_page(bucket, "i/", ObjectFilter.of("00"), "i/003.png", allowed=allow)
    assert next(info.key for info in result.objects) == "i/004.png"


def test_filter_by_size_leaves_the_others_out(visitor: Visitor, bucket: Bucket) -> None:
    bucket.put("i/large.bin", b"x" * 150_000, media_type="image/png")
    small = visitor.get("/?size=-100K").get_data(as_text=True)
    large = visitor.get("/?size=100K-1M&prefix=i/").get_data(as_text=True)
    assert ("i/cat.png" in small, "i/large.bin" in small) == (True, False)
    assert ("i/cat.png" in large, "i/large.bin" in large) == (False, True)
    assert '<option value="100K-1M" selected>100.0 kB \u2013 1.0 MB</option>' in large


def test_unknown_range_of_sizes_is_no_filter(visitor: Visitor) -> None:
    assert visitor.get("/?size=huge&q=png").get_data(as_text=True).count("i/cat.png")


def drawn(seed: int, size: tuple[int, int] = (320, 240), form: str = "png") -> bytes:
    """A picture with shapes that its seed decides: the same one in any size looks alike."""
    import random

    from PIL import ImageDraw

    chance = random.Random(seed)
    image = Image.new("RGB", (320, 240), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(8):
        x, y = chance.randrange(280), chance.randrange(200)
        draw.ellipse(
            (x, y, x + chance.randrange(20, 160), y + chance.randrange(20, 120)),
            chance.choice(["red", "navy", "black", "teal"]),
        )
    file = io.BytesIO()
    image.resize(size).save(file, form)
    return file.getvalue()


def test_similar_pictures_are_found_among_the_known_and_in_the_folder(visitor: Visitor, bucket: Bucket) -> None:
    bucket.put("s/one.png", drawn(1), media_type="image/png")
    bucket.put("s/small.jpg", drawn(1, (160, 120), "jpeg"), media_type="image/jpeg")
    bucket.put("s/other.png", drawn(2), media_type="image/png")
    assert "s%2Fsmall.jpg" not in text_of(visitor, "/object?key=s/one.png")
    page = text_of(visitor, "/object?key=s/one.png&similar=1")
    assert "/object?key=s%2Fsmall.jpg" in page
    assert "/object?key=s%2Fother.png" not in page
    assert 'href="/object?key=s%2Fone.png"><span class="frame">' in text_of(visitor, "/object?key=s/small.jpg")


def test_similar_picture_that_may_not_be_seen_is_not_shown(
    make_gallery: Callable[..., Gallery], bucket: Bucket
) -> None:
    for key in ("s/one.png", "hidden/same.png"):
        bucket.put(key, drawn(1), media_type="image/png")
    gallery = make_gallery(lambda action, key, environ: not key.startswith("hidden/"))
    look_at(gallery, {"wsgi.version": (1, 0), "wsgi.url_scheme": "http"}, [*bucket.list("hidden/")])
    assert len(gallery.index) == 1
    assert "hidden%2F" not in text_of(Visitor(gallery), "/object?key=s/one.png")


def test_colour_of_a_picture_stands_in_for_it_once_it_is_known(visitor: Visitor, bucket: Bucket) -> None:
    info = bucket.head("i/dog.png")
    assert info
    assert "<rect" not in text_of(visitor, "/?prefix=i/")
    assert visitor.get(f"/thumb?key=i/dog.png&w=240&v={info.etag}").status_code == 200
    assert '<rect width="100%" height="100%" fill="#f' in text_of(visitor, "/?prefix=i/")
    bucket.put("i/dog.png", picture("lime"), media_type="image/png")
    assert "<rect" not in text_of(visitor, "/?prefix=i/")


def test_index_of_pictures_is_bounded() -> None:
    from s3img.gallery.picture_index import PictureIndex
    from s3img.limits import Limits

    index = PictureIndex(Limits(), most=3)
    for number in range(5):
        index.add(f"{number}.png", "e", picture())
    index.add("bad.png", "e", b"no picture")
    assert len(index) == 3
    assert index.find("0.png", "e") is None
    assert index.find("4.png", "e")


def test_trash_is_shown_page_by_page(visitor: Visitor, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3img.gallery.browse_page.MOST_TRASH", 2)
    visitor.post("/remove", {"key": ["i/cat.png", "i/dog.png", "i/n/owl.png", "top.png"]})
    seen, url = [], "/trash"
    for _ in range(3):
        page = text_of(visitor, url)
        seen += names(page)
        more = re.findall(r'<a href="([^"]*after=[^"]*)"', page)
        if not more:
            break
        url = more[0]
    assert seen == ["i/cat.png", "i/dog.png", "i/n/owl.png", "top.png"]


class PartlyDenied:
    """A bucket whose key may not do some things, or whose store fails at them."""

    def __init__(self, bucket: Bucket, *denied: str) -> None:
        self._bucket = bucket
        self.denied = denied

    def __getattr__(self, name: str) -> Any:
        if name in self.denied:
            return self._refuse
        return getattr(self._bucket, name)

    def _refuse(self, *arguments: Any, **options: Any) -> Any:
        raise AccessDenied("The store denies this.", action="x", fix="Ask whoever runs it.")


@pytest.mark.parametrize(
    ("denied", "broken", "works"),
    [
        (("list", "list_folder"), "/?prefix=i/", "/settings"),
        (("head",), "/object?key=i/cat.png", "/?prefix=i/"),
        (("open", "get"), "/file?key=i/cat.png", "/?prefix=i/"),
    ],
)
def test_store_that_denies_one_thing_is_told_and_the_rest_works(
    make_gallery: Callable[..., Gallery], bucket: Bucket, denied: tuple[str, ...], broken: str, works: str
) -> None:
    visitor = Visitor(make_gallery(bucket=PartlyDenied(bucket, *denied)))
    answer = visitor.get(broken)
    assert answer.status_code == 502  # the visitor may; the server's key may not
    assert "The store denies this" in answer.get_data(as_text=True)
    assert visitor.get(works).status_code == 200


@pytest.mark.parametrize(
    ("denied", "gone", "there"),
    [
        (("list", "list_folder"), "No line of the lock", "320 \u00d7 200"),
        (("open", "get"), "320 \u00d7 200", "i/cat.png"),
    ],
)
def test_page_of_a_picture_has_what_the_store_does_not_deny(
    make_gallery: Callable[..., Gallery], bucket: Bucket, denied: tuple[str, ...], gone: str, there: str
) -> None:
    text = text_of(Visitor(make_gallery(bucket=PartlyDenied(bucket, *denied))), "/object?key=i/cat.png")
    assert text.count("The store denies this") == 1
    assert (there in text, gone in text, "![cat](https://img.example.com/i/cat.png)" in text) == (True, False, True)


@pytest.mark.parametrize("denied", ["put", "delete", "open", "head"])
def test_change_that_the_store_denies_is_told_for_each_object(
    make_gallery: Callable[..., Gallery], bucket: Bucket, denied: str
) -> None:
    visitor = Visitor(make_gallery(bucket=PartlyDenied(bucket, denied)))
    visitor.get("/")
    for path, form in (("/remove", {}), ("/move", {"target": "k"})):
        page = visitor.post(path, {"key": ["i/cat.png", "top.png"], **form}).get_data(as_text=True)
        assert "0 done, 2 failed" in page
    assert {"i/cat.png", "top.png"} < keys(bucket)


@pytest.mark.parametrize("folder", [".well-known/", "a/.b/", "long/" + "x" * 240 + "/"])
def test_folder_that_nothing_is_uploaded_to_is_shown(visitor: Visitor, bucket: Bucket, folder: str) -> None:
    bucket.put(f"{folder}x.png", picture(), media_type="image/png")
    assert names(text_of(visitor, f"/?prefix={folder}")) == ["x.png"]


def test_names_that_are_not_utf8_are_left_out(visitor: Visitor, tmp_path: Path) -> None:
    """No key can be such a name, so a folder of that name holds no object either."""
    for name in (b"\xff.png", b"d\xfe/a.png"):
        path = Path(os.fsdecode(os.fsencode(tmp_path / "bucket") + b"/" + name))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture())
    page = text_of(visitor, "/?counts=1")
    assert (folders(page), names(page)) == (["i"], ["top.png"])
    assert len(names(text_of(visitor, "/?q=png"))) == 4


def test_folder_that_can_not_be_listed_has_no_count(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = bucket.list

    def some(prefix: str = "") -> Iterator[ObjectInfo]:
        if prefix == "k/":
            raise AccessDenied("not this one")
        return listed(prefix)

    monkeypatch.setattr(bucket, "list", some)
    assert count_folders(bucket, ["i/", "k/"], allowed=lambda key: True) == {"i/": (3, True)}


def test_folders_without_a_name_have_a_text_to_click() -> None:
    crumbs = Layout(words_for("en"), "", "").crumbs("/a//")
    assert re.findall(r'href="([^"]*)">([^<]*)<', crumbs) == [
        ("/", "All pictures"), ("/?prefix=%2F", "(…)"), ("/?prefix=%2Fa%2F", "a"), ("/?prefix=%2Fa%2F%2F", "(…)"),
    ]  # fmt: skip


def test_replaced_picture_is_not_similar_to_what_it_was(visitor: Visitor, bucket: Bucket) -> None:
    for key in ("s/one.png", "s/two.png"):
        bucket.put(key, drawn(1), media_type="image/png")
    assert "/object?key=s%2Ftwo.png" in text_of(visitor, "/object?key=s/one.png&similar=1")
    bucket.put("s/two.png", drawn(2), media_type="image/png")
    assert "/object?key=s%2Ftwo.png" not in text_of(visitor, "/object?key=s/one.png&similar=1")


@pytest.mark.parametrize(("method", "path", "allowed"), [("GET", "/upload", {"POST"}), ("POST", "/", {"GET", "HEAD"})])
def test_wrong_method_is_told_which_ones_there_are(visitor: Visitor, method: str, path: str, allowed: set[str]) -> None:
    answer = visitor.client.open(path, method=method, base_url="http://gallery.example")
    assert (answer.status_code, {*answer.allow}) == (405, allowed)
