"""HTTP as RFC 9110 has it, in front of the real engine and a folder."""

from __future__ import annotations

import http.client
import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from werkzeug.test import Client, EnvironBuilder
from wsgi_servers import running, send

from s3img.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from transform_service import Served

PICTURE = "/tr:w-100,h-80/cat.jpg"


def opened(data: bytes) -> tuple[str | None, tuple[int, int]]:
    with Image.open(io.BytesIO(data)) as image:
        return image.format, image.size


@pytest.mark.parametrize(
    "path", [PICTURE, "/cat.jpg?tr=w-100,h-80", "/cat.jpg?tr=w-100%2Ch-80", "/img/tr:w-100,h-80/cat.jpg"]
)
def test_picture_has_the_size_asked_for(serve: Callable[..., Served], path: str) -> None:
    answer = serve().ask(path)
    assert (answer.status_code, opened(answer.data)) == (200, ("JPEG", (100, 80)))


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/avif,*/*;q=0.8", "image/avif"),
        ("image/webp,*/*", "image/webp"),
        ("image/avif;q=0,image/webp", "image/webp"),
        ("image/avif;q=0.3,image/webp;q=0.9", "image/webp"),
        ("IMAGE/WEBP", "image/webp"),
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("image/avif;q=0,image/webp;q=0", "image/jpeg"),
        ("", "image/jpeg"),
        (";;q=,,", "image/jpeg"),
    ],
)
def test_format_is_negotiated(serve: Callable[..., Served], accept: str, media_type: str) -> None:
    answer = serve().ask(PICTURE, Accept=accept)
    assert (answer.content_type, answer.headers["Vary"]) == (media_type, "Accept")


def test_format_asked_for_does_not_vary(serve: Callable[..., Served]) -> None:
    answer = serve().ask("/tr:w-100,f-webp/cat.jpg", Accept="image/avif")
    assert (answer.content_type, answer.headers.get("Vary")) == ("image/webp", None)


def test_original_does_not_vary(serve: Callable[..., Served]) -> None:
    assert "Vary" not in serve().ask("/cat.jpg", Accept="image/avif").headers


def test_etag_tells_variants_and_formats_apart(serve: Callable[..., Served]) -> None:
    served = serve()
    paths = [PICTURE, "/tr:w-101,h-80/cat.jpg", "/tr:w-100,h-80/img/cat.jpg", "/cat.jpg"]
    tags = [served.ask(path).headers["ETag"] for path in paths] + [
        served.ask(PICTURE, Accept="image/webp").headers["ETag"]
    ]
    assert len(set(tags)) == 5
    assert all(re.fullmatch(r'"[!#-~]+"', tag) for tag in tags)


@pytest.mark.parametrize("path", [PICTURE, "/cat.jpg", "/info/cat.jpg"])
@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"a", W/{}, "b"', "*"])
def test_current_copy_is_not_sent_again(serve: Callable[..., Served], path: str, form: str) -> None:
    served = serve()
    first = served.ask(path)
    second = served.ask(path, If_None_Match=form.format(first.headers["ETag"]))
    assert (second.status_code, second.data) == (304, b"")
    for name in ("ETag", "Cache-Control", "Vary"):
        assert second.headers.get(name) == first.headers.get(name)


@pytest.mark.parametrize("path", [PICTURE, "/cat.jpg"])
@pytest.mark.parametrize("header", ['"other"', "", "W/", '"'])
def test_other_copy_is_replaced(serve: Callable[..., Served], path: str, header: str) -> None:
    assert serve().ask(path, If_None_Match=header).status_code == 200


def test_etag_overrules_date(serve: Callable[..., Served]) -> None:
    served = serve()
    modified = served.ask(PICTURE).headers["Last-Modified"]
    assert served.ask(PICTURE, If_Modified_Since=modified).status_code == 304
    assert served.ask(PICTURE, If_Modified_Since=modified, If_None_Match='"other"').status_code == 200


@pytest.mark.parametrize("since", ["Thu, 01 Jan 1970 00:00:00 GMT", "yesterday"])
def test_older_or_senseless_date_gets_the_picture(serve: Callable[..., Served], since: str) -> None:
    assert serve().ask(PICTURE, If_Modified_Since=since).status_code == 200


def test_current_copy_needs_neither_source_nor_rendering(serve: Callable[..., Served], folder: Path) -> None:
    served = serve()
    tag = served.ask(PICTURE).headers["ETag"]
    (folder / "cat.jpg").unlink()
    assert served.ask(PICTURE, If_None_Match=tag).status_code == 304


def test_changed_source_changes_the_etag(serve: Callable[..., Served], folder: Path) -> None:
    served = serve(service={"fresh": 0})
    before = served.ask(PICTURE).headers["ETag"]
    Image.new("RGB", (200, 200), "red").save(folder / "cat.jpg")
    after = served.ask(PICTURE, If_None_Match=before)
    assert (after.status_code, after.headers["ETag"] != before) == (200, True)


@pytest.mark.parametrize(
    "path",
    [PICTURE, "/cat.jpg", "/notes.txt", "/info/cat.jpg", "/missing.jpg", "/tr:w-3/missing.jpg", "/tr:q-0/x", "/"],
)
def test_head_is_get_without_the_body(serve: Callable[..., Served], path: str) -> None:
    served = serve()
    given = {"X_Request_ID": "one"}
    get, head = served.ask(path, **given), served.ask(path, "HEAD", **given)
    assert (head.status_code, head.data) == (get.status_code, b"")
    assert dict(head.headers) == dict(get.headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PURGE"])
def test_other_methods_are_refused(serve: Callable[..., Served], method: str) -> None:
    answer = serve().ask(PICTURE, method)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


def test_options_lists_methods(serve: Callable[..., Served]) -> None:
    answer = serve().ask("/", "OPTIONS")
    assert (answer.status_code, answer.headers["Allow"], answer.data) == (204, "GET, HEAD, OPTIONS", b"")


@pytest.mark.parametrize(
    ("header", "data", "content_range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=8-99", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
    ],
)
def test_range_of_an_original(serve: Callable[..., Served], header: str, data: bytes, content_range: str) -> None:
    answer = serve().ask("/notes.txt", Range=header)
    assert (answer.status_code, answer.data, answer.headers["Content-Range"]) == (206, data, content_range)
    assert answer.content_length == len(data)


@pytest.mark.parametrize("header", ["bytes=0-1,4-5", "lines=1-2", "bytes=", "bytes=5-2", "bytes=a-b", "nonsense"])
def test_range_that_is_not_understood_is_ignored(serve: Callable[..., Served], header: str) -> None:
    answer = serve().ask("/notes.txt", Range=header)
    assert (answer.status_code, answer.data, answer.headers["Accept-Ranges"]) == (200, b"0123456789", "bytes")


def test_range_behind_the_end_is_refused_with_the_size(serve: Callable[..., Served]) -> None:
    answer = serve().ask("/notes.txt", Range="bytes=10-")
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */10")


def test_range_of_an_older_copy_gets_the_new_one(serve: Callable[..., Served]) -> None:
    served = serve()
    whole = served.ask("/notes.txt")
    tag, date = whole.headers["ETag"], whole.headers["Last-Modified"]
    statuses = [served.ask("/notes.txt", Range="bytes=0-1", If_Range=said).status_code for said in (tag, date)]
    older = [served.ask("/notes.txt", Range="bytes=0-1", If_Range=said).status_code for said in (f"W/{tag}", '"x"')]
    assert (statuses, older) == ([206, 206], [200, 200])


def test_head_ignores_a_range(serve: Callable[..., Served]) -> None:
    answer = serve().ask("/notes.txt", "HEAD", Range="bytes=0-1")
    assert (answer.status_code, answer.content_length) == (200, 10)


def test_empty_original_is_served(serve: Callable[..., Served], folder: Path) -> None:
    (folder / "empty.txt").write_bytes(b"")
    answer = serve().ask("/empty.txt")
    assert (answer.status_code, answer.data, answer.content_length) == (200, b"", 0)


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/cat.jpg", "image/jpeg"),
        ("/notes.txt", "text/plain"),
        ("/logo.svg", "image/svg+xml"),
        ("/x.webp", "image/webp"),
    ],
)
def test_original_has_its_media_type(serve: Callable[..., Served], folder: Path, path: str, media_type: str) -> None:
    (folder / "x.webp").write_bytes(b"x")
    answer = serve().ask(path)
    assert (answer.mimetype, answer.headers["X-Content-Type-Options"]) == (media_type, "nosniff")


@pytest.mark.parametrize("path", ["/orig.jpg", "/tr:orig-true/cat.jpg"])
def test_original_is_the_source_byte_for_byte(serve: Callable[..., Served], folder: Path, path: str) -> None:
    (folder / "orig.jpg").write_bytes((folder / "cat.jpg").read_bytes())
    assert serve().ask(path).data == (folder / "cat.jpg").read_bytes()


def test_svg_passes_through_a_transform(serve: Callable[..., Served], folder: Path) -> None:
    assert serve().ask("/tr:w-3/logo.svg").data == (folder / "logo.svg").read_bytes()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "public, max-age=86400"),
        ({"max_age": 60}, "public, max-age=60"),
        ({"max_age": 60, "stale_while_revalidate": 30}, "public, max-age=60, stale-while-revalidate=30"),
    ],
)
def test_cache_control_follows_the_settings(
    serve: Callable[..., Served], settings: dict[str, int], expected: str
) -> None:
    assert serve(service=settings).ask(PICTURE).headers["Cache-Control"] == expected


def test_errors_are_never_kept(serve: Callable[..., Served]) -> None:
    assert serve().ask("/missing.jpg").headers["Cache-Control"] == "no-store"


def test_client_hints_are_ignored_by_default(serve: Callable[..., Served]) -> None:
    answer = serve().ask("/tr:w-50,dpr-auto,f-jpg/cat.jpg", Sec_CH_DPR="2")
    assert (opened(answer.data)[1], answer.headers.get("Vary")) == ((50, 38), None)


def test_client_hints_choose_the_size_and_vary(serve: Callable[..., Served]) -> None:
    answer = serve(service={"client_hints": True}).ask("/tr:w-50,dpr-auto,f-jpg/cat.jpg", Sec_CH_DPR="1.9")
    assert opened(answer.data)[1] == (100, 75)
    assert (answer.headers["Content-DPR"], answer.headers["Vary"]) == ("2", "Sec-CH-DPR, Sec-CH-Width")
    assert answer.headers["Accept-CH"] == "Sec-CH-DPR, Sec-CH-Width"


def test_client_hints_matter_only_where_they_are_asked_for(serve: Callable[..., Served]) -> None:
    answer = serve(service={"client_hints": True}).ask("/tr:w-50,f-jpg/cat.jpg", Sec_CH_DPR="2")
    assert (opened(answer.data)[1], answer.headers.get("Vary")) == ((50, 38), None)


def test_server_timing_is_an_option(serve: Callable[..., Served]) -> None:
    assert "Server-Timing" not in serve().ask(PICTURE).headers
    served = serve(service={"server_timing": True})
    cold, hot = (served.ask("/tr:w-9/cat.jpg").headers.get("Server-Timing") for _ in range(2))
    assert {"fetch", "render", "encode"} <= set(re.findall(r"(?:^|, )([a-z-]+);dur=[\d.]+", cold or ""))
    assert hot is None


@pytest.mark.parametrize(
    ("origins", "origin", "allowed", "vary"),
    [
        ((), "https://a.example", None, None),
        (("*",), "https://a.example", "*", None),
        (("https://a.example",), "https://a.example", "https://a.example", "Origin"),
        (("https://a.example",), "https://b.example", None, "Origin"),
        (("https://a.example",), "", None, "Origin"),
    ],
)
def test_cors_follows_the_settings(
    serve: Callable[..., Served], origins: tuple[str, ...], origin: str, allowed: str | None, vary: str | None
) -> None:
    headers = serve(service={"cors_origins": origins}).ask("/cat.jpg", Origin=origin).headers
    assert (headers.get("Access-Control-Allow-Origin"), headers.get("Vary")) == (allowed, vary)


def test_preflight_lists_what_scripts_may_send(serve: Callable[..., Served]) -> None:
    headers = serve(service={"cors_origins": ["*"]}).ask("/cat.jpg", "OPTIONS", Origin="https://a.example").headers
    assert headers["Access-Control-Allow-Methods"] == "GET, HEAD, OPTIONS"
    assert "Range" in headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("query", "disposition"),
    [
        ("ik-attachment=true", "attachment; filename=cat.jpg"),
        ("ik-attachment-filename=my%20cat.jpg", 'attachment; filename="my cat.jpg"'),
        ("ik-attachment-filename=caf%C3%A9.jpg", "attachment; filename=cafe.jpg; filename*=UTF-8''caf%C3%A9.jpg"),
        ("ik-attachment-filename=..%2F..%2Fetc%5Cpasswd", "attachment; filename=.._.._etc_passwd"),
    ],
)
def test_attachment_has_a_name(serve: Callable[..., Served], query: str, disposition: str) -> None:
    assert serve().ask(f"/cat.jpg?{query}").headers["Content-Disposition"] == disposition


def test_attachment_of_a_rendering_is_named_by_its_format(serve: Callable[..., Served]) -> None:
    answer = serve().ask("/tr:w-9,f-webp/cat.jpg?ik-attachment=true")
    assert answer.headers["Content-Disposition"] == "attachment; filename=cat.webp"


@pytest.mark.parametrize("given", ["abc-123", "a b", "x" * 65, "a\u00e9", ""])
def test_request_id_is_kept_or_made(serve: Callable[..., Served], given: str) -> None:
    kept = serve().ask("/cat.jpg", X_Request_ID=given).headers["X-Request-ID"]
    assert kept == given if given == "abc-123" else re.fullmatch("[0-9a-f]{16}", kept)


def test_health_and_readiness(serve: Callable[..., Served]) -> None:
    served = serve(access="named")
    assert [served.ask(path).status_code for path in ("/healthz", "/readyz")] == [200, 200]


def test_metrics_are_off_by_default(serve: Callable[..., Served]) -> None:
    assert serve().ask("/metrics").status_code == 404


def test_metrics_have_a_path_of_their_own(serve: Callable[..., Served]) -> None:
    served = serve(service={"metrics_path": "/internal/metrics"})
    served.ask(PICTURE)
    answer = served.ask("/internal/metrics")
    assert (answer.status_code, answer.mimetype, b"s3img" in answer.data) == (200, "text/plain", True)


def test_info_describes_a_picture(serve: Callable[..., Served], folder: Path) -> None:
    said = serve().ask("/info/cat.jpg").json
    assert said is not None
    facts = {name: said[name] for name in ("format", "width", "height", "bytes", "frames", "alpha")}
    size = (folder / "cat.jpg").stat().st_size
    assert facts == {"format": "jpeg", "width": 400, "height": 300, "bytes": size, "frames": 1, "alpha": False}
    assert re.fullmatch("#[0-9a-f]{6}", said["dominant"])


def test_info_tells_neither_place_nor_serial_number(serve: Callable[..., Served]) -> None:
    assert serve().ask("/info/cat.jpg").json["exif"] == {"Make": "Maker"}  # type: ignore[index]


def test_info_of_a_colour_is_that_colour(serve: Callable[..., Served], folder: Path) -> None:
    Image.new("RGB", (20, 20), "#336699").save(folder / "blue.png")
    assert serve().ask("/info/blue.png").json["dominant"] == "#336699"  # type: ignore[index]


def watched(served: Served, monkeypatch: pytest.MonkeyPatch, chunks: Callable[[], Iterator[bytes]]) -> list[str]:
    """Replace what the engine streams; return a list that says when it is closed."""
    closed: list[str] = []
    original = served.app._engine.original

    def opened(*arguments: Any, **options: Any) -> Any:
        found = original(*arguments, **options)
        found.close()
        return replace(found, chunks=chunks(), close=lambda: closed.append("closed"))

    monkeypatch.setattr(served.app._engine, "original", opened)
    return closed


@pytest.mark.parametrize("read", [0, 1, 2])
def test_source_is_closed_however_much_is_read(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch, read: int
) -> None:
    served = serve()
    closed = watched(served, monkeypatch, lambda: iter([b"01234", b"56789"]))
    body = served.app(EnvironBuilder("/notes.txt").get_environ(), lambda *_: None)
    for _, _ in zip(range(read), body, strict=False):
        pass
    body.close()  # type: ignore[attr-defined] # as PEP 3333 asks of servers
    assert closed == ["closed"]


def test_source_that_fails_before_its_first_byte_is_an_error(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[bytes]:
        raise Unreachable("it never began")
        yield b""

    served = serve()
    closed = watched(served, monkeypatch, broken)
    answer = served.ask("/notes.txt")
    assert (answer.status_code, answer.headers["Cache-Control"], closed) == (504, "no-store", ["closed"])
    assert "ETag" not in answer.headers


def test_source_that_ends_early_cuts_the_connection(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Iterator[bytes]:
        yield b"01234"
        raise Unreachable("it ended early")

    served = serve()
    watched(served, monkeypatch, broken)
    with running("waitress", served.app, {}) as port, pytest.raises(http.client.IncompleteRead):
        send(port, "/notes.txt")


@pytest.mark.parametrize("path", ["/cat.jpg", "/tr:w-9/cat.jpg", "/info/cat.jpg", "/logo.svg"])
def test_setting_keeps_answers_out_of_shared_caches(serve: Callable[..., Served], path: str) -> None:
    served = serve(service={"private": True, "max_age": 60})
    first = served.ask(path)
    again = served.ask(path, If_None_Match=first.headers["ETag"])
    assert (first.status_code, again.status_code) == (200, 304)
    assert {first.headers["Cache-Control"], again.headers["Cache-Control"]} == {"private, max-age=60"}


def test_application_around_the_service_makes_an_answer_private(serve: Callable[..., Served]) -> None:
    app = serve().app
    answer = Client(app).get("/tr:w-9/cat.jpg", environ_base={"s3img.private": True})
    assert answer.headers["Cache-Control"] == "private, max-age=86400"
    from_client = Client(app).get("/tr:w-9/cat.jpg", headers={"s3img.private": "True", "S3img-Private": "1"})
    assert from_client.headers["Cache-Control"] == "public, max-age=86400"
