"""The extension: one object, state per app in ``app.extensions["s3img"]``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from blinker import Namespace
from flask import current_app

from flask_s3img import mounts, templates
from flask_s3img.app_state import NAME, AppState, current_state, log
from flask_s3img.settings import is_mountable, read
from s3img.cli import HostedGroup
from s3img.cli.command_options import Host
from s3img.errors import ConfigError, S3ImgError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import click
    from flask import Flask, Response
    from markupsafe import Markup
    from werkzeug.datastructures import FileStorage

    from s3img import Images
    from s3img.buckets import Bucket
    from s3img.config import Config
    from s3img.gallery.gallery_app import Authorize
    from s3img.pictures.catalog import Catalog
    from s3img.uploads import Uploaded

image_uploaded = Namespace().signal("s3img-image-uploaded")
"""Sent by the app after a picture was stored, with ``uploaded`` (`s3img.uploads.Uploaded`)."""


class S3Img:
    """Give an app's templates pictures in its bucket, and its views a place to store uploads.

    One object serves any number of apps: ``S3Img(app)``, or ``S3Img()`` and `init_app` in a factory. ``overrides`` are
    settings that win over ``app.config``: ``S3Img(rewrite=True)`` is ``S3IMG_REWRITE = True``. All but `init_app` needs
    an application context, and raises ConfigError where the current app has no s3img.

    ``gallery`` is a path that shows the bucket as pages to those whom ``authorize(action, key, environ)`` lets in. With
    several buckets, ``authorize`` has one such function for each profile of the settings file, and "" means the app's
    own bucket: ``{"": may, "blog": may_blog}``.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        gallery: str = "",
        authorize: Authorize | Mapping[str, Authorize] | None = None,
        **overrides: Any,
    ) -> None:
        self._overrides = overrides
        self._gallery = gallery and f"/{gallery.strip('/')}"
        self._authorize = {"": authorize} if callable(authorize) else dict(authorize or {})
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Read the app's settings and add template functions, commands and mounts.

        Nothing is asked of the bucket. Raise ConfigError listing every problem of ``S3IMG_*``, and for an app that has
        the extension already; the app is then as it was.
        """
        if NAME in app.extensions:
            raise ConfigError([f"{app.name}: has s3img already: call init_app or register once"])
        state = AppState(app, read(app, self._overrides))
        if self._gallery and not is_mountable(self._gallery):
            raise ConfigError(
                [f'gallery: {self._gallery!r} is not a path of letters, digits, ., _, ~ and -: write "/images"']
            )
        if self._gallery and not self._authorize:
            raise ConfigError(
                ["authorize: a gallery without one would be open to everybody: register(app, gallery=…, authorize=…)"]
            )
        options = {name: {"profile": name} for name in self._authorize if name and self._gallery}
        configs = {name: read(app, self._overrides, options=one).config for name, one in options.items()}
        configs |= {"": state.config} if "" in self._authorize else {}
        if len({(one.bucket, one.endpoint_url) for one in configs.values()}) < len(configs):
            # Who may see one bucket would see it as the other.
            problem = "two of the profiles have the same bucket; S3IMG_BUCKET in the environment comes before profiles"
            raise ConfigError([f"authorize: {problem}"])
        mounts.add_to(app, state)
        if self._gallery:
            mounts.mount_gallery(app, state, self._gallery, self._authorize, configs)
        templates.add_to(app)
        app.cli.add_command(group_for(app, state, self._overrides))
        app.extensions[NAME] = state

    @property
    def images(self) -> Images:
        """Return the current app's `s3img.Images`, for what the command line does; name the lock where one is taken."""
        return current_state().images

    @property
    def catalog(self) -> Catalog:
        """Return what the current app's lock says, as it is now; raise LockError."""
        return current_state().catalog()

    @property
    def bucket(self) -> Bucket:
        """Return the current app's bucket, opened once; raise ConfigError and CredentialsError."""
        return current_state().bucket()

    def url(self, name: str | Any | None = None, transform: str = "", **options: Any) -> str:
        """Return an image's URL: ``url("cat.jpg", "w-300")``, ``url("cat.jpg", w=300)``, ``url(key=photo.key)``.

        The same as ``s3img_url`` in templates.
        """
        return templates.s3img_url(name, transform, **options)

    def picture(self, name: str, *, alt: str, **options: Any) -> Markup:
        """Return a ``<picture>``, as ``s3img_picture`` in templates does."""
        return templates.s3img_picture(name, alt=alt, **options)

    def send(self, key: str, transform: str = "", *, private: bool = True) -> Response:
        """Answer a view's request with a picture of the bucket (``send(photo.key, "w-600")``); needs ``S3IMG_SERVICE``.

        The view decides who may see it: no signature is asked for, and with ``private`` no shared cache keeps the
        answer. Conditions, ranges and the browser's formats are respected; failures are answers, too.
        """
        return mounts.send_picture(key, transform, private=private)

    def save(self, file: FileStorage, *, template: str | None = None, folder: str = "", **policy: Any) -> Uploaded:
        """Check, clean and store an uploaded picture; nothing is stored on failure.

        ``template`` and fields of `s3img.uploads.UploadPolicy` replace what ``S3IMG_UPLOAD_TEMPLATE`` and
        ``S3IMG_UPLOADS`` say; ``folder`` fills ``{{dir}}``. Sends `image_uploaded`. Raise S3ImgError: its ``status`` is
        the one to answer with, its ``visitor`` the text for whoever sent the file; its message goes to the log.
        """
        try:
            uploader = current_state().uploader(template, policy)
            uploaded = uploader.save(file.stream, filename=file.filename or "", folder=folder)
        except S3ImgError as error:
            log.log(logging.ERROR if error.status >= 500 else logging.INFO, "upload of %r: %s", file.filename, error)
            raise
        image_uploaded.send(current_app._get_current_object(), uploaded=uploaded)  # type: ignore[attr-defined] # a proxy
        return uploaded

    def check(self, file: FileStorage, **policy: Any) -> None:
        """Raise what `save` would raise for the first bytes of a file, which is left as it was."""
        check_upload(file, policy)


def check_upload(file: FileStorage, policy: dict[str, Any]) -> None:
    """Raise what `S3Img.save` would raise for the first bytes of a file, which is left as it was."""
    start = file.stream.tell()
    try:
        current_state().uploader(None, policy).check(file.stream, filename=file.filename or "")
    finally:
        file.stream.seek(start)


def register(
    app: Flask, *, gallery: str = "", authorize: Authorize | Mapping[str, Authorize] | None = None, **overrides: Any
) -> S3Img:
    """Add s3img to an app in one line, for the ``register_extensions(app)`` of app factories."""
    return S3Img(app, gallery=gallery, authorize=authorize, **overrides)


def group_for(app: Flask, state: AppState, overrides: Mapping[str, Any]) -> click.Group:
    """Return the group to add to ``app.cli``."""

    def load(options: Mapping[str, Any], path: Path | None) -> Config:
        return read(app, overrides, options=options, path=path).config

    options = state.options
    host = Host(load, options.lock, state.folders, template=options.app.upload_template, policy=options.policy)
    return HostedGroup("s3img", help="Pictures in the app's bucket.", context_settings={"obj": host})
