"""One cause has one answer, whichever way a client asks; the log tells the operator what to do about it."""

from __future__ import annotations

import itertools
import logging
import re
import time
from typing import TYPE_CHECKING

import pytest
from fault_proxy import fault_proxy
from stub_store import Answer, stub_store

from s3img.buckets.s3.causes import client_causes, store_causes
from s3img.buckets.s3.explain import Call, from_answer
from s3img.errors import BucketError, StoreBusy
from s3img.service.log import LOGGER, operator_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3_servers import S3Server, TestBucket
    from transform_service import Served

    from s3img.buckets.s3.causes import Cause

STUB = {"S3IMG_ACCESS_KEY_ID": "stubaccesskey", "S3IMG_SECRET_ACCESS_KEY": "stubsecretkey"}
WAYS = {
    "GET": ("/cat.jpg", "GET", {}),
    "HEAD": ("/cat.jpg", "HEAD", {}),
    "Range": ("/cat.jpg", "GET", {"Range": "bytes=0-9"}),
    "If-None-Match": ("/cat.jpg", "GET", {"If_None_Match": '"x"'}),
    "If-Modified-Since": ("/cat.jpg", "GET", {"If_Modified_Since": "Sat, 01 Jan 2022 00:00:00 GMT"}),
    "rendered": ("/tr:w-9/cat.jpg", "GET", {}),
    "rendered HEAD": ("/tr:w-9/cat.jpg", "HEAD", {}),
    "rendered If-None-Match": ("/tr:w-9/cat.jpg", "GET", {"If_None_Match": '"x"'}),
    "info": ("/info/cat.jpg", "GET", {}),
    "download": ("/cat.jpg?ik-attachment=true", "GET", {}),
}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore try again at once; how long it waits is its own affair."""
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.01)))


def answers(served: Served) -> dict[str, tuple[int, str]]:
    """The status and the code of each way to ask for a picture."""
    found = {}
    for way, (path, method, headers) in WAYS.items():
        answer = served.ask(path, method, **headers)
        found[way] = answer.status_code, answer.headers.get("S3img-Error", "").partition(" ")[0]
    return found


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer.error(403, "InvalidAccessKeyId"), (502, "EORIGIN")),
        (Answer.error(400, "ExpiredToken"), (502, "EORIGIN")),
        (Answer.error(404, "NoSuchBucket"), (502, "EORIGIN")),
        (Answer.error(403, "AccessDenied"), (404, "EACCES")),
        (Answer.error(404, "NoSuchKey"), (404, "ENOENT")),
        (Answer.error(503, "SlowDown"), (503, "EBUSY")),
        (Answer(503, b"<html>busy</html>", {"Content-Type": "text/html"}), (503, "EBUSY")),
        (Answer.error(500, "InternalError"), (502, "EORIGIN")),
    ],
    ids=lambda value: f"{value.status}-{len(value.body)}" if isinstance(value, Answer) else value[1],
)
def test_cause_has_one_answer(serve: Callable[..., Served], answer: Answer, expected: tuple[int, str]) -> None:
    with stub_store(answer) as store:
        named = {"only": {"bucket": "s3://stub", "endpoint_url": store.endpoint_url}}
        served = serve(bucket="", origins=named, environ=STUB, service={"missing": 0})
        assert answers(served) == dict.fromkeys(WAYS, expected)


def test_busy_store_is_asked_again_before_clients_are_told(
    serve: Callable[..., Served], moto_server: S3Server, moto_bucket: TestBucket, picture_bytes: bytes
) -> None:
    moto_bucket.bucket.put("cat.jpg", picture_bytes, media_type="image/jpeg")
    variables = {"S3IMG_ACCESS_KEY_ID": moto_server.access_key, "S3IMG_SECRET_ACCESS_KEY": moto_server.secret_key}
    with fault_proxy(moto_server.endpoint_url) as proxy:
        place = {"bucket": moto_bucket.address, "endpoint_url": proxy.endpoint_url, "region": "us-east-1"}
        served = serve(**place, environ=variables, service={"results": "none"})
        proxy.faults = itertools.repeat("slow down")
        for path, method, headers in WAYS.values():
            answer = served.ask(path, method, **headers)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2"), path
        assert proxy.injected >= 2 * len(WAYS)
        for path, method, headers in WAYS.values():
            proxy.faults = iter(["slow down"])
            assert served.ask(path, method, **headers).status_code in {200, 206}, path


def test_store_s_own_pause_is_passed_on() -> None:
    def error(wait: str) -> BucketError:
        metadata = {"HTTPStatusCode": 503, "HTTPHeaders": {"retry-after": wait}}
        return from_answer({"Error": {"Code": "SlowDown"}, "ResponseMetadata": metadata}, Call("get", "s3://a", ""))

    found = [error(wait) for wait in ("7", "0", "86400", "Fri, 31 Dec 1999 23:59:59 GMT", "²", "")]
    assert [one.retry_after for one in found if isinstance(one, StoreBusy)] == [7, 1, 60, 2, 2, 2]


def test_readiness_tells_of_refused_credentials(
    serve: Callable[..., Served], folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER.name)
    with stub_store(Answer.error(403, "InvalidAccessKeyId")) as store:
        named = {
            "good": {"bucket": folder.as_uri()},
            "shop": {"bucket": "s3://stub", "endpoint_url": store.endpoint_url},
        }
        served = serve(bucket="", origins=named, environ=STUB)
        answer = served.ask("/readyz")
        assert (answer.status_code, answer.text) == (502, "EORIGIN: The origin refuses the service's credentials.\n")
        assert "origin shop" in caplog.text
        store.answers = [Answer.error(404, "NoSuchKey")]
        assert served.status("/readyz")[0] == 200
        asked = len(store.requests)
        assert served.status("/readyz")[0] == 200
        assert len(store.requests) == asked, "an answer is believed for a moment"


@pytest.mark.parametrize(
    "answer", [Answer.error(403, "AccessDenied"), Answer.error(404, "NoSuchKey"), Answer.error(500, "InternalError")]
)
def test_readiness_does_not_depend_on_what_a_key_may_do(serve: Callable[..., Served], answer: Answer) -> None:
    with stub_store(answer) as store:
        named = {"only": {"bucket": "s3://stub", "endpoint_url": store.endpoint_url}}
        assert serve(bucket="", origins=named, environ=STUB).status("/readyz")[0] == 200


def test_service_without_an_answer_of_its_origin_is_ready(serve: Callable[..., Served]) -> None:
    named = {"gone": {"bucket": "s3://stub", "endpoint_url": "http://127.0.0.1:9"}}
    assert serve(bucket="", origins=named, environ=STUB).status("/readyz")[0] == 200


@pytest.mark.parametrize("cause", [*store_causes(), *client_causes()], ids=lambda cause: cause.reason)
def test_log_speaks_to_the_operator(cause: Cause) -> None:
    facts = dict.fromkeys(("endpoint", "said", "region", "profile", "name", "detail", "permission"), "x")
    text = operator_text(cause.kind("It failed.", reason=cause.reason, fix=cause.fix.format_map(facts)))
    assert len(text) > len("It failed. ")
    assert not re.search("command|`workers`|run it|key_template|Rename", text)


def test_log_of_a_busy_store_names_the_service_s_setting(
    serve: Callable[..., Served], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, LOGGER.name)
    with stub_store(Answer.error(503, "SlowDown")) as store:
        named = {"only": {"bucket": "s3://stub", "endpoint_url": store.endpoint_url}}
        serve(bucket="", origins=named, environ=STUB).ask("/cat.jpg")
    assert "service.fetches" in caplog.text
