"""The only module that imports botocore and s3transfer, the two halves of boto3: options in, a client out.

boto3 itself would add 65 ms to the start of every run, and nothing that is used here.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, cast

from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.httpsession import where
from botocore.loaders import create_loader
from botocore.session import Session

from s3img import __version__
from s3img.buckets.s3.listing_entries import split_entries
from s3img.buckets.s3.response_checks import TimedBody, require_root
from s3img.buckets.s3_options import addressing
from s3img.config import providers

if TYPE_CHECKING:
    from typing import IO, Any

    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.loaders import Loader
    from mypy_boto3_s3 import S3Client

    from s3img.buckets.protocol import CheckedReader
    from s3img.buckets.s3_options import S3Options

PART = 16 << 20
"""Bytes of a part of a large object."""

SMALL = 1 << 20
"""Bytes that are sent before the store has said whether it wants them."""


def open_session(options: S3Options) -> Session:
    """Find where credentials come from; nothing is sent."""
    session = _new_session(options)
    if options.region:
        session.set_config_variable("region", options.region)
    if key := options.access_key:
        session.set_credentials(key.key_id, key.secret, key.session_token or None)
    if not options.role_arn:
        return session
    region = session.get_config_variable("region")
    assumed = _new_session(options)
    assumed.set_config_variable("region", region)
    assumed.register_component("credential_provider", _Role(session, region or "us-east-1", options))
    return assumed


def _new_session(options: S3Options) -> Session:
    session = Session(profile=options.profile or None)
    session.lazy_register_component("data_loader", lambda: _loader(session.get_config_variable("data_path")))
    return session


@functools.cache
def _loader(data_path: str | None) -> Loader:
    """Read the description of S3 once for all clients of this process: that is most of the time that a client takes."""
    return create_loader(data_path)


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


def open_client(session: Session, options: S3Options, bucket: str) -> S3Client:
    """Make a client that any number of threads may share; takes about 0.1 s of CPU time.

    It sends what every store understands: bodies signed and plain, never as chunks with a trailing checksum.
    """
    default = "us-east-1" if options.endpoint_url else None
    config = Config(
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
    client = session.create_client(
        "s3",
        region_name=options.region or session.get_config_variable("region") or default,
        endpoint_url=options.endpoint_url or None,
        config=config,
    )
    events = client.meta.events
    events.register_last("before-parameter-build.s3", _as_if_redirected)
    events.register_last("before-call.s3", _at_once)  # at ".PutObject" it would come before botocore's own
    if providers.of_endpoint(client.meta.endpoint_url).deletes_with == "md5":
        events.register("before-call.s3.DeleteObjects", _with_md5)
    events.register("before-parse.*.ListObjectsV2", _take_entries)  # at ".s3." it would come after botocore's own
    events.register("before-parse.s3.ListObjectsV2", partial(_check_root, "ListBucketResult"))
    events.register("before-parse.s3.DeleteObjects", partial(_check_root, "DeleteResult"))
    events.register("after-call.s3.GetObject", partial(_time_body, options))
    return cast("S3Client", client)


def _as_if_redirected(context: dict[str, Any], **_: object) -> None:
    """Keep botocore from looking for another region: where the answer names none it asks for ever."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _at_once(params: dict[str, Any], **_: object) -> None:
    """Don't wait for ``100 Continue`` with a small body: it is a round trip, and botocore reads it byte by byte."""
    body = params.get("body")
    if isinstance(body, BytesIO) and body.getbuffer().nbytes <= SMALL:
        params["headers"].pop("Expect", None)


def _check_root(root: str, response_dict: dict[str, Any], **_: object) -> None:
    """Refuse a success of another kind before botocore reads it as one without entries."""
    if response_dict["status_code"] < 300:
        require_root(response_dict["body"], root)


def _take_entries(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    """Read the objects of a page, and leave the rest to botocore: its checks, its repetitions, its decoding of keys."""
    found = split_entries(response_dict["body"]) if response_dict["status_code"] == 200 else None
    if found and found[0]:
        customized_response_dict["Contents"], response_dict["body"] = found


def _time_body(options: S3Options, http_response: AWSResponse, parsed: dict[str, Any], **_: object) -> None:
    """Let the body end after its time: botocore's own waits for each next byte."""
    if "Body" in parsed:
        length = parsed.get("ContentLength")
        seconds = options.whole_seconds if length is None else options.seconds_for(length)
        parsed["Body"] = TimedBody(http_response.raw, length, seconds)


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
