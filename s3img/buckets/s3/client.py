"""The only module that imports botocore and s3transfer, the two halves of boto3: options in, a client out.

boto3 itself would add 65 ms to the start of every run, and nothing that is used here.
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from datetime import datetime
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, cast

from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.hooks import first_non_none_response
from botocore.httpsession import where
from botocore.session import Session
from botocore.utils import parse_timestamp

from s3img import __version__
from s3img.buckets.s3.options import addressing
from s3img.buckets.s3.small_puts import SMALL, SmallPuts
from s3img.config import providers

if TYPE_CHECKING:
    from typing import IO, Any

    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client

    from s3img.buckets.protocol import CheckedReader
    from s3img.buckets.s3.options import S3Options
    from s3img.buckets.s3.small_puts import Example

PART = 16 << 20
"""Bytes of a part of a large object."""


def open_session(options: S3Options) -> Session:
    """Find where credentials come from; nothing is sent."""
    session = _new_session(options)
    if options.region:
        session.set_config_variable("region", options.region)
    if key := options.access_key:
        session.set_credentials(key.key_id, key.secret, key.session_token or None)
    return _assuming(session, options) if options.role_arn else session


def _new_session(options: S3Options) -> Session:
    session = Session(profile=options.profile or None)
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_timestamp)
    return session


def _timestamp(value: str | float) -> datetime:
    """Read a time as botocore does, but not those of listings: dateutil takes 0.07 ms for the form that is ISO 8601."""
    if isinstance(value, str) and value.endswith("Z"):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return parse_timestamp(cast("str", value))  # takes numbers, too


class _Role:
    """Give botocore the credentials of an assumed role, fetched at the first request and renewed before they end."""

    def __init__(self, session: Session, region: str, options: S3Options) -> None:
        self._session = session
        self._region = region
        self._options = options

    def load_credentials(self) -> DeferredRefreshableCredentials | None:
        """Return them, or None where nothing could assume the role (botocore's name for this step)."""
        source = self._session.get_credentials()
        if source is None:
            return None
        external = {"ExternalId": self._options.external_id} if self._options.external_id else {}
        fetcher = AssumeRoleCredentialFetcher(
            partial(self._session.create_client, region_name=self._region),
            source,
            self._options.role_arn,
            extra_args={"RoleSessionName": "s3img", **external},
        )
        return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


def _assuming(session: Session, options: S3Options) -> Session:
    region = session.get_config_variable("region")
    assumed = _new_session(options)
    assumed.set_config_variable("region", region)
    assumed.register_component("credential_provider", _Role(session, region or "us-east-1", options))
    return assumed


def open_client(session: Session, options: S3Options, bucket: str) -> S3Client:
    """Make a client that any number of threads may share; takes about 0.1 s of CPU time."""
    default = "us-east-1" if options.endpoint_url else None
    client = session.create_client(
        "s3",
        region_name=options.region or session.get_config_variable("region") or default,
        endpoint_url=options.endpoint_url or None,
        config=_config(options, bucket),
    )
    client.meta.events.register_last("before-parameter-build.s3", _as_if_redirected)
    client.meta.events.register_last("before-call.s3", _at_once)  # at ".PutObject" it would come before botocore's own
    if providers.of_endpoint(client.meta.endpoint_url).deletes_with == "md5":
        client.meta.events.register("before-call.s3.DeleteObjects", _with_md5)
    return cast("S3Client", client)


def _as_if_redirected(context: dict[str, Any], **_: object) -> None:
    """Keep botocore from looking for another region: where the answer names none it asks for ever."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _at_once(params: dict[str, Any], **_: object) -> None:
    """Don't wait for ``100 Continue`` with a small body: it is a round trip, and botocore reads it byte by byte."""
    body = params.get("body")
    if isinstance(body, BytesIO) and body.getbuffer().nbytes <= SMALL:
        params["headers"].pop("Expect", None)


class _KnownBody(S3SigV4Auth):
    """Sign for a body whose SHA-256 is known: botocore would take it again."""

    def payload(self, request: AWSRequest) -> str:
        return str(request.context["sha256"])


def open_small_puts(session: Session, client: S3Client) -> SmallPuts:
    """Join the session's credentials, the client's hooks and its connections to a short way for small objects."""
    emit = client.meta.events.emit
    model = client.meta.service_model.operation_model("PutObject")

    def send(example: Example, path: str, headers: dict[str, str], body: bytes, sha256: str) -> AWSResponse | Exception:
        unsigned = AWSRequest("PUT", example.base + path, headers, body)
        unsigned.context["sha256"] = sha256
        credentials = cast("Credentials", session.get_credentials()).get_frozen_credentials()
        _KnownBody(credentials, example.service, example.region).add_auth(unsigned)
        request = unsigned.prepare()
        http = cast("Any", client)._endpoint.http_session  # it alone knows proxies, certificates and time-outs
        try:
            answer = first_non_none_response(emit("before-send.s3.PutObject", request=request)) or http.send(request)
        except Exception as error:  # of any class: botocore knows which mean that it may try again
            return error
        if answer.status_code == 200:  # gives back some of what botocore spends on retries
            emit("after-call.s3.PutObject", http_response=answer, parsed={}, model=model, context={})
        return cast("AWSResponse", answer)

    return SmallPuts(client.put_object, send)


def _with_md5(params: dict[str, Any], **_: object) -> None:
    """Send Content-MD5 with a list of keys, as S3 asked for until 2024, in place of the CRC32 that few others know."""
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
    params["context"].pop("checksum", None)


class _NotSentError(Exception):
    """Stop a request just before it is sent."""

    def __init__(self, request: AWSPreparedRequest) -> None:
        super().__init__(request.url)
        self.request = request


def _do_not_send(request: AWSPreparedRequest, **_: object) -> None:
    raise _NotSentError(request)


def url_of(client: S3Client, bucket: str) -> str:
    """Return the URL that requests for a bucket go to, without sending one.

    It is empty where something in this process answers in the store's place, as moto's ``mock_aws`` does.
    """
    event = "before-send.s3.HeadBucket"
    client.meta.events.register(event, _do_not_send)
    try:
        client.head_bucket(Bucket=bucket)
    except _NotSentError as error:
        request = error.request
    finally:
        client.meta.events.unregister(event, _do_not_send)
    answers = client.meta.events.emit(event, request=request)
    return "" if any(answer is not None for _, answer in answers) else request.url.rstrip("/")


def _config(options: S3Options, bucket: str) -> Config:
    """Set what every store understands: bodies signed and sent plain, never as chunks with a trailing checksum."""
    return Config(
        signature_version=UNSIGNED if options.anonymous else "s3v4",
        connect_timeout=options.connect_timeout,
        read_timeout=options.read_timeout,
        max_pool_connections=options.connections,
        tcp_keepalive=True,
        user_agent=f"s3img/{__version__}",  # botocore puts its own together anew for each request, twice
        retries={"mode": "standard", "total_max_attempts": options.attempts},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={
            "addressing_style": addressing(options.addressing_style, options.endpoint_url, bucket),
            "payload_signing_enabled": True,
        },
    )


def trusted_file(session: Session) -> str:
    """Return the file of the certificate authorities that its clients trust."""
    return str(session.get_config_variable("ca_bundle") or where())


def send_in_parts(client: S3Client, content: CheckedReader, place: dict[str, str], headers: dict[str, Any]) -> None:
    """Send a large object part after part in the calling thread; an error of reading it ends the upload."""
    from s3transfer.futures import NonThreadedExecutor
    from s3transfer.manager import TransferConfig, TransferManager

    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    with TransferManager(client, config, executor_cls=NonThreadedExecutor) as manager:
        manager.upload(cast("IO[bytes]", content), place["Bucket"], place["Key"], extra_args=headers).result()
