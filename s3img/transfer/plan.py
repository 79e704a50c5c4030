"""What has to be sent, and what became of it: values and the pure plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from s3img.buckets import IMMUTABLE, MARKER
from s3img.errors import ConfigError, S3ImgError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from s3img.assets import FileStat

Progress = Callable[[str, int, int], None]
"""Report (what is being done, done so far, in all)."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One object to put: ``size`` in bytes and ``sha256`` (hex, "" if unknown) of the file as it was planned.

    ``content`` may be the bytes that were planned, and ``stat`` what proves that the file has them still; otherwise the
    file is read again.
    """

    key: str
    path: Path
    size: int
    media_type: str
    cache_control: str = IMMUTABLE
    sha256: str = ""
    metadata: Mapping[str, str] = field(default_factory=lambda: MARKER, compare=False)
    content: bytes = field(default=b"", compare=False, repr=False)
    stat: FileStat | None = field(default=None, compare=False, repr=False)


class UploadPlan(msgspec.Struct, frozen=True):
    """What to send and what is there already, both by key; ``replaced`` has the sizes of partial objects."""

    uploads: tuple[Upload, ...]
    present: tuple[Upload, ...] = ()
    replaced: Mapping[str, int] = {}

    @property
    def bytes(self) -> int:
        """Bytes to send."""
        return sum(upload.size for upload in self.uploads)

    def __str__(self) -> str:
        head = f"{len(self.uploads)} to upload ({self.bytes} bytes), {len(self.present)} present"
        lines = [
            f"put {upload.key}  {upload.size} bytes  {upload.media_type}  {upload.path}  "
            + (f"(has {self.replaced[upload.key]} bytes there)" if upload.key in self.replaced else "(new)")
            for upload in self.uploads
        ]
        return "\n".join((head, *lines))


class UploadResult(msgspec.Struct, frozen=True):
    """What became of each planned upload: ``uploaded`` keys and ``failed`` ones with their cause, both sorted."""

    uploaded: tuple[str, ...] = ()
    failed: Mapping[str, S3ImgError] = {}
    bytes: int = 0
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0, or the code of the worst failure: credentials before the store before a file."""
        codes = {error.exit_code for error in self.failed.values()}
        return next((code for code in (4, 5) if code in codes), max(codes, default=0))

    def then(self, later: UploadResult) -> UploadResult:
        """Add up two runs; a key that the later one sent again, or did not find any more, counts as it ended."""
        return UploadResult(
            uploaded=tuple(sorted({*self.uploaded, *later.uploaded} - later.failed.keys())),
            failed={**self.failed, **later.failed},
            bytes=self.bytes + later.bytes,
            seconds=self.seconds + later.seconds,
        )


def plan_uploads(uploads: Iterable[Upload], present: Mapping[str, int]) -> UploadPlan:
    """Choose what to send, each key once and in the order of keys; ``present`` maps the store's keys to their sizes.

    Raise `ConfigError` naming every key that two different contents claim.
    """
    first: dict[str, Upload] = {}
    clashes = []
    for upload in uploads:
        other = first.setdefault(upload.key, upload)
        if other is not upload and _content(other) != _content(upload):
            clashes.append(
                f"key_template: {other.path} and {upload.path} get one key, {upload.key!r}: add {{{{hash:8}}}}"
            )
    if clashes:
        raise ConfigError(clashes)
    ordered = [first[key] for key in sorted(first)]
    there = {upload.key: present[upload.key] for upload in ordered if upload.key in present}
    return UploadPlan(
        uploads=tuple(upload for upload in ordered if there.get(upload.key) != upload.size),
        present=tuple(upload for upload in ordered if there.get(upload.key) == upload.size),
        replaced={
            upload.key: there[upload.key] for upload in ordered if there.get(upload.key, upload.size) != upload.size
        },
    )


def _content(upload: Upload) -> tuple[object, ...]:
    """Return what makes two uploads one: equal bytes as far as is known, and equal headers."""
    return upload.sha256 or upload.path, upload.size, upload.media_type, upload.cache_control
