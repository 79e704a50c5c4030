"""The page of settings: what it shows, doctor, and settings of other programs; no secret comes or goes."""

from __future__ import annotations

import json
import tomllib
from html import unescape
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from gallery_visitor import Visitor

from s3img.doctor import foreign_settings, settings_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3img import Config
    from s3img.buckets import Bucket
    from s3img.gallery import Gallery

SVELTIA = """
backend: {name: github, repo: me/site}
media_libraries:
  default: {config: {max_file_size: 1000}}
  aws_s3: false
  cloudflare_r2:
    access_key_id: AKIDSECRETISH
    account_id: 0123456789abcdef0123456789abcdef
    bucket: media
    prefix: blog/
    public_url: https://img.example.com
"""
IMAGE_PORT = {
    "name": "mine",
    "data": {
        "s3": {
            "endpoint": "https://s3.example.com", "bucket": "pics", "region": "auto", "accKeyId": "AKIDSECRETISH",
            "secretAccessKey": "very-secret-word", "pubUrl": "https://img.example.com", "includePath": "",
        },
        "upload": {"keyTemplate": "i/{{year}}/{{ulid}}.{{ext}}"},
    },
}  # fmt: skip
PICGO = {
    "picBed": {
        "aws-s3": {"bucketName": "pics", "accessKeyID": "AKIDSECRETISH", "secretAccessKey": "very-secret-word",
                   "endpoint": "https://s3.example.com", "region": "auto", "uploadPath": "i/{year}.{extName}"}
    }
}  # fmt: skip


def test_settings_show_buckets_and_templates(make_gallery: Callable[..., Gallery], config: Config) -> None:
    named = msgspec.structs.replace(
        config, upload_templates={"blog": "blog/{{slug}}.{{ext}}"}, link_templates={"figure": "[{url}|{width}]"}
    )
    page = unescape(Visitor(make_gallery(config=named)).get("/settings").get_data(as_text=True))
    assert "https://img.example.com" in page
    assert "<td>blog/photo.jpg</td>" in page
    assert "<td>[https://img.example.com/photo.jpg|640]</td>" in page


def test_doctor_says_what_it_found_and_leaves_nothing(visitor: Visitor, bucket: Bucket) -> None:
    before = {info.key for info in bucket.list()}
    page = visitor.post("/doctor").get_data(as_text=True)
    assert "\u2713 good" in page
    assert "<td>put</td>" in page
    assert {info.key for info in bucket.list()} == before


@pytest.mark.parametrize(
    ("text", "program", "lines"),
    [
        (SVELTIA, "Sveltia CMS", ['bucket = "s3://media/blog"', 'provider = "r2"', 'public_url = "https://img.example.com/blog"']),
        (json.dumps(IMAGE_PORT), "S3 Image Port", ['bucket = "s3://pics"', 'endpoint_url = "https://s3.example.com"']),
        (json.dumps(PICGO), "PicGo", ['bucket = "s3://pics/i"']),
    ],
    ids=["sveltia", "image port", "picgo"],
)  # fmt: skip
def test_settings_of_another_program_become_a_file_without_secrets(
    visitor: Visitor, text: str, program: str, lines: list[str]
) -> None:
    answer = visitor.post("/import", {"settings": text})
    page = unescape(answer.get_data(as_text=True))
    assert f"Imported from {program}" in page
    assert all(line in page for line in lines)
    assert "SECRETISH" not in page
    assert "very-secret-word" not in page
    assert "held credentials" in page


@pytest.mark.parametrize(
    "text", ["", "x", "[]", "{}", "media_libraries: [", "media_libraries: 3", "{" * 5000, "null", "3"]
)
def test_text_that_is_no_settings_is_told(visitor: Visitor, text: str) -> None:
    answer = visitor.post("/import", {"settings": text})
    assert answer.status_code == 400
    assert "the file must be" in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("name", "fields", "values"),
    [
        ("aws_s3", {"region": "eu-west-1"}, {"provider": "aws", "region": "eu-west-1"}),
        ("cloudflare_r2", {"account_id": "a1", "jurisdiction": "eu"}, {"endpoint_url": "https://a1.eu.r2.cloudflarestorage.com"}),
        ("aws_s3", {"endpoint": "https://minio.example.com", "force_path_style": True}, {"endpoint_url": "https://minio.example.com", "addressing_style": "path"}),
        ("supabase_storage", {"project_id": "abc", "region": "eu-west-1"}, {"provider": "supabase", "account": "abc"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", ["many", "one"])
def test_stores_of_sveltia_are_read_in_both_forms(
    name: str, fields: dict[str, Any], values: dict[str, Any], form: str
) -> None:
    store = {"bucket": "media", "access_key_id": "AKID", **fields}
    data = {"media_library": {"name": name, **store}} if form == "one" else {"media_libraries": {name: store}}
    found = foreign_settings.read(json.dumps(data))
    assert (found.program, found.secrets) == ("Sveltia CMS", ("access_key_id",))
    assert {key: found.values.get(key) for key in values} == values


SECRET = "https://ann:very-secret-word@cdn.example.com"


@pytest.mark.parametrize(
    "data",
    [
        {"s3": {"bucket": "pics", "endpoint": SECRET}},
        {"s3": {"bucket": "pics", "endpoint": "https://s3.example.com", "pubUrl": SECRET}},
        {"media_library": {"name": "aws_s3", "bucket": "pics", "public_url": SECRET}},
        {"picBed": {"aws-s3": {"bucketName": "pics", "urlPrefix": SECRET}}},
        {"type": "S3", "bucket": "pics", "includeCanonicalHeader": True, "baseUrlForCanonicalHeader": SECRET},
    ],
    ids=str,
)
def test_address_with_a_password_is_refused_without_showing_it(visitor: Visitor, data: dict[str, Any]) -> None:
    answer = visitor.post("/import", {"settings": json.dumps(data)})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert "contains credentials" in page
    assert "very-secret-word" not in page


def test_half_of_a_character_is_no_settings(visitor: Visitor) -> None:
    text = json.dumps({"s3": {"bucket": "pics\ud800", "endpoint": "https://s3.example.com"}})
    assert visitor.post("/import", {"settings": text}).status_code == 400
    yaml = 'media_library: {name: aws_s3, bucket: "\\uD800"}'
    assert visitor.post("/import", {"settings": yaml}).status_code == 400


def test_imported_settings_are_toml_whatever_their_name_holds() -> None:
    data = {
        "data": {
            "list": [["a\x01b\x7f\nbucket = 1", {"s3": {"bucket": "p\x7f", "endpoint": "https://s3.example.com"}}]]
        }
    }
    found = foreign_settings.read(json.dumps(data))
    read = tomllib.loads(settings_file.document(found.values, [found.name, *found.notes]))
    assert read == {"bucket": "s3://p\x7f", "endpoint_url": "https://s3.example.com"}
