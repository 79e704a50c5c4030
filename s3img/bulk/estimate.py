"""What a bulk run would do and cost, from its listing and a sample that is rendered and not put."""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from s3img.bulk.picture_work import missing_results
from s3img.bulk.shard_worker import choose_work, read_source
from s3img.errors import ConfigError, S3ImgError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from s3img.bulk.shard_worker import RunPlaces
    from s3img.bulk.shards import BulkJob, Shard, ShardItem

SAMPLE: Final = 16
"""Pictures that are rendered to measure time and bytes."""

PRICES_OF: Final = "2026-11-28"
"""The day on which the prices below were read; look them up again before a large run."""

CPU_HOUR: Final = 0.045
"""USD for an hour of one processor, on demand; spot machines cost about a third."""

_PAGE: Final = 1_000
_GB: Final = 1e9


class PriceTable(msgspec.Struct, frozen=True):
    """List prices of a store in USD: for a million requests of each kind, and for a GB in a month."""

    name: str
    title: str
    put: float
    get: float
    list: float
    storage: float


PRICES: Final = {
    "s3": PriceTable("s3", "Amazon S3 Standard, us-east-1", 5.00, 0.40, 5.00, 0.023),
    "r2": PriceTable("r2", "Cloudflare R2 Standard", 4.50, 0.36, 4.50, 0.015),
    "b2": PriceTable("b2", "Backblaze B2", 0.00, 0.40, 4.00, 0.006),
}
"""Sources: https://aws.amazon.com/s3/pricing/, https://developers.cloudflare.com/r2/pricing/ and
https://www.backblaze.com/cloud-storage/transaction-pricing; what is free each month is not subtracted."""


class CostLine(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a run at one store, in USD; storage is for the first month of what is new."""

    store: str
    requests: float
    computing: float
    storage: float

    @property
    def total(self) -> float:
        """Return all of it."""
        return self.requests + self.computing + self.storage


class RenderEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a run would do, by its listing and a ``sample`` that was rendered; the rest is taken to be like it.

    ``results`` are objects to put, ``present`` those that are there; requests by kind; ``lever`` is what would save
    most, with the USD that it saves at the first store.
    """

    schema: Literal["s3img.estimate/1"] = "s3img.estimate/1"
    run: str
    target: str
    pictures: int
    bytes: int
    shards: int
    sample: int
    unusable: int
    results: int
    present: int
    bytes_written: int
    cpu_seconds: float
    requests: dict[str, int]
    costs: tuple[CostLine, ...]
    lever: str = ""
    lever_saves: float = 0.0
    prices_of: str = PRICES_OF
    exit_code: int = 0

    def __str__(self) -> str:
        counts = ", ".join(f"{number:,} {kind}" for kind, number in self.requests.items())
        lines = [
            f"{self.target}: {self.pictures:,} pictures ({self.bytes:,} bytes), {self.shards:,} shards; nothing is put",
            f"to render: {self.results:,} objects, {self.bytes_written:,} bytes; {self.present:,} are there",
            f"time: {_duration(self.cpu_seconds)} of one processor",
            f"requests: {counts}",
            *(
                f"{PRICES[line.store].title}: {line.total:,.2f} USD (requests {line.requests:,.2f}, "
                f"computing {line.computing:,.2f}, first month of storage {line.storage:,.2f})"
                for line in self.costs
            ),
            f"measured by rendering {self.sample} of the pictures; prices of {self.prices_of}, look them up again",
        ]
        if self.unusable:
            lines.append(f"{self.unusable} of {self.sample} pictures of the sample can't be rendered")
        if self.lever:
            lines.append(f"what would save most: leave out {self.lever} ({self.lever_saves:,.2f} USD)")
        return "\n".join(lines)


@dataclass(slots=True)
class _Measured:
    """What the sample took; ``groups`` counts results and bytes by what could be left out."""

    pictures: int = 0
    unusable: int = 0
    results: int = 0
    present: int = 0
    written: int = 0
    cpu: float = 0.0
    read: int = 0
    puts: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)


def estimate(shards: Iterable[Shard], job: BulkJob, places: RunPlaces) -> RenderEstimate:
    """List everything, render a sample, and say what the whole would take; raise BucketError."""
    sample: list[ShardItem] = []
    rng = random.Random(job.run)  # noqa: S311 - a sample that is the same each time, not a secret
    count = size = pieces = 0
    for shard in shards:
        pieces += 1
        for item in shard.items:
            count += 1
            size += item.size
            if len(sample) < SAMPLE:
                sample.append(item)
            elif (place := rng.randrange(count)) < SAMPLE:  # Vitter's algorithm R: every picture is as likely
                sample[place] = item
    found = _measure(sample, job, places)
    scale = count / len(sample) if sample else 0.0
    requests = {
        "put": round(found.results * scale) + pieces,
        "get": round(found.read * scale) + (round((found.results + found.present) * scale) if job.transforms else 0),
        "list": -(-count // _PAGE) + (0 if job.transforms else count),
    }
    written, cpu = round(found.written * scale), found.cpu * scale
    own = places.config.store.name
    own = own if own in PRICES else "s3"  # another store is taken to cost what Amazon's does
    order = [own, *(name for name in PRICES if name != own)]
    costs = tuple(
        CostLine(
            store=name,
            requests=sum(getattr(PRICES[name], kind) * number for kind, number in requests.items()) / 1e6,
            computing=cpu / 3600 * CPU_HOUR,
            storage=written / _GB * PRICES[name].storage,
        )
        for name in order
    )
    lever, saves = _lever(found, scale, PRICES[own])
    return RenderEstimate(
        run=job.run,
        target=places.target.name,
        pictures=count,
        bytes=size,
        shards=pieces,
        sample=len(sample),
        unusable=found.unusable,
        results=round(found.results * scale),
        present=round(found.present * scale),
        bytes_written=written,
        cpu_seconds=cpu,
        requests=requests,
        costs=costs,
        lever=lever,
        lever_saves=saves,
    )


def check_cost(found: RenderEstimate, most: float) -> None:
    """Raise ConfigError for a run that may cost more than ``most`` USD at its own store."""
    line = found.costs[0]
    if line.total > most:
        what = f"the run may cost {line.total:,.2f} USD at {PRICES[line.store].title}, and {most:,.2f} are allowed"
        raise ConfigError([f"--max-cost: {what}: raise it, render less, or look at --dry-run"])


def _measure(sample: Iterable[ShardItem], job: BulkJob, places: RunPlaces) -> _Measured:
    work = choose_work(job, places)
    found = _Measured()
    for item in sample:
        found.pictures += 1
        try:
            planned = work.plan(item, None)
            missing = missing_results(planned, places.target) if planned is not None else None
            if missing != []:
                source = read_source(places.source, item, places.config.limits.input_bytes)
                found.read += 1
                planned = work.plan(item, source) or []
                missing = missing_results(planned, places.target)
                started = time.process_time()
                for one, rendered in work.make(item, source, {one.key for one in missing}):
                    found.results += 1
                    found.written += len(rendered.data)
                    found.puts.update(one.labels)
                    found.sizes.update(dict.fromkeys(one.labels, len(rendered.data)))
                found.cpu += time.process_time() - started
            found.present += len(planned or ()) - len(missing or ())
        except S3ImgError:
            found.unusable += 1
    return found


def _lever(found: _Measured, scale: float, prices: PriceTable) -> tuple[str, float]:
    """Return what would save most if it were left out, and the USD for requests and storage that it saves.

    Requests decide: many small objects cost more to put than to render.
    """
    if len(found.puts) < 2:
        return "", 0.0
    saves = {
        label: scale * (number * prices.put / 1e6 + found.sizes[label] / _GB * prices.storage)
        for label, number in found.puts.items()
    }
    best = max(sorted(saves), key=saves.__getitem__)
    return best, saves[best]


def _duration(seconds: float) -> str:
    size, unit = next(pair for pair in ((3600, "h"), (60, "min"), (0, "s")) if seconds >= pair[0])
    return f"{seconds / (size or 1):,.1f} {unit}"
