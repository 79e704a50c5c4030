"""Read the settings from every place they may be written in, and report all problems in the words of those places."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from s3img.config import Config
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILE_NAME = "s3img.toml"
CREDENTIAL_VARIABLES = ("S3IMG_ACCESS_KEY_ID", "S3IMG_SECRET_ACCESS_KEY", "S3IMG_SESSION_TOKEN")
_NOT_SETTINGS = {*CREDENTIAL_VARIABLES, "S3IMG_CONFIG"}
_SECRET_WORDS = ("access_key", "secret", "session_token", "password", "accesskey", "secretkey")
_TYPES = {field.name: field.type for field in msgspec.structs.fields(Config)}


@dataclass(frozen=True, slots=True)
class Source:
    """Hold settings from one place; ``spell`` gives a setting's name as it is written there."""

    values: Mapping[str, Any]
    spell: Callable[[str], str]
    lax: bool = False  # texts stand for numbers, booleans and lists


def load(
    *,
    options: Mapping[str, Any] | None = None,
    host: Source | None = None,
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Config:
    """Merge every place into one Config.

    ``options`` come from a command line, ``host`` from the program that s3img runs in, ``path`` names the settings
    file, ``folder`` is where it is looked for. Raise ConfigError listing every problem of every place.
    """
    environ = os.environ if environ is None else environ
    sources = [
        *_file_sources(path or _named_file(environ), folder or Path.cwd()),
        *([host] if host else []),
        Source(_environment(environ), lambda name: f"S3IMG_{name.upper()}", lax=True),
        Source(_given(options or {}), lambda name: f"--{name.replace('_', '-')}", lax=True),
    ]
    return merge(sources)


def merge(sources: list[Source]) -> Config:
    """Build the Config from sources in rising precedence; raise ConfigError listing every problem."""
    merged: dict[str, Any] = {}
    spelling: dict[str, str] = {}
    problems: list[str] = []
    for source in sources:
        for name, value in source.values.items():
            try:
                merged[name] = _convert(name, value, lax=source.lax)
                spelling[name] = source.spell(name)
            except ValueError as error:
                problems.append(f"{source.spell(name)}: {error}")
    problems += _semantic_problems(merged, spelling)
    if problems:
        raise ConfigError(problems)
    return Config(**merged)


def _semantic_problems(merged: Mapping[str, Any], spelling: Mapping[str, str]) -> list[str]:
    try:
        Config(**merged)
    except ConfigError as error:
        return [_respell(problem, spelling) for problem in error.problems]
    return []


def _respell(problem: str, spelling: Mapping[str, str]) -> str:
    name, _, text = problem.partition(": ")
    head, dot, tail = name.partition(".")
    return f"{spelling.get(head, head)}{dot}{tail}: {text}"


def _convert(name: str, value: Any, *, lax: bool) -> Any:  # noqa: ANN401 - settings come as any type
    if any(word in name.lower().replace("-", "_") for word in _SECRET_WORDS):
        raise ValueError(
            "credentials don't belong in settings: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, "
            f"or {CREDENTIAL_VARIABLES[0]} and {CREDENTIAL_VARIABLES[1]}, or name an aws_profile"
        )
    if name not in _TYPES:
        near = difflib.get_close_matches(name.lower(), _TYPES, n=1)
        raise ValueError("unknown setting" + (f", did you mean {near[0]}?" if near else ", see docs/configuration.md"))
    if lax and isinstance(value, str):
        value = _from_text(value, _TYPES[name])
    try:
        return msgspec.convert(value, _TYPES[name], strict=not lax)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def _from_text(value: str, wanted: Any) -> Any:  # noqa: ANN401 - the type is data here
    """Read a list written with commas or blanks, or a table written as JSON."""
    origin = getattr(wanted, "__origin__", wanted)
    if origin is tuple:
        return value.replace(",", " ").split()
    if origin is dict or (isinstance(wanted, type) and issubclass(wanted, msgspec.Struct)):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise ValueError(f"no JSON object: {error}") from error
    return value


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name[6:].lower(): value
        for name, value in environ.items()
        if name.startswith("S3IMG_") and name not in _NOT_SETTINGS
    }


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _named_file(environ: Mapping[str, str]) -> Path | None:
    return Path(environ["S3IMG_CONFIG"]) if environ.get("S3IMG_CONFIG") else None


def _file_sources(path: Path | None, folder: Path) -> list[Source]:
    found = []
    project = folder / "pyproject.toml"
    if path is None and project.is_file():
        table = _read_toml(project).get("tool", {}).get("s3img", {})
        found.append(Source(_anchored(table, folder), lambda name: f"pyproject.toml [tool.s3img] {name}"))
    if path is None and (folder / FILE_NAME).is_file():
        path = folder / FILE_NAME
    if path is not None:
        found.append(Source(_anchored(_read_toml(path), path.parent), lambda name: f"{path.name} {name}"))
    return found


def _read_toml(path: Path) -> dict[str, Any]:
    import tomllib  # most runs have no file to read

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{path}: can't be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: is no TOML: {error}"]) from error


def _anchored(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Read a relative ``cache_dir`` from the folder of its file, wherever the command runs."""
    values = dict(table)
    if isinstance(values.get("cache_dir"), str) and values["cache_dir"]:
        values["cache_dir"] = str(folder / Path(values["cache_dir"]).expanduser())
    return values
