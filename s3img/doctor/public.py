"""Check that ``public_url`` serves the bucket's bytes to everyone; if not, find a similar address that does."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from s3img.config import address
from s3img.doctor.fetch import FetchedPage, NoAddress, fetch, reason
from s3img.doctor.findings import fail, ok, skip
from s3img.doctor.probe_context import MEDIA_TYPE
from s3img.errors import ConfigError, S3ImgError
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Iterator
    from urllib.parse import SplitResult

    from s3img.config import Config
    from s3img.doctor.findings import Finding
    from s3img.doctor.probe_context import ProbeContext


def variants(config: Config) -> list[tuple[str, str]]:
    """List (what may be wrong with ``public_url``, the address to write instead), the likeliest first."""
    base = config.base_url
    found: dict[str, str] = {}
    for why, url in (*similar_addresses(urlsplit(base), config), *usual_addresses(config)):
        if url != base:
            found.setdefault(url, why)
    return [(why, url) for url, why in found.items()]


def similar_addresses(parts: SplitResult, config: Config) -> Iterator[tuple[str, str]]:
    """Yield addresses on the same host: other paths, encoding and scheme."""
    paths = list(similar_paths(parts.path.rstrip("/"), config))
    if (encoded := quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._")) != parts.path.rstrip("/"):
        yield "has characters that have to be percent-encoded", f"{parts.scheme}://{parts.netloc}{encoded}"
    other = "http" if parts.scheme == "https" else "https"
    for why, path in paths:
        yield why, f"{parts.scheme}://{parts.netloc}{path}"
    yield f"is {parts.scheme}, but {other} is served", f"{other}://{parts.netloc}{parts.path.rstrip('/')}"
    for why, path in paths:
        yield f"{why}, and is {parts.scheme} instead of {other}", f"{other}://{parts.netloc}{path}"


def similar_paths(path: str, config: Config) -> Iterator[tuple[str, str]]:
    """Yield the path with or without the prefix and the bucket's name."""
    where = config.address
    prefix = f"/{quote(where.prefix)}" if where and where.prefix else ""
    bucket = f"/{where.bucket}" if isinstance(where, address.S3Address) else ""
    above = path.removesuffix(prefix) if prefix else path
    if prefix:
        yield f"lacks the prefix (bucket folder) {prefix[1:]!r}", path + prefix
    if prefix and above != path:
        yield f"has the prefix {prefix[1:]!r}, which the host stands for already", above
    if bucket and not above.endswith(bucket):
        yield f"lacks the bucket's name {bucket[1:]!r}", above + bucket + prefix
    elif bucket:
        yield f"has the bucket's name {bucket[1:]!r} in its path", above.removesuffix(bucket) + prefix
    if path:
        yield f"has the path {path!r}, which is not part of it", prefix
        yield f"has the path {path!r}, which is not part of it", ""


def usual_addresses(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the addresses under which the store itself may serve the bucket."""
    where = config.address
    if where is None or not config.public_url:
        return
    for style in ("virtual", "path"):
        with suppress(ConfigError):
            url = address.default_public_url(
                where, endpoint_url=config.endpoint_url, region=config.region, addressing_style=style
            )
            if url.startswith("http"):
                yield "is not where the bucket is public", url


_PRIVATE = (
    "Allow everyone s3:GetObject on it (a bucket policy; `s3img init --policy` prints one), or put a CDN before the "
    "bucket and name its custom domain in public_url, or serve private pictures with `s3img serve`."
)

_WHERE = "Open a picture in a browser; write what stands before its key in the address as public_url."


def fetch_public(context: ProbeContext) -> Finding:
    """Fetch an object without credentials, at its public address and, where that fails, at similar ones."""
    if context.evidence is None:
        return skip("public", "there is no object to fetch.")
    base = context.config.base_url
    if base.startswith("file:"):
        return ok("public", f"pages point at files: {base}")
    if base.startswith("/"):
        return skip("public", f"{base} is a path of the site's own host, which can't be asked from here.")
    key, data = context.evidence
    found = _get(context, object_url(base, key))
    if isinstance(found, FetchedPage) and found.brings(data):
        served = found.headers.get("content-type", "").partition(";")[0].strip()
        if context.sample.is_there and context.is_s3 and served != MEDIA_TYPE:
            message = f"{found.url} is served as {served or 'no type'}, and was put as {MEDIA_TYPE}."
            return fail("public", "public-type", message, "Fix the CDN or web server: browsers may refuse the picture.")
        return ok("public", f"{base} serves the bucket's bytes to everyone.")
    return _plain_name_works(context) or _another_works(context, found) or _refused(base, found)


def _get(context: ProbeContext, url: str) -> FetchedPage | OSError:
    try:
        return fetch(url, ca_file=context.ca_file, limit=2 << 20)
    except OSError as error:
        return error


def _plain_name_works(context: ProbeContext) -> Finding | None:
    """Find out whether only the difficult name is not served."""
    if not context.sample.is_there:
        return None
    try:
        # clean_up deletes this one, too: the sample remembers each key that it was put under.
        context.sample.put(context.bucket, context.sample.plain_key)
    except S3ImgError:
        return None
    found = _get(context, object_url(context.config.base_url, context.sample.plain_key))
    if not (isinstance(found, FetchedPage) and found.brings(context.sample.data)):
        return None
    message = f"plain names are served, but not {context.sample.key!r}: spaces, +, % or & are changed on the way."
    fix = "Let the CDN or web server pass paths on unchanged, or use `{{slug}}` in key_template."
    return fail("public", "public-encoding", message, fix)


def _another_works(context: ProbeContext, first: FetchedPage | OSError) -> Finding | None:
    """Try similar addresses, but no host again that did not answer; ``first`` is the answer at ``public_url``."""
    key, data = context.evidence or ("", b"")
    base = context.config.base_url
    # Asking a host that does not answer costs a time-out each time.
    silent = {urlsplit(base)[:2]} if isinstance(first, OSError) and not isinstance(first, NoAddress) else set()
    for why, url in variants(context.config):
        host = urlsplit(url)[:2]
        if host in silent:
            continue
        found = _get(context, object_url(url, key))
        if isinstance(found, OSError):
            silent.add(host)
        elif found.brings(data):
            return fail("public", "public-url-wrong", f"{base} {why}; {url} works.", f'Write public_url = "{url}".')
    return None


def _refused(base: str, answer: FetchedPage | OSError) -> Finding:
    if isinstance(answer, OSError):
        fix = "Correct the host in public_url, or repair its name, port or certificate."
        return fail("public", "public-unreachable", f"{base} can't be reached: {reason(answer)}.", fix)
    if answer.redirect:
        host = urlsplit(answer.redirect).hostname
        message = f"{base} redirects to another host, {host}."
        return fail("public", "public-redirect", message, f"Name the address at {host} in public_url.")
    if answer.status in {401, 403}:
        message = f"{base} refuses requests without credentials ({answer.status}): the bucket is private."
        return fail("public", "public-private", message, _PRIVATE)
    if answer.status in {404, 410}:
        message = f"{base} does not have what is in the bucket ({answer.status}), and no similar address has."
        return fail("public", "public-not-found", message, _WHERE)
    if answer.status >= 400:
        message = f"{base} answers {answer.status}."
        return fail("public", "public-unreachable", message, "Check the CDN or web server of public_url.")
    return _other_bytes(base, answer)


def _other_bytes(base: str, answer: FetchedPage) -> Finding:
    served = answer.headers.get("content-type", "").partition(";")[0].strip()
    if served.startswith("image/"):
        message = f"{base} serves a picture with other bytes than the bucket's: a CDN has changed it."
        return fail("public", "public-changed", message, "Turn that off there: s3img has chosen sizes and formats.")
    message = f"{base} answers with {served or 'something'} that is not the bucket's object, as a website does."
    return fail("public", "public-other-content", message, _WHERE)
