"""Answers that are none, half ones and slow ones: nothing is concluded from them, and nothing waits for ever."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from slow_server import slow_server
from stub_store import Answer, Request, stub_store

from s3img.buckets import S3Options, open_bucket
from s3img.buckets.copying import copy_object
from s3img.buckets.s3 import response_checks
from s3img.errors import BucketError, CredentialsError, ObjectNotFound, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img.buckets import Bucket

ITEM = "<Contents><Key>{}</Key><Size>1</Size><ETag>e</ETag><LastModified>2026-01-01T00:00:00Z</LastModified></Contents>"
XML = {"Content-Type": "application/xml"}


def page(
    *keys: str, truncated: str = "<IsTruncated>false</IsTruncated>", token: str = "", root: str = "ListBucketResult"
) -> Answer:
    items = "".join(ITEM.format(key) for key in keys)
    more = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    return Answer(200, f"<?xml version='1.0'?>\n<{root}>{truncated}{more}{items}</{root}>".encode(), XML)


MORE = "<IsTruncated>true</IsTruncated>"
BROKEN = {
    "a web page": Answer(
        200, b"<!doctype html><html><body>Please sign in.</body></html>", {"Content-Type": "text/html"}
    ),
    "xhtml": Answer(200, b"<html><head/><body/></html>", {"Content-Type": "text/html"}),
    "nothing": Answer(200, b"", XML),
    "json": Answer(200, b"{}", {"Content-Type": "application/json"}),
    "a list of buckets": Answer(200, b"<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>", XML),
    "another root": page(root="Result"),
    "no word of the end": page("a", truncated=""),
    "no token": page("a", truncated=MORE),
    "keys of another prefix": page("elsewhere/a"),
    "an object without its time": Answer(200, page("docs/b").body.replace(b"LastModified", b"Modified"), XML),
    "an object without its size": Answer(200, page("docs/b").body.replace(b"Size", b"Bytes"), XML),
    "an object without its key": Answer(200, page("docs/b").body.replace(b"Key", b"Name"), XML),
    "half an answer": Answer(200, page("a").body[:-20], XML),
}


@pytest.mark.parametrize("which", BROKEN)
@pytest.mark.parametrize("at", [0, 1], ids=["first page", "second page"])
def test_listing_that_is_not_whole_is_an_error(which: str, at: int) -> None:
    first = [page("docs/a", truncated=MORE, token="t")] * at
    with stub_store(*first, BROKEN[which]) as store, pytest.raises(BucketError) as caught:
        list(open_bucket("s3://pics/docs", store.options()).list())
    assert caught.value.reason in {
        "listing-broken",
        "not-s3",
        "store-failed",
    }  # botocore tries again where it is no XML
    assert "endpoint_url" in caught.value.fix


def test_listing_whose_token_comes_again_is_an_error_at_once() -> None:
    with stub_store(page(truncated=MORE, token="t")) as store:
        with pytest.raises(BucketError, match="repeated") as caught:
            list(open_bucket("s3://pics", store.options()).list())
        assert (len(store.requests), caught.value.reason) == (2, "listing-broken")


def test_listing_that_begins_again_under_new_tokens_is_an_error() -> None:
    with stub_store() as store:
        store.answer_by = lambda _: page("a", "b", truncated=MORE, token=f"t{len(store.requests)}")
        with pytest.raises(BucketError, match="comes again") as caught:
            list(open_bucket("s3://pics", store.options()).list())
        assert (len(store.requests), caught.value.reason) == (2, "listing-broken")


def test_listing_of_empty_pages_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_checks, "EMPTY_PAGES", 5)
    with stub_store() as store:
        store.answer_by = lambda _: page(truncated=MORE, token=f"t{len(store.requests)}")
        with pytest.raises(BucketError, match="5 pages in a row are empty") as caught:
            list(open_bucket("s3://pics", store.options()).list())
        assert (len(store.requests), caught.value.reason) == (5, "listing-broken")


def test_listing_may_have_namespaces_comments_and_empty_pages() -> None:
    last = page("b").body.replace(
        b"<ListBucketResult>", b'<!-- x --> <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    )
    with stub_store(
        page(truncated=MORE, token="t"), page("a", truncated=MORE, token="u"), Answer(200, last, XML)
    ) as store:
        assert [info.key for info in open_bucket("s3://pics", store.options()).list()] == ["a", "b"]


def test_web_page_in_the_place_of_a_deletion_counts_for_nothing() -> None:
    with stub_store(BROKEN["a web page"], Answer.error(403, "AccessDenied")) as store:
        with pytest.raises(BucketError):
            open_bucket("s3://pics", store.options()).delete(["a"])
        assert [request.method for request in store.requests] == ["POST", "DELETE"]


def test_put_whose_etag_is_another_md5_is_compared_with_what_is_stored() -> None:
    other = {"ETag": '"00000000000000000000000000000000"'}
    with stub_store(Answer(200, b"", other), Answer(200, b"cat", other), Answer(200, b"", other)) as store:
        bucket = open_bucket("s3://pics", store.options())
        for key in "ab":  # the second time it is known that this store's ETags are none
            bucket.put(key, b"cat", media_type="image/png")
        assert bucket.requests == {"put": 2, "get": 1}


@pytest.mark.parametrize("stored", [b"", b"dog", b"cats", b"<html></html>"])
def test_put_of_which_the_store_has_other_bytes_is_an_error(stored: bytes) -> None:
    other = {"ETag": '"00000000000000000000000000000000"'}
    with stub_store(Answer(200, b"", other), Answer(200, stored, other)) as store, pytest.raises(BucketError) as caught:
        open_bucket("s3://pics", store.options()).put("a", b"cat", media_type="image/png")
    assert caught.value.reason == "not-stored"


def test_etag_of_an_object_encrypted_with_kms_proves_nothing() -> None:
    headers = {"ETag": '"00000000000000000000000000000000"', "x-amz-server-side-encryption": "aws:kms"}
    with stub_store(Answer(200, b"", headers)) as store:
        bucket = open_bucket("s3://pics", store.options())
        bucket.put("a", b"cat", media_type="image/png")
        assert bucket.requests == {"put": 1}


def test_large_object_of_which_half_is_stored_is_an_error() -> None:
    started = b"<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
    finished = b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"

    def answer(request: Request) -> Answer:
        headers = {"ETag": '"e"', **XML}
        if request.method == "HEAD":
            return Answer(200, b"", {**headers, "Content-Length": str(8 << 20)})
        return Answer(200, started if request.target.endswith("?uploads") else finished, headers)

    with stub_store() as store:
        store.answer_by = answer
        with pytest.raises(BucketError) as caught:
            open_bucket("s3://pics", store.options()).put("k", bytes(17 << 20), media_type="image/png")
    assert caught.value.reason == "not-stored"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("InvalidAccessKeyId", CredentialsError),
        ("SignatureDoesNotMatch", CredentialsError),
        ("ExpiredToken", CredentialsError),
    ],
)
def test_refused_head_is_explained_by_a_get(code: str, kind: type[BucketError]) -> None:
    with stub_store() as store:
        store.answer_by = lambda _: Answer.error(403, code)
        with pytest.raises(kind) as caught:
            open_bucket("s3://pics", store.options()).head("a")
        assert [request.headers.get("range") for request in store.requests] == [None, "bytes=0-0"]
    assert (caught.value.code, caught.value.action) == (code, "head")


def test_head_that_only_a_get_may_answer_is_answered() -> None:
    first = {"ETag": '"e"', "Content-Range": "bytes 0-0/1234"}
    with stub_store() as store:
        store.answer_by = lambda request: Answer(403, b"") if request.method == "HEAD" else Answer(206, b"x", first)
        found = open_bucket("s3://pics", store.options()).head("a")
    assert found is not None
    assert found.size == 1234


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, "KeyTooLongError", "Your key is too long"),
        (400, "InvalidObjectName", "no"),
        (400, "InvalidArgument", "Invalid version id specified"),
        (404, "NoSuchVersion", "no"),
    ],
)
def test_key_or_version_that_no_object_can_have_is_not_found(status: int, code: str, message: str) -> None:
    with stub_store(Answer.error(status, code, message)) as store:
        bucket = open_bucket("s3://pics", store.options())
        with pytest.raises(ObjectNotFound):
            bucket.open("a", version="x")
        with pytest.raises(BucketError) as caught:
            bucket.put("a", b"x", media_type="image/png")
        assert isinstance(caught.value, ObjectNotFound) == (caught.value.reason == "no-version")


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "InvalidRequest"), (400, "InvalidArgument"), (405, "MethodNotAllowed"), (501, "NotImplemented")],
)
def test_refused_version_is_none_of_the_object(status: int, code: str) -> None:
    """AWS answers 405 to the id of a delete marker."""
    with stub_store(Answer.error(status, code, "no")) as store:
        bucket = open_bucket("s3://pics", store.options())
        with pytest.raises(ObjectNotFound) as caught:
            bucket.open("a", version="x")
        assert caught.value.reason == "no-version"
        with pytest.raises(BucketError) as without:
            bucket.open("a")
        assert not isinstance(without.value, ObjectNotFound)


@pytest.mark.parametrize("sent", [{}, {"x-amz-version-id": "2"}, {"x-oss-version-id": "2"}])
def test_another_version_is_not_the_one_that_was_asked_for(sent: dict[str, str]) -> None:
    with stub_store(Answer(200, b"new", {"ETag": '"1"', **sent})) as store:
        bucket = open_bucket("s3://pics", store.options())
        with pytest.raises(ObjectNotFound) as caught:
            bucket.open("a", version="1")
        assert caught.value.reason == "no-version"
        with bucket.open("a", version="2" if sent else "null") as found:
            assert (found.read(), found.version) == (b"new", "2" if sent else "null")


@pytest.mark.parametrize("key", ["a//b", "/a", "a/../b", "./a", "a\x01", "a\\b", "s" * 256, "a/" + "s" * 256])
def test_key_that_a_store_keeps_no_object_under_is_not_found(key: str) -> None:
    with stub_store(Answer.error(400, "InvalidRequest", "Invalid Request")) as store:
        bucket = open_bucket("s3://pics", store.options(use_obstore=False))
        assert bucket.head(key) is None
        with pytest.raises(ObjectNotFound) as caught:
            bucket.open(key)
        assert caught.value.reason == "key-refused"
        with pytest.raises(BucketError) as put:
            bucket.put(key, b"x", media_type="image/png")
        assert (put.value.reason, put.value.status) == ("key-refused", 502)


@pytest.mark.parametrize("key", ["", "\ud800.png"])
def test_key_that_can_not_be_sent_is_not_found(key: str) -> None:
    with stub_store() as store, pytest.raises(ObjectNotFound) as caught:
        open_bucket("s3://pics", store.options()).get(key)
    assert caught.value.reason in {"key-invalid", "key-not-text"}


HEAD = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 1000\r\n'


def read(bucket: Bucket) -> None:
    with bucket.open("a") as found:
        found.read()


ACTIONS: dict[str, Callable[[Bucket], object]] = {
    "list": lambda bucket: list(bucket.list()),
    "open": read,
    "get": lambda bucket: bucket.get("a"),
    "head": lambda bucket: bucket.head("a"),
    "put": lambda bucket: bucket.put("a", b"cat", media_type="image/png"),
    "put if new": lambda bucket: bucket.put("a", b"cat", media_type="image/png", only_new=True),
    "delete": lambda bucket: bucket.delete(["a"]),
    "copy": lambda bucket: copy_object(bucket, "a", "b"),
}


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # of what was given up and ended by itself
@pytest.mark.parametrize("use_obstore", [False, True], ids=["boto3", "obstore"])
@pytest.mark.parametrize(
    "pieces", [(HEAD + b"X: ", b"x"), (HEAD + b"\r\n", b" ")], ids=["in its headers", "in its body"]
)
def test_answer_of_a_byte_at_a_time_ends_in_an_error(pieces: tuple[bytes, ...], *, use_obstore: bool) -> None:
    """Whatever is asked; all at once, because each takes its whole time."""
    with slow_server(*pieces, pause=0.05) as url, stub_store() as store, ThreadPoolExecutor(len(ACTIONS)) as pool:
        options = store.options(
            endpoint_url=url, read_timeout=0.5, connect_timeout=0.5, use_obstore=use_obstore, attempts=2
        )
        # Neither HEAD nor what obstore puts has an answer with a body.
        actions = ACTIONS if pieces[-1] == b"x" else {name: ACTIONS[name] for name in ("list", "open", "get", "delete")}
        ended = {name: pool.submit(action, open_bucket("s3://pics", options)) for name, action in actions.items()}
        errors = {name: future.exception(timeout=60) for name, future in ended.items()}
    reasons = {name: error.reason if isinstance(error, Unreachable) else repr(error) for name, error in errors.items()}
    # On a loaded machine the pause before a byte may be long enough for the time-out of the socket.
    assert reasons.keys() == actions.keys()
    for thread in threading.enumerate():  # so that no later test finds their sockets
        if thread.name == "s3img-request":
            thread.join(10)
    del errors, ended
    gc.collect()
    assert {*reasons.values()} <= {"answer-too-slow", "no-answer"}, reasons


def test_small_request_has_less_time_than_a_large_one() -> None:
    options = S3Options(endpoint_url="http://127.0.0.1:1")
    times = [options.seconds_for(size) for size in (0, 100_000, 4 << 20, 16 << 20)]
    assert times == [options.short_seconds, pytest.approx(82, abs=1), options.whole_seconds, options.whole_seconds]


def test_body_that_breaks_off_is_asked_for_again() -> None:
    with stub_store() as store:
        store.answer_by = lambda _: Answer(
            200,
            b"cat",
            {"ETag": '"e"', "Content-Length": "3" if len(store.requests) > 1 else "5", "Connection": "close"},
        )
        assert open_bucket("s3://pics", store.options(attempts=2)).get("a") == b"cat"


@pytest.mark.parametrize("size", [0, 3, 5 << 20])
def test_object_without_a_length_is_read_to_its_end(size: int) -> None:
    body = bytes(size)
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:1000], body[1000:]) if part) + b"0\r\n\r\n"
    with slow_server(b'HTTP/1.1 200 OK\r\nETag: "e"\r\nTransfer-Encoding: chunked\r\n\r\n' + pieces, pause=60) as url:
        with stub_store() as store:
            bucket = open_bucket("s3://pics", store.options(endpoint_url=url))
        with bucket.open("a") as found:
            assert (found.info.size, found.read() == body) == (size, True)


def uploads_page(keys: list[str], more: str = "") -> Answer:
    items = "".join(
        f"<Upload><Key>{key}</Key><UploadId>u-{key}</UploadId><Initiated>2026-01-01T00:00:00.000Z</Initiated></Upload>"
        for key in keys
    )
    more = more and f"<IsTruncated>true</IsTruncated><NextKeyMarker>{more}</NextKeyMarker>"
    return Answer(200, f"<ListMultipartUploadsResult>{more}{items}</ListMultipartUploadsResult>".encode(), XML)


def test_unfinished_uploads_are_listed_to_the_end_and_an_endless_listing_ends() -> None:
    pages = {"": uploads_page(["a"], "a"), "a": uploads_page(["b"], "b"), "b": uploads_page(["b"], "b")}
    with stub_store() as store:
        store.answer_by = lambda request: pages[parse_qs(urlsplit(request.target).query).get("key-marker", [""])[0]]
        found = open_bucket("s3://pics", store.options()).unfinished()
    assert [upload.key for upload in found] == ["a", "b"]


@pytest.mark.parametrize("status", [403, 404, 405, 500, 501])
def test_store_that_tells_of_no_unfinished_uploads_has_none(status: int) -> None:
    with stub_store(Answer.error(status, "AccessDenied" if status == 403 else "NotImplemented")) as store:
        assert open_bucket("s3://pics", store.options(attempts=1)).unfinished() == ()
