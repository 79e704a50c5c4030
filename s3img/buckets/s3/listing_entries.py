"""Read the objects of a page of a listing in one pass; botocore parses it twice and then walks it field by field."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

if TYPE_CHECKING:
    from typing import Any

_FIELDS = ("Contents", "Key", "Size", "ETag", "LastModified")


def split_entries(body: bytes) -> tuple[list[dict[str, Any]], bytes] | None:
    """Return the objects of a ``ListBucketResult``, with botocore's names, and the document without them.

    None where anything is not as AWS documents it: botocore reads all of that, and fails where it has to. Source:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html.
    """
    parser = Xml.XMLParser(encoding="utf-8")  # noqa: S314 - as botocore parses it; expat bounds what entities become
    entries = []
    try:
        parser.feed(body)
        root = parser.close()
        space = root.tag.removesuffix("ListBucketResult")
        entry, key, size, etag, modified = (space + field for field in _FIELDS)
        for item in root.iterfind(entry):
            name, when = item.findtext(key), datetime.fromisoformat(item.findtext(modified, ""))
            if name is None or when.tzinfo is None:
                return None
            found = {"Key": name, "Size": int(item.findtext(size, "")), "ETag": item.findtext(etag, "")}
            entries.append({**found, "LastModified": when})
    except (Xml.ParseError, ValueError):
        return None
    rest = Xml.Element(root.tag)
    rest.extend(child for child in root if child.tag != entry)
    # Objects in another namespace than the root's, or a root of another name, are not for us to read.
    if root.tag == space or any(child.tag.endswith("Contents") for child in rest):
        return None
    return entries, Xml.tostring(rest)
