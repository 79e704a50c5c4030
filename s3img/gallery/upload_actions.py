"""Uploads by form and by script, through this server or straight to the bucket: each picture has a result of its own.

What a browser sends straight to the bucket lies under a key that only this visitor can name, until the server has read
it and stored it under the rules of every upload; then it goes.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from s3img.errors import BucketError, ConfigError, KeyTaken, S3ImgError
from s3img.gallery.html_builder import element
from s3img.gallery.object_actions import ChangeOutcome, folder_of, nothing_done, outcome_page
from s3img.gallery.page_layout import as_json, wants_json
from s3img.keys import OWN_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.wrappers import Response

    from s3img.buckets import BrowserUpload
    from s3img.gallery.gallery_app import Visit
    from s3img.uploads import Uploader

STAGED: Final = f"{OWN_FOLDER}/incoming/"  # where browsers put what the server has not checked yet
STAGED_FOR: Final = timedelta(days=1)  # after which what nobody finished is deleted
SIGNED_SECONDS: Final = 900  # for which a browser may begin to send a file straight to the bucket

log = logging.getLogger("s3img.gallery.uploads")


@runtime_checkable
class SignsUploads(Protocol):
    """A store that browsers can send files to."""

    def post_form(self, key: str, *, limit: int, seconds: int) -> BrowserUpload:
        """Return a form that stores at most ``limit`` bytes under a key."""

    def put_url(self, key: str, *, size: int, seconds: int) -> BrowserUpload:
        """Return an address that takes ``size`` bytes for a key."""


def upload(visit: Visit) -> Response:
    """Store the pictures of a form; each has a result of its own."""
    return stored(visit, ((file.filename, file.stream) for file in visit.files if file.filename))


def stored(visit: Visit, pictures: Iterator[tuple[str, IO[bytes]]]) -> Response:
    """Store pictures under the names and rules of a form, and answer with the result of each."""
    layout, folder = visit.layout, target_folder(visit)
    try:
        uploader = chosen_uploader(visit)
    except ConfigError as error:
        return refused(visit, "; ".join(error.problems))
    results: list[dict[str, Any]] = []
    for name, stream in pictures:
        denied: list[str] = []

        def allowed(key: str, denied: list[str] = denied) -> bool:
            is_allowed = visit.may("upload", key)
            denied += [] if is_allowed else [key]
            return is_allowed

        try:
            saved = uploader.save(stream, filename=name, folder=folder, allowed=allowed, reuse=True)
        except S3ImgError as error:
            if error.status >= 500:  # not the picture's fault, so the visitor's message says nothing of the cause
                log.warning("%r can't be stored: %s", name, error)
            text = str(error) if isinstance(error, KeyTaken) else error.visitor
            text = "; ".join(error.problems) if isinstance(error, ConfigError) else text
            results.append({"ok": False, "name": name, "message": visit.words("denied") if denied else text})
            continue
        page = layout.url("/object", key=saved.key)
        results.append(
            {"ok": True, "name": name, "key": saved.key, "url": saved.url, "page": page, "existed": saved.existed}
        )
    done = [one["key"] for one in results if one["ok"]]
    visit.audit("upload", done, failed=len(results) - len(done))
    status = 200 if done or not results else 422
    if wants_json(visit.request):
        return as_json({"results": results}, status)
    failed = [(one["name"], one["message"]) for one in results if not one["ok"]]
    return outcome_page(visit, ChangeOutcome(done, failed), folder, status)


def target_folder(visit: Visit) -> str:
    """Return the folder to upload to: the one that was typed, else the one that the form stood in."""
    fields = visit.form if "folder" in visit.form else visit.request.args
    return folder_of(fields["folder"]) if "folder" in fields else visit.request.args.get("prefix", "")


def chosen_uploader(visit: Visit) -> Uploader:
    """Return what stores under a form's template, size and format; raise ConfigError for what these can't be."""
    fields = visit.form if visit.form else visit.request.args
    template = fields.get("template", "").strip()
    side = fields.get("max_side", "").strip()
    convert: Any = fields.get("convert", "")
    if side and not (side.isascii() and side.isdigit() and len(side) <= 6):
        raise ConfigError([visit.words("side_wrong")])
    return visit.gallery.uploader.with_options(
        template=visit.gallery.config.upload_templates.get(template, template),
        max_side=int(side) if side else None,
        convert=convert or None,
    )


def refused(visit: Visit, problem: str) -> Response:
    """Say what is wrong with the fields of a form."""
    if wants_json(visit.request):
        return as_json({"ok": False, "message": problem}, 400)
    return nothing_done(visit, visit.words("upload"), problem, target_folder(visit))


def preview_key(visit: Visit) -> Response:
    """Show the key that a file of this name would get in this folder with this template."""
    words = visit.words
    name = visit.request.args.get("name", "")[:255] or "photo.jpg"
    try:
        key = chosen_uploader(visit).preview_key(name, folder=target_folder(visit))
    except ConfigError as error:
        return refused(visit, "; ".join(error.problems))
    if not visit.may("upload", key):
        return refused(visit, f"{key}: {words('denied')}")
    if wants_json(visit.request):
        return as_json({"ok": True, "key": key})
    text = element("p", words("key_preview", name=name, key=key))
    return visit.layout.page(words("upload"), element("h1", words("upload")), text)


def begin_direct(visit: Visit) -> Response:
    """Give the script a request that stores one large file straight in the bucket, or say that there is none.

    There is one where the bucket was proved to let pages of this origin send files.
    """
    gallery = visit.gallery
    origin = visit.request.headers.get("Origin", "")
    size = visit.form.get("size", "")
    answer: dict[str, Any] = {"ok": True, "direct": None}
    is_number = size.isascii() and size.isdigit() and len(size) < 20
    if not is_number or int(size) > gallery.policy.max_bytes:
        return refused(visit, visit.words("too_large", limit=f"{gallery.policy.max_bytes / 1e6:.3g} MB"))
    if gallery.may_send_from(origin):
        bucket, until = gallery.bucket, datetime.now(UTC) - STAGED_FOR
        with suppress(BucketError):  # who may not delete can still send
            bucket.delete([info.key for info in bucket.list(STAGED) if info.modified < until])
        key = f"{staging(visit)}{secrets.token_hex(16)}"
        signed = gallery.browser_upload(key, int(size))
        answer["direct"] = {**asdict(signed), "staged": key} if signed else None
    return as_json(answer)


def finish_direct(visit: Visit) -> Response:
    """Check what a browser has put into the bucket, store it as any upload, and delete what was put."""
    key, bucket = visit.form.get("staged", ""), visit.gallery.bucket
    rest = key.removeprefix(staging(visit))
    if rest == key or not rest.isalnum():  # another visitor's, or something else of the bucket
        return refused(visit, visit.words("not_found"))
    name = visit.form.get("name", "")[:255] or "image"
    try:
        with bucket.open(key) as opened:
            # Read through the same bound as a form: the store's own check may be missing.
            return stored(visit, iter([(name, opened)]))  # type: ignore[list-item] # has all of a file that is read
    finally:
        with suppress(BucketError):  # it goes after a day: what was stored is stored
            bucket.delete([key])


def staging(visit: Visit) -> str:
    """Return what the keys of a visitor's unchecked files begin with; it follows from a cookie that nobody else has."""
    from s3img.gallery.gallery_app import COOKIE

    cookie = visit.request.cookies.get(COOKIE, "")
    return f"{STAGED}{hashlib.sha256(cookie.encode()).hexdigest()[:32]}-"
