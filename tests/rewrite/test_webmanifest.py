from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.rewrite import find_references, rewrite

TYPE = "application/manifest+json"

MANIFEST = b"""{
  "name": "Caf\xc3\xa9", "start_url": "./",
  "icons": [ {"src": "icons\\/192.png", "sizes": "192x192", "type": "image/png"},
             {"sizes": "any"}, 5, {"src": 7}, {"src": ""} ],
  "screenshots": [{"src": "\xc3\xa9.png"}],
  "shortcuts": [{"name": "x", "url": "/x.png", "icons": [{"src": "x.png"}]}, {"name": "y"}],
  "related_applications": [{"url": "https://example.com/a.png"}], "src": "no.png"
}
"""


def test_webmanifest_images_are_found_in_source_order() -> None:
    assert [(found.kind, found.url) for found in find_references(MANIFEST, TYPE)] == [
        ("manifest icons", "icons/192.png"),
        ("manifest screenshots", "é.png"),
        ("manifest shortcuts", "x.png"),
    ]


def test_webmanifest_other_bytes_stay() -> None:
    expected = MANIFEST.replace(b"icons\\/192.png", b"n1").replace(b"\xc3\xa9.png", b"n2").replace(b'"x.png"', b'"n3"')
    urls = iter(("n1", "n2", "n3"))
    assert rewrite(MANIFEST, TYPE, lambda _: next(urls)) == expected


@pytest.mark.parametrize(
    "text", ["", "[]", '"x"', "{}", '{"icons": {"src": "a"}}', '{"icons": ["a"]}', '{"shortcuts": [1]}']
)
def test_webmanifest_of_another_shape_has_no_images(text: str) -> None:
    assert find_references(text, TYPE) == []


def test_webmanifest_replacement_is_escaped() -> None:
    new = rewrite('{"icons": [{"src": "a"}]}', TYPE, lambda _: '"é\\\n')
    assert json.loads(new)["icons"][0]["src"] == '"é\\\n'


@given(st.text(min_size=1).filter(lambda text: text == text.strip()))
def test_webmanifest_url_survives_the_round_trip(url: str) -> None:
    text = json.dumps({"icons": [{"src": "a"}]})
    new = rewrite(text, TYPE, lambda _: url)
    assert [found.url for found in find_references(new, TYPE)] == [url]


@given(st.binary())
def test_webmanifest_takes_any_bytes(data: bytes) -> None:
    assert rewrite(data, TYPE, lambda _: None) is data
