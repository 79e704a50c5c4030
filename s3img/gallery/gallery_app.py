"""The gallery as a WSGI application: which route needs which permission, and the one place where it is asked for.

Every request goes through `Gallery.respond`: it checks where the request comes from, asks ``authorize`` for each key
that the request names, and only then calls the view. A route without an action can't be written.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias
from urllib.parse import quote, urlsplit

import msgspec
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from s3img.doctor.cors_rules import takes_files_from
from s3img.errors import ConfigError, S3ImgError
from s3img.gallery import (
    browse_page,
    object_actions,
    object_files,
    picture_page,
    settings_page,
    upload_actions,
)
from s3img.gallery.bucket_switch import BUCKETS
from s3img.gallery.html_builder import element
from s3img.gallery.loopback import is_from_elsewhere
from s3img.gallery.messages import words_for
from s3img.gallery.page_layout import Layout, as_json, wants_json
from s3img.gallery.picture_index import PictureIndex
from s3img.images import Images
from s3img.pictures.link_forms import link_template
from s3img.service import TransformService
from s3img.uploads import Uploader, UploadPolicy
from s3img.urls import PATH_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment

    from s3img.buckets import BrowserUpload, Bucket
    from s3img.config import Config
    from s3img.gallery.messages import Words

Action: TypeAlias = Literal["view", "upload", "rename", "delete", "restore", "settings"]

Authorize: TypeAlias = "Callable[[Action, str, WSGIEnvironment], bool]"
"""Tell whether the person behind a request may do something with a key, a folder (``img/``), or at all (``""``)."""

COOKIE: Final = "s3img_gallery"
MOST_FORM: Final = 1 << 20  # bytes of a form without files
MOST_FILES: Final = 1 << 30  # bytes of all files of one upload
PROOF_SECONDS: Final = 600.0  # for which it is known whether the bucket lets pages of an origin send files

UPLOAD_TEMPLATE: Final = "{{dir}}/{{slug}}.{{hash:8}}.{{ext}}"
"""A picture that is uploaded again to the same folder has the address that it had."""

POLICY: Final = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'{}; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of every answer; in the braces is the bucket's origin, where pages may send files straight to it."""

audit_log = logging.getLogger("s3img.gallery")


@dataclass(frozen=True, slots=True)
class GalleryRoute:
    """A path, the view that answers it, what one must be allowed to do, and whether it takes a form (POST).

    New keys that the form names need ``target_action`` where that is another one.
    """

    path: str
    view: Callable[[Visit], Response]
    action: Action
    is_write: bool = False
    target_action: Action | None = None


ROUTES: Final = (
    GalleryRoute("/", browse_page.browse, "view"),
    GalleryRoute("/object", picture_page.picture, "view"),
    GalleryRoute("/thumb", object_files.thumbnail, "view"),
    GalleryRoute("/file", object_files.download, "view"),
    GalleryRoute("/static/<name>", object_files.static_file, "view"),
    GalleryRoute("/trash", browse_page.trash, "restore"),
    GalleryRoute("/settings", settings_page.settings, "settings"),
    GalleryRoute("/doctor", settings_page.run_doctor, "settings", is_write=True),
    GalleryRoute("/set-cors", settings_page.set_cors_rule, "settings", is_write=True),
    GalleryRoute("/import", settings_page.import_settings, "settings", is_write=True),
    GalleryRoute("/key", upload_actions.preview_key, "upload"),
    GalleryRoute("/links", object_actions.links_of_selected, "view", is_write=True),
    GalleryRoute("/upload", upload_actions.upload, "upload", is_write=True),
    GalleryRoute("/direct", upload_actions.begin_direct, "upload", is_write=True),
    GalleryRoute("/finish", upload_actions.finish_direct, "upload", is_write=True),
    GalleryRoute("/copy", object_actions.copy_selected, "view", is_write=True, target_action="upload"),
    GalleryRoute("/move", object_actions.move_selected, "rename", is_write=True),
    GalleryRoute("/rename", object_actions.rename_one, "rename", is_write=True),
    GalleryRoute("/remove", object_actions.remove_selected, "delete", is_write=True),
    GalleryRoute("/move-folder", object_actions.move_folder, "rename", is_write=True),
    GalleryRoute("/remove-folder", object_actions.remove_folder, "delete", is_write=True),
    GalleryRoute("/restore", object_actions.restore_selected, "restore", is_write=True),
)


@cache
def url_map() -> Map:
    """Return the addresses of all routes; the endpoint of each is its route. All galleries share it: it takes 10 ms."""
    rules = [Rule(one.path, endpoint=one, methods=["POST" if one.is_write else "GET"]) for one in ROUTES]
    return Map(rules, merge_slashes=False, strict_slashes=True)


@dataclass(slots=True)
class Visit:
    """One request as a view sees it: who asks is settled already."""

    gallery: Gallery
    request: Request
    layout: Layout
    form: MultiDict[str, str]
    files: list[Any] = field(default_factory=list)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> Words:
        """The messages in the visitor's language."""
        return self.layout.words

    def may(self, action: Action, key: str) -> bool:
        """Tell whether the visitor may do something with one key more."""
        return bool(self.gallery.authorize(action, key, self.request.environ))

    def audit(self, action: str, keys: Iterable[str], failed: int = 0) -> None:
        """Write one line about what was changed, and by whom as far as the server knows."""
        who = self.request.environ.get("REMOTE_USER") or self.request.remote_addr or "-"
        named = [*keys]
        change = {"action": action, "by": who, "keys": named[:100], "count": len(named), "failed": failed}
        audit_log.info("%s", msgspec.json.encode(change).decode())


class Gallery:
    """Show a bucket as pages; a WSGI application that any server or framework mounts.

    ``authorize`` is asked for every request and every key; without one there is no gallery. ``lock`` is where uses of a
    picture are looked up. Raise ConfigError for settings it can't work under.
    """

    def __init__(
        self,
        config: Config,
        *,
        authorize: Authorize | None = None,
        lock: Path | None = None,
        policy: UploadPolicy | None = None,
        template: str = UPLOAD_TEMPLATE,
        bucket: Bucket | None = None,
    ) -> None:
        if authorize is None:
            raise ConfigError(
                ["authorize: a gallery without one would be open to everybody: give a function, or use s3img gallery"]
            )
        self.authorize = authorize
        self.config = config
        self.lock = lock
        self.bucket = bucket or Images(config).open_bucket()
        limits = config.limits
        self.policy = policy or UploadPolicy(
            max_bytes=min(limits.input_bytes, 50_000_000), max_pixels=limits.input_pixels
        )
        self.template = template
        self.uploader = Uploader(self.bucket, config, template=template, policy=self.policy)
        for text in config.upload_templates.values():
            self.uploader.with_options(template=text)  # a bad one is told now, not at the first upload
        for text in config.link_templates.values():
            link_template(text)
        self.index = PictureIndex(limits)
        self._proofs: dict[str, tuple[float, bool]] = {}
        # Only requests that were allowed reach it. Looking at a folder writes nothing into the bucket, and each answer
        # is that of the object as it is: the address of a thumbnail has its ETag.
        inner = msgspec.structs.replace(config.service, results="none", fresh=0.0, per_client=0, metrics_path="")
        self.service = TransformService(msgspec.structs.replace(config, access="open", service=inner, endpoints={}))
        self._map = url_map()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        token = request.cookies.get(COOKIE, "")
        is_new = len(token) != 43
        token = secrets.token_urlsafe(32) if is_new else token
        mount = quote(request.script_root, safe=PATH_CHARACTERS)
        words = words_for(request.headers.get("Accept-Language", ""))
        layout = Layout(words, mount, token, environ.get(BUCKETS, ()))
        response = self.respond(request, layout)
        policy = POLICY.format(f" {self.store_origin}" if self.has_direct(request) else "")
        for name, value in (
            ("Content-Security-Policy", policy),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
            ("Vary", "Cookie, Accept-Language"),
        ):
            response.headers.setdefault(name, value)
        if is_new:
            response.set_cookie(
                COOKIE,
                token,
                path=f"{mount}/",
                secure=request.is_secure,
                httponly=True,
                samesite="Strict",
            )
        return response(environ, start_response)

    def forget_proofs(self) -> None:
        """Ask the bucket again whether it takes files of pages: its rules have changed."""
        self._proofs.clear()

    @cached_property
    def store_origin(self) -> str:
        """The origin that files go to straight from a browser, "" where none can be sent."""
        try:
            found = self.browser_upload("x", 1)
        except S3ImgError:  # without credentials there is nothing to sign with
            found = None
        parts = urlsplit(found.url if found else "")
        return f"{parts.scheme}://{parts.netloc}" if found else ""

    def browser_upload(self, key: str, size: int) -> BrowserUpload | None:
        """Sign a request that stores one file of ``size`` bytes; None for a bucket that browsers can't send to."""
        if not isinstance(self.bucket, upload_actions.SignsUploads):
            return None
        if self.config.store.takes_forms:
            return self.bucket.post_form(key, limit=self.policy.max_bytes, seconds=upload_actions.SIGNED_SECONDS)
        return self.bucket.put_url(key, size=size, seconds=upload_actions.SIGNED_SECONDS)

    def has_direct(self, request: Request) -> bool:
        """Tell whether the settings want pages of this origin to send files straight to the bucket."""
        named = {urlsplit(origin).netloc for origin in self.config.upload_origins}
        return request.host in named and bool(self.store_origin)

    def may_send_from(self, origin: str) -> bool:
        """Tell whether the bucket has been proved to take files from pages of an origin; remembered for a while."""
        if origin not in self.config.upload_origins or not self.store_origin:
            return False
        known = self._proofs.get(origin)
        if known is None or known[0] < time.monotonic():
            is_proved = takes_files_from(self.config, origin, "POST" if self.config.store.takes_forms else "PUT")
            known = self._proofs[origin] = (time.monotonic() + PROOF_SECONDS, is_proved)
        return known[1]

    def close(self) -> None:
        """Stop the threads that render thumbnails."""
        self.service.close()

    def respond(self, request: Request, layout: Layout) -> Response:
        """Find the route, check the request, ask for permission, and answer."""
        words = layout.words
        route: GalleryRoute
        try:
            route, arguments = self._map.bind_to_environ(request.environ).match()
        except MethodNotAllowed as error:
            answer = refused(request, layout, 405, words("not_found"))
            answer.allow.update(error.valid_methods or ())
            return answer
        except HTTPException:
            return refused(request, layout, 404, words("not_found"))
        visit = Visit(self, request, layout, MultiDict(), arguments=arguments)
        try:
            is_allowed = self.is_allowed(route, visit)
            if is_allowed and (has_token(visit) or not route.is_write):
                return route.view(visit)
            reason = (words("form_old"),) if is_allowed else (words("denied"), words("denied_fix"))
            return refused(request, layout, 403, *reason)
        except RequestEntityTooLarge:
            return refused(request, layout, 413, words("problem"), words("upload_rules"))
        except S3ImgError as error:
            status = error.status if error.status < 500 else 502
            return refused(request, layout, status, words("problem"), str(error))
        finally:
            for file in visit.files:
                file.close()

    def is_allowed(self, route: GalleryRoute, visit: Visit) -> bool:
        """Ask whether the visitor may do what a route does with every key that the request names.

        What comes from a page of another origin is never allowed. A body is read only where the visitor may do such a
        thing at all; files are not read before their folder was asked for.
        """
        request = visit.request
        if route.is_write and is_from_elsewhere(request.environ):
            return False
        # Every value of both, whichever of them the view reads: a second name must not stand for the first one's right.
        named = [*request.args.getlist("key"), *request.args.getlist("prefix")] or [""]
        if not all(visit.may(route.action, key) for key in named):
            return False
        if route.is_write:
            has_files = route.path == "/upload"
            most = MOST_FILES if has_files else MOST_FORM
            parser = FormDataParser(max_content_length=most, max_form_memory_size=MOST_FORM, max_form_parts=2000)
            _, form, found = parser.parse_from_environ(request.environ)
            visit.form = form
            visit.files = [file for name in found for file in found.getlist(name)]
            folders = form.getlist("folder")
            if route.action == "upload":  # typed by a person, and read as a folder whether it has its slash or not
                folders = [object_actions.folder_of(folder) for folder in folders]
            named = [*form.getlist("key"), *folders]
            if not all(visit.may(route.target_action or route.action, key) for key in object_actions.targets_of(form)):
                return False
        return all(visit.may(route.action, key) for key in named)


def has_token(visit: Visit) -> bool:
    """Tell whether a form is one of the gallery's own: it repeats the cookie that no other page can read."""
    cookie = visit.request.cookies.get(COOKIE, "")
    given = visit.form.get("token", "")
    return len(cookie) == 43 and hmac.compare_digest(cookie.encode(), given.encode())


def refused(request: Request, layout: Layout, status: int, message: str, fix: str = "") -> Response:
    """Say what did not work, as a page or, to the upload queue's script, as JSON."""
    if wants_json(request):
        return as_json({"ok": False, "message": f"{message} {fix}".strip()}, status)
    return layout.page(
        message,
        element("h1", message),
        element("p", fix, class_="note") if fix else None,
        element("p", element("a", layout.words("home"), href=layout.url("/"))),
        status=status,
    )
