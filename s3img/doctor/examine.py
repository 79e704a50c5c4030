"""Check this machine, then run all probes in order. One that would only repeat an earlier failure is skipped."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, NamedTuple

from s3img.cache import Cache
from s3img.doctor import cors_rules, findings, listing, network, objects, origin_probe, public
from s3img.doctor.findings import Finding, Report, fail, ok, skip
from s3img.doctor.probe_context import ProbeContext
from s3img.errors import LockError, S3ImgError
from s3img.lock import read_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from s3img.config import Config
    from s3img.errors import ConfigError


def encoders(context: ProbeContext) -> Finding:
    """Check that the configured formats can be written, and name the resizer."""
    from s3img.imaging import encoders as present  # loads Pillow
    from s3img.imaging.resize import backend

    missing = [name for name in context.config.formats if name not in present()]
    if missing:
        names = " and ".join(missing)
        fix = f"Install Pillow from PyPI, whose wheels have {names}, or leave {names} out of formats."
        return fail("encoders", "encoder-missing", f"this Pillow can't write {names}: pages get less.", fix)
    speed = "the fast resizer" if backend() == "cykooz" else "Pillow's own resizer, which is slower"
    return ok(
        "encoders", f"{', '.join(context.config.formats) or 'no further format'} can be written; {speed} is used."
    )


def text_layout(context: ProbeContext) -> Finding:
    """See whether layers of text can be in any script, and name the fonts that have a file."""
    from s3img.imaging.text_fonts import has_shaping  # loads Pillow

    if has_shaping():
        names = dict.fromkeys(["OpenSans", *(name.partition("-")[0] for name in context.config.fonts)])
        return ok("text", f"layers of text can be in any script; fonts that a name stands for: {', '.join(names)}.")
    # No fault: most sites and services draw no such text.
    why = "libfribidi is not installed, so layers of text in Arabic, Hebrew or Indic scripts are refused; if you need"
    return skip("text", f"{why} them, install libfribidi0 (Debian, Ubuntu) or fribidi (Alpine, Fedora, Homebrew).")


def cache(context: ProbeContext) -> Finding:
    """Check that the cache folder can be written: without it, everything is rendered again."""
    folder = Cache.at(context.config.cache_dir).folder
    if _may_write(folder):
        return ok("cache", f"{folder} can be written.")
    return fail(
        "cache", "cache-unwritable", f"{folder} can't be written.", "Free space, or name another folder in cache_dir."
    )


def lock(context: ProbeContext) -> Finding:
    """Check that the lock can be read and written."""
    path = context.lock
    try:
        entries = len(read_lock(path, missing_ok=True))
    except LockError as error:
        return fail("lock", "lock-unreadable", error.message, error.fix)
    if not _may_write(path.parent):
        message = f"{path} can't be written, so `s3img sync` can't."
        return fail(
            "lock", "lock-unwritable", message, "Free space, run it where its folder can be written, or name --lock."
        )
    return ok("lock", f"{path} names {entries} images." if path.exists() else f"there is no {path} yet.")


def _may_write(folder: Path) -> bool:
    """Tell whether a folder, or the nearest existing one above it, has room and can be written; nothing is created."""
    existing = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
    may = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    return may and shutil.disk_usage(existing).free > 0  # a full disk still takes empty files


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
    Probe("encoders", encoders, of_store=False),
    Probe("text", text_layout, of_store=False),
    Probe("cache", cache, of_store=False),
    Probe("lock", lock, of_store=False),
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
