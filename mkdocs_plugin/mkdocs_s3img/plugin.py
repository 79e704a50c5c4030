"""The MkDocs plugin: publish the finished site, last of all. It only adapts; s3img does the work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mkdocs.exceptions import PluginError
from mkdocs.plugins import BasePlugin, event_priority, get_plugin_logger
from mkdocs.structure.files import File

from mkdocs_s3img.config import PluginConfig
from s3img import Images, S3ImgError
from s3img.config import LOCK_NAME
from s3img.config.load import SettingsSource, load
from s3img.config.mkdocs_yml import with_theme_sizes
from s3img.lock import read_lock
from s3img.publish.markdown_sources import place_of
from s3img.publish.result import ProgressLines

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

    from s3img.publish.result import Problem, PublishResult

log = get_plugin_logger("s3img")


class S3ImgPlugin(BasePlugin[PluginConfig]):
    """Publish the images of a MkDocs site; called once a language by plugins that build several."""

    def __init__(self) -> None:
        self._is_serving = False
        self._sources: dict[str, tuple[str, str | None]] = {}  # page of the site -> its Markdown: name, file
        self._images: Images | None = None
        self._lock: Path | None = None

    def on_startup(self, *, command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:  # noqa: ARG002 - MkDocs' signature
        """Note what MkDocs was started for."""
        self._is_serving = command == "serve"

    def on_config(self, config: MkDocsConfig) -> None:
        """Read the settings, so that a mistake in them stops the build before it starts."""
        if not self.config.enabled:
            return
        values = {"site_url": config.site_url or "", **self.config.settings()}
        path = Path(self.config.config_file) if self.config.config_file else None
        folder = Path(config.config_file_path or ".").parent
        try:
            settings = load(host=SettingsSource(values, spell), path=path, folder=folder)
            self._images = Images(with_theme_sizes(settings, config.theme.name or ""))
        except S3ImgError as error:
            raise PluginError(f"s3img: {error}") from error
        lock = (path.parent if path else folder) / LOCK_NAME
        self._lock = lock if lock.exists() else None

    def on_files(self, files: Files, *, config: MkDocsConfig) -> None:
        """Remember which Markdown file each page comes from, for messages; add the images that only the lock names."""
        if self._lock is not None and self._images is not None:
            try:
                add_locked_files(files, self._lock, config)
            except S3ImgError as error:
                raise PluginError(f"s3img: {error}") from error
        pages = files.documentation_pages()
        self._sources |= {file.dest_uri: (file.src_uri, file.abs_src_path) for file in pages}

    # After every plugin that still writes pages: i18n builds its other languages at -100.
    @event_priority(-200)
    def on_post_build(self, *, config: MkDocsConfig) -> None:
        """Publish the site tree; raise PluginError for what the settings call an error."""
        if self._images is None:
            return
        dimensions_only = self._is_serving and not self.config.serve
        try:
            result = self._images.publish(
                config.site_dir,
                require_upload=self.config.require_upload,
                dimensions_only=dimensions_only,
                lock=self._lock,
                progress=ProgressLines(log.info),
            )
        except S3ImgError as error:
            raise PluginError(f"s3img: {error}") from error
        if not dimensions_only:
            self._tell(result)

    def _tell(self, result: PublishResult) -> None:
        errors = []
        for problem in result.problems:
            if problem.severity == "error":
                errors.append(self.message_of(problem))
            else:
                (log.warning if problem.severity == "warning" else log.info)(self.message_of(problem))
        if errors:
            raise PluginError("s3img: " + "\n".join(errors))
        if result.pages_changed:
            log.info(str(result))

    def message_of(self, problem: Problem) -> str:
        """Name the Markdown file that the author edits, and the place in it, not the page that was made of it."""
        if problem.page not in self._sources:
            return str(problem)
        name, file = self._sources[problem.page]
        return f"{name}{place_of(problem.url, file)}: {problem.message}"


class LockedFile(File):
    """An image that is in the bucket and not on disk; pages may link to it."""

    def copy_file(self, dirty: bool = False) -> None:  # noqa: FBT001, FBT002 - MkDocs' signature
        """Copy nothing: publishing writes the image's public address, or the image itself."""


def add_locked_files(files: Files, lock: Path, config: MkDocsConfig) -> None:
    """Add the images of a lock that belong below ``docs_dir`` and are not there; raise LockError.

    MkDocs then checks links to them like any others: no warning, and ``--strict`` can be used.
    """
    docs, root = Path(config.docs_dir).resolve(), lock.parent.resolve()
    for entry in read_lock(lock):
        path = root / entry.path
        if not path.is_relative_to(docs) or path.exists():
            continue
        name = path.relative_to(docs).as_posix()
        if files.get_file_from_path(name) is None:
            files.append(LockedFile(name, config.docs_dir, config.site_dir, config.use_directory_urls))


def spell(name: str) -> str:
    """Name a setting as who edits ``mkdocs.yml`` finds it."""
    return f"mkdocs.yml plugins: s3img: {name}"
