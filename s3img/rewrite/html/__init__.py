"""The finder for HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from s3img.rewrite import json
from s3img.rewrite.html.collector import Context
from s3img.rewrite.html.elements import JSON_LD, element_table, head_end_elements, meta_elements
from s3img.rewrite.html.scan import Scanner
from s3img.rewrite.source import Source, from_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from s3img.rewrite.reference import Extra, Reference


def scanner(
    source: Source,
    context: Context,
    found: list[Reference],
    *,
    optional: Collection[str],
    extra: Extra,
    final: bool = True,
) -> Scanner:
    """Return a scanner of a document, or a part of one, that collects references in ``found``."""
    finder = find_in_script if JSON_LD in optional else None
    return Scanner(source, element_table(optional, extra), context, found, final=final, json_ld=finder)


def find(source: Source, optional: Collection[str], extra: Extra) -> list[Reference]:
    """Return the references of a whole document in its order."""
    found: list[Reference] = []
    scanner(source, Context(), found, optional=optional, extra=extra).scan(0, len(source.code))
    return found


def head_end(data: bytes) -> int | None:
    """Return the offset of the end tag of ``<head>``, where markup can be added to the head; None if there is none."""
    head = Scanner(from_bytes(data, "utf-8"), head_end_elements(), Context(), [])
    head.scan(0, len(data))
    return head.head


def meta_contents(data: bytes, http_equiv: str) -> list[str]:
    """Return the ``content`` of each ``<meta>`` with this ``http-equiv`` (lower case), not of those in comments."""
    found: list[Reference] = []
    Scanner(from_bytes(data, "utf-8"), meta_elements(), Context(), found).scan(0, len(data))
    metas = ((reference.tag, reference.url) for reference in found if reference.kind == "meta content")
    return [content for tag, content in metas if tag and (tag.get("http-equiv") or "").lower() == http_equiv]


def find_in_script(source: Source, start: int, end: int) -> Iterator[Reference]:
    """Yield the references of a script of JSON-LD."""
    part = Source(source.data[start:end], source.code[start:end], source.charset)
    for reference in json.find_json_ld(part):
        yield msgspec.structs.replace(reference, start=start + reference.start, end=start + reference.end)
