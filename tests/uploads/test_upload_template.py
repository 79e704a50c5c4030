from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.errors import ConfigError
from s3img.keys import KeyFields
from s3img.uploads import UploadFields, UploadTemplate, ulid

WHEN = datetime(2024, 5, 29, 3, 4, 5, 678000, tzinfo=UTC)
ENTROPY = 0xE5BF_F3A9_4E9A_5282_9298


def key(template: str, path: str = "cat.jpg", *, ext: str = "jpg", entropy: int = ENTROPY) -> str:
    file = KeyFields(path, "2cf24dba" + "0" * 56, ext, 640, 480)
    return UploadTemplate.parse(template).key(UploadFields(file, WHEN, entropy))


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        (
            "blog/{{year}}-{{month}}-{{day}}/{{stem}}.{{ext}}",
            "My Photo.final.PNG",
            "blog/2024-05-29/My Photo.final.jpg",
        ),
        ("{{timestamp}}-{{name}}.{{ext}}", "cat.webp", "1716951845678-cat.jpg"),
        ("x/{{ hour }}{{minute}}{{second}}/{{hash:8}}.{{ext}}", "a.png", "x/030405/2cf24dba.jpg"),
        ("{{dir}}/{{slug}}-{{width}}x{{height}}.{{ext}}", "albums/2024/My Cat!.jpg", "albums/2024/my-cat-640x480.jpg"),
        ("s/{{filename}}", "图片 空格#1?.png", "s/图片 空格#1?.png"),
        ("{{dir}}/{{ulid:4}}.{{ext}}", "a.png", "01HZ.jpg"),
    ],
)
def test_template_names_the_upload(template: str, path: str, expected: str) -> None:
    assert key(template, path) == expected


def test_ulid_is_that_of_its_specification() -> None:
    assert ulid(1469918176385, 0) == "01ARYZ6S410000000000000000"
    assert ulid((1 << 48) - 1, (1 << 80) - 1) == "7ZZZZZZZZZZZZZZZZZZZZZZZZZ"


def test_day_slice_is_cut_from_the_ulid() -> None:
    name = ulid(int(WHEN.timestamp() * 1000), ENTROPY)
    assert key("i/{{ulid-dayslice}}.{{ext}}") == f"i/{name[4:10].lower()}-{name[-4:].lower()}.jpg"


@given(st.integers(0, (1 << 80) - 1), st.integers(0, (1 << 80) - 1))
def test_ulids_sort_by_time(first: int, second: int) -> None:
    assert ulid(1000, first) < ulid(1001, second)


def test_uuids_differ_with_chance() -> None:
    assert key("{{uuid}}.{{ext}}", entropy=1) != key("{{uuid}}.{{ext}}", entropy=2)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{yaer}}/x.{{ext}}", "did you mean {{year}}"),
        ("/a//b.{{ext}}", "must not start with"),
        ("a/../{{ulid}}", r"'\.\.' segment"),
        ("", "must not be empty"),
        ("{{ulid}", "unpaired braces"),
    ],
)
def test_template_explains_its_fault(template: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        UploadTemplate.parse(template)


def test_an_empty_name_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"\{\{stem\}\} is empty"):
        key("{{stem}}.{{ext}}", "")


@given(st.text(max_size=40))
def test_no_name_escapes_its_folder(path: str) -> None:
    made = key("u/{{ulid}}/{{slug}}.{{ext}}", path)
    assert made.startswith("u/")
    assert ".." not in made.split("/")
    assert "\\" not in made


def test_template_round_trips() -> None:
    assert str(UploadTemplate.parse("i/{{ulid}}.{{ext}}")) == "i/{{ulid}}.{{ext}}"
