from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3img.rewrite import find_references, rewrite

TYPE = "application/ld+json"

FOUND = {
    "string": ({"image": "a.png"}, ["image a.png"]),
    "array": ({"image": ["a.png", "b.png"]}, ["image a.png", "image b.png"]),
    "image object": ({"image": {"@type": "ImageObject", "url": "a.png"}}, ["url a.png"]),
    "mixed array": ({"image": ["a", {"@type": "ImageObject", "contentUrl": "b"}]}, ["image a", "contentUrl b"]),
    "object without type": ({"logo": {"url": "a.png"}}, ["url a.png"]),
    "object of another type": ({"logo": {"@type": "Brand", "url": "https://example.com/"}}, []),
    "several types": ({"image": {"@type": ["Thing", "ImageObject"], "url": "a.png"}}, ["url a.png"]),
    "type with vocabulary": ({"@type": "https://schema.org/ImageObject", "contentUrl": "a"}, ["contentUrl a"]),
    "property with vocabulary": ({"schema:image": "a.png"}, ["image a.png"]),
    "image object at the top": ({"@type": "ImageObject", "contentUrl": "a.png"}, ["contentUrl a.png"]),
    "film": ({"@type": "VideoObject", "contentUrl": "a.mp4", "thumbnailUrl": "t.png"}, ["thumbnailUrl t.png"]),
    "page of an article": ({"@type": "Article", "url": "a.png"}, []),
    "identity": ({"image": {"@id": "a.png"}}, []),
    "no strings": ({"image": 1, "logo": None, "photo": True, "screenshot": [2, {}, []]}, []),
    "graph": ({"@graph": [{"publisher": {"logo": "a.png"}}]}, ["logo a.png"]),
    "thumbnail": ({"thumbnail": "a.png", "primaryImageOfPage": "b"}, ["thumbnail a.png", "primaryImageOfPage b"]),
    "photo": ({"photo": "c.png", "screenshot": "d.png"}, ["photo c.png", "screenshot d.png"]),
    "other properties": ({"imageCount": "a.png", "images": "b.png", "name": "c.png"}, []),
    "empty": ({"image": "", "logo": [""]}, []),
    "object in an image object": (
        {"image": {"@type": "ImageObject", "url": "a", "thumbnail": {"@type": "ImageObject", "url": "b"}}},
        ["url a", "url b"],
    ),
}


def listed(data: bytes | str) -> list[str]:
    return [f"{found.kind.removeprefix('ld+json ')} {found.url}" for found in find_references(data, TYPE)]


@pytest.mark.parametrize(("value", "expected"), FOUND.values(), ids=FOUND)
def test_jsonld_images_are_found_by_property_and_type(value: object, expected: list[str]) -> None:
    assert listed(json.dumps(value, indent=1)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'{"image":"https:\/\/x\/a.png"}', "https://x/a.png"),
        (r'{"image":"\u00e9.png"}', "é.png"),
        ('{"image":"é.png"}', "é.png"),
        ('\ufeff{"image":"a.png"}', "a.png"),
        ('{"image":"a.png","image":"b.png"}', "b.png"),
        ('[1,[{"image":\n"a.png"}],-2e5,null]', "a.png"),
    ],
)
def test_jsonld_url_is_what_json_parse_returns(text: str, expected: str) -> None:
    assert [found.url for found in find_references(text, TYPE)] == [expected]
    assert [found.url for found in find_references(text.encode(), TYPE)] == [expected]


@pytest.mark.parametrize(
    "text", ["", "{", '{"image":"a.png"', "{'image':'a.png'}", '{"image":"a.png"}}', '{"image":"a\nb"}']
)
def test_jsonld_that_is_no_json_is_left_alone(text: str) -> None:
    assert find_references(text, TYPE) == []


def test_jsonld_nested_deeper_than_a_parser_goes_is_left_alone() -> None:
    depth = 200_000
    assert find_references('{"image":' * depth + '"a.png"' + "}" * depth, TYPE) == []


@pytest.mark.parametrize("url", ["</script><!--", 'a"b\\c', "é\u2028.png", "https://x/a.png?b=1&c=2"])
def test_jsonld_replacement_is_json_that_cannot_end_a_script(url: str) -> None:
    new = rewrite('{"image": "a.png", "n": "é"}', TYPE, lambda _: url)
    assert json.loads(new) == {"image": url, "n": "é"}
    assert "</" not in new
    assert "<!--" not in new


def test_jsonld_other_bytes_stay() -> None:
    data = b'\xef\xbb\xbf{ "image" :\t"\\u0061.png"\r\n, "x": [ 1.50, "\xc3\xa9" ] }\n'
    assert rewrite(data, TYPE, lambda _: "n.png") == data.replace(b"\\u0061.png", b"n.png")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["image", "logo", "url", "@type", "x"]), inner),
)


@given(JSON)
def test_jsonld_spans_hold_the_urls(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    for found in find_references(text, TYPE):
        assert json.loads(f'"{text[found.start : found.end]}"').strip() == found.url


@given(JSON)
def test_jsonld_without_replacement_is_the_same_object(value: object) -> None:
    text = json.dumps(value)
    assert rewrite(text, TYPE, lambda _: None) is text


@given(st.binary())
def test_jsonld_takes_any_bytes(data: bytes) -> None:
    assert rewrite(data, TYPE, lambda _: None) is data
