"""An engine over folders: what it asks of them is counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import pytest
from sites import photo

from s3img.buckets import Bucket, open_bucket
from s3img.limits import Limits
from s3img.service.engine import Budget, CheckRequest, Engine, EngineOptions, RenderJob, Result, SourceRef
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "a/cat.jpg"


@dataclass
class Bench:
    """A source and a target of one engine at a time, and a clock that only tests move."""

    folder: Path
    source: Bucket
    target: Bucket
    now: float = 1_000_000.0
    engines: list[Engine] = field(default_factory=list)
    isolate: bool | Literal["auto"] = "auto"

    def engine(self, *, source: Bucket | None = None, target: Bucket | None = None, **options: Any) -> Engine:
        limits = options.pop("limits", None) or Limits(isolate=self.isolate)
        chosen = EngineOptions(**{"cache_folder": self.folder / "cache", **options})
        opened = source or self.source
        engine = Engine(lambda _: opened, chosen, target=target, limits=limits, clock=lambda: self.now)
        self.engines.append(engine)
        return engine

    def asked(self, operation: str = "get") -> int:
        return self.source.requests[operation]

    def entries(self) -> list[Path]:
        """Return the files of results on disk."""
        return [path for path in (self.folder / "cache" / "results").rglob("*") if path.is_file() and not path.suffix]


def job(transform: str = "w-40,f-webp", key: str = KEY, **more: Any) -> RenderJob:
    return RenderJob(SourceRef("pictures", key), Transform.parse(transform), **more)


def ask(
    engine: Engine, what: RenderJob | None = None, *, seconds: float = 20, inspect: CheckRequest | None = None
) -> Result:
    return engine.result(what or job(), Budget.of(seconds), inspect=inspect)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, open_bucket((tmp_path / "source").as_uri()), open_bucket((tmp_path / "target").as_uri()))
    bench.source.put(KEY, photo(80, 60), media_type="image/jpeg")
    yield bench
    for engine in bench.engines:
        engine.close()
