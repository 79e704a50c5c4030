"""Ranges of bytes (RFC 9110, section 14): one at a time; several at once are answered with all, as it allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from werkzeug.http import parse_if_range_header, parse_range_header

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers

    from s3img.service.engine.requests import Facts


class OutOfRange(Exception):
    """Report a range that begins behind the end of ``size`` bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(f"The source has {size} bytes. Ask for some of them.")
        self.size = size


def wanted_range(headers: Headers, facts: Facts) -> tuple[int, int] | None:
    """Return start and stop (exclusive) of the range to send, None for all bytes; raise OutOfRange.

    A header that is malformed, of another unit, of several ranges, or of an older copy (``If-Range``) is ignored.
    """
    wanted = parse_range_header(headers.get("Range"))
    if wanted is None or wanted.units != "bytes" or len(wanted.ranges) != 1:
        return None
    if not _is_same(headers.get("If-Range"), facts):
        return None
    start, end = wanted.ranges[0]
    start = max(0, facts.size + start) if start < 0 else start
    stop = facts.size if end is None else min(end, facts.size)
    if start >= stop:
        raise OutOfRange(facts.size)
    return start, stop


def _is_same(if_range: str | None, facts: Facts) -> bool:
    """Compare strongly (RFC 9110, section 13.1.5): a weak tag never fits, a date only to the second."""
    if if_range is None:
        return True
    said = parse_if_range_header(if_range)
    if said.date is not None:
        return said.date == facts.modified.replace(microsecond=0)
    return said.etag == facts.etag and not if_range.lstrip().startswith("W/")
