"""Read the settings from every place they may be written in; name each problem's setting as that place writes it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from s3img.config.imgproxy import IMGPROXY_SECRETS
from s3img.config.model import LOCAL_EXECUTORS, SECRET_SETTINGS, Config
from s3img.config.type_problems import type_problem
from s3img.errors import DECODE_ERRORS, ConfigError, closest

FILE_NAME = "s3img.toml"
HIDDEN = "(hidden)"
CREDENTIAL_VARIABLES = ("S3IMG_ACCESS_KEY_ID", "S3IMG_SECRET_ACCESS_KEY", "S3IMG_SESSION_TOKEN")
_NOT_SETTINGS = {*CREDENTIAL_VARIABLES, "S3IMG_CONFIG", "S3IMG_INSECURE", "S3IMG_PICGO_TOKEN", "S3IMG_PROFILE"}
_SECRET_WORDS = ("access_key", "secret", "session_token", "password", "accesskey", "secretkey")
_TYPES = {field.name: field.type for field in msgspec.structs.fields(Config)}


class SettingsSource(msgspec.Struct, frozen=True):
    """Settings from one place; ``spell`` gives a setting's name as it is written there.

    Raise ConfigError for anything but a table whose names are texts: hosts let their users write what they like.
    """

    values: Mapping[str, Any]
    spell: Callable[[str], str]
    kind: str = "host"  # command line, environment, host, file

    @property
    def is_text(self) -> bool:
        """Tell whether texts stand for numbers, booleans and lists."""
        return self.kind in {"command line", "environment"}

    def __post_init__(self) -> None:
        if not isinstance(self.values, Mapping):
            kind = type(self.values).__name__
            raise ConfigError([f"{self.spell('…')}: the settings are a table of names and values, not {kind}"])
        if wrong := [name for name in self.values if not isinstance(name, str)]:
            raise ConfigError([f"{self.spell(str(name))}: the name of a setting is a text" for name in wrong])


class Setting(NamedTuple):
    """A setting's value, and where it comes from.

    ``value`` is plain data without secrets; ``origin`` is ``command line``, ``environment``, ``host``, ``file`` or
    ``default``; ``place`` is the name as it is written there.
    """

    name: str
    value: Any
    origin: str
    place: str


def load(
    *,
    options: Mapping[str, Any] | None = None,
    host: SettingsSource | None = None,
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Config:
    """Merge every place into one Config.

    ``options`` come from a command line, ``host`` from the program that s3img runs in, ``path`` names the settings
    file, ``folder`` is where it is looked for. The option ``profile``, or ``S3IMG_PROFILE``, names a table
    ``[profiles.NAME]`` of the file, whose settings come before the host's and the others of the file. Raise
    ConfigError listing every problem of every place.
    """
    return merge_sources(find_sources(options, host, path, environ, folder))[0]


def profile_names(
    *, path: Path | None = None, environ: Mapping[str, str] | None = None, folder: Path | None = None
) -> list[str]:
    """Return the names of the profiles of the settings file, in its order; raise ConfigError for one that is broken."""
    files = settings_files(path, os.environ if environ is None else environ, folder or Path.cwd())
    return list(dict.fromkeys(name for file in files for name in file.profiles))


def explain(
    *,
    options: Mapping[str, Any] | None = None,
    host: SettingsSource | None = None,
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> list[Setting]:
    """List every setting with its value and the place that it comes from; parameters and errors are those of `load`."""
    environ = os.environ if environ is None else environ
    config, places = merge_sources(find_sources(options, host, path, environ, folder))
    found = [_setting(config, name, places.get(name), environ) for name in Config.__struct_fields__]
    credentials = (name for name in CREDENTIAL_VARIABLES if environ.get(name))
    return found + [Setting(name, HIDDEN, "environment", name) for name in credentials]


def find_sources(
    options: Mapping[str, Any] | None,
    host: SettingsSource | None,
    path: Path | None,
    environ: Mapping[str, str] | None,
    folder: Path | None,
) -> list[SettingsSource]:
    """Read every place, in rising precedence; parameters are those of `load`. Raise ConfigError for a file."""
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (options or {}).items() if value is not None}
    profile = str(given.pop("profile", "") or environ.get("S3IMG_PROFILE", ""))
    files = settings_files(path, environ, folder or Path.cwd())
    found = [file.source for file in files]
    chosen = [file.profiles[profile] for file in files if profile in file.profiles]
    if profile and not chosen:
        known = ", ".join(name for file in files for name in file.profiles) or "none"
        raise ConfigError([f"profile: the settings file has no table [profiles.{profile}]: it has {known}"])
    if host:
        found.append(host)
    found += chosen  # whoever names a profile means it, whatever the program around says of its usual bucket
    variables = {
        name[6:].lower(): value.strip()  # secrets of CI systems often end in a line break
        for name, value in environ.items()
        if name.startswith("S3IMG_") and name not in _NOT_SETTINGS
    }
    found.append(SettingsSource(variables, lambda name: f"S3IMG_{name.upper()}", kind="environment"))
    found.append(SettingsSource(given, lambda name: f"--{name.replace('_', '-')}", kind="command line"))
    return found


class SettingsFile(NamedTuple):
    """The settings of a file, and those of its profiles by their names."""

    source: SettingsSource
    profiles: dict[str, SettingsSource]


def settings_files(path: Path | None, environ: Mapping[str, str], folder: Path) -> list[SettingsFile]:
    """Read the files of settings, in rising precedence; raise ConfigError for one that can't be read."""
    if path is None and environ.get("S3IMG_CONFIG"):
        path = Path(environ["S3IMG_CONFIG"])
    found = []
    project = folder / "pyproject.toml"
    # A file that is named replaces all others: settings must not mix with those of a folder that happens to be ours.
    if path is None and project.is_file():
        tools = read_toml(project).get("tool", {})
        table = tools.get("s3img", {}) if isinstance(tools, Mapping) else {}
        found.append(settings_of(table, folder, "pyproject.toml [tool.s3img] "))
    if path is None and (folder / FILE_NAME).is_file():
        path = folder / FILE_NAME
    if path is not None:
        found.append(settings_of(read_toml(path), path.parent, f"{path.name} "))
    return found


def settings_of(table: Mapping[str, Any], folder: Path, where: str) -> SettingsFile:
    """Take the profiles out of a file's table; raise ConfigError for one without a usable name."""
    if not isinstance(table, Mapping):
        raise ConfigError([f"{where.rstrip()}: write a table of settings"])
    values = dict(table)
    profiles = values.pop("profiles", {})
    if not isinstance(profiles, Mapping) or not all(isinstance(one, Mapping) for one in profiles.values()):
        raise ConfigError([f"{where}profiles: write a table for each: [profiles.NAME]"])
    if bad := [name for name in profiles if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name)]:
        raise ConfigError([f"{where}profiles: {bad[0]!r} is not a name: use small letters, digits and hyphens"])
    sources = {
        name: SettingsSource(_anchored(one, folder), partial(add, f"{where}profiles.{name}."), kind="file")
        for name, one in profiles.items()
    }
    return SettingsFile(SettingsSource(_anchored(values, folder), partial(add, where), kind="file"), sources)


def merge_sources(sources: list[SettingsSource]) -> tuple[Config, dict[str, tuple[str, str]]]:
    """Merge sources in rising precedence: return the Config, and (kind of place, the name written there) by setting.

    Raise ConfigError listing every problem.
    """
    merged: dict[str, Any] = {}
    places: dict[str, tuple[str, str]] = {}
    problems: list[str] = []
    for source in sources:
        for name, value in source.values.items():
            # Files are committed and copied; what signs addresses must not travel with them.
            if name in SECRET_SETTINGS and source.kind == "file":
                why = f"keys don't belong in a file: set S3IMG_{name.upper()} in the environment"
                problems.append(f"{source.spell(name)}: {why}")
                continue
            # What is checked out from somebody else must not run code here, nor connect to a scheduler, which can.
            if name == "executor" and source.kind in {"file", "host"} and str(value) not in LOCAL_EXECUTORS:
                local = ", ".join(LOCAL_EXECUTORS)
                why = f"a project's settings may name {local}: set S3IMG_EXECUTOR, or use --executor"
                problems.append(f"{source.spell(name)}: {why}")
                continue
            if name == "imgproxy" and source.kind == "file" and isinstance(value, Mapping):
                secret = sorted(IMGPROXY_SECRETS.intersection(value))
                why = "keys don't belong in a file: set IMGPROXY_KEY and IMGPROXY_SALT in the environment"
                problems += [f"{source.spell(name)}.{field}: {why}" for field in secret]
                value = {field: one for field, one in value.items() if field not in secret}  # noqa: PLW2901 - the rest of it
            try:
                merged[name] = _convert(name, value, lax=source.is_text)
                places[name] = (source.kind, source.spell(name))
            except ValueError as error:
                problems.append(f"{source.spell(name)}: {error}")
    try:
        config = Config(**merged)
    except ConfigError as error:
        for problem in error.problems:
            # "limits.seconds: …" becomes "S3IMG_LIMITS.seconds: …": users look for the name that they wrote.
            head, rest = re.fullmatch(r"([^.:]*)(.*)", problem, re.DOTALL).groups()  # type: ignore[union-attr] # fits all
            problems.append(f"{places[head][1] if head in places else head}{rest}")
    if problems:
        raise ConfigError(problems)
    return config, places


_BOTOCORE = {
    "region": ("AWS_DEFAULT_REGION",),
    "aws_profile": ("AWS_DEFAULT_PROFILE", "AWS_PROFILE"),
    "endpoint_url": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
}
"""The variables that botocore reads where a setting is empty, in its order."""


def _setting(config: Config, name: str, place: tuple[str, str] | None, environ: Mapping[str, str]) -> Setting:
    value = msgspec.to_builtins(getattr(config, name))
    if name in SECRET_SETTINGS:
        value = HIDDEN if value else ""
    if name == "imgproxy" and value:
        value |= {field: HIDDEN for field in sorted(IMGPROXY_SECRETS) if value[field]}
    if isinstance(value, str):
        value = without_password(value)
    if place:
        return Setting(name, value, *place)
    variable = next((one for one in _BOTOCORE.get(name, ()) if environ.get(one)), "")
    if variable and not value:
        return Setting(name, without_password(environ[variable]), "environment", variable)
    if name == "public_url" and config.bucket:
        return Setting(name, config.base_url, "default", "follows from bucket")
    return Setting(name, value, "default", "")


def without_password(text: str) -> str:
    """Hide the credentials of a URL, also of one whose password has a ``/`` or an ``@`` in it."""
    # What stands before the slash is gone over once, however many colons it has, so the repeats are possessive.
    in_host = r"(?:[^/?#]*@)?[^/?#@:]*+:\d*+[^/?#@\d][^/?#@]*+"
    return re.sub(rf"//(?:[^/?#]*|{in_host}[/?#].*)@", f"//{HIDDEN}@", text)


def _convert(name: str, value: Any, *, lax: bool) -> Any:  # noqa: ANN401 - settings come as any type
    if any(word in name.lower().replace("-", "_") for word in _SECRET_WORDS):
        raise ValueError(
            "credentials don't belong in settings: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, "
            f"or {CREDENTIAL_VARIABLES[0]} and {CREDENTIAL_VARIABLES[1]}, or name an aws_profile"
        )
    if name not in _TYPES:
        near = closest(name, _TYPES)
        raise ValueError("unknown setting" + (f", did you mean {near}?" if near else ", see docs/configuration.md"))
    if lax and isinstance(value, str):
        value = _from_text(value, _TYPES[name])
    try:
        return msgspec.convert(value, _TYPES[name], strict=not lax)
    except msgspec.ValidationError as error:
        raise ValueError(type_problem(error, _TYPES[name])) from error


def _from_text(value: str, wanted: Any) -> Any:  # noqa: ANN401 - the type is data here
    """Read a list written with commas or blanks, or a table written as JSON."""
    origin = getattr(wanted, "__origin__", wanted)
    holds = getattr(wanted, "__args__", (wanted,))[0]
    is_table = isinstance(holds, type) and issubclass(holds, msgspec.Struct)
    if origin is tuple and not is_table:
        return value.replace(",", " ").split()
    if origin is dict or is_table:
        try:
            return msgspec.json.decode(value)
        except DECODE_ERRORS as error:
            raise ValueError(f"not valid JSON: {error}") from error
    return value


def path_setting(settings: object, name: str, default: str) -> Path:
    """Return the path that an attribute of a host's settings is; raise ConfigError for another value."""
    written = getattr(settings, name, default)
    if not isinstance(written, str | os.PathLike) or "\0" in str(written):
        raise ConfigError([f"{name}: {written!r} is not a path"])
    return Path(written)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; raise ConfigError where it can't be read or is not valid."""
    import tomllib  # most runs have no file to read

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError([f"{path}: can't be read: {error.strerror}"]) from error
    except DECODE_ERRORS as error:
        raise ConfigError([f"{path}: not valid TOML: {error}"]) from error


def _anchored(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the settings of a file with ``cache_dir`` relative to its folder, wherever the command runs."""
    values = dict(table)
    if isinstance(values.get("cache_dir"), str) and values["cache_dir"]:
        place = os.path.expanduser(values["cache_dir"])  # noqa: PTH111 - a Path's own fails where there is no home
        values["cache_dir"] = place if place.startswith("~") else str(folder / place)
    return values
