"""``s3img config show`` and ``s3img config import``."""

from __future__ import annotations

import io
import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from s3img.cli import main
from s3img.config import Config
from s3img.config.load import SettingsSource, explain, load
from s3img.doctor.foreign_settings import read
from s3img.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

PROFILE: dict[str, Any] = {
    "name": "blog",
    "data": {
        "s3": {
            "endpoint": "https://abc.r2.cloudflarestorage.com",
            "bucket": "pics",
            "region": "auto",
            "accKeyId": "AKIDSECRET",
            "secretAccessKey": "HUSHHUSH",
            "forcePathStyle": False,
            "pubUrl": "https://i.example.com/",
            "includePath": "",
        },
        "upload": {"keyTemplate": "i/{{year}}/{{ulid}}.{{ext}}", "compressionOption": None},
        "gallery": {"autoRefresh": True},
    },
}
ORIGIN: dict[str, Any] = {
    "type": "S3_COMPATIBLE",
    "name": "shop",
    "bucket": "product-images",
    "prefix": "/raw/",
    "accessKey": "AKIDSECRET",
    "secretKey": "HUSHHUSH",
    "endpoint": "https://s3.eu-central-1.wasabisys.com",
    "s3ForcePathStyle": True,
    "includeCanonicalHeader": False,
    "baseUrlForCanonicalHeader": "",
}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(["config", *arguments])
    shown = capsys.readouterr()
    return int(stopped.value.code or 0), shown.out, shown.err


def s3(**changes: Any) -> str:
    return json.dumps({**PROFILE, "data": {**PROFILE["data"], "s3": {**PROFILE["data"]["s3"], **changes}}})


def test_explain_names_the_place_of_every_setting(tmp_path: Path) -> None:
    (tmp_path / "s3img.toml").write_text('sizes = "50vw"\nworkers = 4\n')
    (tmp_path / "pyproject.toml").write_text("[tool.s3img]\nworkers = 2\nmissing = 'error'\n")
    found = explain(
        options={"bucket": "s3://pics"},
        host=SettingsSource({"site_url": "https://example.com/"}, "mkdocs.yml {}".format),
        environ={"S3IMG_PUBLIC_URL": "https://i.example.com"},
        folder=tmp_path,
    )
    assert [setting.name for setting in found] == list(Config.__struct_fields__)
    places = {setting.name: (setting.value, setting.origin, setting.place) for setting in found}
    assert places["bucket"] == ("s3://pics", "command line", "--bucket")
    assert places["public_url"] == ("https://i.example.com", "environment", "S3IMG_PUBLIC_URL")
    assert places["site_url"] == ("https://example.com/", "host", "mkdocs.yml site_url")
    assert places["workers"] == (4, "file", "s3img.toml workers")
    assert places["missing"] == ("error", "file", "pyproject.toml [tool.s3img] missing")
    assert places["anonymous"] == (False, "default", "")


def test_explain_names_what_botocore_and_the_bucket_decide(tmp_path: Path) -> None:
    environ = {"AWS_DEFAULT_REGION": "eu-west-3", "AWS_PROFILE": "work"}
    found = explain(options={"bucket": "s3://pics"}, environ=environ, folder=tmp_path)
    places = {setting.name: (setting.value, setting.origin, setting.place) for setting in found}
    assert places["region"] == ("eu-west-3", "environment", "AWS_DEFAULT_REGION")
    assert places["aws_profile"] == ("work", "environment", "AWS_PROFILE")
    assert places["public_url"] == ("https://pics.s3.amazonaws.com", "default", "follows from bucket")


def test_show_hides_every_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S3IMG_ACCESS_KEY_ID", "AKIDSECRET")
    monkeypatch.setenv("S3IMG_SECRET_ACCESS_KEY", "HUSHHUSH")
    monkeypatch.setenv("S3IMG_SIGNING_KEYS", "k1:HUSHHUSHHUSHHUSHHUSHHUSHHUSHHUSH")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://me:HUSHHUSH@s3.example.com")
    shown = [run(capsys, "show", *arguments)[1] for arguments in ([], ["--origin"], ["--json"])]
    assert not [text for text in shown if "HUSH" in text or "AKIDSECRET" in text]
    assert all("S3IMG_ACCESS_KEY_ID" in text for text in shown)
    assert "environment: S3IMG_SIGNING_KEYS" in shown[1]


def test_show_prints_one_json_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    _, out, err = run(capsys, "show", "--json", "--workers", "3")
    result = json.loads(out)
    assert (err, result["schema"]) == ("", "s3img.config.model/1")
    workers = {"name": "workers", "value": 3, "origin": "command line", "place": "--workers"}
    assert workers in result["settings"]


def test_show_in_a_host_program_names_its_values(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from s3img.cli.command_options import Host
    from s3img.cli.configuration import config_command

    config = Config(bucket="file:///srv/images", workers=5, signing_keys="k1:HUSHHUSHHUSHHUSHHUSHHUSHHUSHHUSH")
    app = Host(lambda options, path: config, tmp_path / "s3img.lock", tuple)
    shown = CliRunner().invoke(config_command, ["show", "--origin"], obj=app).output
    assert re.search(r"^workers +5 +host: the app's workers$", shown, re.MULTILINE)
    assert re.search(r"^widths .* default$", shown, re.MULTILINE)
    assert "HUSH" not in shown


def test_show_reports_settings_that_can_t_be_used(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "s3img.toml").write_text('bukcet = "s3://pics"')
    code, out, err = run(capsys, "show", "--config", str(tmp_path / "s3img.toml"))
    assert (code, out) == (3, "")
    assert "did you mean bucket?" in err


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"bucket": "s3://pics", "public_url": "https://i.example.com", "region": "auto"}),
        ({"includePath": "i/a b/"}, {"bucket": "s3://pics/i/a b", "public_url": "https://i.example.com/i/a%20b"}),
        ({"forcePathStyle": True}, {"addressing_style": "path"}),
        ({"endpoint": "abc.r2.cloudflarestorage.com"}, {"endpoint_url": "https://abc.r2.cloudflarestorage.com"}),
        (
            {"endpoint": "https://abc.r2.cloudflarestorage.com/pics"},
            {"endpoint_url": "https://abc.r2.cloudflarestorage.com"},
        ),
        ({"endpoint": "https://pics.s3.example.com"}, {"endpoint_url": "https://s3.example.com"}),
        ({"endpoint": "https://s3.eu-west-3.amazonaws.com", "region": ""}, {"endpoint_url": "", "region": "eu-west-3"}),
        ({"pubUrl": ""}, {"public_url": ""}),
    ],
)
def test_profile_of_s3_image_port_becomes_settings(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    found = read(s3(**changes))
    assert (found.name, found.program, found.secrets) == ("blog", "S3 Image Port", ("accKeyId", "secretAccessKey"))
    assert {name: found.values.get(name, "") for name in expected} == expected


def test_template_is_taken_over_only_if_it_follows_from_the_file() -> None:
    found = read(json.dumps(PROFILE))
    assert "key_template" not in found.values
    assert "s3img upload --template 'i/{{year}}/{{ulid}}.{{ext}}'" in found.notes[0]
    upload = {"keyTemplate": "{{dir}}/{{stem}}.{{hash:8}}.{{ext}}"}
    found = read(json.dumps({"s3": PROFILE["data"]["s3"], "upload": upload}))
    assert (found.values["key_template"], found.notes) == (upload["keyTemplate"], [])


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (PROFILE, "blog"),
        ({"s3": PROFILE["data"]["s3"], "app": {}}, "default"),
        ({"version": 3, "data": {"list": [["a", PROFILE["data"]]], "current": "a"}}, "a"),
        (ORIGIN, "shop"),
        ([{"type": "WEB_FOLDER", "name": "web", "baseUrl": "https://x"}, ORIGIN], "shop"),
    ],
    ids=["profile", "version 1", "storage", "origin", "origins"],
)
def test_every_version_of_the_files_is_read(data: Any, name: str) -> None:
    assert read(json.dumps(data)).name == name


def test_origin_of_imagekit_becomes_settings() -> None:
    found = read(json.dumps(ORIGIN))
    assert (found.program, found.secrets) == ("ImageKit", ("accessKey", "secretKey"))
    assert {name: value for name, value in found.values.items() if value} == {
        "bucket": "s3://product-images/raw",
        "endpoint_url": "https://s3.eu-central-1.wasabisys.com",
        "addressing_style": "path",
    }


def test_canonical_header_of_an_origin_is_kept() -> None:
    canonical = {"includeCanonicalHeader": True, "baseUrlForCanonicalHeader": "https://www.example.com/"}
    found = read(json.dumps({**ORIGIN, "name": "My Shop", **canonical}))
    origin = Config(**found.values, public_url="https://i.example.com").origins["my-shop"]
    assert (origin.bucket, origin.canonical_url) == (found.values["bucket"], "https://www.example.com/")
    assert not [note for note in found.notes if "canonical" in note]


PICGO = {
    "_configName": "blog",
    "accessKeyID": "AKIDSECRET",
    "secretAccessKey": "HUSHHUSH",
    "bucketName": "pics",
    "uploadPath": "img/a b/{year}/{md5}.{extName}",
    "endpoint": "s3.us-east-005.backblazeb2.com",
    "region": None,
    "urlPrefix": "https://img.example.com/",
    "pathStyleAccess": True,
    "acl": "public-read",
    "rejectUnauthorized": False,
}


@pytest.mark.parametrize(
    ("pattern", "public_url", "noted"),
    [
        ("https://cdn.example.com/{path}", "https://cdn.example.com/img/a%20b", False),
        ("https://cdn.example.com/x//{encodedKey}", "https://cdn.example.com/x/img/a%20b", False),
        ("{protocol}://{host}/{path:/^img/,i}?q=1", "https://img.example.com/pics/img/a%20b", True),
    ],
)
def test_address_that_picgo_writes_becomes_public_url(pattern: str, public_url: str, *, noted: bool) -> None:
    found = read(json.dumps({"picBed": {"s3-uploader": {**PICGO, "outputURLPattern": pattern}}}))
    assert found.values["public_url"] == public_url
    assert any("outputURLPattern" in note for note in found.notes) == noted


@pytest.mark.parametrize(
    ("data", "program", "name"),
    [
        ({"picBed": {"current": "aws-s3", "aws-s3": PICGO}}, "PicGo", "blog"),
        ({"picBed": {"aws-s3-plist": PICGO}, "settings": {}}, "PicList", "blog"),
        ({"picBed": {}, "uploader": {"aws-s3-plist": {"configList": [PICGO], "defaultId": "x"}}}, "PicList", "blog"),
        ({"picBed": {"aws-s3": {**PICGO, "_configName": None}}}, "PicGo", "aws-s3"),
    ],
)
def test_settings_of_picgo_and_piclist_are_taken_over(data: Any, program: str, name: str) -> None:
    found = read(json.dumps(data))
    assert (found.program, found.name, found.secrets) == (program, name, ("accessKeyID", "secretAccessKey"))
    assert {name: value for name, value in found.values.items() if value} == {
        "bucket": "s3://pics/img/a b",
        "endpoint_url": "https://s3.us-east-005.backblazeb2.com",
        "public_url": "https://img.example.com/pics/img/a%20b",
        "addressing_style": "path",
    }
    assert [word for word in ("uploadPath", "acl", "AWS_CA_BUNDLE") if word in " ".join(found.notes)] == [
        "uploadPath",
        "acl",
        "AWS_CA_BUNDLE",
    ]


def test_one_of_several_configurations_of_piclist_is_chosen() -> None:
    two = [PICGO, {**PICGO, "_configName": "shop", "bucketName": "shop-images", "disableBucketPrefixToURL": True}]
    data = json.dumps({"picBed": {"aws-s3-plist": PICGO}, "uploader": {"aws-s3-plist": {"configList": two}}})
    assert read(data, name="shop").values["public_url"] == "https://img.example.com/img/a%20b"
    with pytest.raises(ConfigError, match="'blog', 'shop'"):
        read(data)


def test_name_chooses_one_of_several() -> None:
    data = json.dumps([ORIGIN, {**ORIGIN, "name": "blog", "bucket": "blog-images"}])
    assert read(data, name="blog").values["bucket"] == "s3://blog-images/raw"
    with pytest.raises(ConfigError, match="has 'shop', 'blog': choose one of them"):
        read(data)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '"x"', '{"s3": 3}', '{"data": []}', '{"type": "S3"}', "[" * 99999, '{"a": 1}']
)
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="must be a profile exported by S3 Image Port, an origin of ImageKit"):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "media_library: [&a0 [x, x], " + ", ".join(f"&a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)) + "]",
        "a0: &a0 {x: 1}\n"
        + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 40))
        + "media_library: 1\n",
        "media_library: 1\n" + "a: 1\n" * 100_000,
        "media_library: " + "[" * 100_000,
    ],
    ids=["lists", "merges", "long", "deep"],
)
def test_yaml_that_means_more_than_it_says_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"too long|too deeply"):
        read(text)


def test_lists_in_lists_are_not_followed() -> None:
    with pytest.raises(ConfigError, match="must be a profile"):
        read("[" * 50 + "{}" + "]" * 50)


@pytest.mark.parametrize(
    "data",
    [
        PROFILE,
        ORIGIN,
        {**ORIGIN, "includeCanonicalHeader": True, "baseUrlForCanonicalHeader": "https://x.example"},
        {"picBed": {"aws-s3": PICGO}},
    ],
    ids=["profile", "origin", "canonical", "picgo"],
)
def test_import_writes_a_file_that_loads_and_holds_no_secret(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data: dict[str, Any]
) -> None:
    (tmp_path / "in.json").write_text(json.dumps(data))
    target = tmp_path / "s3img.toml"
    code, out, err = run(capsys, "import", str(tmp_path / "in.json"), "--config", str(target))
    assert (code, out) == (0, f"Wrote {target}.\n")
    assert "set S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY" in err
    assert not [word for word in ("AKIDSECRET", "HUSHHUSH") if word in target.read_text() + out + err]
    assert load(environ={}, path=target).bucket == tomllib.loads(target.read_text())["bucket"]


def test_import_never_replaces_a_file_unasked(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps(ORIGIN))
    target = tmp_path / "s3img.toml"
    target.write_text("# mine\n")
    code, _, err = run(capsys, "import", str(tmp_path / "in.json"), "--config", str(target))
    assert (code, "--force" in err, target.read_text()) == (3, True, "# mine\n")
    assert run(capsys, "import", str(tmp_path / "in.json"), "--config", str(target), "--force")[0] == 0
    assert "product-images" in target.read_text()


def test_import_prints_json_from_stdin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(PROFILE)))
    code, out, _ = run(capsys, "import", "-", "--print", "--json")
    result = json.loads(out)
    assert (code, result["schema"], result["settings"]["bucket"]) == (0, "s3img.import/1", "s3://pics")
    assert (result["set"], list(tmp_path.iterdir())) == (["S3IMG_ACCESS_KEY_ID", "S3IMG_SECRET_ACCESS_KEY"], [])


def test_import_says_what_is_still_to_do(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(s3(pubUrl=""))
    _, out, err = run(capsys, "import", str(tmp_path / "in.json"), "--print")
    assert "still to do: public_url" in err
    assert "# still to do: public_url" in out
