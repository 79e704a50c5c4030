"""What templates may call. Nothing here opens a socket: all is known from the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flask import current_app, has_request_context, request, url_for
from markupsafe import Markup

from flask_s3img.app_state import current_state, log
from flask_s3img.settings import URL_STARTS
from s3img.errors import AssetError, ConfigError
from s3img.middleware.wsgi import STYLE_PATH
from s3img.pictures.catalog import plain_picture
from s3img.transform import Transform
from s3img.transform.parameters import PARAMETERS
from s3img.urls import object_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask

    from s3img.pictures.catalog import Catalog

_SHORT = frozenset({"n", *(parameter.key.partition("-")[0] for parameter in PARAMETERS)})


def add_to(app: Flask) -> None:
    """Add the functions to an app's templates; ``url_for`` stays Flask's own."""
    for function in (s3img_url, s3img_picture, s3img_srcset, s3img_styles):
        app.add_template_global(function)
    app.add_template_filter(s3img_url, "s3img")


def s3img_url(
    name: str | Any | None = None,
    transform: str = "",
    *,
    key: str = "",
    blueprint: str = "",
    expires: int | None = None,
    **options: Any,
) -> str:
    """Return the URL of an image, transformed as ``"w-300,h-300"`` or as options (``w=300``, ``width=300``) say.

    ``name`` is the path of a file in the app's static folder (of ``blueprint``, where one is named), its path in the
    lock, its URL, or what `S3Img.save` returned. ``key`` names an object of the bucket instead, such as an upload. Its
    URL is one of the transform service, signed, which ends at ``expires`` (Unix seconds) if given; without a service
    it is the public one. Raise AssetError for an unknown name in debug mode, TransformError, and ConfigError.
    """
    text = _transform_text(transform, options)
    catalog = current_state().catalog(_root())
    if key or not isinstance(name, str):
        return _object_url(catalog, key or getattr(name, "key", ""), text, expires)
    found = _find(name, blueprint, catalog)
    return catalog.url(found, text, expires=expires) if found else _local_url(name, blueprint)


def _object_url(catalog: Catalog, key: str, transform: str, expires: int | None) -> str:
    if not key:
        raise ConfigError(["s3img_url: name a file, or an object of the bucket with key=…"])
    if catalog.service is not None:
        parsed = Transform.parse(transform, presets=catalog.config.presets, limits=catalog.config.limits)
        return catalog.service.url(key, parsed, expires=expires)
    if transform or expires is not None:
        raise ConfigError([f'S3IMG_SERVICE: is needed to transform {key!r}, or to let its URL expire: write "/img"'])
    return object_url(catalog.config.base_url, key)


def s3img_picture(
    name: str, *, alt: str, class_: str = "", sizes: str = "", blueprint: str = "", **options: Any
) -> Markup:
    """Return a ``<picture>`` with all formats and sizes that are in the bucket.

    ``alt`` is needed, and may be empty for decoration. ``widths`` (px) chooses among the sizes; ``loading``,
    ``layout``, ``priority`` and others are those of `Catalog.picture`. Put `s3img_styles` into the
    page's head. Raise as `s3img_url` does.
    """
    catalog = current_state().catalog(_root())
    if found := _find(name, blueprint, catalog):
        return Markup(catalog.picture(found, alt=alt, class_=class_, sizes=sizes, **options).html())  # noqa: S704 - escaped there
    # An <img> with what the template says: px are known of images in the lock only.
    written = {"alt": alt, "class": class_, **options}
    author = {"alt": ""} | {
        name: str(written[name]) for name in ("alt", "class", "loading", "width") if written.get(name)
    }
    author |= options.get("attributes") or {}
    image = plain_picture(_local_url(name, blueprint), author, priority=bool(options.get("priority")))
    return Markup(image.html())  # noqa: S704 - escaped there


def s3img_srcset(name: str, format: str = "", *, blueprint: str = "", **options: Any) -> str:  # noqa: A002 - what authors write
    """Return the text of a ``srcset`` attribute, of the source's own format or of ``format``; "" without one.

    ``options`` are those of `Catalog.picture`. Raise as `s3img_url` does.
    """
    catalog = current_state().catalog(_root())
    found = _find(name, blueprint, catalog)
    return catalog.picture(found, alt="", **options).srcset(format) if found else ""


def s3img_styles() -> Markup:
    """Return the ``<link>`` to the style sheet of pictures, for the head of pages that show some.

    A page that sizes its images by style (``max-width: 100%``) keeps their shape by it; any rule of the page wins.
    """
    is_plain = has_request_context() and not current_app.url_map.host_matching
    url = url_for("s3img.own") if is_plain else f"{_root()}{STYLE_PATH}"
    return Markup('<link rel="stylesheet" href="{}">').format(url)


def _find(name: str, blueprint: str, catalog: Catalog) -> str:
    """Return the path in the lock; for a name that is not there "" and a warning, in debug mode an error."""
    state = current_state()
    root, host = _root(), request.host if has_request_context() else ""
    if found := state.names.find(name, catalog.lock, blueprint=blueprint, root=root, host=host):
        return found
    is_error = (
        current_app.debug and state.options.app.upload_missing == "off"
    )  # else a thread will sync what a page shows
    if is_error or state.warns_of(name):
        unknown = _unknown(name, catalog)
        if is_error:
            raise unknown
        log.warning("%s The page shows the local file.", unknown)
    return ""


def _unknown(name: str, catalog: Catalog) -> AssetError:
    try:
        catalog.entry(name)
    except AssetError as error:
        fix = (error.fix or "").replace("Run s3img", "Run flask s3img")
        return AssetError(f"{name!r} is not in the lock.", path=name, fix=fix)
    return AssetError(f"{name!r} is in the lock, but not of this blueprint.", path=name, fix="Leave blueprint= out.")


def _local_url(name: str, blueprint: str) -> str:
    """Return the URL of a file that the app serves itself."""
    if name.startswith(URL_STARTS):
        return name
    names = current_state().names
    folder, file = names.of_locked(name) or (names.owned(blueprint), name)
    if folder is None:
        return f"{_root()}/{quote(name)}"
    if has_request_context() and folder.owner is not None:
        return url_for(f"{folder.owner}.static".lstrip("."), filename=file)
    return f"{_root()}{folder.prefix}{quote(file)}"


def _transform_text(text: str, options: Mapping[str, Any]) -> str:
    """Write options in ImageKit's short names or in long ones as a transform."""
    if not options:
        return text
    if text:
        raise ConfigError([f"s3img_url: give the transform {text!r} or options, not both"])
    words = [f"{name}-{value}" for name, value in options.items() if name in _SHORT]
    long = {name: value for name, value in options.items() if name not in _SHORT}
    return ",".join([*words, *([str(Transform.of(**long))] if long else [])])


def _root() -> str:
    """Return the path that the app is mounted at, as text, without a slash at its end."""
    root: str = request.root_path if has_request_context() else current_app.config["APPLICATION_ROOT"]
    return root.rstrip("/")
