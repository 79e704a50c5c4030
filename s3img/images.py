"""The object that users hold: a configuration, and everything that can be done with it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from s3img.assets import OWN_FOLDER
from s3img.cache import Cache
from s3img.config import Config
from s3img.errors import ConfigError, CredentialsError
from s3img.publish.files import SiteFiles
from s3img.publish.result import Problem, PublishResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from s3img.buckets import Bucket, S3Options
    from s3img.imaging import Rendered
    from s3img.publish.stage import Progress
    from s3img.transform import Transform


class Images:
    """Publish sites under one configuration; nothing is opened or read before it is needed."""

    def __init__(self, config: Config | None = None, *, environ: Mapping[str, str] | None = None) -> None:
        self.config = config or Config()
        self._environ = os.environ if environ is None else environ

    def publish(
        self,
        site: str | os.PathLike[str],
        *,
        dry_run: bool = False,
        require_upload: bool = False,
        dimensions_only: bool = False,
        progress: Progress | None = None,
    ) -> PublishResult:
        """Put a built site's images into the bucket and make its pages point there.

        Without a bucket, or without credentials for it, variants go into the site itself; ``require_upload`` makes
        missing credentials a CredentialsError. With ``dimensions_only`` images get width, height and loading, and
        nothing is rendered or put anywhere. Raise S3ImgError when nothing can be published; what concerns single
        images is in the result.
        """
        cache = Cache.at(self.config.cache_dir)
        files = SiteFiles(Path(site), self.config, cache, dimensions_only=dimensions_only)
        if all(files.is_settled(path) for path, _ in files.pages()):
            return self._nothing_to_do(files, dry_run=dry_run)
        from s3img.buckets import open_bucket  # most of the program is loaded here, and most of its start-up time spent
        from s3img.publish.site import SitePublisher

        bucket = None if dimensions_only else self._bucket(require_upload=require_upload)
        is_fallback = bool(self.config.bucket and bucket is None and not dimensions_only)
        publisher = SitePublisher(
            files,
            self.config,
            bucket=bucket or open_bucket((Path(site).resolve() / OWN_FOLDER).as_uri()),
            base_url=self.config.base_url if bucket else "",
            cache=cache,
            progress=progress or _silent,
            dimensions_only=dimensions_only,
        )
        notes = (
            [Problem("", 0, 0, "no-credentials", _FALLBACK.format(self.config.bucket), "note")] if is_fallback else []
        )
        return publisher.run(dry_run=dry_run, notes=notes)

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
        from s3img.publish.sources import SourcePublisher

        if not self.config.bucket:
            raise ConfigError(["bucket: is needed, because a text without a site has no place of its own for images"])
        bucket = self._open()
        if not bucket.has_credentials():
            raise _no_credentials(bucket)
        return SourcePublisher(root, self.config, bucket=bucket, render=render).run(files, dry_run=dry_run)

    def _nothing_to_do(self, files: SiteFiles, *, dry_run: bool) -> PublishResult:
        pages = [path for path, _ in files.pages()]
        if not dry_run:
            files.save(pages)
        return PublishResult(target=self.config.bucket, pages=len(pages), dry_run=dry_run)

    def render(self, source: bytes | Path, transform: str | Transform) -> Rendered:
        """Render an image under a transform (``"w-300,f-webp"``); raise TransformError and ImageError."""
        from s3img import imaging
        from s3img.transform import Transform

        config = self.config
        if isinstance(transform, str):
            transform = Transform.parse(transform, presets=config.presets, limits=config.limits)
        return imaging.render(source, transform, limits=config.limits, quality=msgspec.structs.asdict(config.quality))

    def _bucket(self, *, require_upload: bool) -> Bucket | None:
        """Open the configured bucket, None where images stay inside the site."""
        if not self.config.bucket:
            return None
        bucket = self._open()
        if bucket.has_credentials():
            return bucket
        if require_upload:
            raise _no_credentials(bucket)
        return None

    def _open(self) -> Bucket:
        from s3img.buckets import open_bucket

        return open_bucket(self.config.bucket, self._options())

    def _options(self) -> S3Options:
        from s3img.buckets import AccessKey, S3Options

        config = self.config
        return S3Options(
            endpoint_url=config.endpoint_url,
            region=config.region,
            addressing_style=config.addressing_style,
            profile=config.aws_profile,
            role_arn=config.role_arn,
            external_id=config.external_id,
            anonymous=config.anonymous,
            access_key=AccessKey.from_environment(self._environ),
            connections=config.workers,
        )


_FALLBACK = "no credentials for {}: images stay inside the site."
_FIX = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or S3IMG_…), or name an aws_profile."


def _no_credentials(bucket: Bucket) -> CredentialsError:
    return CredentialsError(f"No credentials for {bucket.name} were found.", bucket=bucket.name, fix=_FIX)


def _silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""
