"""A bucket of any S3-compatible store, through obstore where that is enough and botocore for all the rest.

Both are imported at the first use: botocore takes 0.2 s, obstore 0.04 s.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import itertools
import logging
import re
import threading
import time
import uuid
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from s3img.buckets.key_claims import CLAIM_FIELDS, CLAIMS, NO_CONDITIONS
from s3img.buckets.obstore.small_objects import SmallObjects, StorePlace
from s3img.buckets.protocol import (
    IMMUTABLE,
    BrowserUpload,
    CheckedReader,
    ObjectInfo,
    OpenObject,
    RequestCounter,
    UnfinishedUpload,
    byte_range,
    other_etag,
    reopened,
)
from s3img.buckets.s3.explain import Call, explain, from_answer
from s3img.buckets.s3.response_checks import (
    AnswerTooSlowError,
    ListingPages,
    NoVersionError,
    UnprovenPutError,
    described,
    extent,
    is_other_md5,
    listed,
    require_etag,
    version_of,
    within,
)
from s3img.buckets.s3_options import AccessKey
from s3img.config import providers
from s3img.errors import (
    AccessDenied,
    BucketError,
    CredentialsError,
    FileUnreadable,
    ObjectNotFound,
    RangeNotSatisfiable,
    S3ImgError,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import ModuleType
    from typing import Any

    from botocore.awsrequest import AWSPreparedRequest
    from botocore.session import Session
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DeleteTypeDef, ListObjectsV2OutputTypeDef

    from s3img.buckets.s3.response_checks import TimedBody
    from s3img.buckets.s3_options import S3Options
    from s3img.config.address import S3Address

_SINGLE = 16 << 20
"""Bytes up to which an object is one PUT, held in memory; above, it is sent in parts, one after the other."""

_BATCH = 1000
"""Keys of one DeleteObjects request (the protocol's limit)."""

_SECONDS_EACH = 0.03
"""Seconds that a store may take for each key of such a request, beyond those of any request."""

_CLOCKS_DIFFER = 3600
"""Seconds by which this machine's clock and the store's may differ."""

_SPOOLED = 4 << 20
"""Bytes of an object of unknown length that are kept in memory; the rest goes into a temporary file."""

_LONGEST = 1 << 30
"""Bytes after which an object of unknown length is given up."""

_OPERATIONS = {
    **dict.fromkeys(
        ("PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload"), "put"
    ),
    **dict.fromkeys(("DeleteObject", "DeleteObjects"), "delete"),
    "ListObjectsV2": "list",
    "GetObject": "get",
    "HeadObject": "head",
}

_PASSING = frozenset({"store-busy", "store-failed"})
"""Reasons for which a request that failed once may be sent again later."""

_WITHOUT_CAUSE = frozenset({"400", "401", "403"})
"""Codes of answers to HEAD whose cause only a body would tell."""

_SIGNED_BY = re.compile(r"Credential=([^/,\s]+)")

_log = logging.getLogger("s3img.buckets")

_Answer = TypeVar("_Answer")


class S3Bucket:
    """Objects below the prefix of an ``s3://`` address; one client, made at the first use, serves all threads."""

    def __init__(self, address: S3Address, options: S3Options) -> None:
        self._address = address
        self._options = options
        self._base = f"{address.prefix}/" if address.prefix else ""
        self._counter = RequestCounter()
        self._lock = threading.RLock()
        self._session: Session | None = None
        self._client: S3Client | None = None
        self._small = SmallObjects(
            options, address.bucket, self._counter, find_place=self._find_place, find_key=self._find_key
        )
        self._secrets: tuple[str, ...] = ()
        self._is_moved = False
        self._etags_are_md5 = True
        self._deletes_many = providers.of_endpoint(options.endpoint_url).deletes_many
        conditional = providers.of_endpoint(options.endpoint_url).conditional_writes
        self._refuses_taken = None if conditional == "unknown" else conditional == "yes"

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return reopened, (type(self), self._address, self._options)

    @property
    def name(self) -> str:
        """The ``s3://`` address."""
        return str(self._address)

    @property
    def requests(self) -> Mapping[str, int]:
        """HTTP requests so far, retries and parts included."""
        return self._counter.totals()

    def has_credentials(self) -> bool:
        """Ask settings and environment, else botocore's chain.

        That may ask the machine's own metadata address (169.254.169.254), and no other.
        """
        if self._options.anonymous or self._options.access_key or self._small.has_credentials:
            return True
        with self.explained("connect"):
            return self.session().get_credentials() is not None

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects whose key starts with ``prefix`` and comes after ``after``, a page of 1000 at a time.

        Raise `BucketError` as soon as a page can't be part of a whole listing.
        """
        place: dict[str, Any] = {"Bucket": self._address.bucket, "Prefix": self._base + prefix}
        if after:
            place["StartAfter"] = self._base + after
        pages = ListingPages(self._base + prefix)
        while True:
            answer, token = self._page(prefix, place, pages)
            for item in answer.get("Contents", ()):
                yield listed(item, self._base)
            if not token:
                return
            place["ContinuationToken"] = token

    def _page(self, prefix: str, place: dict[str, Any], pages: ListingPages) -> tuple[ListObjectsV2OutputTypeDef, str]:
        def ask(client: S3Client) -> tuple[ListObjectsV2OutputTypeDef, str]:
            answer = client.list_objects_v2(**place)
            return answer, pages.next_token(answer)

        return self.send("list", prefix, ask)

    def list_few(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects of a folder of few objects, a slash at its end, as `list` does.

        Faster by the start of botocore (0.3 s). From a broken store it may be half of them: conclude only from what is
        there.
        """
        found = self._small.list_few(self._base + prefix)
        if found is None:
            yield from self.list(prefix)
        else:
            yield from (dataclasses.replace(info, key=info.key.removeprefix(self._base)) for info in found)

    def list_folder(
        self, prefix: str, *, after: str = "", limit: int = 1000
    ) -> tuple[Sequence[str], Sequence[ObjectInfo], bool]:
        """Return at most ``limit`` of the folders and objects directly below ``prefix``, and whether more follow.

        One request, however much there is. ``after`` is the last name of the page before, a folder with its slash.
        """
        place: dict[str, Any] = {
            "Bucket": self._address.bucket,
            "Prefix": self._base + prefix,
            "Delimiter": "/",
            "MaxKeys": limit,
        }
        if after:
            # Stores differ in whether a folder comes after itself: behind all its keys there is no doubt.
            place["StartAfter"] = self._base + (f"{after}\U0010ffff" if after.endswith("/") else after)
        answer, token = self._page(prefix, place, ListingPages(self._base + prefix))
        folders = [found["Prefix"].removeprefix(self._base) for found in answer.get("CommonPrefixes", ())]
        return folders, [listed(item, self._base) for item in answer.get("Contents", ())], bool(token)

    def put(
        self,
        key: str,
        source: Path | bytes,
        *,
        media_type: str,
        cache_control: str = IMMUTABLE,
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        sha256: str = "",
        only_new: bool = False,
    ) -> None:
        """Send the object; the store shows it when all of it has arrived, and what it shows is compared."""
        named = {"Content-Type": media_type, "Cache-Control": cache_control, **(headers or {})}
        parameters: dict[str, Any] = {name.replace("-", ""): value for name, value in named.items() if value}
        parameters["Metadata"] = dict(metadata or {})
        if only_new:
            parameters["IfNoneMatch"] = "*"
        if _size(source) > _SINGLE:
            self._put_parts(key, source, parameters, sha256)
            return
        with CheckedReader(source, sha256) as content:
            data = content.read()
        end = time.monotonic() + self._options.seconds_for(len(data))
        # A condition is boto3's: what obstore could not prove would be sent again, and meet itself.
        if only_new or not self._small.put(self._base + key, data, {**named, **(metadata or {})}):
            digest = sha256 or hashlib.sha256(data).hexdigest()
            left = end - time.monotonic()
            self.send("put", key, lambda client: self._put_whole(client, key, data, parameters, digest), seconds=left)

    def _put_whole(self, client: S3Client, key: str, data: bytes, parameters: dict[str, Any], sha256: str) -> None:
        md5 = hashlib.md5(data, usedforsecurity=False)
        # One checksum beside the signed SHA-256, of the kind that is understood: R2 refuses two.
        if providers.of_endpoint(client.meta.endpoint_url).checksum == "sha256":
            parameters = {**parameters, "ChecksumSHA256": base64.b64encode(bytes.fromhex(sha256)).decode()}
        else:
            parameters = {**parameters, "ContentMD5": base64.b64encode(md5.digest()).decode()}
        answer = client.put_object(**self._place_of(key), Body=data, **parameters)
        require_etag(answer)
        if self._etags_are_md5 and is_other_md5(answer, md5.hexdigest()):
            # Either the store has other bytes, or its ETags only look like MD5: what it has decides.
            if client.get_object(**self._place_of(key))["Body"].read(len(data) + 1) != data:
                raise UnprovenPutError
            self._etags_are_md5 = False

    def _put_parts(self, key: str, source: Path | bytes, parameters: dict[str, Any], sha256: str) -> None:
        size = _size(source)

        def send(client: S3Client) -> None:
            with CheckedReader(source, sha256) as content:
                _botocore().send_in_parts(client, content, self._place_of(key), parameters)

        seconds = self._options.whole_seconds * (size / _SINGLE + 1)
        # What a killed run began under this key is given up now; no run that lives has been at it for so long.
        before = datetime.now(UTC) - timedelta(seconds=seconds + _CLOCKS_DIFFER)
        for upload in self.unfinished(key):
            if upload.key == key and upload.begun < before:
                self.give_up(upload)
        self.send("put", key, send, seconds=seconds)
        try:
            stored = self.head(key)
        except AccessDenied:  # a key that may only write; every part had its own signature
            return
        with self.explained("put", key):
            if stored is None or stored.size != size:
                raise UnprovenPutError

    def post_form(self, key: str, *, limit: int, seconds: int) -> BrowserUpload:
        """Return a form that stores 1 to ``limit`` bytes under a key, for some seconds; no request is sent.

        The object is a download of no known type, whatever the browser sends: nothing has looked at it yet. Raise
        `BucketError` without credentials. Source: Amazon S3 API, "POST Object" and "POST policy".
        """
        fields = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}
        place = self._place_of(key)
        rules = [{name: value} for name, value in fields.items()] + [["content-length-range", 1, limit]]
        with self.explained("put", key):
            form = self.client().generate_presigned_post(
                place["Bucket"], place["Key"], Fields=dict(fields), Conditions=rules, ExpiresIn=seconds
            )
        return BrowserUpload("POST", form["url"], form["fields"])

    def put_url(self, key: str, *, size: int, seconds: int) -> BrowserUpload:
        """Return an address to which exactly ``size`` bytes can be put, for some seconds; no request is sent.

        The length is one of the signed headers (SigV4), which browsers send by themselves; the object is of no known
        type. Raise `BucketError` without credentials.
        """
        fields = {"Content-Type": "application/octet-stream"}
        parameters = {**self._place_of(key), "ContentType": fields["Content-Type"], "ContentLength": size}
        with self.explained("put", key):
            url = self.client().generate_presigned_url("put_object", parameters, ExpiresIn=seconds)
        return BrowserUpload("PUT", url, fields)

    def refuses_taken(self) -> bool:
        """Say what is known of the service; of others, find it out once by putting a small object twice."""
        if self._refuses_taken is None:
            key = f"{CLAIMS}probe-{uuid.uuid4().hex}"
            try:
                for _ in range(2):
                    self.put(key, b"claim\n", only_new=True, **CLAIM_FIELDS)
                self._refuses_taken = False
            except AccessDenied:  # who may not put this can't claim a key either: the condition is all there is
                self._refuses_taken = True
            except BucketError as error:
                if error.reason != "condition-failed" and error.code not in NO_CONDITIONS:
                    raise
                self._refuses_taken = error.reason == "condition-failed"
            finally:
                with suppress(BucketError):
                    self.delete([key])
        return self._refuses_taken

    def get(self, key: str) -> bytes:
        """Return the object's bytes; a body that breaks off is asked for again."""
        begun = time.monotonic()
        data = self._small.get(self._base + key)
        spent = time.monotonic() - begun
        for attempt in itertools.count(1):
            if data is not None:
                break
            with self._open(key, spent=spent) as found:
                try:
                    data = found.read()
                except Unreachable as error:
                    # Each attempt at an answer that trickles would take all of the time again.
                    if error.reason == "answer-too-slow" or attempt >= min(self._options.attempts, 3):
                        raise
        return data or b""

    def open(
        self, key: str, *, version: str = "", start: int = 0, stop: int | None = None, etag: str = ""
    ) -> OpenObject:
        """Read the object while it arrives; without s3:ListBucket AWS denies access to a missing one (403, not 404)."""
        try:
            return self._open(key, version=version, start=start, stop=stop, etag=etag)
        except BucketError as error:
            if etag and error.reason == "condition-failed":  # the store's own words are about a PUT
                raise other_etag(self.name, key) from None
            raise

    def _open(
        self,
        key: str,
        *,
        version: str = "",
        start: int = 0,
        stop: int | None = None,
        etag: str = "",
        spent: float = 0,
    ) -> OpenObject:
        """Read the object; ``spent`` are the seconds of its time that another attempt took."""
        start, stop = byte_range((self.name, key), None, start, stop)
        wanted: dict[str, Any] = {"VersionId": version} if version else {}
        wanted |= {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"} if start or stop is not None else {}
        wanted |= {"IfMatch": f'"{etag}"'} if etag else {}

        def ask(client: S3Client) -> OpenObject:
            with ExitStack() as stack:
                answer: Any = client.get_object(**self._place_of(key), **wanted)
                body = answer["Body"]
                stack.callback(body.close)
                body.shorten(spent)
                if (found := extent(answer)) is None:
                    body, size = _spooled(body)
                    stack.callback(body.close)
                    found = 0, size, size
                first, end, size = found
                info = described(key, answer, size)
                sent = version_of(answer)
                # A store without versions sends what it has: not what was asked for. `null` is what was there before.
                if version not in {"", "null", sent}:
                    raise NoVersionError
                if etag and info.etag != etag:  # a store that passes over If-Match
                    raise other_etag(self.name, key)
                stack.pop_all()
            return OpenObject(info, body, guard, start=first, stop=end, version=sent or version)

        guard = partial(self.explained, "get", key)
        # A large object on a slow line was too much for obstore: its answer still begins soon.
        left = max(self._options.short_seconds - spent, self._options.connect_timeout)
        return self.send("get", key, ask, seconds=left, version=version)

    def head(self, key: str) -> ObjectInfo | None:
        """Describe the object; None without one, or without the bucket: an answer to HEAD can't tell which."""

        def ask(client: S3Client) -> ObjectInfo | None:
            found = client.head_object(**self._place_of(key))
            return described(key, found, found["ContentLength"]) if "ContentLength" in found else None

        def first_byte(client: S3Client) -> ObjectInfo | None:
            found: Any = client.get_object(**self._place_of(key), Range="bytes=0-0")
            found["Body"].close()
            return described(key, found, known[2]) if (known := extent(found)) else None

        try:
            if info := self.send("head", key, ask):
                return info
            with self.open(key) as whole:  # its length is known once it has been read
                return whole.info
        except ObjectNotFound:
            return None
        except BucketError as refused:
            if refused.code not in _WITHOUT_CAUSE:
                raise
            try:  # the answer to a GET says why
                return self.send("head", key, first_byte)
            except ObjectNotFound:
                return None
            except RangeNotSatisfiable:
                raise refused from None

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects by the thousand, or one by one where the store has no such request."""
        remaining = iter(keys)
        while batch := [*itertools.islice(remaining, _BATCH)]:
            if not self._delete_batch(batch):
                for key in batch:
                    with suppress(ObjectNotFound):  # what Google answers
                        self.send("delete", key, partial(_delete_one, self._place_of(key)))

    def unfinished(self, prefix: str = "") -> Sequence[UnfinishedUpload]:
        """List uploads in parts; none where the store has no such listing, refuses it, or gives half of it."""
        place: dict[str, Any] = {"Bucket": self._address.bucket, "Prefix": self._base + prefix}
        found: dict[tuple[str, str], UnfinishedUpload] = {}
        try:
            while True:
                answer = self.send("list", prefix, lambda client: client.list_multipart_uploads(**place))
                known = len(found)
                for item in answer.get("Uploads", ()):
                    if not item.keys() >= {"Key", "UploadId", "Initiated"}:
                        continue
                    key = item["Key"].removeprefix(self._base)
                    upload = UnfinishedUpload(key, item["UploadId"], item["Initiated"])
                    found[key, upload.identity] = upload
                if not answer.get("IsTruncated") or len(found) == known:  # a page that tells nothing new is the last
                    return [*found.values()]
                place["KeyMarker"] = answer.get("NextKeyMarker", "")
                place["UploadIdMarker"] = answer.get("NextUploadIdMarker", "")
        except (CredentialsError, Unreachable):
            raise
        except BucketError:
            return ()

    def give_up(self, upload: UnfinishedUpload) -> None:
        """Delete the parts of an upload."""
        place = self._place_of(upload.key) | {"UploadId": upload.identity}
        try:
            self.send("delete", upload.key, lambda client: client.abort_multipart_upload(**place))
        except BucketError as error:
            if error.code not in {"NoSuchUpload", "404"}:
                raise

    def _delete_batch(self, keys: Iterable[str]) -> bool:
        """Remove at most a thousand objects; return False where the store has to be asked for each."""
        if not self._deletes_many:
            return False
        names: DeleteTypeDef = {"Objects": [{"Key": self._base + key} for key in keys], "Quiet": True}
        place: dict[str, Any] = {"Bucket": self._address.bucket}
        try:
            seconds = self._options.short_seconds + _SECONDS_EACH * len(names["Objects"])
            answer = self.send(
                "delete", "", lambda client: client.delete_objects(**place, Delete=names), seconds=seconds
            )
        except (CredentialsError, AccessDenied, Unreachable):
            raise
        except BucketError as error:
            self._deletes_many = error.reason in _PASSING
            return False
        for refused in answer.get("Errors", ()):
            key = refused.get("Key", "").removeprefix(self._base)
            failure = from_answer({"Error": refused}, self._call("delete", key), secrets=self._secrets)
            if not isinstance(failure, ObjectNotFound):
                raise failure
        return True

    def _place_of(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._address.bucket, "Key": self._base + key}

    def send(
        self,
        action: str,
        key: str,
        request: Callable[[S3Client], _Answer],
        *,
        seconds: float | None = None,
        version: str = "",
    ) -> _Answer:
        """Do a request of ``action`` within ``seconds`` (None: those of a small request); raise `BucketError`.

        Where the store names the bucket's region and it is another one, go there once and stay.
        """
        most = self._options.short_seconds if seconds is None else seconds

        def timed(client: S3Client) -> _Answer:
            with self.explained(action, key, version):
                return within(most, lambda: request(client))

        with self.explained(action, key):
            client = self.client()
        try:
            return timed(client)
        except BucketError as error:
            if not self._is_elsewhere(client, error.region):
                raise
        with self.explained(action, key):
            client = self.client()
        return timed(client)

    def _is_elsewhere(self, client: S3Client, region: str) -> bool:
        """Turn to another region of the same service; tell whether ``client`` is the one of a region that was left."""
        with self._lock:
            if client is self._client and region and not self._is_moved:
                url = self._options.endpoint_url
                self._options = dataclasses.replace(
                    self._options, region=region, endpoint_url=providers.of_endpoint(url).moved(url, region)
                )
                self._client = None
                self._is_moved = True
                _log.warning('%s is in region %s: set region = "%s" to save requests.', self.name, region, region)
            return client is not self._client

    @contextmanager
    def explained(self, action: str, key: str = "", version: str = "") -> Iterator[None]:
        """Turn whatever a request raises into a `BucketError`; the original, and what it may hold, is let go."""
        try:
            try:
                yield
            except S3ImgError:
                raise
            except Exception as error:  # botocore, urllib3, http.client and OpenSSL share no base class
                raise explain(error, self._call(action, key, version), self._secrets) from None
        except BucketError as error:
            error.__context__ = None  # `from None` only hides it
            raise

    def _call(self, action: str, key: str, version: str = "") -> Call:
        return Call(action, self.name, self._options.endpoint_url, key, version)

    def client(self) -> S3Client:
        """Return botocore's client, for what the protocol has no words for; use it in `send` or `explained`."""
        with self._lock:
            if self._client is None:
                self._client = _botocore().open_client(self.session(), self._options, self._address.bucket)
                self._client.meta.events.register_first("before-send.s3", self._note_request)
            return self._client

    def session(self) -> Session:
        """Return botocore's session, which has the credentials; use it in `explained`."""
        with self._lock:
            if self._session is None:
                self._session = _botocore().open_session(self._options)
            return self._session

    def _note_request(self, request: AWSPreparedRequest, event_name: str, **_: object) -> None:
        """Count each HTTP request, and learn which access key and token its errors must not repeat."""
        if action := _OPERATIONS.get(event_name.rpartition(".")[2]):
            self._counter.add(action)
        sent = {name: request.headers.get(name, "") for name in ("Authorization", "X-Amz-Security-Token")}
        signature, token = (value.decode() if isinstance(value, bytes) else value for value in sent.values())
        if signed_by := _SIGNED_BY.search(signature):
            self._secrets = (signed_by[1], token)

    def _find_place(self) -> StorePlace | None:
        """Ask botocore where it would go; None where something in this process answers in the store's place."""
        client = self.client()
        url = _botocore().url_of(client, self._address.bucket)
        ca_file = self.session().get_config_variable("ca_bundle") or ""
        return StorePlace(url, client.meta.region_name, ca_file) if url else None

    def _find_key(self) -> AccessKey:
        """Return the key to sign with now, from botocore, where it may change."""
        credentials = self.session().get_credentials()
        if credentials is None:
            raise PermissionError
        found = credentials.get_frozen_credentials()
        return AccessKey(found.access_key or "", found.secret_key or "", found.token or "")


def _botocore() -> ModuleType:
    """Import botocore late: a run that has nothing to send must not pay for it."""
    from s3img.buckets.s3 import client

    return client


def _delete_one(place: dict[str, Any], client: S3Client) -> None:
    client.delete_object(**place)


def _spooled(body: TimedBody) -> tuple[Any, int]:
    """Read a body of unknown length into a file; return it, at its start, and its size in bytes."""
    import tempfile  # most stores say how long an object is

    file: Any = tempfile.SpooledTemporaryFile(_SPOOLED)  # noqa: SIM115 - who reads the object closes it
    size = 0
    while piece := body.read(1 << 16):
        size += file.write(piece)
        if size > _LONGEST:
            file.close()
            raise AnswerTooSlowError
    file.seek(0)
    return file, size


def _size(source: Path | bytes) -> int:
    if isinstance(source, bytes):
        return len(source)
    try:
        return source.stat().st_size
    except OSError as error:
        raise FileUnreadable(str(source), error) from error
