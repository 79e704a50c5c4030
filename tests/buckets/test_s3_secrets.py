"""Keys, secrets, tokens and signatures are in no message, repr, report, log record or chained exception."""

from __future__ import annotations

import base64
import html
import logging
import traceback
import urllib.parse
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from stub_store import Answer, Request, stub_store

from s3img import Config, Images
from s3img.buckets import AccessKey, S3Options, open_bucket
from s3img.buckets.s3.explain import scrub
from s3img.cli import main
from s3img.errors import S3ImgError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3img.buckets import Bucket

pytestmark = pytest.mark.slow

_WORD = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", min_size=16, max_size=24)
_SECRET = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+=", min_size=20, max_size=40)
KEYS = st.builds(AccessKey, _WORD, _SECRET, _SECRET | st.just(""))
ACTIONS: dict[str, Callable[[Bucket], object]] = {
    "put": lambda bucket: bucket.put("k", b"x", media_type="image/png"),
    "get": lambda bucket: bucket.get("k"),
    "list": lambda bucket: list(bucket.list()),
    "delete": lambda bucket: bucket.delete(["k"]),
}


def echo(request: Request, status: int = 403, code: str = "AccessDenied") -> Answer:
    """Refuse by repeating everything that was sent, in each spelling."""
    sent = "\n".join([request.target, *request.headers.values()])
    forms = [sent, urllib.parse.quote(sent, safe=""), base64.b64encode(sent.encode()).decode()]
    token = request.headers.get("x-amz-security-token", "")
    forms += [base64.b64encode(token.encode()).decode(), urllib.parse.quote(token, safe="")]
    return Answer.error(status, code, html.escape("\n".join(forms)), x_amz_bucket_region="eu-west-3")


def assert_hidden(text: str, key: AccessKey, signature: str = "") -> None:
    for secret in filter(None, (key.key_id, key.secret, key.session_token, signature)):
        encoded = base64.b64encode(secret.encode()).decode()
        for form in (secret, urllib.parse.quote(secret, safe=""), html.escape(secret), encoded, repr(secret)[1:-1]):
            assert form not in text


def everything_of(error: BaseException) -> str:
    """Spell out an exception, all that it is chained to, and what hangs on them."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        if (one := waiting.pop()) is not None and one not in seen:
            seen.append(one)
            waiting += [one.__cause__, one.__context__]
    told = "".join(traceback.format_exception(error))
    return told + "\n".join(f"{one!r} {one} {vars(one)!r}" for one in seen)


class Records(logging.Handler):
    """Keep every record as text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{self.format(record)} {record.args!r}")


@pytest.fixture
def records() -> Iterator[Records]:
    """Collect what every logger says from INFO on, and s3img's own from DEBUG on."""
    root, own, handler = logging.getLogger(), logging.getLogger("s3img"), Records()
    levels = root.level, own.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    own.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(levels[0])
    own.setLevel(levels[1])


SLOW = settings(max_examples=5, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("action", ACTIONS)
@SLOW
@given(
    key=KEYS, code=st.sampled_from(["AccessDenied", "SignatureDoesNotMatch", "InvalidToken", "Other", "NotImplemented"])
)
def test_a_store_that_repeats_what_was_sent_is_not_quoted(
    records: Records, action: str, key: AccessKey, code: str
) -> None:
    with stub_store() as store:
        store.answer_by = lambda request: echo(request, code=code)
        with pytest.raises(S3ImgError) as caught:
            ACTIONS[action](open_bucket("s3://pics", store.options(access_key=key)))
        signature = store.requests[0].headers["authorization"].rpartition("Signature=")[2]
    assert_hidden(everything_of(caught.value), key, signature)
    assert_hidden("\n".join(records.texts), key, signature)


@SLOW
@given(key=KEYS)
def test_a_later_put_that_is_repeated_to_us_is_not_quoted(records: Records, key: AccessKey) -> None:
    with stub_store() as store:
        bucket = open_bucket("s3://pics", store.options(access_key=key))
        ACTIONS["put"](bucket)
        store.answer_by = echo
        with pytest.raises(S3ImgError) as caught:
            ACTIONS["put"](bucket)
        signature = store.requests[1].headers["authorization"].rpartition("Signature=")[2]
    assert_hidden(everything_of(caught.value), key, signature)
    assert_hidden("\n".join(records.texts), key, signature)


@SLOW
@given(key=KEYS)
def test_a_code_and_a_region_that_repeat_a_key_are_not_quoted(key: AccessKey) -> None:
    region = key.key_id.lower()
    with stub_store(Answer.error(400, key.key_id, f"expecting '{region}'", x_amz_bucket_region=region)) as store:
        bucket = open_bucket("s3://pics", store.options(access_key=key))
        with pytest.raises(S3ImgError) as caught:
            ACTIONS["put"](bucket)
    assert_hidden(everything_of(caught.value), key)


@pytest.mark.parametrize("broken", ["\n", "\r\nX-Evil: 1", "\0", "é"])
@SLOW
@given(key=KEYS)
def test_a_key_that_can_not_be_sent_is_not_quoted(records: Records, broken: str, key: AccessKey) -> None:
    bad = AccessKey(key.key_id + broken + key.key_id, key.secret + broken, key.session_token + broken + key.secret)
    with stub_store(Answer.error(403, "AccessDenied")) as store:
        bucket = open_bucket("s3://pics", store.options(access_key=bad))
        with pytest.raises(S3ImgError) as caught:
            ACTIONS["put"](bucket)
    assert_hidden(everything_of(caught.value) + "\n".join(records.texts), key)


@SLOW
@given(key=KEYS)
def test_a_connection_that_fails_tells_no_secret(records: Records, key: AccessKey) -> None:
    with stub_store() as store:
        options = store.options(access_key=key)
    with pytest.raises(S3ImgError) as caught:
        ACTIONS["put"](open_bucket("s3://pics", options))
    assert_hidden(everything_of(caught.value) + "\n".join(records.texts), key)


@SLOW
@given(key=KEYS)
def test_a_session_that_can_not_be_had_tells_no_secret(records: Records, key: AccessKey) -> None:
    with stub_store() as sts, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_STS", sts.endpoint_url)
        sts.answer_by = echo
        options = sts.options(access_key=key, role_arn="arn:aws:iam::123456789012:role/pics", external_id="told-to-me")
        with pytest.raises(S3ImgError) as caught:
            ACTIONS["put"](open_bucket("s3://pics", options))
    assert_hidden(everything_of(caught.value) + "\n".join(records.texts), key)


@given(key=KEYS)
def test_no_value_shows_its_key(key: AccessKey) -> None:
    options = S3Options(endpoint_url="https://s3.example.org", access_key=key)
    bucket = open_bucket("s3://pics", options)
    environ = {
        "S3IMG_ACCESS_KEY_ID": key.key_id,
        "S3IMG_SECRET_ACCESS_KEY": key.secret,
        "S3IMG_SESSION_TOKEN": key.session_token,
    }
    images = Images(Config(bucket="s3://pics", endpoint_url="https://s3.example.org"), environ=environ)
    shown = (key, options, bucket, bucket.name, images, images.config, S3Options.from_config(images.config))
    assert_hidden("\n".join(f"{value!r} {value}" for value in shown), key)


@given(secret=_SECRET)
def test_settings_do_not_show_their_signing_keys(secret: str) -> None:
    config = Config(signing_keys={"one": secret.ljust(32, "x")})
    assert secret not in f"{config!r} {config}"


@given(key_id=_WORD, secret=_SECRET)
def test_an_address_or_endpoint_with_a_key_is_refused_without_it(key_id: str, secret: str) -> None:
    quoted = urllib.parse.quote(secret, safe="")
    for settings_ in (
        {"bucket": f"s3://{key_id}:{quoted}@pics"},
        {"bucket": "s3://pics", "endpoint_url": f"https://{key_id}:{quoted}@s3.example.org"},
        {"bucket": "s3://pics", "public_url": f"https://{key_id}:{quoted}@img.example.org"},
    ):
        with pytest.raises(S3ImgError) as caught:
            Config(**settings_)
        assert_hidden(everything_of(caught.value), AccessKey(key_id, secret))


@pytest.mark.parametrize("arguments", [["ls"], ["plan", ".", "--verify", "--json"], ["publish", ".", "--json"]])
@settings(max_examples=3, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEYS)
def test_the_command_line_shows_no_secret(
    arguments: list[str],
    key: AccessKey,
    tmp_path: object,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with stub_store() as store:
        store.answer_by = echo
        (tmp_path / "s3img.toml").write_text(f'bucket = "s3://pics"\nendpoint_url = "{store.endpoint_url}"\n')
        (tmp_path / "cat.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>')
        (tmp_path / "index.html").write_text('<img src="cat.svg">')
        monkeypatch.setenv("S3IMG_ACCESS_KEY_ID", key.key_id)
        monkeypatch.setenv("S3IMG_SECRET_ACCESS_KEY", key.secret)
        monkeypatch.setenv("S3IMG_SESSION_TOKEN", key.session_token)
        with pytest.raises(SystemExit) as ended:
            main(arguments)
    captured = capsys.readouterr()
    assert ended.value.code
    assert_hidden(captured.out + captured.err, key)


@given(secret=_SECRET, before=st.text(max_size=10), after=st.text(max_size=10))
def test_scrub_finds_a_secret_in_each_spelling(secret: str, before: str, after: str) -> None:
    for form in (secret, urllib.parse.quote(secret, safe=""), base64.b64encode(secret.encode()).decode()):
        assert form not in scrub(f"{before}{form}{after}", secret)
