"""A sync with variants, then the service: what the one has put, the other serves."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from fault_proxy import fault_proxy
from s3_servers import S3Server, new_bucket
from sites import photo
from werkzeug.test import Client

from s3img import Config, Images
from s3img.lock import read_lock
from s3img.service import TransformService
from s3img.service.engine import result_stores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fault_proxy import FaultProxy
    from s3_servers import TestBucket

    from s3img.lock import Lock

WIDTHS = (160, 320)
TARGETS = [f"w-{width},f-{name}" for width in WIDTHS for name in ("webp", "jpeg")]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the store as long as a request may take.

    One that needs more than two seconds to find a variant is not waited for: the variant is rendered and put again.
    A busy machine is such a store, and these tests are about what happens with one that answers.
    """
    monkeypatch.setattr(result_stores, "PATIENCE", 60.0)


@pytest.fixture
def bucket(seaweedfs: S3Server) -> TestBucket:
    return new_bucket(seaweedfs)


@pytest.fixture
def environ(seaweedfs: S3Server) -> dict[str, str]:
    return {"S3IMG_ACCESS_KEY_ID": seaweedfs.access_key, "S3IMG_SECRET_ACCESS_KEY": seaweedfs.secret_key}


@pytest.fixture
def settings(bucket: TestBucket, tmp_path: Path) -> dict[str, Any]:
    return {
        "bucket": bucket.address,
        "endpoint_url": bucket.options.endpoint_url,
        "addressing_style": "path",
        "region": "us-east-1",
        "access": "open",
        "widths": WIDTHS,
        "formats": ("webp",),
        "variants": True,
        "cache_dir": str(tmp_path / "cache"),
    }


@pytest.fixture
def lock(settings: dict[str, Any], environ: dict[str, str], tmp_path: Path) -> Lock:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "cat.jpg").write_bytes(photo(640, 480))
    path = tmp_path / "s3img.lock"
    assert Images(Config(**settings), environ=environ).sync(tmp_path / "images", lock=path).exit_code == 0
    return read_lock(path)


class Counting:
    """Note the requests that a proxy passes on."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.seen: list[str] = []
        forward = proxy.forward

        def noted(handler: Any, body: bytes, **sent: Any) -> Any:
            self.seen.append(f"{handler.command} {handler.path.partition('?')[0]}")
            return forward(handler, body, **sent)

        proxy.forward = noted  # type: ignore[method-assign] # this one object


@pytest.fixture
def store(seaweedfs: S3Server) -> Iterator[tuple[str, list[str]]]:
    with fault_proxy(seaweedfs.endpoint_url) as proxy:
        yield proxy.endpoint_url, Counting(proxy).seen


def test_variant_of_a_sync_is_served_without_source_or_rendering(
    settings: dict[str, Any], environ: dict[str, str], lock: Lock, bucket: TestBucket, store: tuple[str, list[str]]
) -> None:
    endpoint, seen = store
    before = {info.key for info in bucket.bucket.list()}
    app = TransformService(Config(**{**settings, "endpoint_url": endpoint}), lock=lock, environ=environ)
    (entry,) = lock
    answers = [Client(app).get(f"/tr:{target}/{entry.key}") for target in TARGETS]
    app.close()
    stored = {hashlib.sha256(_read(bucket, key)).hexdigest() for key in before}
    assert {hashlib.sha256(answer.data).hexdigest() for answer in answers} <= stored
    assert {info.key for info in bucket.bucket.list()} == before
    assert not [request for request in seen if request.startswith("PUT")]


def test_source_of_a_known_variant_is_not_read(
    settings: dict[str, Any], environ: dict[str, str], lock: Lock, store: tuple[str, list[str]]
) -> None:
    endpoint, seen = store
    app = TransformService(Config(**{**settings, "endpoint_url": endpoint}), lock=lock, environ=environ)
    (entry,) = lock
    client = Client(app)
    client.get(f"/tr:{TARGETS[0]}/{entry.key}")  # tells the source's facts
    seen.clear()
    assert [client.get(f"/tr:{target}/{entry.key}").status_code for target in TARGETS[1:]] == [200, 200, 200]
    app.close()
    assert len(seen) == 3
    assert not [request for request in seen if request.endswith(entry.key)]


def test_rendering_of_a_private_source_is_not_put_under_a_public_key(
    settings: dict[str, Any], environ: dict[str, str], lock: Lock, bucket: TestBucket
) -> None:
    (entry,) = lock
    variants = [info.key for info in bucket.bucket.list() if info.key != entry.key]
    bucket.bucket.delete(variants)
    data = _read(bucket, entry.key)
    bucket.bucket.put(entry.key, data, media_type="image/jpeg", metadata={"isprivatefile": "true"})
    presets = {"small": TARGETS[0]}
    app = TransformService(Config(**{**settings, "presets": presets}), lock=lock, environ=environ)
    assert Client(app).get(f"/tr:n-small/{entry.key}").status_code == 200
    app.close()
    made = {info.key for info in bucket.bucket.list()} - {entry.key}
    assert [key.startswith(".s3img/results/") for key in made] == [True]


def _read(bucket: TestBucket, key: str) -> bytes:
    with bucket.bucket.open(key) as opened:
        return opened.read()
