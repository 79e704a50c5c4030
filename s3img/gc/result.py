"""What a clean-up found, did, or refused to do."""

from __future__ import annotations

import msgspec


class GcResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report a clean-up by keys; of a dry run (``applied`` is false), ``marked`` and ``deleted`` are what would be.

    ``objects`` counts everything below the prefix, ``foreign`` what is unreferenced and not known to be ours,
    ``revived`` the marks that no longer hold, ``bytes`` what ``deleted`` takes up, ``unnamed`` the references of sites
    without a name, which never expire, ``expired`` what was deleted so long ago that it leaves the trash.
    """

    schema: str = "s3img.gc/1"
    target: str
    applied: bool = False
    objects: int = 0
    references: int = 0
    live: int = 0
    foreign: int = 0
    marked: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    revived: tuple[str, ...] = ()
    bytes: int = 0
    expired: tuple[str, ...] = ()
    requests: dict[str, int] = {}
    unnamed: int = 0
    refused: str = ""
    failed: str = ""
    exit_code: int = 0

    def __str__(self) -> str:
        head = "" if self.applied else "Nothing was changed. "
        sums = f"{self.objects} objects, {self.live} referenced, {self.foreign} not ours"
        marked, deleted = ("marked", "deleted") if self.applied else ("would be marked", "would be deleted")
        done = f"{len(self.marked)} {marked}, {len(self.waiting)} waiting, {len(self.deleted)} {deleted}"
        again = f"{len(self.revived)} in use again, {len(self.expired)} gone from the trash"
        return f"{head}{self.target}: {sums}; {done} ({self.bytes:,} bytes), {again}."
