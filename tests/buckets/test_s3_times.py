"""Times that s3img reads in the place of botocore."""

from __future__ import annotations

import pytest
from botocore.utils import parse_timestamp
from stub_store import Answer, stub_store

from s3img.buckets import open_bucket

TIMES = ["2026-11-22T10:00:00Z", "2026-11-22T10:00:00.123Z", "2026-11-22T12:00:00+02:00", "2026-11-22 10:00:00"]
TIMES += ["Sun, 22 Nov 2026 10:00:00 GMT", "1795341600", "1795341600.5", "20261122T100000Z", "22 Nov 2026 10:00Z"]


@pytest.mark.parametrize("text", TIMES)
def test_times_of_a_listing_are_what_botocore_reads(text: str) -> None:
    item = f"<Key>a</Key><Size>1</Size><ETag>e</ETag><LastModified>{text}</LastModified>"
    page = f"<ListBucketResult><IsTruncated>false</IsTruncated><Contents>{item}</Contents></ListBucketResult>"
    with stub_store(Answer(200, page.encode(), {})) as store:
        (found,) = open_bucket("s3://pics", store.options()).list()
    assert (found.modified, found.modified.utcoffset()) == (expected := parse_timestamp(text), expected.utcoffset())
