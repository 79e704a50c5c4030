"""``s3img demo``: the whole job on the example site, with no bucket and no account."""

from __future__ import annotations

import functools
import subprocess
import sys
import tempfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import click

from s3img.cli.report import RunProgress, print_report
from s3img.errors import PublishError
from s3img.images import Images
from s3img.publish.page_check import broken_references

_PLACES = (Path(__file__).parents[1] / "demo_site", Path(__file__).parents[2] / "examples" / "mkdocs_site")
"""The example site in an installed package, and in a checkout."""
_MEDIA_TYPES = {".avif": "image/avif", ".webp": "image/webp", ".svg": "image/svg+xml", ".js": "text/javascript"}


@click.command("demo")
@click.option("--no-serve", is_flag=True, help="Build, publish, verify every reference, and exit.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port on 127.0.0.1; 0 chooses a free one.",
)
def demo_command(*, no_serve: bool, port: int) -> int:
    """Build the example site, publish it inside itself, verify it, and serve it until interrupted."""
    with tempfile.TemporaryDirectory(prefix="s3img-demo-") as folder:
        site = Path(folder) / "site"
        _build(site)
        with RunProgress() as progress:
            result = Images().publish(site, progress=progress)
        print_report(result)
        broken, checked = broken_references(site)
        for problem in broken:
            click.echo(f"error: {problem}", err=True)
        click.echo(f"Verified {checked} image references: {len(broken)} broken.")
        if broken or not result.ok:
            return 1
        if not no_serve:
            _serve(site, port)
    return 0


def _build(site: Path) -> None:
    """Build the example with MkDocs, in a process of its own as a user would."""
    source = next((place / "mkdocs.yml" for place in _PLACES if place.is_dir()), None)
    if source is None:
        raise PublishError("The example site is not in this installation.", fix="Install s3img again, from a wheel.")
    if find_spec("mkdocs") is None:
        raise PublishError("The demo needs MkDocs.", fix="Install it: pip install 's3img[demo]'.")
    demo_command = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(source), "-d", str(site)]
    done = subprocess.run(demo_command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if done.returncode:
        raise PublishError(f"MkDocs could not build the example: {done.stderr.strip()}")


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, **_MEDIA_TYPES}  # noqa: RUF012 - the base class's form

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep the terminal for the report."""


def _serve(site: Path, port: int) -> None:
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), functools.partial(_Handler, directory=str(site)))
    except OSError as error:
        raise PublishError(f"Port {port} can't be opened: {error.strerror}.", fix="Name another: --port 0.") from error
    with server:
        click.echo(f"Serving http://127.0.0.1:{server.server_port}/ - press Ctrl+C to stop.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("Stopped.")
