"""The text of an ``s3img.toml``: settings in the order of the manual, and comments; never a secret."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from s3img.config import Config
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_HEAD = (
    "Settings of s3img: docs/configuration.md.",
    "Credentials never stand here: set S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY, or sign in as for the AWS CLI.",
)


def document(values: Mapping[str, Any], notes: Iterable[str] = ()) -> str:
    """Return the file's text; ``values`` are texts, numbers, booleans and lists of texts; empty ones are left out."""
    comments = [f"# {' '.join(line.split())}" for line in (*_HEAD, *notes)]
    lines = [f"{name} = {_value(values[name])}" for name in Config.__struct_fields__ if values.get(name)]
    return "\n".join([*comments, "", *lines, ""])


def write(path: Path, text: str, *, force: bool = False) -> None:
    """Write the file; raise ConfigError where one is already and ``force`` is not given."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise exists(path) from error
    except OSError as error:
        raise ConfigError([f"{path}: can't be written: {error.strerror}"]) from error


def exists(path: Path) -> ConfigError:
    """Report that a file would be lost."""
    return ConfigError([f"{path}: exists already: --force replaces it, --config names another file"])


def _value(value: Any) -> str:  # noqa: ANN401 - settings are of any plain type
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
