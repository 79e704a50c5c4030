"""Results that a sync with variants makes as well are shared with it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from engine_bench import ask, job
from sites import photo

from s3img import Config
from s3img.assets import Asset, ImageFacts
from s3img.keys import KeyTemplate
from s3img.lock import Lock, LockEntry
from s3img.pictures.variants import VariantRequest, choose
from s3img.service.engine import Engine, EngineOptions, SyncedVariants

if TYPE_CHECKING:
    from engine_bench import Bench

DATA = photo(800, 600)
DIGEST = hashlib.sha256(DATA).hexdigest()
KEY = f"a/cat.{DIGEST[:8]}.jpg"
ENTRY = LockEntry("a/cat.jpg", DIGEST, len(DATA), 800, 600, "image/jpeg", KEY)
CONFIG = Config(widths=(320, 640), formats=("webp",))


def shared(bench: Bench, entry: LockEntry = ENTRY) -> Engine:
    bench.source.put(KEY, DATA, media_type="image/jpeg")
    variants = SyncedVariants(Lock.of([entry]), CONFIG, origin="pictures")
    options = EngineOptions(cache_folder=bench.folder / "cache")
    quality = {"jpeg": 80, "webp": 82, "avif": 67}
    engine = Engine(lambda _: bench.source, options, target=bench.target, quality=quality, shared=variants)
    bench.engines.append(engine)
    return engine


def published() -> dict[str, str]:
    """Return the keys that publishing gives to the image's renderings, by transform."""
    asset = Asset("a/cat.jpg", DIGEST, len(DATA), ImageFacts("image/jpeg", 800, 600))
    variants = choose(asset, VariantRequest(), CONFIG, KeyTemplate.parse(CONFIG.key_template))
    return {str(variant.transform): variant.key for variant in variants.variants}


@pytest.mark.parametrize("transform", ["w-640,f-webp", "f-webp,w-640,q-82", "w-320,f-jpeg"])
def test_result_is_put_where_publishing_puts_it(bench: Bench, transform: str) -> None:
    engine = shared(bench)
    ask(engine, job(transform, key=KEY))
    engine.close()
    assert {info.key for info in bench.target.list()} <= set(published().values())


@pytest.mark.parametrize("transform", list(published()))
def test_published_rendering_is_served_without_the_source(bench: Bench, transform: str) -> None:
    made = photo(64, 48, format="WEBP")
    bench.target.put(published()[transform], made, media_type="image/webp")
    engine = shared(bench)
    first = ask(engine, job("w-10", key=KEY))  # tells the source's facts
    asked = bench.asked()
    result = ask(engine, job(transform, key=KEY))
    assert (result.body, result.origin, first.facts) == (made, "target", result.facts)
    assert bench.asked() == asked


def test_published_rendering_serves_clients_that_leave_the_format_open(bench: Bench) -> None:
    made = photo(64, 48, format="WEBP")
    bench.target.put(published()["w-640,f-webp,q-82"], made, media_type="image/webp")
    engine = shared(bench)
    accept = frozenset({"image/avif", "image/webp"})
    result = ask(engine, job("w-640", key=KEY, accept=accept))
    assert (result.body, result.media_type, result.origin) == (made, "image/webp", "target")


def test_smallest_result_is_not_put_under_the_key_of_a_format(bench: Bench) -> None:
    engine = shared(bench)
    ask(engine, job("w-640", key=KEY, accept=frozenset({"image/avif", "image/webp"})))
    engine.close()
    (info,) = bench.target.list()
    assert info.key.startswith(".s3img/results/")


@pytest.mark.parametrize("transform", ["w-640,h-10,f-webp", "w-640,f-webp,q-81", "w-640:rt-90,f-webp", "f-png"])
def test_other_results_are_named_by_the_content_alone(bench: Bench, transform: str) -> None:
    engine = shared(bench)
    ask(engine, job(transform, key=KEY))
    engine.close()
    (info,) = bench.target.list()
    assert info.key.startswith(".s3img/results/")


def test_source_that_is_not_the_locked_one_shares_nothing(bench: Bench) -> None:
    other = LockEntry("a/cat.jpg", "0" * 64, len(DATA) + 1, 800, 600, "image/jpeg", KEY)
    engine = shared(bench, other)
    ask(engine, job("w-640,f-webp", key=KEY))
    engine.close()
    (info,) = bench.target.list()
    assert info.key.startswith(".s3img/results/")
