"""`Images`: a configuration, and everything that can be done with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec

from s3img.assets import OWN_FOLDER
from s3img.cache import Cache
from s3img.config import LOCK_NAME, Config
from s3img.config.address import S3Address
from s3img.errors import ConfigError
from s3img.publish.files import SiteFiles
from s3img.publish.result import Problem, PublishResult
from s3img.urls import imagekit_url, imgproxy_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from s3img.buckets import Bucket, ObjectInfo
    from s3img.bulk.bulk_run import BulkRequest, ReportProgress
    from s3img.bulk.estimate import RenderEstimate
    from s3img.bulk.shard_report import RenderReport
    from s3img.imaging import Rendered
    from s3img.pictures.catalog import Catalog, CatalogFile, LockedPicture
    from s3img.publish.library import LockedOriginals
    from s3img.sync.outcome import CheckResult, PullResult, SyncOptions, SyncPlan, SyncResult
    from s3img.sync.project import Project
    from s3img.transfer.plan import Progress
    from s3img.transform import Transform


StrPath: TypeAlias = str | os.PathLike[str]


class Images:
    """Publish sites and sync folders under one configuration; nothing is opened or read before it is needed."""

    def __init__(self, config: Config | None = None, *, environ: Mapping[str, str] | None = None) -> None:
        self.config = config or Config()
        self._environ = os.environ if environ is None else environ
        self._catalogs: dict[Path, CatalogFile] = {}

    def sign(self, address: str, *, expires: int | None = None) -> str:
        """Return an address of the service (``/tr:w-300/cat.jpg``, from its endpoint on) with its signature.

        ``expires`` in Unix seconds. Where ``service_url`` is set, the whole address is returned. Raise ConfigError
        without ``signing_keys``, SignatureError for what can't be signed.
        """
        from s3img.signing import Signer  # loads cryptography, which most calls don't need

        if not self.config.signing_keys:
            raise ConfigError(
                ['signing_keys: is needed to sign: set S3IMG_SIGNING_KEYS="ID:SECRET", with the keys of the service']
            )
        signer = Signer.of(self.config.signing_keys, audience=self.config.service_audience)
        return self.config.service_url.rstrip("/") + signer.sign(address, expires=expires)

    def publish(
        self,
        site: str | os.PathLike[str],
        *,
        dry_run: bool = False,
        require_upload: bool = False,
        dimensions_only: bool = False,
        lock: StrPath | None = None,
        progress: Progress | None = None,
    ) -> PublishResult:
        """Put a built site's images into the bucket and make its pages point there.

        Without a bucket, or without credentials for it, variants go into the site itself; ``require_upload`` makes
        missing credentials a CredentialsError. With ``dimensions_only`` images get width, height and loading, and
        nothing is rendered or uploaded. Images that are not in the site are looked up in ``lock``, by default the
        s3img.lock of this folder. Raise S3ImgError when nothing can be published; problems of single images are in the
        result.
        """
        cache = Cache.at(self.config.cache_dir)
        files = SiteFiles(Path(site), self.config, cache, dimensions_only=dimensions_only)
        is_settled = len(files.settled) == len(files.pages)
        # With a bucket, the run goes on: others may have deleted objects since.
        if is_settled and (dimensions_only or not self.config.bucket):
            return self._nothing_to_do(files, dry_run=dry_run)
        # Imports take most of the start-up time, so each comes after the check that may spare it.
        from s3img.buckets import open_bucket, open_configured, require_credentials

        bucket = None
        if self.config.bucket and not dimensions_only:
            bucket = open_configured(self.config, self._environ)
            if require_upload:
                require_credentials(bucket)
            elif not bucket.has_credentials():
                bucket = None  # images stay inside the site
            if bucket and is_settled and files.pages and not (dry_run or lock):
                from s3img.publish.settled import is_confirmed

                if is_confirmed(files, self.config, bucket):
                    return self._nothing_to_do(files, bucket=bucket)
        from s3img.publish.publisher import SitePublisher

        is_fallback = bool(self.config.bucket and bucket is None and not dimensions_only)
        originals = self._originals(lock, bucket, files, cache) if bucket or is_fallback else None
        publisher = SitePublisher(
            files,
            self.config,
            bucket=bucket or open_bucket((Path(site).resolve() / OWN_FOLDER).as_uri()),
            base_url=self.config.base_url if bucket else "",
            cache=cache,
            progress=progress or (lambda *_: None),
            originals=originals,
            dimensions_only=dimensions_only,
        )
        notes = (
            [Problem("", 0, 0, "no-credentials", _FALLBACK.format(self.config.bucket), "note")] if is_fallback else []
        )
        return publisher.run(dry_run=dry_run, notes=notes)

    def _originals(
        self, lock: StrPath | None, bucket: Bucket | None, files: SiteFiles, cache: Cache
    ) -> LockedOriginals | None:
        """Return the images of the lock; without credentials, they are fetched from their public URLs."""
        from s3img.publish.library import LockedOriginals, PublicObjects

        path, base_url = Path(lock or LOCK_NAME), self.config.base_url
        if bucket is None and not (base_url.startswith("http") and path.exists()):
            return None
        return LockedOriginals(
            path,
            needed=lock is not None,
            bucket=bucket or PublicObjects(base_url, limit=self.config.limits.input_bytes),
            folder=cache.folder / "originals",
            state=files.state,
            config=self.config,
        )

    def publish_sources(
        self,
        files: Iterable[Path],
        *,
        root: Path,
        render: Callable[[str], str],
        dry_run: bool = False,
    ) -> PublishResult:
        """Put the images of Markdown files below ``root`` into the bucket and write public URLs into the text.

        ``render`` turns the Markdown into HTML: a file is written only as far as rendering before and after proves
        that nothing but the URLs changes. Raise S3ImgError; without a bucket, ConfigError.
        """
        from s3img.publish.markdown_sources import SourcePublisher

        return SourcePublisher(root, self.config, bucket=self.open_bucket(), render=render).run(files, dry_run=dry_run)

    def open_bucket(self) -> Bucket:
        """Open the configured bucket; raise ConfigError without one, CredentialsError without credentials for it."""
        from s3img.buckets import open_configured, require_credentials

        return require_credentials(open_configured(self.config, self._environ))

    def sync(
        self,
        *where: StrPath,
        lock: StrPath = LOCK_NAME,
        verify: bool = False,
        prune: bool = False,
        listed_only: bool = False,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> SyncResult:
        """Put the images of folders (the lock's own if none is named) into the bucket as they are; write the lock.

        ``verify`` lists the bucket whatever is known of it, ``prune`` drops lines of images that are not on disk,
        ``listed_only`` leaves out images that the lock does not name. Raise S3ImgError; problems of single images are
        in the result.
        """
        options = self._options_of(verify=verify, prune=prune, listed_only=listed_only)
        return self._project(lock).sync(where, options, dry_run=dry_run, progress=progress)

    def plan(self, *where: StrPath, lock: StrPath = LOCK_NAME, verify: bool = False, prune: bool = False) -> SyncPlan:
        """Return what `sync` would do, as a value that `apply` takes; write nothing."""
        return self._project(lock).plan(where, self._options_of(verify=verify, prune=prune))

    def apply(self, plan: SyncPlan, *, lock: StrPath = LOCK_NAME, progress: Progress | None = None) -> SyncResult:
        """Sync what was planned; raise AssetError when the images have changed since."""
        return self._project(lock).apply(plan, self._options_of(prune=plan.prune), progress)

    def check(
        self,
        *where: StrPath,
        lock: StrPath | None = LOCK_NAME,
        allow_missing: bool = False,
        pages: StrPath | None = None,
    ) -> CheckResult:
        """Compare the lock with the images on disk, and with a built site, without a request to the bucket.

        With ``lock=None``, only the pages are checked: each of their images is in the site, or was published with it.
        Raise LockError for a lock that does not exist.
        """
        from s3img.lock import read_lock
        from s3img.publish.page_check import check_pages
        from s3img.sync.outcome import CheckResult, FileFinding

        if lock is None:
            result = CheckResult(lock="", images=0)
        else:
            result = self._project(lock).check(where, allow_missing=allow_missing)
        if pages is None:
            return result
        found, images = check_pages(Path(pages), None if lock is None else read_lock(Path(lock)), self.config)
        more = (FileFinding(problem.place, problem.code, problem.message) for problem in found)
        return msgspec.structs.replace(result, images=result.images or images, findings=(*result.findings, *more))

    def pull(self, *where: StrPath, lock: StrPath = LOCK_NAME, overwrite: bool = False) -> PullResult:
        """Restore images of the lock that are not on disk, or differ and may be overwritten, from the bucket."""
        return self._project(lock).pull(where, overwrite=overwrite)

    def url(
        self,
        name: str,
        transform: str | Transform = "",
        *,
        lock: StrPath = LOCK_NAME,
        expires: int | None = None,
        dialect: Literal["s3img", "imgproxy", "imagekit"] = "s3img",
    ) -> str:
        """Return the public address of an image of the lock, or of a rendering of it, as `Catalog.url` says.

        In the ``dialect`` of imgproxy, ``transform`` are its options (``rs:fill:300:200/q:80``), and the address is one
        of the service's mount, signed with the first of ``imgproxy.keys`` or IMGPROXY_KEY. In the ``dialect`` of
        ImageKit it is one below ``service_url``, as ImageKit's own libraries write it, signed where
        ``imagekit_private_key`` is set. Raise ConfigError without what a dialect needs.
        """
        catalog = self.catalog(lock)
        if dialect == "imgproxy":
            return self._imgproxy_url(catalog.entry(name).key, str(transform), expires)
        if dialect == "imagekit":
            return self._imagekit_url(catalog.entry(name).key, transform, expires)
        return catalog.url(name, transform, expires=expires)

    def _imagekit_url(self, key: str, transform: str | Transform, expires: int | None) -> str:
        """Raise ConfigError without a service, TransformError for a transform that it would refuse."""
        from s3img.transform import Transform

        config = self.config
        if not config.service_url:
            raise ConfigError(
                ["service_url: needed for ImageKit's addresses: write that of the service, or of ImageKit"]
            )
        keys = config.imagekit_private_key
        first = " ".join((keys.get(config.service_audience, "") if isinstance(keys, dict) else keys).split()[:1])
        steps = Transform.parse(transform, presets=config.presets) if isinstance(transform, str) else transform
        return imagekit_url(config.service_url, key, steps, private_key=first, expires=expires)

    def _imgproxy_url(self, key: str, options: str, expires: int | None) -> str:
        """Raise ConfigError without a mount or a service, TransformError for options that it would refuse."""
        config = self.config
        if config.imgproxy is None or not config.service_url:
            raise ConfigError(["imgproxy: addresses in its form need this table and service_url"])
        settings = config.imgproxy.with_variables(self._environ)
        where = config.address
        is_bucket = isinstance(where, S3Address)
        source = f"{where}/{key}" if is_bucket else f"local:///{key}"
        if expires is not None:
            options = "/".join(filter(None, [options, f"exp:{int(expires)}"]))
        place = config.service_url.rstrip("/").removesuffix(f"/{config.service_audience}" if config.endpoints else "")
        path = imgproxy_url(source, options).removeprefix("/unsafe")
        settings.grammar().parse(path)
        return place + settings.place + settings.signer().sign(path)

    def picture(self, name: str, *, alt: str, lock: StrPath = LOCK_NAME, **options: Any) -> LockedPicture:  # noqa: ANN401 - those of Catalog.picture
        """Return an image of the lock with all its candidates, as `Catalog.picture` says."""
        return self.catalog(lock).picture(name, alt=alt, **options)

    def catalog(self, lock: StrPath = LOCK_NAME) -> Catalog:
        """Return the catalog of a lock, which is read again only when the file has changed. Raise LockError."""
        from s3img.pictures.catalog import CatalogFile

        path = Path(lock)
        if path not in self._catalogs:
            self._catalogs[path] = CatalogFile(path, self.config)
        return self._catalogs[path].current()

    def objects(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield the objects with keys that start with ``prefix``; raise BucketError."""
        return self.open_bucket().list(prefix)

    def _project(self, lock: StrPath) -> Project:
        from s3img.sync.project import Project

        return Project(self.config, lock, open_bucket=self.open_bucket)

    def _options_of(self, *, verify: bool = False, prune: bool = False, listed_only: bool = False) -> SyncOptions:
        from s3img.sync.outcome import SyncOptions

        is_ci = self._environ.get("CI", "").lower() not in {
            "",
            "0",
            "false",
        }  # a cache from an earlier job proves nothing
        return SyncOptions(verify=verify or is_ci, prune=prune, listed_only=listed_only)

    def _nothing_to_do(self, files: SiteFiles, *, dry_run: bool = False, bucket: Bucket | None = None) -> PublishResult:
        doubt = files.doubt()
        problems = (
            *files.elsewhere(self.config.base_url if bucket else ""),
            *([Problem("", 0, 0, "no-site", doubt)] if doubt else []),
        )
        if not dry_run:
            if not files.is_known:
                files.save(path for path, _ in files.pages)
            files.remove_stale()
        return PublishResult(
            target=bucket.name if bucket else "",
            pages=len(files.pages),
            requests=dict(bucket.requests) if bucket else {},
            problems=problems,
            dry_run=dry_run,
        )

    def render_many(
        self,
        request: BulkRequest,
        *,
        executor: str = "threads",
        workers: int = 0,
        progress: ReportProgress | None = None,
    ) -> RenderReport:
        """Render what is missing for every picture below prefixes of the bucket, into the bucket.

        ``executor`` is ``threads``, ``processes``, ``dask``, ``dask=tcp://HOST:8786`` or ``MODULE:FUNCTION``, with as
        many ``workers`` as there are processors unless a number is given. The same request goes on where an earlier one
        ended. Errors of pictures are in the report. Raise S3ImgError where nothing can be rendered.
        """
        from s3img.bulk.bulk_run import BulkRun

        return BulkRun(request, self.config, self._environ).run(executor, workers=workers, progress=progress)

    def estimate_render(self, request: BulkRequest) -> RenderEstimate:
        """Say what `render_many` would do and cost: all is listed, a sample is rendered, nothing is put."""
        from s3img.bulk.bulk_run import BulkRun

        return BulkRun(request, self.config, self._environ).estimate()

    def render_status(self, run: str, *, variants: bool = False) -> RenderReport:
        """Add up what the finished shards of a run report; raise BucketError, and ConfigError for an unknown run."""
        from s3img.bulk.bulk_run import status

        return status(run, self.config, is_results=not variants, environ=self._environ)

    def render(
        self, source: bytes | Path, transform: str | Transform, *, inputs: Mapping[str, bytes | Path] | None = None
    ) -> Rendered:
        """Render an image under a transform (``"w-300,f-webp"``); raise TransformError and ImageError.

        ``inputs`` are the pictures of its layers, by the keys that it names (``l-image,i-logo.png,l-end``).
        """
        from s3img import imaging
        from s3img.pictures.variants import subsampling_of
        from s3img.transform import Transform

        config = self.config
        if isinstance(transform, str):
            transform = Transform.parse(transform, presets=config.presets, limits=config.limits)
        wanted = transform.output.subsampling or subsampling_of(config.subsampling, transform.format)
        output = msgspec.structs.replace(transform.output, subsampling=wanted)
        transform = msgspec.structs.replace(transform, output=output)
        transform = transform.with_fonts(config.fonts)
        if not transform.is_located:
            from s3img.imaging.detectors import Detectors

            transform = Detectors.of(config.focus_detectors).located(transform, source, inputs or {}, config.limits)
        quality = msgspec.structs.asdict(config.quality)
        return imaging.render(source, transform, limits=config.limits, quality=quality, inputs=inputs)


_FALLBACK = "no credentials for {}: images stay inside the site."
