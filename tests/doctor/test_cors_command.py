"""``s3img cors``: one rule is merged, none is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from set_ups import set_up
from stub_store import Answer, stub_store

from s3img.cli import main
from s3img.doctor.cors_rules import HEADERS, METHODS, merged, rule_for

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import S3Server, TestBucket

APP, OTHER = "https://app.example.com", "https://other.example.com"
FOREIGN = {"ID": "theirs", "AllowedOrigins": [OTHER], "AllowedMethods": ["GET"]}
ALL = {"AllowedOrigins": ["*"], "AllowedMethods": [*METHODS, "DELETE"], "AllowedHeaders": ["*"]}


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], [rule_for([APP])]),
        ([FOREIGN], [FOREIGN, rule_for([APP])]),
        ([ALL], [ALL]),
        ([{**ALL, "AllowedOrigins": ["https://*.example.com"]}], None),
        ([{**ALL, "AllowedMethods": ["GET"]}], [{**ALL, "AllowedMethods": ["GET"]}, rule_for([APP])]),
        ([{**ALL, "AllowedHeaders": ["content-type"]}], [{**ALL, "AllowedHeaders": ["content-type"]}, rule_for([APP])]),
        ([rule_for([OTHER]), FOREIGN], [rule_for([OTHER, APP]), FOREIGN]),
    ],
    ids=["none", "foreign", "everything", "wildcard", "methods", "headers", "own"],
)
def test_merged_adds_only_what_is_missing(rules: list[dict[str, Any]], expected: list[dict[str, Any]] | None) -> None:
    assert merged(rules, [APP]) == (rules if expected is None else expected)
    assert merged(merged(rules, [APP]), [APP]) == merged(rules, [APP])


def test_own_rule_keeps_what_was_added_to_it_by_hand() -> None:
    own = {**rule_for([OTHER]), "AllowedMethods": ["GET", "DELETE"], "MaxAgeSeconds": 5}
    (rule,) = merged([own], [APP])
    assert (rule["AllowedOrigins"], rule["MaxAgeSeconds"]) == ([OTHER, APP], 5)
    assert set(rule["AllowedMethods"]) == {*METHODS, "DELETE"}
    assert set(rule["AllowedHeaders"]) == set(HEADERS)


def command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, made: TestBucket, *arguments: str
) -> tuple[int, str, str]:
    for name, value in set_up(made).environ.items():
        monkeypatch.setenv(name, value)
    where = ["--bucket", made.address, "--endpoint-url", made.server.endpoint_url]
    with pytest.raises(SystemExit) as stopped:
        main(["cors", *where, *arguments])
    shown = capsys.readouterr()
    return int(stopped.value.code or 0), shown.out, shown.err


@pytest.fixture(params=["moto_server", "seaweedfs"])
def bucket(request: pytest.FixtureRequest) -> TestBucket:
    from s3_servers import new_bucket

    server: S3Server = request.getfixturevalue(request.param)
    made = new_bucket(server)
    server.client().put_bucket_cors(Bucket=made.name, CORSConfiguration={"CORSRules": [FOREIGN]})
    return made


def test_command_shows_applies_and_then_has_nothing_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, bucket: TestBucket
) -> None:
    code, out, err = command(capsys, monkeypatch, bucket, "--origin", APP)
    assert (code, f'+        "{APP}"' in out, "Not applied" in err) == (1, True, True)
    assert not [line for line in out.splitlines() if line.startswith("-") and OTHER in line]
    assert command(capsys, monkeypatch, bucket, "--origin", APP, "--apply")[0] == 0
    rules = bucket.server.client().get_bucket_cors(Bucket=bucket.name)["CORSRules"]
    assert [rule["AllowedOrigins"] for rule in rules] == [[OTHER], [APP]]
    code, out, _ = command(capsys, monkeypatch, bucket, "--origin", APP)
    assert (code, out.startswith("Nothing is missing")) == (0, True)


def test_command_prints_one_json_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, bucket: TestBucket
) -> None:
    monkeypatch.setenv("S3IMG_UPLOAD_ORIGINS", f"{APP} {OTHER}")
    code, out, _ = command(capsys, monkeypatch, bucket, "--json", "--apply")
    result = json.loads(out)
    assert (code, result["schema"], result["changed"], result["applied"]) == (0, "s3img.cors/1", True, True)
    assert result["rules"][0]["AllowedOrigins"] == [OTHER]


@pytest.mark.parametrize(("provider", "words"), [("garage", "administered"), ("minio", "MINIO_API_CORS_ALLOW_ORIGIN")])
def test_store_without_the_request_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, provider: str, words: str
) -> None:
    monkeypatch.setenv("S3IMG_PROVIDER", provider)
    monkeypatch.setenv("S3IMG_PUBLIC_URL", "https://img.example.com")
    monkeypatch.setenv("S3IMG_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("S3IMG_SECRET_ACCESS_KEY", "secret")
    with stub_store(Answer.error(501, "NotImplemented")) as store, pytest.raises(SystemExit) as stopped:
        main(["cors", "--bucket", "s3://pics", "--endpoint-url", store.endpoint_url, "--origin", APP])
    err = capsys.readouterr().err
    assert stopped.value.code == 5
    assert words in err
    assert f'"{APP}"' in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bucket", "file:///tmp"], "CORS rules are for buckets"),
        (["--bucket", "s3://pics"], "upload_origins: name the origin"),
        (["--bucket", "s3://pics", "--origin", "app.example.com"], "'app.example.com' is not an origin"),
        (["--bucket", "s3://pics", "--origin", "https://app.example.com/x"], "is not an origin"),
    ],
)
def test_command_says_what_is_missing(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["cors", *arguments])
    assert (stopped.value.code, words in capsys.readouterr().err) == (3, True)


@pytest.mark.parametrize("origin", ["http://[::1]:3000", "https://a?b.example", "https://app.example"])
def test_only_stars_of_a_rule_stand_for_other_characters(origin: str) -> None:
    rules = merged([], [origin])
    assert merged(rules, [origin]) == rules
    assert len(merged(rules, [origin.replace("?", "x")])[0]["AllowedOrigins"]) == 1 + ("?" in origin)
    assert merged([{**rules[0], "AllowedOrigins": ["http*://*"]}], [origin])[0]["AllowedOrigins"] == ["http*://*"]
