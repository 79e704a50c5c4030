"""What a sync, check or pull found, did and could not do."""

from __future__ import annotations

from typing import Literal

import msgspec


class FileFinding(msgspec.Struct, frozen=True, order=True):
    """Name one thing that is not as it should be: where, what kind, and what to do."""

    path: str
    code: str
    message: str
    severity: Literal["error", "warning", "note"] = "error"

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class PlannedUpload(msgspec.Struct, frozen=True):
    """Name one object that is to be sent."""

    path: str
    key: str
    bytes: int
    media_type: str


class SyncPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Say what a sync would do; ``tree`` (sha256, hex) stands for the images as they were, and for their keys.

    ``variants`` are images to be rendered; which of their renderings are worth an upload shows only then.
    """

    schema: Literal["s3img.plan/1"] = "s3img.plan/1"
    target: str
    endpoint_url: str = ""
    dirs: tuple[str, ...]
    prune: bool = False
    images: int
    bytes: int
    uploads: tuple[PlannedUpload, ...] = ()
    variants: tuple[str, ...] = ()
    lock_added: tuple[str, ...] = ()
    lock_changed: tuple[str, ...] = ()
    lock_removed: tuple[str, ...] = ()
    problems: tuple[FileFinding, ...] = ()
    tree: str

    @property
    def is_empty(self) -> bool:
        """Tell whether there is nothing to do."""
        return not (self.uploads or self.variants or self.lock_added or self.lock_changed or self.lock_removed)


class SyncResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report a sync; ``kept`` counts lines of the lock whose file is not on disk, ``rendered`` new variants.

    Of a dry run, ``uploaded`` counts originals only: which variants are worth it shows when they are rendered.
    """

    schema: str = "s3img.transfer/1"
    target: str
    lock: str
    images: int = 0
    uploaded: int = 0
    present: int = 0
    kept: int = 0
    rendered: int = 0
    bytes: int = 0
    lock_changed: bool = False
    verified: Literal["cache", "list"] = "cache"
    requests: dict[str, int] = {}
    problems: tuple[FileFinding, ...] = ()
    notes: tuple[FileFinding, ...] = ()
    failed: tuple[str, ...] = ()
    exit_code: int = 0
    seconds: float = 0.0
    dry_run: bool = False

    def __str__(self) -> str:
        verb, sent = ("Would sync", "to put") if self.dry_run else ("Synced", "put")
        lock = {(0, 0): "unchanged", (0, 1): "written", (1, 0): "would stay", (1, 1): "would change"}
        kept = f" {_count(self.kept, 'line')} of images that are not on disk kept." if self.kept else ""
        failed = f" {_count(len(self.failed), 'upload')} failed: run the command again." if self.failed else ""
        rendered = f"{_count(self.rendered, 'variant')} {'to render' if self.dry_run else 'rendered'}, "
        return (
            f"{verb} {_count(self.images, 'image')} to {self.target}: {rendered if self.rendered else ''}"
            f"{self.uploaded} {sent} ({self.bytes:,} bytes), "
            f"{self.present} present; {self.lock} {lock[self.dry_run, self.lock_changed]}.{kept}{failed}"
        )


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report how lock and tree differ."""

    schema: str = "s3img.check/1"
    lock: str
    images: int
    findings: tuple[FileFinding, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 with findings."""
        return int(bool(self.findings))


class PullResult(msgspec.Struct, frozen=True, kw_only=True):
    """Report which images of the lock were brought to disk."""

    schema: str = "s3img.pull/1"
    target: str
    restored: tuple[str, ...] = ()
    present: int = 0
    findings: tuple[FileFinding, ...] = ()
    requests: dict[str, int] = {}
    exit_code: int = 0

    def __str__(self) -> str:
        return f"Restored {_count(len(self.restored), 'image')} from {self.target}; {self.present} present."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class SyncOptions(msgspec.Struct, frozen=True):
    """Choose how to sync.

    ``verify`` lists the bucket whatever is known of it; ``prune`` drops lines of images that are not on disk;
    ``listed_only`` leaves out images that the lock does not name.
    """

    verify: bool = False
    prune: bool = False
    listed_only: bool = False
