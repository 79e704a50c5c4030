"""What a sync has to do and what became of it, as values; and the plan that people read."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from s3img.lock import recipe
from s3img.sync.outcome import FileFinding, PlannedUpload, SyncPlan
from s3img.transfer import UploadPlan, UploadResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from s3img.config import Config
    from s3img.errors import S3ImgError
    from s3img.lock import Lock, LockEntry, VariantSettings
    from s3img.pictures.variants import Variant, VariantSet
    from s3img.sync.survey import FolderSurvey
    from s3img.sync.tree import Scope

# Data classes and no msgspec.Struct: those load the types of their fields, and with variants all of the language of
# transforms, which most syncs have no use for.


@dataclass(frozen=True, slots=True)
class VariantPlan:
    """The images to render, by path: ``new`` variant sets, and ``missing`` variants (by key) of lines in the lock."""

    new: Mapping[str, VariantSet] = field(default_factory=lambda: MappingProxyType({}))
    missing: Mapping[str, Mapping[str, Variant]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the images that something is to be rendered for."""
        return tuple(sorted({*self.new, *self.missing}))

    def variants(self) -> Iterator[Variant]:
        """Yield everything that has to be rendered, unless it is there already."""
        for variant_set in self.new.values():
            yield from variant_set.variants
        for variants in self.missing.values():
            yield from variants.values()


@dataclass(frozen=True, slots=True)
class SyncJob:
    """What there is to do; ``settings`` are None where no variants are wanted."""

    survey: FolderSurvey
    lock: Lock
    uploads: UploadPlan
    verified: Literal["cache", "list"]
    variants: VariantPlan = VariantPlan()
    settings: VariantSettings | None = None
    prune: bool = False

    def new_lock(self, old: Lock, lines: Iterable[LockEntry]) -> Lock:
        """Return a lock with these lines; an image that has none here keeps the one it had."""
        return old.updated(lines, without=self.survey.missing if self.prune else (), settings=self.settings)


@dataclass(frozen=True, slots=True)
class Done:
    """What a sync did: uploads, the lines that follow, how many variants it rendered and which it could not."""

    sent: UploadResult = field(default_factory=UploadResult)
    lines: tuple[LockEntry, ...] = ()
    rendered: int = 0
    findings: tuple[FileFinding, ...] = ()


def describe(job: SyncJob, config: Config, scope: Scope) -> SyncPlan:
    """Return a job as the plan that people read."""
    new = job.new_lock(job.lock, job.survey.entries)
    changed = {entry.path for entry in new if job.lock.get(entry.path) not in {None, entry}}
    changed |= {path for path in job.variants.new if path in job.lock}
    places = {upload.key: upload.path for upload in job.uploads.uploads}
    return SyncPlan(
        target=config.bucket,
        endpoint_url=config.endpoint_url,
        dirs=scope.paths,
        prune=job.prune,
        images=len(job.survey.entries),
        bytes=job.uploads.bytes,
        uploads=tuple(
            PlannedUpload(entry.path, entry.key, entry.size, entry.media_type)
            for entry in job.survey.entries
            if places.get(entry.key) == scope.file(entry.path)
        ),
        variants=job.variants.paths,
        lock_added=tuple(path for path in new.entries if path not in job.lock),
        lock_changed=tuple(sorted(changed)),
        lock_removed=tuple(path for path in job.lock.entries if path not in new),
        problems=job.survey.findings,
        tree=job.survey.tree(f"{recipe(config)} {job.settings}" if job.settings else ""),
    )


def failure_findings(result: UploadResult) -> tuple[FileFinding, ...]:
    """Name each cause once, by the first object that met it."""
    causes: dict[str, list[S3ImgError]] = {}
    for key, error in result.failed.items():
        causes.setdefault(str(error).replace(repr(key), ""), []).append(error)
    more = {cause: f" The same goes for {len(errors) - 1:,} more." for cause, errors in causes.items() if errors[1:]}
    return tuple(FileFinding("", "upload", f"{errors[0]}{more.get(cause, '')}") for cause, errors in causes.items())
