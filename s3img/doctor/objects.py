"""Check the rights to put, read and delete, each on its own, with an object that is removed again."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from s3img.buckets.s3.facts import may_upload, overwrites
from s3img.doctor import findings
from s3img.doctor.findings import fail, ok, skip
from s3img.doctor.probe_context import CACHE_CONTROL, FOLDER, MEDIA_TYPE, is_sample
from s3img.errors import AccessDenied, BucketError

if TYPE_CHECKING:
    from s3img.doctor.findings import Finding
    from s3img.doctor.probe_context import ProbeContext

_NOTHING_PUT = "no probe object was put."
_ABANDONED = timedelta(hours=1)
_WITHOUT = "the store has no conditional writes, as its manual says; uploads and moves claim their keys first."
_AS_DOCUMENTED = frozenset({"no", "ignored"})
_UNCONDITIONAL = frozenset({"NotImplemented", "501", "InvalidArgument", "InvalidRequest", "400"})


def put(context: ProbeContext) -> Finding:
    """Put the probe object, if it can be deleted afterwards."""
    if context.config.anonymous:
        return skip("put", "anonymous = true only reads.")
    # Before the put, because an object that can't be deleted would stay. It does not exist: only the right is tested.
    try:
        context.bucket.delete([context.sample.key])
    except AccessDenied as error:
        context.delete_refused = error
    except BucketError as error:
        return findings.finding("put", error)
    if context.delete_refused and not context.leave:
        return _check_put_right(context)
    try:
        context.sample.put(context.bucket, context.sample.key)
    except BucketError as error:
        return findings.finding("put", error)
    return ok("put", f"{context.sample.key!r} was put.")


def may_delete(context: ProbeContext) -> Finding:
    """Report whether objects may be deleted, which was tested before the first put."""
    if context.config.anonymous:
        return skip("delete", "anonymous = true only reads.")
    if not context.delete_refused:
        return ok("delete", "objects may be deleted.")
    left = f" The probe object {context.sample.key!r} stays." if context.sample.is_there else ""
    fix = "Allow s3:DeleteObject on this bucket and prefix (for `s3img gc`, `--remove` and this examination)."
    return fail("delete", "delete-denied", f"{context.delete_refused.message}{left}", fix)


def head(context: ProbeContext) -> Finding:
    """Ask for the object's headers, and compare them with those that were put."""
    if not context.sample.is_there:
        return skip("head", _NOTHING_PUT)
    found = context.bucket.head(context.sample.key)
    if found is None or found.size != len(context.sample.data):
        size = "nothing" if found is None else f"{found.size} bytes"
        message = f"{context.sample.key!r} was put with {len(context.sample.data)} bytes, but the store finds {size}."
        return fail("head", "bytes-changed", message, "Check the proxies between this machine and the store.")
    if not context.is_s3:
        return ok("head", "the object is there; a folder keeps no media type.")
    if found.media_type != MEDIA_TYPE:
        message = f"Content-Type was put as {MEDIA_TYPE}, and is {found.media_type or 'none'}."
        return fail("head", "type-changed", message, "Fix the store or the proxy that changes it.")
    if found.cache_control != CACHE_CONTROL:
        message = f"Cache-Control was put as {CACHE_CONTROL!r}, and is {found.cache_control or 'none'!r}."
        return fail("head", "cache-control-changed", message, "Fix the store or the proxy that changes it.")
    return ok("head", "size, Content-Type and Cache-Control are those that were put.")


def get(context: ProbeContext) -> Finding:
    """Read the object back, byte by byte."""
    key = context.sample.key if context.sample.is_there else context.known.key if context.known else ""
    if not key:
        return skip("get", f"{_NOTHING_PUT[:-1]}, and the bucket has no picture.")
    data = context.bucket.get(key)
    if context.sample.is_there and data != context.sample.data:
        message = f"{key!r} came back with other bytes than were put."
        return fail("get", "bytes-changed", message, "Check the proxies between this machine and the store.")
    context.evidence = (key, data)
    return ok("get", f"{key!r} can be read{', with the bytes that were put' if context.sample.is_there else ''}.")


def names(context: ProbeContext) -> Finding:
    """Check that the listing returns the difficult name unchanged."""
    if not context.sample.is_there:
        return skip("names", _NOTHING_PUT)
    found = [info.key for info in context.bucket.list(context.sample.folder)]
    if context.sample.key in found:
        return ok("names", "names with spaces, +, %, &, # and letters beyond ASCII come back as they were put.")
    message = (
        f"{context.sample.key!r} is listed as {found[0]!r}." if found else f"{context.sample.key!r} is not listed."
    )
    return fail("names", "key-changed", message, "Use plain file names, or `{{slug}}` in key_template.")


def conditional(context: ProbeContext) -> Finding:
    """Find out whether a put with ``If-None-Match: *`` leaves an existing object alone."""
    if not context.is_s3 or not context.sample.is_there:
        return skip("conditional", _NOTHING_PUT if context.is_s3 else "a folder has no conditional writes.")
    fix = "Nothing has to be done: uploads and moves claim their keys first, which takes four more requests for each."
    try:
        ignored = overwrites(context.s3, context.bucket_name, context.full_key(context.sample.key), context.sample.data)
    except BucketError as error:
        if error.code not in _UNCONDITIONAL:
            return findings.finding("conditional", error)
        if context.config.store.conditional_writes in _AS_DOCUMENTED:
            return ok("conditional", _WITHOUT)
        return fail("conditional", "conditional-refused", error.message, fix)
    if ignored and context.config.store.conditional_writes not in _AS_DOCUMENTED:
        message = "the store ignores If-None-Match: a put under the condition that there is no object replaced one."
        return fail("conditional", "conditional-ignored", message, fix)
    return ok("conditional", _WITHOUT if ignored else "a put under If-None-Match is refused where an object is.")


def clean_up(context: ProbeContext) -> Finding:
    """Delete the probe objects, and check that they are gone."""
    if not context.sample.is_there:
        return skip("cleanup", _NOTHING_PUT)
    key = context.sample.key
    try:
        context.sample.remove(context.bucket)
        with suppress(BucketError):  # what killed examinations have left; those that still run are younger
            old = datetime.now(UTC) - _ABANDONED
            listed = context.bucket.list(f"{FOLDER}/")
            context.bucket.delete([one.key for one in listed if is_sample(one.key) and one.modified < old])
        is_left = False
        with suppress(AccessDenied):  # AWS's answer for a missing key without s3:ListBucket
            is_left = context.bucket.head(key) is not None
    except BucketError as error:
        message = f"{key!r} could not be removed: {error.message}"
        return fail(
            "cleanup", "left-behind", message, f"Delete what is below {context.full_key(context.sample.folder)!r}."
        )
    if is_left:
        return fail(
            "cleanup",
            "left-behind",
            f"{key!r} was deleted and is still there.",
            "Check the store's versioning, locks and replication.",
        )
    return ok("cleanup", "the probe object is gone.")


def _check_put_right(context: ProbeContext) -> Finding:
    """Distinguish credentials that may only read from those that may put but not delete."""
    key = context.full_key(context.sample.key)
    can_put = True
    with suppress(BucketError):
        can_put = not context.is_s3 or may_upload(context.s3, context.bucket_name, key)
    if not can_put:
        fix = "Allow s3:PutObject (and s3:DeleteObject) on this bucket and prefix for the credentials in use."
        message = f"{context.bucket.name}: these credentials may not put objects, only read."
        return fail("put", "put-denied", message, fix)
    return skip("put", "a probe object could not be deleted again (--leave-probe puts it anyway).")
