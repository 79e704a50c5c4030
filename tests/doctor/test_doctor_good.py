"""Set-ups that work are called good, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from limited_keys import LEAST, access_key
from meddling_proxy import Meddling, meddling_proxy
from PIL import Image, features
from s3_servers import new_bucket
from set_ups import SetUp, key_variables, keys_in, set_up, verdict

from s3img.buckets import open_bucket
from s3img.config.address import S3Address
from s3img.doctor.cors_rules import merged
from s3img.doctor.probe_context import Sample
from s3img.doctor.settings_file import public_policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3_servers import S3Server, TestBucket

    from s3img.doctor import Finding


@pytest.mark.parametrize("prefix", ["", "docs", "a b/ü"])
@pytest.mark.parametrize("server", ["moto_server", "seaweedfs"])
def test_good_bucket_is_called_good(request: pytest.FixtureRequest, tmp_path: Path, server: str, prefix: str) -> None:
    made = new_bucket(request.getfixturevalue(server))
    made.bucket.put("docs/cat.png", b"cat", media_type="image/png")
    report = set_up(made, prefix=prefix, public_url=f"{made.public_url}/{quote(prefix)}").examine(tmp_path)
    assert verdict(report) == ("ok", "")
    assert (report.exit_code, keys_in(made)) == (0, ["docs/cat.png"])


def test_every_probe_of_a_bucket_is_asked(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    report = set_up(seaweedfs_bucket).examine(tmp_path)
    assert [finding.probe for finding in report.findings if finding.status != "ok"] == ["cors", "origins"]


def test_good_bucket_over_https_is_called_good(
    seaweedfs: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", seaweedfs.ca_file)
    made = new_bucket(seaweedfs)
    https = f"{seaweedfs.https_url}/{made.name}"
    report = set_up(made, endpoint_url=seaweedfs.https_url, public_url=https).examine(tmp_path)
    assert (verdict(report), keys_in(made)) == (("ok", ""), [])
    assert "TLSv1" in next(finding.message for finding in report.findings if finding.probe == "tls")


def test_new_folder_is_called_good_and_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "store"
    report = SetUp({"bucket": folder.as_uri()}, {}).examine(tmp_path)
    assert (verdict(report), report.exit_code, (tmp_path / "deep").exists()) == (("ok", ""), 0, False)


def test_folder_with_pictures_stays_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "cat.png").write_bytes(b"cat")
    report = SetUp({"bucket": folder.as_uri()}, {}).examine(tmp_path)
    assert verdict(report) == ("ok", "")
    assert [path.name for path in folder.rglob("*")] == ["cat.png"]


def test_no_bucket_is_called_good(tmp_path: Path) -> None:
    report = SetUp({}, {}).examine(tmp_path)
    assert (verdict(report), report.exit_code, report.target) == (("ok", ""), 0, "")
    good = {finding.probe for finding in report.findings if finding.status == "ok"}
    assert good - {"text"} == {"config", "encoders", "cache", "lock"}  # libfribidi may be missing


@pytest.mark.skipif(not features.check("raqm"), reason="libfribidi is not installed")
def test_fonts_that_a_name_stands_for_are_told(tmp_path: Path) -> None:
    report = SetUp({"fonts": {"Lato": "fonts/l.ttf", "Lato-Bold": "fonts/lb.ttf"}}, {}).examine(tmp_path)
    (row,) = [finding for finding in report.findings if finding.probe == "text"]
    assert "stands for: OpenSans, Lato." in row.message


def test_anonymous_reading_of_a_public_bucket_is_good(moto_bucket: TestBucket, tmp_path: Path) -> None:
    moto_bucket.bucket.put("cat.png", b"cat", media_type="image/png")
    set_up_ = SetUp({**set_up(moto_bucket).settings, "anonymous": True}, {})
    report = set_up_.examine(tmp_path)
    assert (verdict(report), keys_in(moto_bucket)) == (("ok", ""), ["cat.png"])
    assert {f.probe: f.status for f in report.findings}["public"] == "ok"


def test_what_a_clean_up_keeps_is_no_picture_to_look_at(moto_bucket: TestBucket, tmp_path: Path) -> None:
    moto_bucket.bucket.put(".s3img/trash/cat.png", b"cat", media_type="image/png")
    report = SetUp({**set_up(moto_bucket).settings, "anonymous": True}, {}).examine(tmp_path)
    assert {f.probe: f.status for f in report.findings}["get"] == "skip"


def test_uploads_from_a_page_that_is_allowed_are_good(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    origin = "https://app.example.com"
    rules = {"CORSRules": merged([], [origin])}
    seaweedfs_bucket.server.client().put_bucket_cors(Bucket=seaweedfs_bucket.name, CORSConfiguration=rules)
    report = set_up(seaweedfs_bucket, upload_origins=(origin,)).examine(tmp_path)
    assert verdict(report) == ("ok", "")
    assert {finding.probe for finding in report.findings if finding.status != "ok"} == {"origins"}


def test_probe_objects_of_killed_runs_are_swept_and_those_of_others_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    bucket = open_bucket(folder.as_uri())
    old, running = Sample(), Sample()
    for sample in (old, running):
        sample.put(bucket, sample.key)
    bucket.put("s3img-doctor/mine.png", b"mine", media_type="image/png")
    past = time.time() - 7200
    for file in (folder / old.key, folder / "s3img-doctor/mine.png"):
        os.utime(file, (past, past))
    SetUp({"bucket": folder.as_uri()}, {}).examine(tmp_path)
    assert sorted(info.key for info in bucket.list()) == sorted(["s3img-doctor/mine.png", running.key])


@pytest.mark.parametrize("provider", ["garage", ""])
def test_conditions_that_a_provider_is_known_to_lack_are_no_warning(
    seaweedfs_bucket: TestBucket, tmp_path: Path, provider: str
) -> None:
    with meddling_proxy(seaweedfs_bucket.server.endpoint_url, Meddling(answers={"If-None-Match": 501})) as url:
        report = set_up(seaweedfs_bucket, endpoint_url=url, provider=provider, region="garage").examine(tmp_path)
    assert verdict(report) == (("ok", "") if provider else ("warn", "conditional-refused"))


@pytest.mark.parametrize(
    ("endpoint", "region", "lacks"),
    [
        ("http://0a1b.r2.cloudflarestorage.com", "auto", Meddling()),
        ("http://s3.us-west-004.backblazeb2.com", "us-west-004", Meddling(answers={"If-None-Match": 501})),
        ("http://storage.googleapis.com", "auto", Meddling(drop=("if-none-match",))),
        ("http://s3.eu-central-1.wasabisys.com", "eu-central-1", Meddling()),
    ],
    ids=["r2", "b2", "gcs", "wasabi"],
)
def test_good_bucket_of_a_service_behind_a_proxy_is_called_good(
    moto_bucket: TestBucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    endpoint: str,
    region: str,
    lacks: Meddling,
) -> None:
    moto = moto_bucket.server.endpoint_url
    forward = replace(lacks, host=moto.removeprefix("http://"), path=lambda path: path.removeprefix(endpoint))
    with meddling_proxy(moto, forward) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        report = set_up(moto_bucket, endpoint_url=endpoint, region="").examine(tmp_path)
    found = {finding.probe: finding for finding in report.findings}
    assert [f"{f.code}: {f.message}" for f in report.findings if f.status not in {"ok", "skip"}] == []
    assert found["region"].message == f"region {region}, path style: {endpoint}/{moto_bucket.name}"
    assert (found["dns"].status, keys_in(moto_bucket)) == ("skip", [])


def test_probe_object_is_a_picture_of_its_own_each_time() -> None:
    first, second = Sample(), Sample()
    with Image.open(BytesIO(first.data)) as image:
        image.load()
        assert (image.format, image.size, image.text["s3img"]) == ("PNG", (1, 1), first.folder.split("/")[1])
    assert first.data != second.data


def test_interrupted_run_leaves_nothing(seaweedfs_bucket: TestBucket, tmp_path: Path) -> None:
    def interrupt(finding: Finding) -> None:
        if finding.probe == "get":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        set_up(seaweedfs_bucket).examine(tmp_path, on_finding=interrupt)
    assert keys_in(seaweedfs_bucket) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_command_that_is_stopped_leaves_nothing(
    seaweedfs_bucket: TestBucket, tmp_path: Path, number: signal.Signals
) -> None:
    made = set_up(seaweedfs_bucket)
    with meddling_proxy(seaweedfs_bucket.server.endpoint_url, Meddling(pause=0.3)) as url:
        environ = {**os.environ, **made.environ, "S3IMG_PUBLIC_URL": url, "S3IMG_REGION": "us-east-1"}
        arguments = ["doctor", "--bucket", seaweedfs_bucket.address, "--endpoint-url", url]
        process = subprocess.Popen(
            [sys.executable, "-m", "s3img", *arguments], env=environ, cwd=tmp_path, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith(b"ok   put"))
        process.send_signal(number)
        code = process.wait(60)
        process.stdout.close()
    assert (code, keys_in(seaweedfs_bucket)) == (130, [])


def test_policy_that_is_printed_is_enough(limited: S3Server, tmp_path: Path) -> None:
    limited.client().create_bucket(Bucket=LEAST)
    limited.client().put_bucket_policy(Bucket=LEAST, Policy=json.dumps(public_policy(S3Address(LEAST, "docs"))))
    settings = {"bucket": f"s3://{LEAST}/docs", "endpoint_url": limited.endpoint_url}
    report = SetUp(settings, key_variables(access_key("least"))).examine(tmp_path)
    assert [f"{f.code}: {f.message}" for f in report.findings if f.status not in {"ok", "skip"}] == []
    assert {f.probe for f in report.findings if f.status == "skip"} == {"cors", "origins"}


def test_folder_that_is_served_is_called_good(tmp_path: Path, serve: Callable[..., str]) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    report = SetUp({"bucket": folder.as_uri(), "public_url": serve(folder, "/img/")}, {}).examine(tmp_path)
    assert (verdict(report), list(folder.iterdir())) == (("ok", ""), [])


def test_folder_that_is_served_elsewhere_is_found(tmp_path: Path, serve: Callable[..., str]) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    url = serve(folder)
    report = SetUp({"bucket": folder.as_uri(), "public_url": f"{url}img"}, {}).examine(tmp_path)
    assert (verdict(report), report.exit_code) == (("fail", "public-url-wrong"), 3)
    assert report.first
    assert f'public_url = "{url.rstrip("/")}"' in report.first.fix
