"""What an attacker can send; docs/security.md names these tests beside the threats."""

from __future__ import annotations

import json
import logging
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from PIL import Image
from stub_store import Answer, stub_store
from wsgi_servers import running, send

from s3img.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transform_service import Served

KEYS = "k1:first-secret"
STUB = {"S3IMG_ACCESS_KEY_ID": "stubaccesskey", "S3IMG_SECRET_ACCESS_KEY": "stubsecretkey"}


@pytest.mark.parametrize(
    "target",
    [
        "/http://169.254.169.254/latest/meta-data/",
        "/tr:w-9/http://169.254.169.254/latest",
        "/tr:w-9/http%3A%2F%2F127.0.0.1%2Fx.jpg",
        "/s3://169.254.169.254/x",
        "/tr:w-9,di-http%3A@@@@127.0.0.1@@x.jpg/missing.jpg",
        "http://169.254.169.254/latest/meta-data/",
        "//169.254.169.254/latest",
    ],
)
def test_no_address_makes_the_service_connect_elsewhere(
    serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    with stub_store(Answer.error(404, "NoSuchKey")) as store:
        served = serve(
            bucket="", origins={"o": {"bucket": "s3://stub", "endpoint_url": store.endpoint_url}}, environ=STUB
        )
        reached: list[Any] = []
        connect = socket.socket.connect
        monkeypatch.setattr(socket.socket, "connect", lambda sock, to: (reached.append(to), connect(sock, to))[1])
        with running("waitress", served.app, {}) as port:
            assert send(port, target).status in {400, 404}
    allowed = {port, int(store.endpoint_url.rpartition(":")[2])}
    assert {(host, number in allowed) for host, number in reached} == {("127.0.0.1", True)}


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_of_an_origin_is_not_followed(serve: Callable[..., Served], status: int) -> None:
    with stub_store(Answer(200, b"secret")) as elsewhere, stub_store() as store:
        store.answers = [Answer(status, b"", {"Location": f"{elsewhere.endpoint_url}/secret"})]
        served = serve(
            bucket="", origins={"o": {"bucket": "s3://stub", "endpoint_url": store.endpoint_url}}, environ=STUB
        )
        answers = [served.ask(path) for path in ("/secret", "/tr:w-9/secret")]
    assert all(answer.status_code in {502, 504} for answer in answers)
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2Fsecret.txt",
        "/img/%2E%2E/%2E%2E/secret.txt",
        "/tr:orig-true/../secret.txt",
        "/tr:w-9,di-..@@secret.txt/missing.jpg",
        "/ik-seo/../secret/x.txt",
        "/s3://bucket/../secret.txt",
        "/..%5Csecret.txt",
        "/....//secret.txt",
        "/%252e%252e/secret.txt",
        "//etc/passwd",
        "/file:///etc/passwd",
        "/link.txt/../../secret.txt",
    ],
)
def test_no_key_leaves_its_origin(serve: Callable[..., Served], folder: Path, path: str) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    answer = serve().ask(path)
    assert (answer.status_code in {400, 404}, answer.data == b"secret") == (True, False)


def test_prefix_of_an_origin_bounds_its_keys(serve: Callable[..., Served]) -> None:
    with stub_store(Answer.error(404, "NoSuchKey")) as store:
        origin = {"bucket": "s3://stub/public", "endpoint_url": store.endpoint_url}
        served = serve(bucket="", origins={"o": origin}, environ=STUB)
        for path in ("/../private/x", "/a/%2e%2e/x", "/..%2Fprivate%2Fx", "/public/x", "//x"):
            served.ask(path)
        assert {request.target.startswith("/stub/public/") for request in store.requests} == {True}


@pytest.mark.parametrize(
    "name", ["a\r\nSet-Cookie: x=1", "a\nb", "a\x00b", "a\u2028b", 'a"; filename*=x', "a\x85b", "\r\n"]
)
def test_no_name_adds_a_header(serve: Callable[..., Served], name: str) -> None:
    answer = serve().ask(f"/cat.jpg?ik-attachment-filename={quote(name)}")
    assert "Set-Cookie" not in answer.headers
    assert not any(character in answer.headers["Content-Disposition"] for character in "\r\n\0")


@pytest.mark.parametrize("token", ["w-%0D%0ASet-Cookie:x", "n-%0Ax", "%E2%80%A8-1", "w-%00", "x-%F0%9F%90%88"])
def test_no_error_adds_a_header(serve: Callable[..., Served], token: str) -> None:
    answer = serve().ask(f"/tr:{token}/cat.jpg")
    assert (answer.status_code, "Set-Cookie" in answer.headers) == (400, False)
    assert answer.headers["S3img-Error"].isascii()


def test_stored_headers_of_an_object_are_not_trusted(serve: Callable[..., Served]) -> None:
    headers = {"ETag": '"e"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "Content-Type": "text/html;x=\x01, a"}
    with stub_store(Answer(200, b"<b>", headers)) as store:
        served = serve(
            bucket="", origins={"o": {"bucket": "s3://stub", "endpoint_url": store.endpoint_url}}, environ=STUB
        )
        answer = served.ask("/x")
    assert (answer.status_code, answer.content_type) == (200, "application/octet-stream")


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X_Forwarded_Host": "evil.example", "X_Forwarded_Proto": "gopher"},
        {"X_Original_URL": "/secret", "X_Rewrite_URL": "/secret"},
        {"Accept_Language": "tlh", "User_Agent": "evil", "Cookie": "a=b", "Authorization": "Bearer x"},
        {"Sec_CH_DPR": "3", "DPR": "3", "Width": "9", "Save_Data": "on", "Viewport_Width": "3"},
        {"Origin": "https://evil.example"},
        {"X_HTTP_Method_Override": "DELETE"},
        {"Transfer_Encoding": "identity"},
    ],
)
def test_no_header_but_those_of_vary_changes_an_answer(serve: Callable[..., Served], headers: dict[str, str]) -> None:
    served = serve()
    for path in ("/tr:w-50,dpr-auto/cat.jpg", "/cat.jpg", "/missing.jpg"):
        plain, changed = (served.ask(path, X_Request_ID="i", **said) for said in ({}, headers))
        assert (plain.status_code, plain.data, plain.headers) == (changed.status_code, changed.data, changed.headers)


def test_unknown_parameters_change_nothing(serve: Callable[..., Served]) -> None:
    served = serve()
    tags = {
        served.ask(f"/cat.jpg?{query}").headers["ETag"] for query in ("", "v=2", "TR=w-9", "utm_source=x&tr%00=w-9")
    }
    assert len(tags) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/logo.svg",
        "/page.html",
        "/feed.xml",
        "/x.xhtml",
        "/a.js",
        "/a.pdf",
        "/tr:w-9/logo.svg",
        "/tr:orig-true/page.html",
    ],
)
def test_active_content_is_never_run(serve: Callable[..., Served], folder: Path, path: str) -> None:
    for name in ("feed.xml", "x.xhtml", "a.js", "a.pdf"):
        (folder / name).write_text("<x/>")
    headers = serve().ask(path).headers
    assert "sandbox" in headers["Content-Security-Policy"].split("; ")
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_active_content_may_be_a_download(serve: Callable[..., Served]) -> None:
    answer = serve(service={"active_content": "attachment"}).ask("/page.html")
    assert answer.headers["Content-Disposition"] == "attachment; filename=page.html"


def test_page_under_an_image_name_is_no_page(serve: Callable[..., Served], folder: Path) -> None:
    (folder / "cat2.jpg").write_text("<script>alert(1)</script>")
    served = serve()
    assert served.ask("/cat2.jpg").content_type == "image/jpeg"
    assert served.status("/tr:w-9/cat2.jpg") == (415, "EFORMAT")


def test_density_of_a_screen_makes_few_variants(serve: Callable[..., Served]) -> None:
    served = serve(service={"client_hints": True})
    said = [f"{number / 37:.4f}" for number in range(1, 400, 9)]
    tags = {served.ask("/tr:w-20,dpr-auto,f-png/cat.jpg", Sec_CH_DPR=dpr).headers["ETag"] for dpr in said}
    assert len(tags) <= 8


def test_spellings_of_a_transform_make_one_variant(serve: Callable[..., Served]) -> None:
    served = serve()
    steps = ["w-20,h-30", "h-30,w-20", "w-20%2Ch-30", "w-20,h-30,", ":w-20,h-30", "w-20,h-30,fo-center", "w-20.0,h-30"]
    tags = {served.ask(f"/tr:{text}/cat.jpg").headers.get("ETag", text) for text in steps}
    assert len(tags - {"w-20.0,h-30"}) == 1


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        ("w-16384,f-png", 413),
        ("w-9000,h-9000,c-force", 413),
        (":".join(["w-9"] * 21), 400),
        ("w-9," * 3000, 413),
        ("w-iw_pow_9_pow_9", 400),
        ("w-1e9", 400),
        ("dpr-NaN,w-9", 400),
        ("rt-inf", 400),
        ("bl-99999", 400),
        ("r-" + "9" * 400, 400),
    ],
)
def test_cost_of_a_request_is_bounded(serve: Callable[..., Served], steps: str, status: int) -> None:
    assert serve().status(f"/tr:{steps}/cat.jpg")[0] == status


@pytest.mark.slow
def test_bomb_is_refused_by_its_header(serve: Callable[..., Served], folder: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    assert serve().status("/tr:w-9/bomb.png") == (413, "ELIMIT")


def test_large_source_is_not_read_to_its_end(serve: Callable[..., Served], folder: Path) -> None:
    with (folder / "large.jpg").open("wb") as file:
        file.write((folder / "cat.jpg").read_bytes())
        file.truncate(101_000_000)
    assert serve().status("/tr:w-9/large.jpg") == (413, "ELIMIT")


def test_log_line_cannot_be_forged(serve: Callable[..., Served], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "s3img.service"):
        serve().ask("/a%0A%7B%22status%22:200%7D%0D%1B[31m.jpg", X_Request_ID="a\tb")
    lines = [record.getMessage() for record in caplog.records if record.name == "s3img.service"]
    assert len(lines) == 1
    assert lines[0].isprintable()
    assert json.loads(lines[0])["status"] == 404


def test_log_holds_no_secret(serve: Callable[..., Served], caplog: pytest.LogCaptureFixture) -> None:
    served = serve(access="signed", signing_keys=KEYS)
    signed = Signer.of(KEYS).sign("/cat.jpg?v=2")
    with caplog.at_level(logging.DEBUG):
        served.ask(signed, Authorization="Bearer hunter2", Cookie="hunter3")
        served.ask(signed.replace("sig=", "SIG=").replace("v=2", "v=3"))
    assert "sig=-" in caplog.text
    assert not any(secret in caplog.text for secret in (signed.rpartition(".")[2], "first-secret", "hunter"))


@pytest.mark.parametrize("path", ["/cat.jpg", "/tr:w-9/cat.jpg", "/info/cat.jpg"])
@pytest.mark.parametrize("accept", ["*/*", "application/json"])
def test_failure_tells_nothing_of_the_inside(
    serve: Callable[..., Served], path: str, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    with stub_store(Answer.error(500, "InternalError", "inner-host-17")) as store:
        origin = {"bucket": "s3://inner-bucket", "endpoint_url": store.endpoint_url}
        answer = serve(bucket="", origins={"inner-origin": origin}, environ=STUB).ask(path, Accept=accept)
    shown = answer.text + str(answer.headers)
    assert answer.status_code == 502
    assert not any(word in shown for word in ("inner", "stubaccesskey", "127.0.0.1", "Traceback", "s3img/"))


def test_bug_is_a_500_without_details(serve: Callable[..., Served], monkeypatch: pytest.MonkeyPatch) -> None:
    served = serve()
    monkeypatch.setattr(served.app._reader, "read", lambda *_, **__: 1 / 0)
    answer = served.ask("/cat.jpg")
    assert (answer.status_code, answer.text) == (500, "EINTERNAL: The service failed.\n")


def test_admin_paths_tell_nothing_of_the_settings(serve: Callable[..., Served]) -> None:
    served = serve(access="signed", signing_keys=KEYS)
    assert [served.ask(path).data for path in ("/healthz", "/readyz")] == [b"ok\n", b"ready\n"]
