"""Check that the store accepts the credentials and knows the bucket; if not, find the setting to change."""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from s3img.buckets.s3.facts import lists_as_host, lists_when_told, regions_of
from s3img.buckets.s3.s3_bucket import S3Bucket
from s3img.config.address import S3Address
from s3img.doctor import findings
from s3img.doctor.findings import fail, ok
from s3img.doctor.network import host_and_port
from s3img.errors import BucketError, S3ImgError
from s3img.gc.marks import OWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from s3img.buckets import AddressingStyle, S3Options
    from s3img.doctor.findings import Finding
    from s3img.doctor.probe_context import ProbeContext

_SUFFIXES = (".avif", ".gif", ".jpg", ".jpeg", ".png", ".webp")
_SMALL = 1 << 20  # bytes; it is fetched twice, from the bucket and from its public address
_DEFAULT_REGION = "us-east-1"  # where botocore sends requests to AWS without one
_USUAL_REGIONS = (_DEFAULT_REGION, "auto", "garage")
_PROXIES = r"nginx|openresty|apache|caddy|traefik|envoy|haproxy|squid|varnish|cloudflare"
_UNSEEN = "The store does not see the bucket's name in the request."
_MAY_BE_SETTINGS = frozenset(
    [
        "no-bucket",
        "not-s3",
        "wrong-addressing",
        "wrong-region",
        "bucket-name",
        "list-denied",
        "unreachable",
        "host-unknown",
    ]
)


def list_bucket(context: ProbeContext) -> Finding:
    """List the first page under the prefix, and remember a small picture for later probes."""
    try:
        found = list(itertools.islice(context.bucket.list(), 1000))
    except BucketError as error:
        return diagnose(context, error)
    pictures = (one for one in found if one.key.lower().endswith(_SUFFIXES) and 0 < one.size <= _SMALL)
    # What s3img keeps for itself (gc's marks and trash) may be private on purpose.
    context.known = next((one for one in pictures if not one.key.startswith(OWN)), None)
    count = f"{len(found)} objects{' or more' if len(found) == 1000 else ''}"
    return ok("list", f"{context.bucket.name} can be listed: {count}.")


def compare_region(context: ProbeContext) -> Finding:
    """Compare the region in the settings with the one that AWS names, or that another store redirects to."""
    given = context.connection.region if context.connection else ""
    ours = _DEFAULT_REGION if given == "aws-global" else given
    named, signed = regions_of(context.s3, context.bucket_name)
    theirs = (named if context.config.store.name == "aws" else "") or signed
    if theirs not in {"", ours}:
        message = f"the bucket is in {theirs}, but requests go to {ours or 'no region'} first."
        return fail("region", "wrong-region", message, f'Set region = "{theirs}".')
    return ok("region", f"region {ours}, {context.style} style: {context.bucket_url}")


def diagnose(context: ProbeContext, error: BucketError) -> Finding:
    """Find a change of the settings with which the same request works; report the error itself where none does."""
    found = findings.finding("list", error)
    if not context.is_s3:
        return found
    if found.code == "wrong-secret":
        return _secret_or_proxy(context, found)
    tries: Iterable[_Change] = address_changes(context)
    if found.code == "wrong-region":
        tries = itertools.chain(region_changes(context), tries)
    # A store that misses the bucket's name lists the buckets in the place of its objects.
    what = _UNSEEN if error.reason == "listing-broken" else error.message
    may_help = found.code in _MAY_BE_SETTINGS
    if may_help and (change := next((one for one in tries if _works(context, one.options)), None)):
        return fail("list", change.code, f"{what} {change.why}", change.fix)
    # A web page in the store's place fails as many different errors, depending on its status.
    media_type = context.greeting.headers.get("content-type", "") if context.greeting else ""
    if found.code not in {"store-failed", "list-denied", "not-s3"} or not media_type.startswith("text/html"):
        return found
    message = f"{context.endpoint_url} answers with a web page: it is a console, a website or a firewall."
    return fail("list", "not-s3", message, "Write the address of the store's S3 interface in endpoint_url.")


class _Change(NamedTuple):
    """One change of the settings to try."""

    options: S3Options
    code: str
    why: str
    fix: str


def address_changes(context: ProbeContext) -> Iterator[_Change]:
    """Yield the other places where the bucket's name may have to stand."""
    options = context.options()
    parts = urlsplit(context.endpoint_url)
    label = f"{context.bucket_name}."
    if parts.netloc.startswith(label):
        url = urlunsplit(parts._replace(netloc=parts.netloc.removeprefix(label)))
        changed = dataclasses.replace(options, endpoint_url=url)
        why = f"endpoint_url begins with the bucket's name; {url} works."
        yield _Change(changed, "endpoint-has-bucket", why, f'Write endpoint_url = "{url}".')
    other: AddressingStyle = "path" if context.style == "virtual" else "virtual"
    changed = dataclasses.replace(options, addressing_style=other)
    why = (
        f"With the bucket's name in the {'path (path-style)' if other == 'path' else 'host (virtual-hosted)'} it works."
    )
    yield _Change(changed, "wrong-addressing", why, f'Set addressing_style = "{other}".')


def region_changes(context: ProbeContext) -> Iterator[_Change]:
    """Yield the regions that are usual for stores which don't say what theirs is."""
    options = context.options()
    for region in dict.fromkeys((context.config.store.region, *_USUAL_REGIONS)):
        changed = dataclasses.replace(options, region=region)
        yield _Change(changed, "wrong-region", f"In region {region} it works.", f'Set region = "{region}".')


def _works(context: ProbeContext, options: S3Options) -> bool:
    if not isinstance(context.address, S3Address):
        return False
    try:
        # One attempt: most of these changes are expected to fail, and somebody waits.
        bucket = S3Bucket(context.address, dataclasses.replace(options, attempts=1))
        next(iter(bucket.list()), None)
    except S3ImgError:
        return False
    return True


def _secret_or_proxy(context: ProbeContext, found: Finding) -> Finding:
    """Distinguish a changed ``Host`` from a wrong secret: the signature covers the ``Host`` that the store sees."""
    given = urlsplit(context.bucket_url).netloc
    host, port = host_and_port(context.bucket_url)
    hosts = dict.fromkeys((host, f"{host}:{port}", "localhost"))
    fix = "Let the proxy pass the Host header on unchanged, with its port (nginx: `proxy_set_header Host $http_host`)."
    seen = next((one for one in hosts if one != given and lists_as_host(context.s3, one)), "")
    if seen or lists_when_told(context.s3, given):
        message = f"a proxy in front of the store changes the Host header from {given} to {seen or 'another'}"
        return fail("list", "host-rewritten", f"the key and its secret are right, but {message}.", fix)
    headers = context.greeting.headers if context.greeting else {}
    proxy = f"{headers.get('via', '')} {headers.get('server', '')}".strip()
    if not (headers.get("via") or re.search(_PROXIES, proxy, re.IGNORECASE)):
        return found
    message = f"{found.message} (Or {proxy} in front of the store changes the Host header, which is signed.)"
    return fail("list", found.code, message, f"{found.fix} If they are right: {fix}")
