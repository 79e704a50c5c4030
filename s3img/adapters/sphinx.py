"""The Sphinx extension: ``extensions = ["s3img.adapters.sphinx"]``. It publishes the finished site, last of all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sphinx.errors import ExtensionError
from sphinx.util import logging

from s3img import Images, S3ImgError, __version__
from s3img.config import LOCK_NAME
from s3img.config.load import SettingsSource, load
from s3img.config.mkdocs_yml import with_theme_sizes

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config as SphinxConfig
    from sphinx.util.typing import ExtensionMetadata

    from s3img.publish.result import PublishResult

_LAST = 900
"""Priority: after extensions that still write pages when the build is finished (their default is 500)."""

log = logging.getLogger("s3img")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connect to a build; ``s3img = {...}`` in ``conf.py`` has the settings, ``s3img.toml`` beside it as well."""
    app.add_config_value("s3img", {}, "", (dict,))
    app.connect("config-inited", check_settings)
    app.connect("build-finished", publish_site, priority=_LAST)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}


def images_of(config: SphinxConfig, folder: Path) -> Images:
    """Return the images under a project's settings; raise ExtensionError naming each setting that is wrong."""
    own = config.s3img
    values: Any = {"site_url": config.html_baseurl or "", **own} if isinstance(own, dict) else own
    try:
        settings = load(host=SettingsSource(values, "conf.py: s3img[{!r}]".format), folder=folder)
    except S3ImgError as error:
        raise ExtensionError(str(error), modname="s3img") from error
    return Images(with_theme_sizes(settings, config.html_theme))


def check_settings(app: Sphinx, config: SphinxConfig) -> None:
    """Stop the build before it starts where a setting is wrong."""
    images_of(config, Path(app.confdir))


def publish_site(app: Sphinx, exception: Exception | None) -> None:
    """Publish a site of HTML pages; other output, such as an EPUB that is packed by now, stays as it is.

    Pages that Sphinx did not write again are published already and stay. Raise ExtensionError for what the settings
    call an error.
    """
    name = app.builder.name
    if exception or not (name.endswith("html") or name.startswith("readthedocs")):
        return
    folder = Path(app.confdir)
    lock = folder / LOCK_NAME
    try:
        result = images_of(app.config, folder).publish(app.outdir, lock=lock if lock.exists() else None)
    except S3ImgError as error:
        raise ExtensionError(str(error), modname="s3img") from error
    report(app, result)


def report(app: Sphinx, result: PublishResult) -> None:
    """Log problems with the document that each comes from; warnings fail a build under ``-W``."""
    documents = {page_of(app.builder.get_target_uri(name)): name for name in app.env.found_docs}
    errors = []
    for problem in result.problems:
        document = documents.get(problem.page)
        message = problem.message if document else str(problem)
        if problem.severity == "error":
            errors.append(f"{document or problem.page}: {problem.message}")
        elif problem.severity == "warning":
            log.warning(message, location=document, type="s3img")
        else:
            log.info(message)
    if errors:
        raise ExtensionError("\n".join(errors), modname="s3img")
    if result.pages_changed:
        log.info(str(result))


def page_of(uri: str) -> str:
    """Return the file of a page, relative to the site, for the address that Sphinx gives it."""
    return unquote(f"{uri}index.html" if not uri or uri.endswith("/") else uri)
