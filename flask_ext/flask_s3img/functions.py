"""What templates may call. Nothing here opens a socket: all is known from the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import current_app, has_request_context, request, url_for
from markupsafe import Markup

from s3img.errors import AssetError, ConfigError
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flask import Flask

    from flask_s3img.state import AppState
    from s3img.catalog import Catalog

_SHORT = frozenset(
    {"w", "h", "ar", "c", "cm", "fo", "f", "q", "dpr", "bl", "r", "b", "bg", "rt", "fl", "t", "o", "x", "y", "n", "e"}
)


def add_to(app: Flask) -> None:
    """Add the functions to an app's templates; ``url_for`` stays Flask's own."""
    for function in (s3img_url, s3img_picture, s3img_srcset):
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
    lock, its URL, or what `S3Img.save` returned. ``key`` names an object of the bucket instead, such as an upload; its
    URL is one of the transform service, signed, and ends at ``expires`` (Unix seconds) if given.
    """
    text = _transform_text(transform, options)
    catalog = _state().catalog(_script_root())
    if key or not isinstance(name, str):
        return _object_url(catalog, key or getattr(name, "key", ""), text, expires)
    found = _find(name, blueprint, catalog)
    return catalog.url(found, text) if found else _local_url(name, blueprint)


def _object_url(catalog: Catalog, key: str, transform: str, expires: int | None) -> str:
    if not key:
        raise ConfigError(["s3img_url: name a file, or an object of the bucket with key=…"])
    if catalog.service is None:
        raise ConfigError(['S3IMG_SERVICE: is needed for objects that are not in the lock: write "/img"'])
    return catalog.service.url(key, Transform.parse(transform, presets=catalog.config.presets), expires=expires)


def s3img_picture(
    name: str, *, alt: str, class_: str = "", sizes: str = "", blueprint: str = "", **options: Any
) -> Markup:
    """Return a ``<picture>`` with all formats and sizes that are in the bucket.

    ``alt`` is needed, and may be empty for decoration. ``widths`` (px) chooses among the sizes; ``loading``, ``layout``
    and ``priority`` are those of `s3img.catalog.Catalog.picture`.
    """
    catalog = _state().catalog(_script_root())
    found = _find(name, blueprint, catalog)
    if found:
        return Markup(catalog.picture(found, alt=alt, class_=class_, sizes=sizes, **options).html())  # noqa: S704 - escaped there
    attributes = Markup(' class="{}"').format(class_) if class_ else ""
    return Markup('<img src="{}" alt="{}"{}>').format(_local_url(name, blueprint), alt, attributes)


def s3img_srcset(name: str, format: str = "", *, blueprint: str = "", **options: Any) -> str:  # noqa: A002 - what authors write
    """Return the text of a ``srcset`` attribute, of the source's own format or of ``format``; "" without one."""
    catalog = _state().catalog(_script_root())
    found = _find(name, blueprint, catalog)
    return catalog.picture(found, alt="", **options).srcset(format) if found else ""


def _find(name: str, blueprint: str, catalog: Catalog) -> str:
    """Return the name in the lock; for one that is not there "" and a warning, in debug mode an error."""
    if found := name_in_lock(name, blueprint, catalog):
        return found
    state = _state()
    try:
        catalog.entry(name)
    except AssetError as error:
        if state.debug:
            raise
        state.warn_once(name, f"{error} Its page shows the local file.")
    return ""


def name_in_lock(name: str, blueprint: str, catalog: Catalog) -> str:
    """Return what the lock calls the file that templates call ``name``, "" for one that is not in it."""
    state = _state()
    paths = (state.lock_path(folder, file) for folder, file in _places(name, blueprint))
    return next((path for path in (*paths, name) if path and path in catalog.lock), "")


def _places(name: str, blueprint: str) -> list[tuple[str | None, str]]:
    """List (folder, path in it) that a name may mean: its own URL first, then static folders."""
    app = current_app
    if blueprint:
        return [(app.blueprints[blueprint].static_folder, name)] if blueprint in app.blueprints else []
    roots = _state().static_roots()
    path = name.removeprefix(_script_root())
    return [
        *((folder, path.removeprefix(prefix)) for prefix, folder in roots.items() if path.startswith(prefix)),
        (app.static_folder, name),
    ]


def _local_url(name: str, blueprint: str) -> str:
    if name.startswith(("/", "http://", "https://")):
        return name
    return url_for(f"{blueprint}.static" if blueprint else "static", filename=name)


def _transform_text(text: str, options: Mapping[str, Any]) -> str:
    """Write options in ImageKit's short names or in long ones as a transform."""
    if not options:
        return text
    short = {name: value for name, value in options.items() if name in _SHORT}
    words = [f"{name}-{value}" for name, value in short.items()]
    long = {name: value for name, value in options.items() if name not in _SHORT}
    if long:
        words.append(str(Transform.of(**long)))
    if text and words:
        raise ConfigError([f"s3img_url: give the transform {text!r} or options, not both"])
    return ",".join(filter(None, words))


def _script_root() -> str:
    return request.root_path.rstrip("/") if has_request_context() else ""


def _state() -> AppState:
    state: AppState = current_app.extensions["s3img"]
    return state
