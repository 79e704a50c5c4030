"""Uploads with a folder, a template, a size and a format of their own, and large files straight to the bucket."""

from __future__ import annotations

import io
import json
import threading
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from gallery_visitor import Visitor, picture
from PIL import Image
from werkzeug.serving import make_server

from s3img import Config
from s3img.doctor.cors_rules import rule_for, takes_files_from
from s3img.errors import AccessDenied, BucketError, ConfigError
from s3img.gallery import Gallery, upload_actions
from s3img.service.factory import QuietHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser
    from s3_servers import TestBucket

    from s3img.buckets import Bucket

ORIGIN = "http://gallery.example"
JSON = {"Accept": "application/json"}


def send(visitor: Visitor, data: bytes, name: str, path: str = "/upload?prefix=", **form: Any) -> Any:
    answer = visitor.post(path, {"files": (io.BytesIO(data), name), **form}, headers=JSON)
    return json.loads(answer.data)


def keys(bucket: Bucket) -> set[str]:
    return {info.key for info in bucket.list()}


def test_upload_has_a_folder_template_size_and_format_of_its_own(visitor: Visitor, bucket: Bucket) -> None:
    form = {"folder": "new/day", "template": "{{dir}}/{{slug}}.{{ext}}", "max_side": "100", "convert": "webp"}
    (one,) = send(visitor, picture("lime", (400, 200)), "My Cat.png", **form)["results"]
    assert one["key"] == "new/day/my-cat.webp"
    with Image.open(io.BytesIO(bucket.get("new/day/my-cat.webp"))) as image:
        assert (image.format, image.size) == ("WEBP", (100, 50))


def test_same_picture_of_another_name_has_the_link_that_exists(visitor: Visitor, bucket: Bucket) -> None:
    (first,) = send(visitor, picture("lime"), "a.png", folder="new")["results"]
    (second,) = send(visitor, picture("lime"), "b.png", folder="new")["results"]
    assert (second["existed"], second["url"]) == (True, first["url"])
    (other,) = send(visitor, picture("lime"), "b.png", folder="other")["results"]
    assert (other["existed"], other["key"].startswith("other/b.")) == (False, True)
    (changed,) = send(visitor, picture("blue"), "b.png", folder="new")["results"]
    assert (changed["existed"], changed["key"].startswith("new/b.")) == (False, True)
    assert {key for key in keys(bucket) if key.startswith("new/")} == {first["key"], changed["key"]}


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"template": "{{yaer}}.png"}, "year"),
        ({"template": "../{{slug}}.png"}, ".."),
        ({"max_side": "-3"}, "number of px"),
        ({"max_side": "9" * 40}, "number of px"),
        ({"convert": "exe"}, "not one of jpeg"),
    ],
)
def test_bad_choice_for_an_upload_is_told_and_stores_nothing(
    visitor: Visitor, bucket: Bucket, form: dict[str, str], problem: str
) -> None:
    before = keys(bucket)
    assert problem in send(visitor, picture("lime"), "a.png", **form)["message"]
    assert keys(bucket) == before


@pytest.mark.parametrize("form", [{"folder": ".s3img"}, {"folder": "../x"}, {"template": ".s3img/{{slug}}.{{ext}}"}])
def test_upload_into_what_is_not_the_users_is_refused(visitor: Visitor, bucket: Bucket, form: dict[str, str]) -> None:
    before = keys(bucket)
    found = send(visitor, picture("lime"), "a.png", **form)
    assert not any(one["ok"] for one in found.get("results", []))
    assert keys(bucket) == before


def test_store_that_takes_nothing_is_told_to_the_operator(
    visitor: Visitor, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise BucketError("can't put 'i/a.png': No space left on device.", fix="Free some space.")

    monkeypatch.setattr(type(bucket), "put", full_disk)
    (one,) = send(visitor, picture("lime"), "a.png", folder="i")["results"]
    assert "No space" not in one["message"]
    assert caplog.messages == [
        "'a.png' can't be stored: can't put 'i/a.png': No space left on device. Free some space."
    ]


def test_template_gives_no_right_to_another_folder(make_gallery: Callable[..., Gallery], bucket: Bucket) -> None:
    visitor = Visitor(make_gallery(lambda action, key, environ: action == "view" or key == "" or key.startswith("i/")))
    visitor.get("/")
    before = keys(bucket)
    (one,) = send(visitor, picture("lime"), "a.png", "/upload?prefix=i/", template="k/{{slug}}.{{ext}}")["results"]
    assert (one["ok"], one["message"]) == (False, "You may not do this.")
    assert (
        visitor.post("/upload?prefix=i/", {"folder": "k", "files": (io.BytesIO(picture()), "a.png")}).status_code == 403
    )
    assert visitor.get("/key?folder=i&name=a.png&template=k/x.png", headers=JSON).status_code == 400
    assert keys(bucket) == before
    (one,) = send(visitor, picture("lime"), "a.png", "/upload?prefix=i/", folder="/i")["results"]
    assert one["key"].startswith("i/a.")


def test_key_is_shown_before_the_upload(visitor: Visitor) -> None:
    found = json.loads(visitor.get("/key?name=My+Cat.JPEG&folder=new", headers=JSON).data)
    assert found == {"ok": True, "key": "new/my-cat.00000000.jpg"}
    found = json.loads(visitor.get("/key?name=a.png&template=x/{{slug}}.{{ext}}&convert=avif", headers=JSON).data)
    assert found["key"] == "x/a.avif"
    assert "did you mean" in json.loads(visitor.get("/key?template={{slgu}}", headers=JSON).data)["message"]
    assert "photo.jpg will be i/photo." in visitor.get("/?prefix=i/").get_data(as_text=True)


def test_named_templates_are_offered_and_checked_at_the_start(
    make_gallery: Callable[..., Gallery], config: Config
) -> None:
    import msgspec

    named = msgspec.structs.replace(
        config, upload_templates={"blog": "blog/{{slug}}.{{ext}}"}, link_templates={"Figure": "<{url}>"}
    )
    visitor = Visitor(make_gallery(config=named))
    page = visitor.get("/?prefix=i/").get_data(as_text=True)
    assert '<option value="blog">' in page
    (one,) = send(visitor, picture("lime"), "a.png", template="blog")["results"]
    assert one["key"] == "blog/a.png"
    assert "&lt;https://img.example.com/i/cat.png&gt;" in visitor.get("/object?key=i/cat.png").get_data(as_text=True)
    assert '<option value="Figure">Figure</option>' in page
    links = visitor.post("/links", {"key": "i/cat.png", "form": "Figure"}).get_data(as_text=True)
    assert "&lt;https://img.example.com/i/cat.png&gt;</textarea>" in links
    for bad in ({"upload_templates": {"x": "{{slgu}}"}}, {"link_templates": {"x": "{slgu}"}}):
        with pytest.raises(ConfigError):
            make_gallery(config=msgspec.structs.replace(config, **bad))  # type: ignore[arg-type]


def test_own_link_template_is_in_the_address(visitor: Visitor) -> None:
    page = visitor.get("/object?key=i/cat.png&template=[{name}|{width}]").get_data(as_text=True)
    assert 'value="[cat.png|320]"' in page
    assert "{nope} is not known" in visitor.get("/object?key=i/cat.png&template={nope}").get_data(as_text=True)


def large(side: int = 600) -> bytes:
    import random

    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.Random(3).randbytes(side * side * 3)).save(file, "png")
    return file.getvalue()


@pytest.fixture
def direct(
    seaweedfs_bucket: TestBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Gallery]]:
    """Make a gallery over a real store that takes files of pages of an origin, by forms or (``provider`` b2) by PUT."""
    made: list[Gallery] = []

    def make(origin: str, allowed: str = "", provider: str = "") -> Gallery:
        rules: Any = {"CORSRules": [rule_for([allowed or origin])]}
        seaweedfs_bucket.server.client().put_bucket_cors(Bucket=seaweedfs_bucket.name, CORSConfiguration=rules)
        monkeypatch.setenv("S3IMG_ACCESS_KEY_ID", seaweedfs_bucket.server.access_key)
        monkeypatch.setenv("S3IMG_SECRET_ACCESS_KEY", seaweedfs_bucket.server.secret_key)
        config = Config(
            bucket=f"{seaweedfs_bucket.address}/docs",
            endpoint_url=seaweedfs_bucket.server.endpoint_url,
            provider=provider,
            region="us-east-1",
            upload_origins=(origin,),
            cache_dir=str(tmp_path / "cache"),
        )
        made.append(Gallery(config, authorize=lambda action, key, environ: True))
        return made[-1]

    yield make
    for one in made:
        one.close()


def begin(visitor: Visitor, size: int) -> Any:
    answer = visitor.post("/direct", {"name": "big.png", "size": str(size)}, headers=JSON)
    return json.loads(answer.data)


def send_direct(direct: Any, data: bytes) -> int:
    """Send a file to the store as a browser would."""
    border = "----border"
    if direct["method"] == "PUT":
        request = urllib.request.Request(direct["url"], data, {**direct["fields"], "Origin": ORIGIN}, method="PUT")
        return status_of(request)
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in direct["fields"].items()
    ]
    head = f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'.encode()
    body = b"".join([*parts, head, data, f"\r\n--{border}--\r\n".encode()])
    request = urllib.request.Request(
        direct["url"], body, {"Content-Type": f"multipart/form-data; boundary={border}", "Origin": ORIGIN}
    )
    return status_of(request)


def status_of(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(("provider", "method"), [("", "POST"), ("b2", "PUT")])
def test_large_file_goes_straight_to_the_bucket_and_is_checked_there(
    direct: Callable[..., Gallery], provider: str, method: str
) -> None:
    gallery = direct(ORIGIN, provider=provider)
    visitor = Visitor(gallery)
    store = visitor.get("/").headers["Content-Security-Policy"].partition("connect-src 'self' ")[2].partition(";")[0]
    data = picture("lime", (640, 400))
    found = begin(visitor, len(data))["direct"]
    assert found["url"].startswith(f"{store}/")
    assert found["method"] == method
    assert send_direct(found, data) in {200, 201, 204}
    info = gallery.bucket.head(found["staged"])
    assert info
    assert info.media_type == "application/octet-stream"
    answer = visitor.post("/finish", {"name": "Big One.png", "staged": found["staged"], "folder": "new"}, headers=JSON)
    (one,) = json.loads(answer.data)["results"]
    assert one["key"].startswith("new/big-one.")
    assert keys(gallery.bucket) == {one["key"]}


def test_address_of_a_put_takes_no_other_type(direct: Callable[..., Gallery]) -> None:
    gallery = direct(ORIGIN, provider="b2")
    visitor = Visitor(gallery)
    visitor.get("/")
    signed = begin(visitor, 1000)["direct"]
    for media_type in ("text/html", "image/svg+xml"):
        assert send_direct({**signed, "fields": {"Content-Type": media_type}}, b"x" * 1000) == 403
    assert keys(gallery.bucket) == set()


@pytest.mark.parametrize("size", [999, 1001])
def test_address_of_a_put_takes_no_other_size(direct: Callable[..., Gallery], size: int) -> None:
    gallery = direct(ORIGIN, provider="b2")
    visitor = Visitor(gallery)
    visitor.get("/")
    assert send_direct(begin(visitor, 1000)["direct"], b"x" * size) == 403
    assert keys(gallery.bucket) == set()


def test_what_is_no_picture_goes_again(direct: Callable[..., Gallery]) -> None:
    gallery = direct(ORIGIN)
    visitor = Visitor(gallery)
    visitor.get("/")
    found = begin(visitor, 30)["direct"]
    assert send_direct(found, b"<script>alert(1)</script>") in {200, 201, 204}
    answer = visitor.post("/finish", {"name": "a.png", "staged": found["staged"]}, headers=JSON)
    assert (answer.status_code, json.loads(answer.data)["results"][0]["ok"]) == (422, False)
    assert keys(gallery.bucket) == set()


def test_staged_file_belongs_to_its_visitor(direct: Callable[..., Gallery]) -> None:
    gallery = direct(ORIGIN)
    first, second = Visitor(gallery), Visitor(gallery)
    first.get("/")
    second.get("/")
    staged = begin(first, 30)["direct"]["staged"]
    gallery.bucket.put(staged, picture(), media_type="image/png")
    gallery.bucket.put("mine.png", picture(), media_type="image/png")
    for other in (staged, "mine.png", ".s3img/incoming/../../mine.png", ""):
        assert second.post("/finish", {"name": "a.png", "staged": other}, headers=JSON).status_code == 400
    assert keys(gallery.bucket) == {staged, "mine.png"}


def test_bucket_that_was_not_proved_to_take_forms_gets_none(direct: Callable[..., Gallery]) -> None:
    visitor = Visitor(direct(ORIGIN, allowed="https://other.example"))
    visitor.get("/")
    assert begin(visitor, 9_000_000) == {"ok": True, "direct": None}
    assert begin(visitor, 10**12)["message"] == "This file is larger than 50 MB."


def test_missing_rule_is_found_by_doctor_and_added_from_the_page(direct: Callable[..., Gallery]) -> None:
    visitor = Visitor(direct(ORIGIN, allowed="https://other.example"))
    visitor.get("/")
    assert begin(visitor, 9_000_000)["direct"] is None
    page = visitor.post("/doctor").get_data(as_text=True)
    assert f"pages of {ORIGIN} may not put objects" in page
    assert 'action="/set-cors"' in page
    page = visitor.post("/set-cors").get_data(as_text=True)
    assert "The rule was added." in page
    assert "https://other.example" in page
    assert begin(visitor, 9_000_000)["direct"]
    assert "Nothing is missing." in visitor.post("/set-cors").get_data(as_text=True)


def test_gallery_of_another_origin_has_no_form(visitor: Visitor) -> None:
    answer = visitor.get("/")
    assert "connect-src 'self';" in answer.headers["Content-Security-Policy"]
    assert "data-direct" not in answer.get_data(as_text=True)
    assert begin(visitor, 9_000_000) == {"ok": True, "direct": None}


def test_store_that_takes_no_forms_gets_a_put(
    make_gallery: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3IMG_ACCESS_KEY_ID", "k")
    monkeypatch.setenv("S3IMG_SECRET_ACCESS_KEY", "s")
    for provider, method in (("r2", "PUT"), ("aws", "POST")):
        config = Config(
            bucket="s3://pics", provider=provider, account="0" * 32 if provider == "r2" else "",
            region="" if provider == "r2" else "eu-west-1", public_url="https://img.example.com", upload_origins=(ORIGIN,),
        )  # fmt: skip
        signed = make_gallery(config=config).browser_upload("a", 7)
        assert signed
        assert signed.method == method
        assert ("X-Amz-SignedHeaders=content-length%3Bcontent-type%3Bhost" in signed.url) == (method == "PUT")


def test_folder_takes_no_files(config: Config) -> None:
    assert takes_files_from(config, ORIGIN, "POST") is False


def test_what_nobody_finished_is_deleted_after_a_day(
    direct: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    gallery = direct(ORIGIN)
    visitor = Visitor(gallery)
    visitor.get("/")
    staged = begin(visitor, 30)["direct"]["staged"]
    gallery.bucket.put(staged, picture(), media_type="image/png")
    begin(visitor, 30)
    assert keys(gallery.bucket) == {staged}
    monkeypatch.setattr(upload_actions, "STAGED_FOR", timedelta(seconds=-60))
    begin(visitor, 30)
    assert keys(gallery.bucket) == set()


def test_file_is_stored_where_nothing_may_be_deleted(
    direct: Callable[..., Gallery], monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = direct(ORIGIN)
    visitor = Visitor(gallery)
    visitor.get("/")

    def refuse(names: list[str]) -> None:
        raise AccessDenied("you may not delete")

    monkeypatch.setattr(gallery.bucket, "delete", refuse)
    staged = begin(visitor, 30)["direct"]["staged"]
    gallery.bucket.put(staged, picture(), media_type="image/png")
    answer = visitor.post("/finish", {"name": "a.png", "staged": staged}, headers=JSON)
    assert (answer.status_code, [one["ok"] for one in answer.get_json()["results"]]) == (200, [True])


@pytest.mark.parametrize("provider", ["", "b2"])
def test_browser_sends_a_large_file_straight_to_the_bucket(
    chromium: Browser, direct: Callable[..., Gallery], provider: str
) -> None:
    apps: list[Gallery] = []

    def app(environ: Any, start_response: Any) -> Any:
        return apps[0](environ, start_response)  # which has to know its own port first

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler)
    origin = f"http://127.0.0.1:{server.port}"
    apps.append(direct(origin, provider=provider))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    context = chromium.new_context()
    try:
        page = context.new_page()
        sent: list[str] = []
        page.on("request", lambda request: sent.append(f"{request.method} {urllib.parse.urlsplit(request.url).path}"))
        page.goto(f"{origin}/")
        page.get_by_text("Folder, name and format").click()
        page.get_by_label("To folder").fill("new")
        page.wait_for_function("() => document.querySelector('#key-preview').innerText.includes('new/photo.')")
        data = large(1800)
        assert len(data) > 8e6
        file: Any = {"name": "Noise.png", "mimeType": "image/png", "buffer": data}
        page.locator('input[type="file"]').set_input_files(file)
        page.get_by_role("button", name="Upload", exact=True).click()
        page.wait_for_selector("#queue li a")
    finally:
        context.close()
        server.shutdown()
        thread.join()
        server.server_close()
    assert "POST /finish" in sent
    assert any(request.startswith("PUT ") for request in sent) == bool(provider)
    assert "POST /upload" not in sent
    assert [key.startswith("new/noise.") for key in keys(apps[0].bucket)] == [True]
