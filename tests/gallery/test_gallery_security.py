"""Closed unless it is opened: every route, by every kind of request that must not pass."""

from __future__ import annotations

import hashlib
import io
import logging
import re
from typing import TYPE_CHECKING, Any

import pytest
from gallery_visitor import Visitor, picture
from werkzeug.test import Client

from s3img.cli import main
from s3img.errors import ConfigError
from s3img.gallery import Gallery
from s3img.gallery.gallery_app import ROUTES, GalleryRoute, url_map
from s3img.gallery.loopback_session import LoopbackSession
from s3img.gallery.picgo_protocol import PicGoServer
from s3img.uploads import UploadPolicy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3img import Config
    from s3img.buckets import Bucket

FORMS: dict[str, dict[str, Any]] = {
    "/upload": {},
    "/direct": {"name": "new.png", "size": "9000000"},
    "/finish": {"name": "new.png", "staged": ".s3img/incoming/0-0"},
    "/doctor": {},
    "/set-cors": {},
    "/import": {"settings": "{}"},
    "/links": {"key": "i/cat.png", "form": "markdown"},
    "/copy": {"key": "i/cat.png", "target": "k"},
    "/move-folder": {"folder": "i/", "target": "k/", "confirm": "i"},
    "/move": {"key": "i/cat.png", "target": "k"},
    "/rename": {"key": "i/cat.png", "new": "k.png"},
    "/remove": {"key": "i/cat.png"},
    "/remove-folder": {"folder": "i/", "confirm": "i"},
    "/restore": {"key": "i/cat.png"},
}
QUERIES = {"/object": "?key=i/cat.png", "/thumb": "?key=i/cat.png&w=240", "/file": "?key=i/cat.png", "/": "?prefix=i/"}
ROUTES_BY_PATH = {one.path.replace("<name>", "gallery.css"): one for one in ROUTES}
UNCHANGING = {"/restore", "/links", "/direct", "/finish", "/doctor", "/set-cors", "/import"}
"""Forms that change nothing here: one shows, the others find nothing, or no store that takes files itself."""
WRITES = [path for path, one in ROUTES_BY_PATH.items() if one.is_write]


def ask(visitor: Visitor, path: str, **options: Any) -> Any:
    if not ROUTES_BY_PATH[path].is_write:
        return visitor.get(f"{path}{QUERIES.get(path, '')}", **options)
    data = {**FORMS[path], **options.pop("data", {})}
    if path == "/upload":
        data["files"] = (io.BytesIO(picture("black")), "new.png")
        return visitor.post("/upload?prefix=i/", data, **options)
    return visitor.post(path, data, **options)


def keys(bucket: Bucket) -> set[str]:
    return {info.key for info in bucket.list()}


def test_every_address_is_a_route_with_an_action() -> None:
    assert {rule.endpoint for rule in url_map().iter_rules()} == {*ROUTES}
    assert {one.action for one in ROUTES} == {"view", "upload", "rename", "delete", "restore", "settings"}
    assert all(isinstance(rule.endpoint, GalleryRoute) for rule in url_map().iter_rules())


def test_gallery_without_a_rule_does_not_start(config: Config) -> None:
    with pytest.raises(ConfigError, match="open to everybody"):
        Gallery(config)


@pytest.mark.parametrize("path", ROUTES_BY_PATH)
def test_who_may_nothing_gets_nothing(make_gallery: Callable[..., Gallery], bucket: Bucket, path: str) -> None:
    before = keys(bucket)
    visitor = Visitor(make_gallery(lambda action, key, environ: False))
    visitor.token = "x"
    answer = ask(visitor, path)
    assert answer.status_code == 403
    assert "cat.png" not in answer.get_data(as_text=True)
    assert keys(bucket) == before


@pytest.mark.parametrize("path", ROUTES_BY_PATH)
def test_right_that_was_taken_away_counts_at_once(
    make_gallery: Callable[..., Gallery], bucket: Bucket, path: str
) -> None:
    rights = {"view", "upload", "rename", "delete", "restore", "settings"}
    visitor = Visitor(make_gallery(lambda action, key, environ: action in rights))
    visitor.get("/")
    rights.discard(ROUTES_BY_PATH[path].action)
    before = keys(bucket)
    assert ask(visitor, path).status_code == 403
    assert keys(bucket) == before


@pytest.mark.parametrize("path", ROUTES_BY_PATH)
def test_other_right_is_not_this_one(make_gallery: Callable[..., Gallery], bucket: Bucket, path: str) -> None:
    wanted = ROUTES_BY_PATH[path].action
    visitor = Visitor(make_gallery(lambda action, key, environ: action != wanted))
    visitor.client.set_cookie("s3img_gallery", "t" * 43, domain="gallery.example")
    visitor.token = "t" * 43
    before = keys(bucket)
    assert ask(visitor, path).status_code == 403
    assert keys(bucket) == before


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://gallery.example.evil.example"},
    {"Origin": "http://gallery.example:81"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://gallery.example"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://gallery.example"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("path", WRITES)
def test_form_of_another_origin_changes_nothing(
    visitor: Visitor, bucket: Bucket, path: str, headers: dict[str, str]
) -> None:
    before = keys(bucket)
    assert ask(visitor, path, headers=headers).status_code == 403
    assert keys(bucket) == before


@pytest.mark.parametrize("token", ["", "x", "t" * 43])
@pytest.mark.parametrize("path", WRITES)
def test_form_without_the_token_changes_nothing(visitor: Visitor, bucket: Bucket, path: str, token: str) -> None:
    before = keys(bucket)
    visitor.token = token
    assert ask(visitor, path).status_code == 403
    assert keys(bucket) == before


@pytest.mark.parametrize("path", WRITES)
def test_form_with_a_token_that_no_cookie_has_changes_nothing(visitor: Visitor, bucket: Bucket, path: str) -> None:
    before = keys(bucket)
    visitor.client.delete_cookie("s3img_gallery", domain="gallery.example")
    assert ask(visitor, path).status_code == 403
    assert keys(bucket) == before


@pytest.mark.parametrize("path", WRITES)
def test_get_changes_nothing(visitor: Visitor, bucket: Bucket, path: str) -> None:
    before = keys(bucket)
    assert visitor.get(f"{path}?key=i/cat.png&new=x&folder=i/&confirm=i&token={visitor.token}").status_code in {
        404,
        405,
    }
    assert keys(bucket) == before


@pytest.mark.parametrize("path", WRITES)
def test_form_with_its_token_is_carried_out(visitor: Visitor, bucket: Bucket, path: str) -> None:
    before = keys(bucket)
    answer = ask(visitor, path)
    assert answer.status_code in {200, 303, 400, 409}
    assert (keys(bucket) != before) == (path not in UNCHANGING)


def test_right_to_one_folder_is_none_to_its_namesake(make_gallery: Callable[..., Gallery], bucket: Bucket) -> None:
    bucket.put("i-old/x.png", picture(), media_type="image/png")
    visitor = Visitor(make_gallery(lambda action, key, environ: key in {"", "i"} or key.startswith("i/")))
    page = visitor.get("/").get_data(as_text=True)
    assert "prefix=i%2F" in page
    assert "i-old" not in page
    assert "top.png" not in page
    for path in ("/object?key=i-old/x.png", "/thumb?key=top.png&w=240", "/file?key=top.png", "/?prefix=i-old/"):
        assert visitor.get(path).status_code == 403
    found = visitor.get("/?q=png").get_data(as_text=True)
    assert "i/cat.png" in found
    assert "i-old/x.png" not in found


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/move", {"key": ["i/cat.png", "top.png"], "target": "i"}),
        ("/move", {"key": "i/cat.png", "target": ""}),
        ("/move", {"key": "i/cat.png", "target": "../x"}),
        ("/rename", {"key": "i/cat.png", "new": "top2.png"}),
        ("/rename", {"key": "top.png", "new": "i/x.png"}),
        ("/remove", {"key": ["i/cat.png", "top.png"]}),
        ("/remove-folder", {"folder": "", "confirm": ""}),
    ],
)
def test_each_key_of_a_form_and_each_new_one_needs_permission(
    make_gallery: Callable[..., Gallery], bucket: Bucket, path: str, form: dict[str, Any]
) -> None:
    visitor = Visitor(make_gallery(lambda action, key, environ: action == "view" or key.startswith("i/")))
    visitor.get("/")
    before = keys(bucket)
    assert visitor.post(path, form).status_code in {400, 403}
    assert keys(bucket) == before


@pytest.mark.parametrize(
    "path", ["/upload?key=i/x&prefix=k/", "/upload?prefix=i/&prefix=k/", "/upload?prefix=k/&key=i/x"]
)
def test_second_name_in_an_address_needs_permission_too(
    make_gallery: Callable[..., Gallery], bucket: Bucket, path: str
) -> None:
    visitor = Visitor(make_gallery(lambda action, key, environ: action == "view" or key.startswith("i/")))
    visitor.get("/")
    before = keys(bucket)
    assert visitor.post(path, {"files": (io.BytesIO(picture("black")), "new.png")}).status_code == 403
    assert keys(bucket) == before


def test_folder_is_removed_without_what_may_not_go(make_gallery: Callable[..., Gallery], bucket: Bucket) -> None:
    visitor = Visitor(make_gallery(lambda action, key, environ: key != "i/dog.png"))
    visitor.get("/")
    visitor.post("/remove-folder", {"folder": "i/", "confirm": "i"})
    assert {key for key in keys(bucket) if key.startswith("i/")} == {"i/dog.png"}


@pytest.mark.parametrize("path", ROUTES_BY_PATH)
def test_every_answer_has_the_headers_that_keep_pages_apart(visitor: Visitor, path: str) -> None:
    answer = ask(visitor, path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "public" not in answer.headers["Cache-Control"]


def test_cookie_is_kept_from_scripts_and_other_sites(make_gallery: Callable[..., Gallery]) -> None:
    answer = Client(make_gallery()).get("/", base_url="https://gallery.example/")
    cookie = answer.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=Strict", "Secure", "Path=/"))


HOSTILE = [
    "<script>alert(1)</script>.png",
    "\"onerror=alert(1) x='.png",
    "a&amp;b <b>.png",
    "\u202egnp.exe.png",
    "</script><!--.png",
    "{{7*7}}.png",
    "%2e%2e%2f.png",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_name_of_an_object_is_text_everywhere(visitor: Visitor, bucket: Bucket, name: str) -> None:
    key = f"h/{name}"
    bucket.put(key, picture(), media_type="image/png")
    from urllib.parse import quote

    for path in ("/?prefix=h/", f"/object?key={quote(key)}", f"/?q={quote(name)}", f"/?prefix={quote(key)}/"):
        answer = visitor.get(path)
        text = answer.get_data(as_text=True)
        assert answer.status_code == 200
        assert not re.search(r"<script>alert|<b>|<[^>]* onerror=|</script><!--", text)
    assert visitor.get(f"/thumb?key={quote(key)}&w=240").status_code == 200
    visitor.post("/remove", {"key": key})
    assert "<script>alert" not in visitor.get("/trash").get_data(as_text=True)
    assert visitor.post("/restore", {"key": key}).status_code == 200
    assert bucket.head(key)


def test_name_that_turns_text_round_is_read_as_it_is(visitor: Visitor, bucket: Bucket) -> None:
    key = "h/\u202egnp.exe.png"
    bucket.put(key, picture(), media_type="image/png")
    for path in ("/?prefix=h/", "/object?key=h/%E2%80%AEgnp.exe.png"):
        text = visitor.get(path).get_data(as_text=True)
        shown = re.sub(r'value="[^"]*"|<textarea.*?</textarea>', "", text)
        assert ("\\u202egnp.exe.png" in shown, "\u202e" in shown) == (True, False)
    assert f'value="{key}"' in visitor.get("/?prefix=h/").get_data(as_text=True)
    assert visitor.post("/links", {"key": key}).get_data(as_text=True).count("%E2%80%AE") == 1


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"),
        ("x.html", b"<script>alert(1)</script>"),
        ("lies.png", b"<script>alert(1)</script>"),
        ("lies.jpg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
    ],
)
def test_active_object_is_never_a_page_of_this_origin(visitor: Visitor, bucket: Bucket, key: str, data: bytes) -> None:
    bucket.put(key, data, media_type="text/html")
    answer = visitor.get(f"/file?key={key}")
    assert answer.content_type == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert visitor.get(f"/thumb?key={key}&w=240").status_code >= 400
    assert visitor.get(f"/object?key={key}").status_code == 200


def test_download_has_a_clean_name(visitor: Visitor, bucket: Bucket) -> None:
    key = 'a"b\u202e é\\.png'
    answer_key = key.replace("\\", "_")
    bucket.put(answer_key, b"x", media_type="image/png")
    from urllib.parse import quote

    header = visitor.get(f"/file?key={quote(answer_key)}").headers["Content-Disposition"]
    assert header == "attachment; filename=\"a_b_ __.png\"; filename*=UTF-8''a%22b_%20%C3%A9_.png"


@pytest.mark.parametrize(
    "path",
    [
        "/?after=%00", "/?since=abc&until=9999-99-99&sort=x&type=%00", "/object", "/object?key=", "/object?key=../x",
        "/thumb?key=i/cat.png&w=abc", "/thumb?w=240", "/thumb?key=i/cat.png&w=99999", "/file?key=../../etc/passwd",
        "/static/../gallery_app.py", "/static/nope", "/nope", "/?prefix=../", "/?prefix=" + "a" * 5000, "/?q=" + "%ff",
        "//", "/object/",
    ],
)  # fmt: skip
def test_bad_address_is_an_answer_and_no_failure(visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code < 500
    assert "Traceback" not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    "prefix",
    ["../", "../x", "a//", "./", "i/../", "a/%00/", "a" * 300 + "/", "a/" * 3000, "%E4%BD%A0" * 400, "loop/"],
)  # fmt: skip
@pytest.mark.parametrize("search", ["", "&q=x"])
def test_prefix_that_no_key_can_have_is_the_requests_fault(
    visitor: Visitor, tmp_path: Path, prefix: str, search: str
) -> None:
    (tmp_path / "bucket/loop").symlink_to("loop")
    answer = visitor.get(f"/?prefix={prefix}{search}")
    assert answer.status_code == 400
    assert re.search("can&#39;t be a folder below it|can&#39;t list|longer than", answer.get_data(as_text=True))


def test_write_leaves_one_line_in_the_log(visitor: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "s3img.gallery")
    visitor.post("/remove", {"key": "i/cat.png"}, environ_overrides={"REMOTE_USER": "ann"})
    lines = [record.getMessage() for record in caplog.records if record.name == "s3img.gallery"]
    assert lines == ['{"action":"delete","by":"ann","keys":["i/cat.png"],"count":1,"failed":0}']


def test_vanished_object_with_stars_in_its_name_is_no_pattern(visitor: Visitor, bucket: Bucket) -> None:
    before = keys(bucket)
    assert visitor.post("/remove", {"key": "i/*"}).status_code == 409
    assert visitor.post("/move", {"key": "**.png", "target": "k"}).status_code == 409
    assert visitor.post("/restore", {"key": "*"}).status_code == 409
    assert keys(bucket) == before


def test_link_opens_the_loopback_gallery_once(make_gallery: Callable[..., Gallery]) -> None:
    session = LoopbackSession()
    app = session.wrap(make_gallery(session.authorize))
    base = "http://127.0.0.1:8334"
    first, second = Client(app), Client(app)
    assert first.get("/", base_url=base).status_code == 403
    assert first.get("/?token=wrong", base_url=base, follow_redirects=True).status_code == 403
    answer = first.get(f"/?token={session.token}", base_url=base)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert first.get("/", base_url=base).status_code == 200
    assert second.get(f"/?token={session.token}", base_url=base, follow_redirects=True).status_code == 403
    assert first.get("/", base_url="http://evil.example:8334").status_code == 403


def test_large_form_is_refused_before_it_is_kept(visitor: Visitor) -> None:
    assert visitor.post("/remove", {"key": "x" * 2_000_000}).status_code in {403, 413}


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><script>alert(1)</script></svg>'


def through_a_form(visitor: Visitor, bucket: Bucket, tmp_path: Path) -> None:
    visitor.post("/upload?prefix=", {"files": (io.BytesIO(SVG), "a.png")})


def through_the_bucket(visitor: Visitor, bucket: Bucket, tmp_path: Path) -> None:
    cookie = visitor.client.get_cookie("s3img_gallery", domain="gallery.example")
    assert cookie
    staged = f".s3img/incoming/{hashlib.sha256(cookie.value.encode()).hexdigest()[:32]}-0"
    bucket.put(staged, SVG, media_type="image/png")
    assert visitor.post("/finish", {"name": "a.png", "staged": staged}).status_code == 422


def through_an_editor(visitor: Visitor, bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(SVG)
    app: Any = visitor.client.application
    client = Client(PicGoServer(app.uploader))
    answer = client.post("/upload", base_url="http://127.0.0.1:36677", json={"list": [str(tmp_path / "a.png")]})
    assert answer.json
    assert answer.json["success"] is False


def through_the_command(visitor: Visitor, bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(SVG)
    with pytest.raises(SystemExit) as ended:
        main(["upload", str(tmp_path / "a.png"), "--bucket", (tmp_path / "bucket").as_uri()])
    assert ended.value.code == 1


@pytest.mark.parametrize("send", [through_a_form, through_the_bucket, through_an_editor, through_the_command])
def test_every_way_in_has_the_same_rules(
    visitor: Visitor, bucket: Bucket, tmp_path: Path, send: Callable[[Visitor, Bucket, Path], None]
) -> None:
    before = keys(bucket)
    send(visitor, bucket, tmp_path)
    assert keys(bucket) == before


@pytest.mark.parametrize("path", WRITES)
def test_simple_request_of_any_page_changes_nothing(visitor: Visitor, bucket: Bucket, path: str) -> None:
    """A page may send text/plain to any server without asking it, also one that sends no Origin."""
    before = keys(bucket)
    body = f"token={visitor.token}&key=top.png&folder=i/&confirm=i&new=x.png&target=k&all=1&confirmed=1"
    answer = visitor.client.post(path, data=body, content_type="text/plain", base_url="http://gallery.example")
    assert answer.status_code == 403
    assert keys(bucket) == before


@pytest.mark.parametrize("path", ["/object", "/thumb", "/file"])
def test_answer_does_not_tell_whether_a_hidden_object_exists(
    make_gallery: Callable[..., Gallery], bucket: Bucket, path: str
) -> None:
    visitor = Visitor(make_gallery(lambda action, key, environ: not key.startswith("i/")))
    visitor.get("/")
    there, missing = (visitor.get(f"{path}?w=240&key=i/{name}.png") for name in ("cat", "none"))
    assert (there.status_code, there.data) == (missing.status_code, missing.data)
    assert there.status_code == 403


def test_file_that_is_larger_than_was_said_is_refused_and_deleted(
    make_gallery: Callable[..., Gallery], bucket: Bucket
) -> None:
    visitor = Visitor(make_gallery(policy=UploadPolicy(max_bytes=500)))
    visitor.get("/")
    cookie = visitor.client.get_cookie("s3img_gallery", domain="gallery.example")
    assert cookie
    staged = f".s3img/incoming/{hashlib.sha256(cookie.value.encode()).hexdigest()[:32]}-0"
    before = keys(bucket)
    bucket.put(staged, picture() + b"\0" * 1000, media_type="image/png")
    assert visitor.post("/finish", {"name": "a.png", "staged": staged}).status_code == 422
    assert keys(bucket) == before
    for size in ("-1", "1e9", "9" * 5000, "x", "\u00b2", "", "501"):
        assert visitor.post("/direct", {"name": "a.png", "size": size}).status_code == 400


def test_each_start_has_secrets_of_its_own() -> None:
    assert len({LoopbackSession().token for _ in range(5)}) == 5
