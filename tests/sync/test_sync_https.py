"""Folders over https, where boto3 of itself would send bodies in chunks with a trailing checksum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image
from s3_servers import S3Server, new_bucket

from s3img import Config, Images

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_folder_is_synced_over_https(
    seaweedfs_https: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = new_bucket(seaweedfs_https)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", store.server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", store.server.secret_key)
    (tmp_path / "img").mkdir()
    for number in range(5):
        Image.effect_noise((16, 16), number + 1).save(tmp_path / "img" / f"{number}.png")
    config = Config(
        bucket=store.address,
        endpoint_url=store.server.endpoint_url,
        public_url="https://img.example.com",
        cache_dir=str(tmp_path / "cache"),
    )
    result = Images(config).sync(tmp_path / "img", lock=tmp_path / "s3img.lock")
    assert (result.uploaded, result.exit_code, result.requests["put"]) == (5, 0, 5)
    heads = [store.server.client().head_object(Bucket=store.name, Key=info.key) for info in store.bucket.list()]
    assert [(head["ContentType"], "ContentEncoding" in head) for head in heads] == [("image/png", False)] * 5
    again = Images(config).sync(tmp_path / "img", lock=tmp_path / "s3img.lock", verify=True)
    assert (again.uploaded, again.present) == (0, 5)
