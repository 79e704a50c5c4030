"""Bring objects into a bucket, for everybody who does: a site's publish, a folder's sync, Markdown sources.

They decide what has to be there; the order in which a bucket is asked, claimed, written and checked is here only.

A clean-up at the same time can't take away what a build needs, because of this order: `take_snapshot` of the bucket,
`claim` the keys, put what is missing, and where something was marked, see that it is still there (`missing_keys`)
before pages point at it. docs/gc.md has the proof.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from s3img.buckets import MARKER, ObjectInfo
from s3img.errors import BucketError, ObjectNotFound
from s3img.gc.marks import OWN, TRASH, read_listed_marks
from s3img.gc.references import is_named, reference_folder, write_reference
from s3img.gc.trash import FOLDER as TRASH_FOLDER
from s3img.transfer.plan import Upload, UploadPlan, UploadResult, plan_uploads
from s3img.transfer.run import Deadline, run_uploads
from s3img.transfer.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping, Set
    from concurrent.futures import Future

    from s3img.buckets import Bucket
    from s3img.errors import S3ImgError
    from s3img.transfer.plan import Progress

JOURNAL_SECONDS = 2.0
"""How often a run under way writes down what it has sent."""


class Journal:
    """What has been sent (bytes by key), written down every two seconds: a killed run then goes on where it was."""

    def __init__(self, objects: MutableMapping[str, int], save: Callable[[], None]) -> None:
        self.objects = objects
        self.save = save
        self._saved = time.monotonic()

    def record(self, upload: Upload, failure: S3ImgError | None) -> None:
        """Note an upload that has ended."""
        if failure is None:
            self.objects[upload.key] = upload.size
        if time.monotonic() - self._saved >= JOURNAL_SECONDS:
            self.save()
            self._saved = time.monotonic()


class Delivery:
    """Deliver to one bucket, which is opened when it is first needed.

    ``deadline`` are the seconds that all uploads may take together, from now on; 0 is as long as they like.
    """

    def __init__(
        self,
        open_bucket: Callable[[], Bucket],
        *,
        workers: int = 32,
        deadline: float = 0,
        progress: Progress | None = None,
        journal: Journal | None = None,
    ) -> None:
        self._open_bucket = open_bucket
        self._workers = workers
        self._deadline = Deadline(deadline)
        self.progress = progress
        self._journal = journal
        self._bucket: Bucket | None = None
        self._pending: Future[BucketSnapshot] | None = None
        self._snapshot: BucketSnapshot | None = None
        self.uploaded: frozenset[str] = frozenset()
        self.found: frozenset[str] = frozenset()

    @property
    def bucket(self) -> Bucket:
        """The bucket; open it if nobody has."""
        if self._bucket is None:
            self._bucket = self._open_bucket()
        return self._bucket

    @property
    def requests(self) -> Mapping[str, int]:
        """The requests sent so far, by operation."""
        return self._bucket.requests if self._bucket else {}

    @property
    def since(self) -> float:
        """When the bucket was listed, in s since 1970; 0 where nobody has."""
        return self._snapshot.since if self._snapshot else 0.0

    def start_snapshot(self) -> None:
        """Begin to list the bucket in another thread, while the caller reads files."""
        worker = WorkerPool(1)
        self._pending = worker.submit(take_snapshot, self.bucket)
        worker.close()

    def snapshot(self) -> BucketSnapshot:
        """Return what the bucket holds, asked once a run, 1,000 keys a request; raise BucketError."""
        if self._snapshot is None:
            self._snapshot = self._pending.result() if self._pending else take_snapshot(self.bucket)
        return self._snapshot

    @property
    def present(self) -> Mapping[str, int]:
        """The bytes of each object that may be relied on."""
        return self.snapshot().present

    def claim(self, keys: Set[str], *, site: str, build: str = "") -> None:
        """Keep a clean-up from deleting objects under these keys; call it before anything is relied on."""
        self._snapshot = claim(self.bucket, keys, self.snapshot(), site=site, build=build)

    def has_last_claim(self, keys: Set[str], *, site: str) -> bool:
        """Tell whether the last reference of a site is to just these keys; one listing of its references."""
        return is_named(self.bucket.list(reference_folder(site)), keys, site=site)

    def hold(self, keys: Set[str]) -> frozenset[str]:
        """Put objects again whose source is not at hand, from themselves or from the trash; return those that are gone.

        As in an upload, what is marked is written anew, so that its mark does not fit any more, and looked at again.
        Call it after `claim`. Raise BucketError.
        """
        absent = sorted(keys - self.present.keys())
        with (
            tempfile.TemporaryDirectory(prefix="s3img-") as folder,
            ThreadPoolExecutor(self._workers, thread_name_prefix="s3img-hold") as pool,
        ):
            files = [Path(folder, str(number)) for number in range(len(absent))]
            copies = [copy for copy in pool.map(self._copy, absent, files) if copy]
            result = self.run(UploadPlan(tuple(copies)))
        for error in result.failed.values():
            raise error
        return frozenset(absent).difference(result.uploaded)

    def _copy(self, key: str, file: Path) -> Upload | None:
        """Fetch an object, or what the trash has of it, as an upload; None where it is nowhere."""
        for place in (key, f"{TRASH_FOLDER}{key}"):
            try:
                with self.bucket.open(place) as opened:
                    info, data = opened.info, opened.read()
            except ObjectNotFound:
                continue
            file.write_bytes(data)
            return Upload(
                key,
                file,
                len(data),
                info.media_type,
                cache_control=info.cache_control,
                metadata=info.metadata or MARKER,
            )
        return None

    def send(self, uploads: Iterable[Upload]) -> UploadResult:
        """Put what the bucket lacks; failures are part of the result."""
        uploads = [*uploads]
        return self.run(plan_uploads(uploads, self.present) if uploads else UploadPlan(()))

    def run(self, plan: UploadPlan) -> UploadResult:
        """Carry out a plan, and put again what a clean-up took away meanwhile; failures are part of the result."""
        result = UploadResult()
        if plan.uploads:
            try:
                result = self._put_and_check(plan)
            except BaseException:
                if self._journal:  # an interrupted run has sent something, too
                    self._journal.save()
                raise
        self.uploaded = self.uploaded.union(result.uploaded)
        self.found = self.found.union(upload.key for upload in plan.present)
        return result

    def _put_and_check(self, plan: UploadPlan) -> UploadResult:
        """Put objects; those that were marked are looked at again, because a sweep may have had them in its hands.

        Where it took one, it has done so for good: its mark is gone with it, and the reference names the key by now. So
        once more is enough, and where even that is not there, something else deletes what we write.
        """
        result = self._put(plan)
        gone = self._revived_and_lost(result)
        if gone:
            again = self._put(UploadPlan(tuple(upload for upload in plan.uploads if upload.key in gone)))
            result = result.then(again)
            result = result.then(UploadResult(failed={key: self._taken(key) for key in self._revived_and_lost(again)}))
        if self._journal:
            for key in result.failed:
                self._journal.objects.pop(key, None)
        return result

    def _put(self, plan: UploadPlan) -> UploadResult:
        done = 0

        def note(upload: Upload, failure: S3ImgError | None) -> None:
            nonlocal done
            done += 1
            if self._journal:
                self._journal.record(upload, failure)
            if self.progress:
                self.progress("uploading", done, len(plan.uploads))

        return run_uploads(plan, self.bucket, workers=self._workers, deadline=self._deadline.left(), progress=note)

    def _revived_and_lost(self, result: UploadResult) -> list[str]:
        """Return what was put in place of marked objects and is not there."""
        marked = self._snapshot.marked if self._snapshot else frozenset()
        return missing_keys(self.bucket, sorted(marked.intersection(result.uploaded)), workers=self._workers)

    def _taken(self, key: str) -> BucketError:
        message = f"{self.bucket.name}: {key!r} was put twice, and something deleted it each time."
        fix = "Let no other clean-up or lifecycle rule delete below this prefix, then run the command again."
        return BucketError(message, action="put", bucket=self.bucket.name, key=key, fix=fix)


class BucketSnapshot(msgspec.Struct, frozen=True):
    """The bytes of each object that a build may rely on, and the keys to put again because they are marked.

    ``records`` are the clean-up's own objects; ``since`` is when the listing began, in s since 1970.
    """

    present: Mapping[str, int] = {}
    marked: frozenset[str] = frozenset()
    records: tuple[ObjectInfo, ...] = ()
    since: float = 0.0


def take_snapshot(bucket: Bucket) -> BucketSnapshot:
    """List a bucket, and read its marks where there are any; raise BucketError.

    Marks and objects have to be of one moment. Where a clean-up has replaced the marks meanwhile, the bucket is listed
    again, after the marks: what it deletes then is missing from the listing.
    """
    since = time.time()
    infos = {info.key: info for info in bucket.list()}
    marks, as_listed = read_listed_marks(bucket, infos.get(TRASH))
    if not as_listed:
        infos = {info.key: info for info in bucket.list()}
    objects = (info for key, info in infos.items() if not key.startswith(OWN) and key not in marks)
    return BucketSnapshot(
        # No image has 0 bytes: such an object is what an upload that was cut off has left, whoever asks for it.
        {info.key: info.size for info in objects if info.size},
        frozenset(marks),
        tuple(info for key, info in infos.items() if key.startswith(OWN)),
        since,
    )


def claim(
    bucket: Bucket, keys: Set[str], snapshot: BucketSnapshot, *, site: str = "", build: str = ""
) -> BucketSnapshot:
    """Name every key that a build may point at, and return what it may rely on from then on.

    A reference to the same keys that was there already does as well, if no later one of its site supersedes it. What
    was seen before a new reference counts only if nobody had ever marked anything by then: a key is swept long after
    it was marked, and marks stay. Raise BucketError.
    """
    if is_named(snapshot.records, keys, site=site):
        return snapshot
    write_reference(bucket, keys, site=site, build=build)
    has_marks = any(info.key == TRASH for info in snapshot.records) or any(bucket.list(TRASH))
    return take_snapshot(bucket) if has_marks else snapshot


def missing_keys(bucket: Bucket, keys: Iterable[str], *, workers: int = 32) -> list[str]:
    """Return those of the keys that are not there; one request each."""
    keys = [*keys]
    if not keys:
        return []
    with ThreadPoolExecutor(workers, thread_name_prefix="s3img-head") as pool:
        return [key for key, info in zip(keys, pool.map(bucket.head, keys), strict=True) if info is None]
