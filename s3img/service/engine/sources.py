"""Sources: what is known of them, kept where other processes find it, and their bytes, read whole or streamed."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from s3img import codings, errors
from s3img.imaging import probe
from s3img.pictures.result_names import source_name
from s3img.service.engine.concurrency import SingleFlight
from s3img.service.engine.disk_cache import ResultHeader
from s3img.service.engine.jobs import Budget, Original, SourceFacts
from s3img.service.engine.result_stores import RecentValues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3img.buckets import Bucket
    from s3img.buckets.protocol import ObjectInfo, OpenObject
    from s3img.service.engine.concurrency import QueuedPool
    from s3img.service.engine.disk_cache import DiskCache
    from s3img.service.engine.jobs import EngineOptions, SourceRef
    from s3img.service.engine.metrics import Stopwatch

_REMEMBERED: Final = 20_000
_MISSING: Final = 4_096
"""Sources that are not there; whoever asks for them chooses their names, which may be long."""
_RECORD: Final = ResultHeader("application/vnd.s3img.source")
_PASSING: Final = frozenset(
    {errors.BucketError, errors.StoreBusy, errors.Unreachable, errors.DeadlineExceeded, errors.Busy}
)
"""Errors that tell nothing about the source itself. Their subclasses do: a denied access is the owner's word."""
_READ_SIZE: Final = 1 << 18
_STREAM_SIZE: Final = 1 << 16
_TRIES: Final = 3
_PAUSE: Final = 0.1


class _Known(msgspec.Struct, frozen=True, array_like=True):
    """Facts, when the origin told them, and until when they are believed; times in seconds since 1970."""

    facts: SourceFacts
    checked: float
    until: float


class Sources:
    """Know the facts of sources; ``origin`` opens the bucket of an origin by its name."""

    def __init__(
        self,
        origin: Callable[[str], Bucket],
        options: EngineOptions,
        pool: QueuedPool,
        disk: DiskCache | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._origin = origin
        self._options = options
        self._pool = pool
        self._disk = disk
        self._clock = clock
        self._known: RecentValues[_Known] = RecentValues(_REMEMBERED)
        self._missing: RecentValues[tuple[float, errors.BucketError]] = RecentValues(_MISSING)
        self._renewing: RecentValues[bool] = RecentValues(_REMEMBERED)
        self._calls: SingleFlight[SourceFacts] = SingleFlight()

    def usable(self, source: SourceRef) -> SourceFacts | None:
        """Return facts that need no question to the origin now, None without any.

        Raise `ObjectNotFound` for a source that was missing a moment ago, `AccessDenied` where that is all that an
        origin tells.
        """
        now = self._clock()
        missing = self._missing.get(source)
        if missing is not None and now < missing[0]:
            raise _copy(missing[1])
        known = self._latest(source, now)
        if known is None or now < known.checked:  # a clock that was set back: nothing is sure any more
            return None
        if now < known.until:
            return known.facts
        if now < known.until + self._options.stale_while_revalidate:
            if not self._renewing.get(source):  # one question at a time for each source
                self._renewing.set(source, value=True)
                if not self._pool.start_in_background(partial(self._renew, source)):
                    self._renewing.drop(source)
            return known.facts
        return None

    def is_known(self, source: SourceRef) -> bool:
        """Tell whether anything is known of a source, however old."""
        return self._latest(source, self._clock()) is not None

    def facts(self, source: SourceRef, budget: Budget, watch: Stopwatch) -> SourceFacts:
        """Return a source's facts, asking its origin where they are not usable; old ones if it does not answer."""
        found = self.usable(source)
        if found is not None:
            return found
        return self._calls.run(source_name(source), partial(self._ask, source, watch), budget)

    def learn(self, source: SourceRef, facts: SourceFacts) -> None:
        """Remember what an origin has just told, unless it told the same a short while ago."""
        now = self._clock()
        self._missing.drop(source)
        known = self._known.get(source)
        if known is not None and known.facts == facts and known.checked <= now < (known.checked + known.until) / 2:
            return
        known = _Known(facts, now, float("inf") if source.version else now + self._options.fresh)
        self._known.set(source, known)
        if self._disk is not None:
            self._disk.put(_record_name(source), _RECORD, msgspec.msgpack.encode(known))

    def lose(self, source: SourceRef, error: errors.ObjectNotFound | errors.AccessDenied) -> None:
        """Remember that an origin has just told that a source is missing, or (without s3:ListBucket) denied it."""
        self._missing.set(source, (self._clock() + self._options.missing, _copy(error)))
        self._known.drop(source)
        if self._disk is not None:
            self._disk.drop(_record_name(source))

    def open(self, source: SourceRef, start: int, stop: int | None, budget: Budget, watch: Stopwatch) -> Original:
        """Open a range of a source to stream it; raise what its bucket raises.

        Only opening takes a worker, since reading waits for the client.
        """
        self.usable(source)  # raises where it is known to be missing
        bucket = self._origin(source.origin)
        opening = _Opening(partial(bucket.open, source.key, version=source.version, start=start, stop=stop))
        try:
            opened = self._pool.run(opening, budget, watch)
        except (errors.ObjectNotFound, errors.AccessDenied) as error:
            self.lose(source, error)
            raise
        except BaseException:
            opening.abandon()
            raise
        facts = facts_of(opened.info, opened.version if source.version else "")
        self.learn(source, facts)

        def chunks() -> Iterator[bytes]:
            with opened:
                while chunk := opened.read(_STREAM_SIZE):
                    yield chunk

        return Original(facts, opened.start, opened.stop, chunks(), opened.close)

    def _latest(self, source: SourceRef, now: float) -> _Known | None:
        """Return what this process knows, or another one that has asked later."""
        known = self._known.get(source)
        if self._disk is None or (known is not None and now < known.until):
            return known
        entry = self._disk.get(_record_name(source))
        if entry is None or not isinstance(entry.body, bytes):
            return known
        try:
            recorded = msgspec.msgpack.decode(entry.body, type=_Known)
        except errors.DECODE_ERRORS:  # another version wrote it
            return known
        if known is None or recorded.checked > known.checked:
            self._known.set(source, recorded)
            return recorded
        return known

    def _ask(self, source: SourceRef, watch: Stopwatch, budget: Budget) -> SourceFacts:
        known = self._latest(source, self._clock())
        # Half of the time is kept for an answer with old facts.
        patience = msgspec.structs.replace(budget, deadline=budget.deadline - budget.left / 2) if known else budget
        try:
            facts = self._pool.run(partial(self._head, source), patience, watch)
        except (errors.ObjectNotFound, errors.AccessDenied) as error:
            self.lose(source, error)
            raise
        except (errors.BucketError, errors.DeadlineExceeded, errors.Busy) as error:
            lasting = self._options.fresh + self._options.stale_if_error
            if known is None or type(error) not in _PASSING or self._clock() >= known.checked + lasting:
                raise
            self._known.set(source, msgspec.structs.replace(known, until=self._clock() + self._options.missing))
            return known.facts
        self.learn(source, facts)
        return facts

    def _head(self, source: SourceRef) -> SourceFacts:
        bucket = self._origin(source.origin)
        if source.version:  # not every bucket's `head` takes a version
            with bucket.open(source.key, version=source.version) as opened:
                return facts_of(opened.info, opened.version)
        info = bucket.head(source.key)
        if info is not None:
            return facts_of(info)
        # An answer to HEAD has no body, so it can't tell a missing bucket (502) from a missing key (404). A GET does,
        # and the same cause must have the same answer whichever way a client asks.
        with bucket.open(source.key) as opened:
            return facts_of(opened.info)

    def _renew(self, source: SourceRef) -> None:
        try:
            self.learn(source, self._head(source))
        except (errors.ObjectNotFound, errors.AccessDenied) as error:
            self.lose(source, error)
        finally:
            self._renewing.drop(source)


def fetch(
    bucket: Bucket, source: SourceRef, *, limit: int, budget: Budget, is_wanted: Callable[[SourceFacts], bool]
) -> tuple[SourceFacts, bytes | None]:
    """Open a source, ask whether it is wanted now that its facts are known, and read all of it; None if it is not.

    A connection that breaks is tried again. Raise what the bucket raises, `ImageTooLarge` above ``limit`` bytes,
    `BucketError` (502) for a source that ends early every time, and what ``budget`` raises.
    """
    for attempt in range(1, _TRIES + 1):
        budget.check("fetch the source")
        with bucket.open(source.key, version=source.version) as opened:
            facts = facts_of(opened.info, opened.version)
            if not is_wanted(facts):
                return facts, None
            try:
                return facts, _decode(_read(opened, limit, budget), facts, limit)
            except errors.Unreachable as error:
                if "Timeout" in error.code:
                    raise
                if attempt == _TRIES:  # an origin that cuts answers short is broken (502), not slow (504)
                    message = f"{error.bucket}: {error.key!r} ended early on every attempt."
                    where = {"action": "get", "bucket": error.bucket, "key": error.key}
                    raise errors.BucketError(
                        message, code="IncompleteSource", fix="Try again later.", **where
                    ) from error
        time.sleep(max(0.0, min(_PAUSE * attempt, budget.left)))
    raise AssertionError  # the last try returns or raises


def facts_of(info: ObjectInfo, version: str = "") -> SourceFacts:
    """Return what a bucket tells about an object."""
    return SourceFacts(
        info.etag,
        info.size,
        info.modified,
        info.media_type,
        info.cache_control,
        version,
        dict(info.metadata or {}),
        _codings(info.content_encoding),
        info.content_disposition,
        info.content_language,
    )


def _codings(header: str) -> tuple[str, ...]:
    """Read ``Content-Encoding``; ``aws-chunked`` is a form of uploading that some stores keep in it by mistake."""
    names = (name.strip().lower() for name in header.split(","))
    return tuple(name for name in names if name not in codings.PLAIN and name != "aws-chunked")


def _decode(data: bytes, facts: SourceFacts, limit: int) -> bytes:
    """Undo a source's content codings; raise ``UnsupportedImage`` for an unknown one, ``ImageError`` for damage."""
    for coding in reversed(facts.codings):
        if coding in {"gzip", "x-gzip"} and not data.startswith(b"\x1f\x8b"):
            continue  # the header is wrong, or the store has unpacked it for us
        if not codings.is_known(coding):
            # Upload code often names "base64" or "utf-8", which are not codings, over the picture itself.
            try:
                probe(data)
            except errors.ImageError as error:
                fix = "Store it without Content-Encoding, or install brotli or zstandard where it is one of those."
                what = f"The source is stored with Content-Encoding: {coding}, unknown here."
                raise errors.UnsupportedImage(what, fix=fix) from error
            return data
        plain = codings.decoded(data, coding, limit)
        if plain is None:
            message = f"The source's {coding} coding is damaged, or holds more than {limit:,} bytes."
            raise errors.ImageError(message, fix="Store it anew, or raise limits.input_bytes.")
        data = plain
    return data


def _read(opened: OpenObject, limit: int, budget: Budget) -> bytes:
    if opened.info.size > limit:
        what = f"The source has {opened.info.size:,} bytes; {limit:,} is the limit."
        raise errors.ImageTooLarge(what, limit="input_bytes", fix="Make it smaller, or raise limits.input_bytes.")
    data = bytearray()
    while chunk := opened.read(_READ_SIZE):
        data += chunk
        budget.check("fetch the source")
    return bytes(data)


class _Opening:
    """Open an object, and close it again if nobody waits for it any more."""

    def __init__(self, work: Callable[[], OpenObject]) -> None:
        self._work = work
        self._opened: OpenObject | None = None
        self._is_abandoned = False

    def __call__(self) -> OpenObject:
        opened = self._opened = self._work()
        if self._is_abandoned:
            opened.close()
        return opened

    def abandon(self) -> None:
        """Close what was opened, now or when it is."""
        self._is_abandoned = True
        if self._opened is not None:
            self._opened.close()


def _copy(error: errors.BucketError) -> errors.BucketError:
    """Return the same error without its traceback, which would keep a request's frames in memory."""
    return type(error)(
        error.message,
        code=error.code,
        reason=error.reason,
        action=error.action,
        bucket=error.bucket,
        key=error.key,
        region=error.region,
        fix=error.fix,
    )


def _record_name(source: SourceRef) -> str:
    return f"{source_name(source)}.source"
