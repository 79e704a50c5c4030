"""Check the way to the store with unsigned requests: credentials, name, port, TLS and clock."""

from __future__ import annotations

import email.utils
import socket
import ssl
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from s3img.buckets.s3.facts import connection
from s3img.doctor.fetch import fetch, reason, trusting
from s3img.doctor.findings import fail, ok, skip
from s3img.errors import S3ImgError

if TYPE_CHECKING:
    from s3img.doctor.findings import Finding
    from s3img.doctor.probe_context import ProbeContext

_OWN_ROOT = "If it is your own, set AWS_CA_BUNDLE to a file with the certificate of its authority."
_CLOCK = "Renew the certificate of the store; check this machine's date too."

_CAUSES: dict[int, tuple[str, str, str]] = {
    9: ("tls-not-yet-valid", "is not valid yet", _CLOCK),
    10: ("tls-expired", "has expired", _CLOCK),
    18: ("tls-self-signed", "is signed by itself", _OWN_ROOT),
    19: ("tls-self-signed", "ends at an authority that is not known here", _OWN_ROOT),
    20: ("tls-untrusted", "comes from an authority that is not known here", _OWN_ROOT),
    21: ("tls-untrusted", "comes without the certificates between it and its authority", _OWN_ROOT),
    62: ("tls-wrong-host", "is for another host", ""),
    64: ("tls-wrong-host", "is for another address", ""),
}

_UNKNOWN = ("tls-failed", "is not accepted", _OWN_ROOT)


def refused(context: ProbeContext, host: str, error: ssl.SSLCertVerificationError) -> Finding:
    """Return what is wrong with the certificate that ``host`` sent."""
    code, what, fix = _CAUSES.get(error.verify_code, _UNKNOWN)
    reason_given = error.verify_message.rstrip(".")
    if not fix and host.startswith(f"{context.bucket_name}."):
        fix = 'Set addressing_style = "path": the certificate does not cover the bucket\'s name before the host.'
    fix = fix or "Write the name that the certificate is for in endpoint_url."
    return fail("tls", code, f"the certificate of {host} {what} ({reason_given}).", fix)


_SECONDS = 5.0
_SKEW = 900  # s; S3 refuses a signature that is older
_DRIFT = 300


def resolve(context: ProbeContext) -> Finding:
    """Look up the name of the host that requests go to."""
    if proxy := proxy_host(context):
        return skip("dns", f"requests go through the proxy {proxy}, which does this.")
    host, _ = host_and_port(context.bucket_url)
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return _unknown_host(context, host, getattr(error, "strerror", None) or str(error))
    addresses = sorted({str(entry[4][0]) for entry in found})
    return ok("dns", f"{host} is {', '.join(addresses[:3])}{' …' if len(addresses) > 3 else ''}.")


def connect(context: ProbeContext) -> Finding:
    """Open a connection to the port."""
    if proxy := proxy_host(context):
        return skip("tcp", f"requests go through the proxy {proxy}, which does this.")
    host, port = host_and_port(context.bucket_url)
    try:
        socket.create_connection((host, port), timeout=_SECONDS).close()
    except TimeoutError:
        fix = "Check endpoint_url, its port, and any firewall between here and there."
        return fail("tcp", "no-answer", f"{host}:{port} does not answer within {_SECONDS:g} s.", fix)
    except OSError as error:
        why = error.strerror or type(error).__name__
        fix = "Check the port in endpoint_url, and that the store is running."
        return fail("tcp", "port-closed", f"{host}:{port} refuses connections: {why}.", fix)
    return ok("tcp", f"{host}:{port} accepts connections.")


def greet(context: ProbeContext) -> Finding:
    """Open a TLS connection where the address is https, and find out whether http and https are mixed up."""
    if context.ca_file and not Path(context.ca_file).is_file():
        message = f"{context.ca_file}, the file of trusted authorities, is not there."
        return fail("tls", "tls-failed", message, "Correct AWS_CA_BUNDLE, or ca_bundle in the AWS profile.")
    if proxy := proxy_host(context):
        return _greet_through(context, proxy)
    if urlsplit(context.bucket_url).scheme == "http":
        return _plain(context)
    host, port = host_and_port(context.bucket_url)
    try:
        with (
            socket.create_connection((host, port), timeout=_SECONDS) as connection,
            # system=False: botocore, too, trusts only the file where one is given.
            trusting(context.ca_file, system=False).wrap_socket(connection, server_hostname=host) as secured,
        ):
            version = secured.version()
    except ssl.SSLCertVerificationError as error:
        return refused(context, host, error)
    except OSError as error:
        return _no_tls(context, host, port, error)
    with suppress(OSError):  # where this fails, the next probe fails too and says why
        _listen(context)
    return ok("tls", f"{host} speaks {version} with a certificate that is valid here.")


def compare_clocks(context: ProbeContext) -> Finding:
    """Compare the ``Date`` of the store's answer with this machine's clock."""
    date = context.greeting.headers.get("date", "") if context.greeting else ""
    try:
        theirs = email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return skip("clock", "the store's answer names no time.")
    off = round(time.time() - theirs)
    how = f"this machine's clock is {abs(off)} s {'ahead of' if off > 0 else 'behind'} the store's"
    if abs(off) >= _SKEW:
        fix = "Set the clock (NTP: `timedatectl set-ntp true`); in a virtual machine or container, that of its host."
        return fail("clock", "clock-skew", f"{how}; signatures are refused from {_SKEW} s on.", fix)
    if abs(off) >= _DRIFT:
        return fail("clock", "clock-drift", f"{how}.", "Set the clock (NTP) before it drifts further.")
    return ok("clock", "this machine's clock and the store's agree.")


def _unknown_host(context: ProbeContext, host: str, why: str) -> Finding:
    """Distinguish a bucket's name in the wrong place from a host that does not exist."""
    parts = urlsplit(context.endpoint_url)
    base = parts.hostname or ""
    if base != host and _is_known(base):
        message = f"{base} is known, but not {host}: the store does not take the bucket's name before its host."
        return fail("dns", "wrong-addressing", message, 'Set addressing_style = "path".')
    rest = parts.netloc.removeprefix(f"{context.bucket_name}.")
    if rest != parts.netloc and _is_known(urlsplit(f"//{rest}").hostname or ""):
        message = f"{rest} is known, but not {host}: endpoint_url begins with the bucket's name."
        return fail("dns", "endpoint-has-bucket", message, f'Write endpoint_url = "{parts.scheme}://{rest}".')
    fix = "Correct endpoint_url (or the region in it), or repair the name service or the network of this machine."
    return fail("dns", "host-unknown", f"the name {host} can't be resolved: {why}.", fix)


def _is_known(host: str) -> bool:
    try:
        return bool(socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        return False


def _plain(context: ProbeContext) -> Finding:
    """Send a request over http, and find out whether the port speaks TLS."""
    host, port = host_and_port(context.bucket_url)
    why = ""
    try:
        _listen(context)
    except OSError as error:
        why = reason(error)
    answer = context.greeting
    leads_to_https = answer is not None and answer.redirect.startswith("https:")
    is_refused = answer is None or answer.status == 400
    if leads_to_https or (is_refused and speaks_tls(host, port)):
        better = f"https://{urlsplit(context.endpoint_url).netloc}"
        message = f"{context.endpoint_url} is http, but the store speaks https there."
        return fail("tls", "needs-https", message, f'Write endpoint_url = "{better}".')
    if answer is None:
        return fail("tls", "not-s3", f"{host}:{port} does not speak HTTP: {why}.", "Correct the port in endpoint_url.")
    return ok("tls", "the store speaks http: pictures and signatures, but no secrets, can be read on the way.")


def _no_tls(context: ProbeContext, host: str, port: int, error: OSError) -> Finding:
    # An answer to plain HTTP at this port shows what is wrong; without one, the TLS error itself is reported.
    with suppress(OSError):
        fetch(f"http://{urlsplit(context.bucket_url).netloc}/", limit=1024, follow=False)
        better = f"http://{urlsplit(context.endpoint_url).netloc}"
        message = f"{context.endpoint_url} is https, but {host}:{port} speaks http without TLS."
        return fail("tls", "not-tls", message, f'Write endpoint_url = "{better}", or name the port that speaks TLS.')
    fix = "Check the port in endpoint_url, and any proxy or firewall that inspects TLS."
    return fail("tls", "tls-failed", f"{host}:{port} breaks the TLS connection: {reason(error)}.", fix)


def _greet_through(context: ProbeContext, proxy: str) -> Finding:
    try:
        _listen(context)
    except OSError as error:
        inner = getattr(error, "reason", error)
        if isinstance(inner, ssl.SSLCertVerificationError):
            return refused(context, urlsplit(context.bucket_url).hostname or "", inner)
        fix = "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
        return fail("tls", "proxy-failed", f"nothing is reached through the proxy {proxy}: {reason(error)}.", fix)
    return ok("tls", f"the store answers through the proxy {proxy}.")


def _listen(context: ProbeContext) -> None:
    """Send an unsigned request to the store and keep its answer; raise OSError without one."""
    context.greeting = fetch(f"{context.bucket_url}/", ca_file=context.ca_file, limit=1 << 16, follow=False)


def speaks_tls(host: str, port: int) -> bool:
    """Tell whether a port answers a TLS handshake, with whatever certificate: nothing is sent over it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError), socket.create_connection((host, port), timeout=_SECONDS) as connection:
        context.wrap_socket(connection, server_hostname=host).close()
        return True
    return False


def host_and_port(url: str) -> tuple[str, int]:
    """Return the host and port that a URL leads to."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def proxy_host(context: ProbeContext) -> str:
    """Return the host of the environment's proxy, never its password; "" where none is used."""
    parts = urlsplit(context.bucket_url)
    proxy = urllib.request.getproxies().get(parts.scheme, "")
    if not proxy or urllib.request.proxy_bypass(parts.netloc):
        return ""
    with suppress(ValueError):  # [ without its end: the request will fail and tell
        return urlsplit(proxy if "//" in proxy else f"//{proxy}").hostname or "of the environment"
    return "of the environment"


_SOURCES = {
    "explicit": "S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY of the environment",
    "env": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment",
    "shared-credentials-file": "the shared credentials file, {profile}",
    "config-file": "the AWS configuration file, {profile}",
    "custom-process": "the credential process of {profile}",
    "sso": "single sign-on, {profile}",
    "sso-legacy": "single sign-on, {profile}",
    "login": "`aws login`, {profile}",
    "assume-role": "the assumed role {role}",
    "assume-role-with-web-identity": "a web identity (OIDC token)",
    "container-role": "the role of this container",
    "iam-role": "the role of this machine (instance metadata)",
    "boto-config": "a Boto2 configuration file",
}


def find_credentials(context: ProbeContext) -> Finding:
    """Find out where credentials come from, without a request to the store."""
    if not context.is_s3:
        return skip("credentials", "a folder needs none.")
    try:
        context.connection = connection(context.s3)
    except S3ImgError as error:
        fix = error.fix or "Correct the source of the credentials that is named."
        return fail("credentials", "credentials-broken", error.message, fix)
    if context.config.anonymous:
        return ok("credentials", "none are used: anonymous = true signs nothing.")
    if not context.connection.credentials:
        return fail(
            "credentials",
            "no-credentials",
            "no credentials were found: publishing would leave pictures inside the site.",
            "Set S3IMG_ACCESS_KEY_ID and S3IMG_SECRET_ACCESS_KEY (or AWS_…), or name an aws_profile, or sign in.",
        )
    found = context.connection
    profile = f"profile {found.profile}" if found.profile else "the default profile"
    source = _SOURCES.get(found.credentials, found.credentials)
    return ok("credentials", f"from {source.format(profile=profile, role=context.config.role_arn or f'of {profile}')}.")
