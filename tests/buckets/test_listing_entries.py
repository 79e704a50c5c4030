"""Our reader of listings and botocore's find the same in every page, and what is unusual is left to botocore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from botocore.config import Config
from botocore.session import Session
from hypothesis import given
from hypothesis import strategies as st
from stub_store import Answer, stub_store

from s3img.buckets.s3 import client
from s3img.buckets.s3.listing_entries import split_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
SPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
FIELDS = {"Key": "a.png", "LastModified": "2026-01-02T03:04:05.678Z", "ETag": "&quot;0f&quot;", "Size": "7"}
OTHER = "<Owner><ID>1</ID></Owner><StorageClass>STANDARD</StorageClass><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"


def entry(**fields: str) -> str:
    texts = {**FIELDS, **fields}
    return f"<Contents>{''.join(f'<{name}>{text}</{name}>' for name, text in texts.items())}{OTHER}</Contents>"


def without(name: str) -> str:
    return entry().replace(f"<{name}>{FIELDS[name]}</{name}>", "")


def page(*inner: str, space: str = SPACE, encoding: str = "") -> str:
    kind = f"<EncodingType>{encoding}</EncodingType>" if encoding else ""
    head = "<Name>pics</Name><Prefix></Prefix><IsTruncated>false</IsTruncated>"
    return f"{HEAD}<ListBucketResult{space}>{head}{kind}{''.join(inner)}</ListBucketResult>"


USUAL = {
    "two objects": page(entry(), entry(Key="b")),
    "no namespace": page(entry(), space=""),
    "a prefix for the namespace": page(entry())
    .replace(SPACE, SPACE.replace("xmlns", "xmlns:s"))
    .replace("<", "<s:")
    .replace("<s:/", "</s:")
    .replace("<s:?", "<?"),
    "white space": page(entry().replace("><", ">\n  <"), "\n"),
    "entities": page(entry(Key="a&amp;b&#x20;&lt;c&gt;.png")),
    "a section of characters": page(entry(Key="<![CDATA[a<b]]>")),
    "a comment in a key": page(entry(Key="a<!-- x -->b")),
    "url encoded": page(entry(Key=quote("ä b+c/ü.png", safe="/")), encoding="url"),
    "a percent sign that encodes nothing": page(entry(Key="50%25.png")),
    "folders": page(entry(), "<CommonPrefixes><Prefix>i/</Prefix></CommonPrefixes>"),
    "no etag": page(without("ETag")),
    "an etag without quotes": page(entry(ETag="0f")),
    "another zone": page(entry(LastModified="2026-01-02T03:04:05+02:00")),
    "an empty key": page(entry(Key="")),
}
UNUSUAL = {
    "a time that needs guessing": page(entry(), entry(LastModified="Fri, 02 Jan 2026 03:04:05 GMT")),
    "a time without a zone": page(entry(LastModified="2026-01-02T03:04:05")),
    "no time": page(without("LastModified")),
    "no key": page(without("Key")),
    "no size": page(without("Size")),
    "objects in another namespace": page(entry(), entry().replace("<Contents>", '<Contents xmlns="urn:x">')),
}
NO_LISTINGS = {
    "an error": f"{HEAD}<Error><Code>InternalError</Code><Message>x</Message></Error>",
    "half of a page": page(entry(), entry())[:-40],
    "a web page": "<!doctype html><html><body>Please sign in.<br></body></html>",
    "another root": page(entry()).replace("ListBucketResult", "XListBucketResult"),
    "nothing": "",
}


@pytest.fixture(scope="module")
def read() -> Iterator[Callable[[str], list[Any]]]:
    """What our client and one of botocore alone make of the same answer: objects, and all the rest."""
    with stub_store() as store:
        options = store.options(region="us-east-1")
        session = Session()
        session.set_credentials("stub", "secret")
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
        plain: Any = session.create_client(
            "s3", region_name="us-east-1", endpoint_url=store.endpoint_url, config=config
        )
        ours = client.open_client(client.open_session(options), options, "pics")

        def read(body: str) -> list[Any]:
            store.answers = [Answer(200, body.encode(), {"Content-Type": "application/xml"})]
            found = []
            for one in (ours, plain):
                answer: Any = one.list_objects_v2(Bucket="pics")
                known = [{name: item.get(name, "") for name in FIELDS} for item in answer.pop("Contents", [])]
                found.append((known, {**answer, "ResponseMetadata": None}))
            return found

        yield read


@pytest.mark.parametrize("which", [*USUAL, *UNUSUAL])
def test_page_reads_as_botocore_reads_it(read: Callable[[str], list[Any]], which: str) -> None:
    ours, plain = read((USUAL | UNUSUAL)[which])
    assert ours == plain
    assert ours[0]


@pytest.mark.parametrize("which", USUAL)
def test_usual_page_is_ours_to_read(which: str) -> None:
    found = split_entries(USUAL[which].encode())
    assert found
    assert (len(found[0]) > 0, b"Contents" in found[1], b"IsTruncated" in found[1]) == (True, False, True)


@pytest.mark.parametrize("which", [*UNUSUAL, *NO_LISTINGS])
def test_unusual_page_is_left_to_botocore(which: str) -> None:
    assert split_entries((UNUSUAL | NO_LISTINGS)[which].encode()) is None


WRITABLE = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")  # what XML can hold


@given(keys=st.lists(st.text(WRITABLE, max_size=30), min_size=1, max_size=5), encoding=st.sampled_from(["", "url"]))
def test_any_key_reads_as_it_is(read: Callable[[str], list[Any]], keys: list[str], encoding: str) -> None:
    written = [quote(key, safe="/") if encoding else escape(key) for key in keys]
    ours, plain = read(page(*(entry(Key=key) for key in written), encoding=encoding))
    assert ours == plain
    assert [item["Key"] for item in ours[0]] == keys
