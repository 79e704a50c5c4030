"""Write an ``s3img.toml``: settings in the order of the manual, with comments and without credentials."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from s3img.config import Config
from s3img.errors import ConfigError
from s3img.keys import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from s3img.config.address import S3Address

_HEAD = (
    "Settings of s3img: docs/configuration.md.",
    "Credentials never go here: set S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY, or sign in as for the AWS CLI.",
)


def document(values: Mapping[str, Any], notes: Iterable[str] = ()) -> str:
    """Return the file's text; ``values`` are plain data, of which empty ones are left out."""
    comments = [f"# {one_line(' '.join(line.split()))}" for line in (*_HEAD, *notes)]
    lines = [f"{name} = {toml_value(values[name])}" for name in Config.__struct_fields__ if values.get(name)]
    return "\n".join([*comments, "", *lines, ""])


def write(path: Path, text: str, *, force: bool = False) -> None:
    """Write the file; raise ConfigError where one is already and ``force`` is not given."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # "x" fails where the file exists, also when it appeared after a check.
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise exists(path) from error
    except OSError as error:
        raise ConfigError([f"{path}: can't be written: {error.strerror}"]) from error


def exists(path: Path) -> ConfigError:
    """Return the error for a file that would be overwritten."""
    return ConfigError([f"{path}: exists already: --force replaces it, --config names another file"])


def toml_value(value: Any) -> str:  # noqa: ANN401 - settings are of any plain type
    """Return a value as TOML; strings and numbers are those of JSON, which TOML takes except for DEL."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(name)} = {toml_value(one)}' for name, one in value.items())} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


_VERSION = "2012-10-17"

_OBJECT_ACTIONS = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]


def access_policy(address: S3Address, *, cors: bool = False) -> dict[str, Any]:
    """Return the IAM policy of the key that s3img uses; with ``cors`` it may run ``s3img cors --apply``."""
    bucket = f"arn:aws:s3:::{address.bucket}"
    listing: dict[str, Any] = {
        "Effect": "Allow",
        "Action": ["s3:ListBucket", "s3:ListBucketMultipartUploads"],
        "Resource": bucket,
    }
    if address.prefix:
        listing["Condition"] = {"StringLike": {"s3:prefix": f"{address.prefix}/*"}}
    statements = [listing, {"Effect": "Allow", "Action": _OBJECT_ACTIONS, "Resource": _objects(address)}]
    if cors:
        statements.append({"Effect": "Allow", "Action": ["s3:GetBucketCORS", "s3:PutBucketCORS"], "Resource": bucket})
    return {"Version": _VERSION, "Statement": statements}


def public_policy(address: S3Address) -> dict[str, Any]:
    """Return the bucket policy that lets everyone read the pictures."""
    everyone = {"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject"], "Resource": _objects(address)}
    return {"Version": _VERSION, "Statement": [everyone]}


def _objects(address: S3Address) -> str:
    return f"arn:aws:s3:::{address.bucket}/{f'{address.prefix}/' if address.prefix else ''}*"
