"""``s3img healthcheck``: ask a running service whether it works, as containers and supervisors do."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import click

from s3img.time_limit import call_within


@click.command("healthcheck")
@click.argument("address", default="http://127.0.0.1:8000")
@click.option("--ready", is_flag=True, help="Ask /readyz: also whether it takes requests and its origins answer.")
@click.option(
    "--timeout", type=click.FloatRange(0.001, 86_400), default=3.0, show_default=True, help="Seconds to wait."
)
def healthcheck_command(address: str, *, ready: bool, timeout: float) -> int:
    """Ask whether the transform service at ADDRESS is running; exit with 1 when it is not.

    ADDRESS is http://HOST:PORT and the path that the service is mounted at, by default http://127.0.0.1:8000.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise click.BadParameter(f"{address}: {error}") from error
    if parts.scheme != "http" or not host:
        raise click.BadParameter(f"{address} is not an address such as http://127.0.0.1:8000.")
    path = f"{parts.path.rstrip('/')}/{'readyz' if ready else 'healthz'}"
    # http.client, because urllib would send the request to a proxy that the environment names.
    connection = HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request("GET", path)
        status = call_within(timeout, connection.getresponse).status
    except (OSError, HTTPException, UnicodeError) as error:  # of a path or a host that can't be sent
        click.echo(f"{address} does not answer: {error or type(error).__name__}.", err=True)
        return 1
    finally:
        connection.close()
    click.echo(f"{path}: {status}", err=status != 200)
    return int(status != 200)
