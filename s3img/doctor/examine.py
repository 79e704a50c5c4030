"""Run the probes in order. One whose result would only repeat an earlier failure is skipped: the cause comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from s3img.doctor import cors_rules, findings, listing, machine, network, objects, origin_probe, public
from s3img.doctor.findings import Finding, Report, fail, ok, skip
from s3img.doctor.probe_context import ProbeContext
from s3img.errors import S3ImgError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from s3img.config import Config
    from s3img.errors import ConfigError


class Probe(NamedTuple):
    """One check; it is skipped after a failure of one that it ``needs``, except with a code of ``despite``."""

    name: str
    run: Callable[[ProbeContext], Finding]
    needs: tuple[str, ...] = ()
    despite: frozenset[str] = frozenset()
    of_store: bool = True
    of_s3: bool = False


_UNSIGNED = frozenset({"no-credentials"})
_UNLISTED = frozenset({"list-denied"})

PROBES = (
    Probe("config", lambda context: ok("config", describe(context.config)), of_store=False),
    Probe("credentials", network.find_credentials),
    Probe("dns", network.resolve, ("credentials",), _UNSIGNED, of_s3=True),
    Probe("tcp", network.connect, ("dns",), of_s3=True),
    Probe("tls", network.greet, ("tcp",), of_s3=True),
    Probe("clock", network.compare_clocks, ("tls",), of_s3=True),
    Probe("list", listing.list_bucket, ("credentials", "clock")),
    Probe("region", listing.compare_region, ("list",), _UNLISTED, of_s3=True),
    Probe("put", objects.put, ("list",), _UNLISTED),
    Probe("delete", objects.may_delete, ("put",)),
    Probe("head", objects.head, ("put",)),
    Probe("get", objects.get, ("list",), _UNLISTED),
    Probe("names", objects.names, ("list", "put")),
    Probe("conditional", objects.conditional, ("put",), of_s3=True),
    Probe("public", public.fetch_public, ("get",)),
    Probe("cors", cors_rules.check_cors, ("list",), _UNLISTED, of_s3=True),
    Probe("cleanup", objects.clean_up, ("put",)),
    Probe("origins", origin_probe.read_origins, of_store=False),
    Probe("encoders", machine.encoders, of_store=False),
    Probe("text", machine.text_layout, of_store=False),
    Probe("cache", machine.cache, of_store=False),
    Probe("lock", machine.lock, of_store=False),
)


def examine(
    config: Config,
    *,
    environ: Mapping[str, str] | None = None,
    lock: Path | None = None,
    leave: bool = False,
    on_finding: Callable[[Finding], None] | None = None,
) -> Report:
    """Find out what works and what does not, in order; objects that are put are deleted again however this ends.

    ``on_finding`` is called with each finding as it is made. With ``leave`` a probe object is put even where the store
    says that it can't be deleted again.
    """
    context = ProbeContext(config, environ=environ, lock=lock, leave=leave)
    findings: list[Finding] = []
    blocked: dict[str, Finding] = {}
    try:
        for probe in PROBES:
            findings.append(run_probe(probe, context, blocked))
            if on_finding:
                on_finding(findings[-1])
    finally:
        context.close()
    return Report(target=config.bucket, findings=tuple(findings))


def unusable(error: ConfigError, *, on_finding: Callable[[Finding], None] | None = None) -> Report:
    """Return the report on settings that can't be used: nothing else can be checked then."""
    is_endpoint = any("endpoint_url" in problem and "has a path" in problem for problem in error.problems)
    code = "endpoint-has-bucket" if is_endpoint else "settings-invalid"
    first = fail(
        "config", code, "; ".join(error.problems), "Correct these settings; `s3img config show` lists all others."
    )
    findings = (first, *(skip(probe.name, _after(first)) for probe in PROBES[1:]))
    for finding in findings:
        if on_finding:
            on_finding(finding)
    return Report(findings=findings)


def run_probe(probe: Probe, context: ProbeContext, blocked: dict[str, Finding]) -> Finding:
    """Run a probe, or skip it; ``blocked`` are failures by the probe that they stop, and grows."""
    if probe.of_store and not context.config.bucket:
        return skip(probe.name, "no bucket is configured: pictures stay inside the site.")
    if probe.of_s3 and not context.is_s3:
        return skip(probe.name, "the bucket is a folder.")
    root = next((blocked[need] for need in probe.needs if need in blocked), None)
    if root and root.code not in probe.despite:
        blocked[probe.name] = root  # so that what needs this one names the same cause
        return skip(probe.name, _after(root))
    try:
        found = probe.run(context)
    except S3ImgError as error:
        found = findings.finding(probe.name, error)
    if found.status == "fail":
        blocked[probe.name] = found
    return found


def _after(root: Finding) -> str:
    return f"not checked after {root.code}."


def describe(config: Config) -> str:
    """Say where pictures go under valid settings."""
    if not config.bucket:
        return "the settings are valid; there is no bucket, pictures stay inside the site."
    return f"the settings are valid; {config.bucket}, public at {config.base_url}."
