"""Access keys that may do less than everything, on a SeaweedFS of their own: fixture ``limited``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
import s3_servers
from s3_servers import S3Server, running_seaweedfs

from s3img.buckets import AccessKey
from s3img.config.address import S3Address
from s3img.doctor.settings_file import access_policy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = "s3img-limited-secret-key"
KEYS = {
    "reader": ("s3:GetObject", "s3:ListBucket"),
    "writer": ("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
    "sender": ("s3:PutObject", "s3:ListBucket", "s3:DeleteObject"),
    "keeper": ("s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:AbortMultipartUpload"),
}
"""What each key may do; ``keeper`` may not delete, ``writer`` not list, ``sender`` not read."""

LEAST = "least-privilege"
"""The bucket of the key ``least``, which may do below docs/ what the printed policy allows."""


def access_key(name: str) -> AccessKey:
    return AccessKey(f"limitedkey{name}", SECRET)


@pytest.fixture(scope="session")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server that knows the keys of `KEYS` beside its own."""
    real = s3_servers._configured

    def configured(folder: Path, ports: list[int]) -> tuple[S3Server, list[str]]:
        made = real(folder, ports)
        file = folder / "identities.json"
        known = json.loads(file.read_text())
        file.write_text(json.dumps(_with_limited(known)))
        return made

    folder = tmp_path_factory.mktemp("limited")
    with patch.object(s3_servers, "_configured", configured), running_seaweedfs(folder) as server:
        yield server


def _with_limited(known: dict[str, Any]) -> dict[str, Any]:
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": access_key(name).key_id, "secretKey": SECRET}],
            "policyNames": [name],
        }
        for name in (*KEYS, "least")
    ]
    contents = {name: _allowing(actions) for name, actions in KEYS.items()}
    contents["least"] = access_policy(S3Address(LEAST, "docs"), cors=True)
    policies = [{"name": name, "content": json.dumps(content)} for name, content in contents.items()]
    return {"identities": [*known["identities"], *identities], "policies": policies}


def _allowing(actions: tuple[str, ...]) -> dict[str, Any]:
    allow = {"Effect": "Allow", "Action": list(actions), "Resource": "arn:aws:s3:::*"}
    return {"Version": "2012-10-17", "Statement": [allow]}
