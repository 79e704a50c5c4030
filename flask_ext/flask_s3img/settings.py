"""The ``S3IMG_*`` keys of ``app.config``: those of ``s3img.toml`` in capitals, and a few about the app itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_type_hints
from urllib.parse import unquote, urlsplit

import msgspec

from s3img.config import Config
from s3img.config.load import SettingsSource, load
from s3img.config.type_problems import type_problem
from s3img.errors import ConfigError, closest
from s3img.lock import LOCK_NAME
from s3img.pictures.static_images import StaticFolder
from s3img.uploads import UploadPolicy, UploadTemplate
from s3img.uploads.template import DEFAULT_TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from flask import Flask

PREFIX = "S3IMG_"

URL_PREFIX = "/_s3img"
"""Where an app serves what belongs to s3img: the embedded store, and in debug mode the page about images."""

_CREDENTIALS = frozenset({"ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"})


class RewriteOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `s3img.middleware.RewriteMiddleware` may be told, with its defaults."""

    css: bool = False
    feeds: bool = False
    encodings: Literal["recode", "skip"] = "recode"
    csp_host: bool = False
    max_bytes: int = 2_000_000
    cache_bytes: int = 32_000_000
    queue_size: int = 1_000
    style_sheet: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AppOptions:
    """What concerns the app: each field is ``S3IMG_`` and its name in capitals in ``app.config``.

    ``lock`` and ``config`` are paths, relative ones below ``app.root_path``; ``rewrite`` lets pages point at the bucket
    by themselves; ``service`` is the path that the transform service is mounted at, "" for none; ``static`` maps
    further URL prefixes to folders; ``uploads`` are fields of `s3img.uploads.UploadPolicy`.
    """

    config: str = ""
    lock: str = ""
    rewrite: bool = False
    rewrite_options: RewriteOptions = field(default_factory=RewriteOptions)
    upload_missing: Literal["off", "background"] = "off"
    service: str = ""
    static: dict[str, str] = field(default_factory=dict)
    upload_template: str = DEFAULT_TEMPLATE
    uploads: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AppSettings:
    """Everything that was read for one app."""

    app: AppOptions
    config: Config
    policy: UploadPolicy
    lock: Path
    embedded: Path | None
    """The folder of the embedded store, None where a bucket is configured."""


def read(
    app: Flask, overrides: Mapping[str, Any], *, options: Mapping[str, Any] | None = None, path: Path | None = None
) -> AppSettings:
    """Read an app's settings; raise ConfigError listing all problems with names as in ``app.config``.

    ``options`` and ``path`` are those of a command line.
    """
    given = {name[len(PREFIX) :]: value for name, value in app.config.items() if name.startswith(PREFIX)}
    given |= {name.upper(): value for name, value in overrides.items()}
    own = {f.name.upper() for f in fields(AppOptions)}
    problems: list[str] = []
    if "S3IMG" in app.config:  # as in Django; passed over, the app would quietly keep pictures in its own folder
        problems.append("S3IMG: is Django's form: here each setting is a key of its own, such as S3IMG_BUCKET")
    own_options = _app_options({name.lower(): value for name, value in given.items() if name in own}, problems)
    policy = _policy(own_options, problems)
    problems += [
        f"{PREFIX}{name}: credentials are read from the environment only: set it there"
        for name in sorted(_CREDENTIALS & given.keys())
    ]
    core = {name.lower(): value for name, value in given.items() if name not in own | _CREDENTIALS}
    file = path or (Path(app.root_path, own_options.config) if own_options.config else None)
    config = Config()
    try:
        config = load(options=options or {}, host=SettingsSource(core, spell), path=file, folder=Path(app.root_path))
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    return _complete(app, own_options, config, policy)


def is_mountable(path: str) -> bool:
    """Tell whether something can be mounted at a path: it is the same in a URL, a route and WSGI."""
    return bool(re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+/?", path))


def _app_options(values: dict[str, Any], problems: list[str]) -> AppOptions:
    good: dict[str, Any] = {}
    types = get_type_hints(AppOptions)
    for name, value in values.items():
        try:
            good[name] = msgspec.convert(value, types[name])
        except msgspec.ValidationError as error:
            problems.append(f"{spell(name)}: {type_problem(error, types[name])}")
    service = good.get("service", "")
    if service and not is_mountable(service):
        problems.append(
            f'{spell("service")}: {service!r} is not a path of letters, digits, ., _, ~ and -: write "/img"'
        )
    return AppOptions(**good)


def _policy(options: AppOptions, problems: list[str]) -> UploadPolicy:
    known = [f.name for f in fields(UploadPolicy)]
    for name in sorted(set(options.uploads) - set(known)):
        near = closest(name, known)
        hint = f"did you mean {near!r}?" if near else f"known are {', '.join(known)}"
        problems.append(f"{spell('uploads')}[{name!r}]: is unknown: {hint}")
    values = {name: value for name, value in options.uploads.items() if name in known}
    try:
        UploadTemplate.parse(options.upload_template)
    except ConfigError as error:
        problems += [f"{spell('upload_template')}: {problem}" for problem in error.problems]
    try:
        return UploadPolicy(**values)
    except ConfigError as error:
        problems += [f"{spell('uploads')}: {problem}" for problem in error.problems]
    except TypeError as error:
        problems.append(f"{spell('uploads')}: {error}")
    return UploadPolicy()


def _complete(app: Flask, options: AppOptions, config: Config, policy: UploadPolicy) -> AppSettings:
    """Work out what follows from the settings: where the lock is, and the store of an app without a bucket."""
    root = Path(app.root_path)
    beside = (root / options.config).parent if options.config else root
    lock = root / options.lock if options.lock else beside / LOCK_NAME
    folder = Path(app.instance_path, "s3img") if not config.bucket else None
    if folder is not None:
        config = msgspec.structs.replace(config, bucket=folder.as_uri(), public_url=f"{URL_PREFIX}/store")
    if options.service and not config.service_url:
        config = msgspec.structs.replace(config, service_url=options.service.rstrip("/"))
    return AppSettings(options, config, policy, lock, folder)


def spell(name: str) -> str:
    """Return a setting's name as ``app.config`` has it."""
    return f"{PREFIX}{name.upper()}"


_FILE = "<path:filename>"

URL_STARTS = ("/", "http://", "https://")


class Names:
    """Look names up; ``base`` is the lock's folder, ``extra`` maps further URL prefixes to folders."""

    def __init__(self, app: Flask, base: Path, extra: Mapping[str, str]) -> None:
        self._app = app
        self._base = base.resolve()
        self._extra = extra
        self._known: tuple[int, tuple[StaticFolder, ...]] = (-1, ())

    @property
    def folders(self) -> tuple[StaticFolder, ...]:
        """Return the static folders of app and blueprints, the longest prefix first."""
        count = len(self._app.view_functions)  # a blueprint that comes later brings some
        if self._known[0] != count:
            found = {(folder.host, folder.prefix, folder.owner or ""): folder for folder in self._read()}
            self._known = (count, tuple(sorted(found.values(), key=lambda folder: -len(folder.prefix))))
        return self._known[1]

    def find(self, name: str, images: Container[str], *, blueprint: str = "", root: str = "", host: str = "") -> str:
        """Return the path under which ``images`` has what ``name`` means, "" without one.

        ``root`` is the path that the app is mounted at, ``host`` that of the request. Raise ConfigError for a
        blueprint that has no static folder.
        """
        paths = self._of_url(name, root, host) if name.startswith(URL_STARTS) else self._of_path(name, blueprint)
        return next((path for path in paths if path and path in images), "")

    def owned(self, owner: str) -> StaticFolder | None:
        """Return the static folder of a blueprint, or of the app (""), None without one."""
        return next((folder for folder in self.folders if folder.owner == owner), None)

    def of_locked(self, path: str) -> tuple[StaticFolder, str] | None:
        """Return the folder that serves a file, given by its path in the lock, and its name in it."""
        if not (self._base / path).is_file():
            return None
        places = ((folder, f"{folder.inside}/".removeprefix("./")) for folder in self.folders if folder.inside)
        return next(((folder, path[len(start) :]) for folder, start in places if path.startswith(start)), None)

    def _of_path(self, name: str, blueprint: str) -> Iterator[str]:
        folder = self.owned(blueprint)
        if folder is not None:
            yield folder.path(name)
        elif blueprint:
            known = ", ".join(sorted(folder.owner for folder in self.folders if folder.owner)) or "none"
            raise ConfigError([f"blueprint={blueprint!r}: has no static folder; of the blueprints, {known} have"])
        if not blueprint:
            yield name

    def _of_url(self, url: str, root: str, host: str) -> Iterator[str]:
        try:
            parts = urlsplit(url)
        except ValueError:  # an unclosed [ in the host
            return
        if parts.netloc and parts.netloc not in {host, *(folder.host for folder in self.folders)}:
            return
        path = unquote(parts.path, errors="surrogateescape").removeprefix(root)
        for folder in self.folders:
            if folder.prefix and path.startswith(folder.prefix):
                yield folder.path(path[len(folder.prefix) :])

    def _read(self) -> Iterator[StaticFolder]:
        server = self._app.config["SERVER_NAME"] or ""
        for rule in self._app.url_map.iter_rules():
            owner, dot, name = rule.endpoint.rpartition(".")
            scaffold = self._app.blueprints.get(owner) if dot else self._app
            if name != "static" or scaffold is None or scaffold.static_folder is None:
                continue
            prefix = rule.rule.removesuffix(_FILE)
            host = rule.host or (f"{rule.subdomain}.{server}" if rule.subdomain and server else "")
            yield StaticFolder.below(self._base, scaffold.static_folder, "" if "<" in prefix else prefix, owner, host)
        for url, path in self._extra.items():
            folder = Path(self._app.root_path, path)
            yield StaticFolder.below(self._base, folder, f"/{url.strip('/')}/".replace("//", "/"), None)
