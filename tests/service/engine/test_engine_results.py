"""What an engine answers, where it takes it from, and how often it asks the source."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from engine_bench import KEY, ask, job
from PIL import Image
from sites import photo

from s3img.errors import AccessDenied, ImageError, ImageTooLarge, ObjectNotFound, UnsupportedImage
from s3img.limits import Limits
from s3img.service.engine import Budget, RenderJob, SourceRef
from s3img.transform.geometry import Hints

if TYPE_CHECKING:
    from engine_bench import Bench

    from s3img.service.engine import SourceFacts

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"/>'


def test_first_request_renders(bench: Bench) -> None:
    result = ask(bench.engine())
    assert (result.origin, result.media_type, result.width, result.height) == ("render", "image/webp", 40, 30)
    assert isinstance(result.body, bytes)
    assert Image.open(BytesIO(result.body)).size == (40, 30)


def test_second_request_asks_nobody(bench: Bench) -> None:
    engine = bench.engine()
    first, second = ask(engine), ask(engine)
    assert (second.origin, second.body, second.etag, second.facts) == ("disk", first.body, first.etag, first.facts)
    assert bench.source.requests == {"put": 1, "get": 1}


def test_result_survives_a_restart(bench: Bench) -> None:
    first = ask(bench.engine())
    assert ask(bench.engine()).body == first.body
    assert bench.asked() == 1


def test_result_is_found_in_the_target_by_another_machine(bench: Bench) -> None:
    engine = bench.engine(target=bench.target)
    first = ask(engine)
    engine.close()
    second = ask(bench.engine(target=bench.target, cache_folder=bench.folder / "other"))
    assert (second.origin, second.body, second.media_type) == ("target", first.body, "image/webp")
    assert (second.width, second.height) == (40, 30)


def test_target_keeps_each_result_once(bench: Bench) -> None:
    engine = bench.engine(target=bench.target)
    for _ in range(3):
        ask(engine)
    engine.close()
    assert bench.target.requests["put"] == 1


def test_memory_is_asked_first_where_it_has_room(bench: Bench) -> None:
    engine = bench.engine(memory_bytes=1 << 20)
    assert [ask(engine).origin for _ in range(2)] == ["render", "memory"]


def test_engine_without_any_store_still_answers(bench: Bench) -> None:
    engine = bench.engine(cache_folder=None)
    assert [ask(engine).origin for _ in range(2)] == ["render", "render"]


@pytest.mark.parametrize("change", ["w-41,f-webp", "w-40,f-png", "w-40,f-webp,q-10", "w-40,f-webp:rt-90"])
def test_each_transform_has_its_own_tag(bench: Bench, change: str) -> None:
    engine = bench.engine()
    assert ask(engine, job(change)).etag != ask(engine).etag


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ({"image/avif"}, "image/avif"),
        ({"image/webp", "image/png"}, "image/webp"),
        (set(), "image/jpeg"),
        (None, "image/jpeg"),
    ],
)
def test_format_follows_what_the_client_takes(bench: Bench, accept: Any, media_type: str) -> None:
    what = job("w-40", accept=None if accept is None else frozenset(accept))
    assert ask(bench.engine(), what).media_type == media_type


def test_winning_format_is_remembered_with_the_result(bench: Bench) -> None:
    what = job("w-40", accept=frozenset({"image/avif", "image/webp"}))
    first, second = ask(bench.engine(), what), ask(bench.engine(), what)
    assert (second.etag, second.media_type, second.origin) == (first.etag, first.media_type, "disk")


def test_formats_that_a_client_takes_are_part_of_the_result(bench: Bench) -> None:
    engine = bench.engine()
    taken: list[set[str]] = [set(), {"image/webp"}, {"image/avif", "image/webp"}]
    assert len({ask(engine, job("w-40", accept=frozenset(names))).etag for names in taken}) == 3


def test_hints_are_part_of_the_result(bench: Bench) -> None:
    engine = bench.engine()
    sizes = [ask(engine, job("w-20,dpr-auto", hints=Hints(dpr=dpr))).width for dpr in (1, 2)]
    assert sizes == [20, 40]


def test_equal_bytes_under_two_keys_are_two_results(bench: Bench) -> None:
    bench.source.put("b.jpg", bench.source.get(KEY), media_type="image/jpeg")
    engine = bench.engine()
    assert ask(engine).etag != ask(engine, job(key="b.jpg")).etag


def test_svg_is_passed_through(bench: Bench) -> None:
    bench.source.put("a.svg", SVG, media_type="image/svg+xml")
    result = ask(bench.engine(), job("w-20", key="a.svg"))
    assert (result.body, result.media_type, result.width) == (SVG, "image/svg+xml", 40)


def test_svg_in_another_format_is_refused(bench: Bench) -> None:
    bench.source.put("a.svg", SVG, media_type="image/svg+xml")
    with pytest.raises(UnsupportedImage):
        ask(bench.engine(), job("w-20,f-png", key="a.svg"))


@pytest.mark.parametrize("content", [b"", b"no image", photo(80, 60)[:900]])
def test_bad_source_is_an_image_error_and_not_kept(bench: Bench, content: bytes) -> None:
    bench.source.put(KEY, content, media_type="image/jpeg")
    engine = bench.engine(target=bench.target)
    for _ in range(2):
        with pytest.raises(ImageError):
            ask(engine)
    engine.close()
    assert bench.entries() == []
    assert bench.target.requests["put"] == 0


def test_source_above_the_limit_is_refused_before_it_is_read(bench: Bench) -> None:
    with pytest.raises(ImageTooLarge, match=r"limits\.input_bytes"):
        ask(bench.engine(limits=Limits(input_bytes=100)))


def test_missing_source_is_asked_for_once_in_a_while(bench: Bench) -> None:
    engine = bench.engine(missing=10)
    for _ in range(3):
        with pytest.raises(ObjectNotFound):
            ask(engine, job(key="none.jpg"))
    assert bench.asked() == 1
    bench.now += 11
    bench.source.put("none.jpg", bench.source.get(KEY), media_type="image/jpeg")
    assert ask(engine, job(key="none.jpg")).width == 40


def test_denied_source_is_asked_for_once_in_a_while(bench: Bench) -> None:
    engine = bench.engine()
    bench.source.open = _refuse  # type: ignore[method-assign] # a folder refuses root nothing
    for _ in range(2):
        with pytest.raises(AccessDenied):
            ask(engine)
    assert _refuse.calls == 1  # type: ignore[attr-defined]


def _refuse(key: str, **_: Any) -> Any:
    _refuse.calls = getattr(_refuse, "calls", 0) + 1  # type: ignore[attr-defined]
    raise AccessDenied("no", code="AccessDenied", key=key)


def test_changed_source_gets_a_new_result_when_its_facts_are_old(bench: Bench) -> None:
    engine = bench.engine(fresh=60)
    first = ask(engine)
    bench.source.put(KEY, photo(80, 60, seed=2), media_type="image/jpeg")
    assert ask(engine).etag == first.etag
    bench.now += 61
    second = ask(engine)
    assert second.etag != first.etag
    assert second.body != first.body


def test_unchanged_source_is_looked_at_but_not_read_again(bench: Bench) -> None:
    engine = bench.engine(fresh=60)
    ask(engine)
    bench.now += 61
    assert ask(engine).origin == "disk"
    assert (bench.asked("get"), bench.asked("head")) == (1, 1)


def test_other_process_uses_the_facts_that_one_has_asked_for(bench: Bench) -> None:
    one, other = bench.engine(), bench.engine()
    ask(one)
    ask(other)
    bench.now += 61
    ask(one)
    ask(other)
    assert bench.asked("head") == 1


def test_source_that_is_read_is_not_asked_about_besides(bench: Bench) -> None:
    engine = bench.engine(fresh=60)
    for number in range(5):
        ask(engine, job(f"w-{20 + number}"))
        bench.now += 20
    assert bench.engine().facts(SourceRef("pictures", KEY), Budget.of(20)).size > 0
    assert (bench.asked("get"), bench.asked("head")) == (5, 0)


def test_version_is_never_asked_about_again(bench: Bench) -> None:
    engine = bench.engine()
    versioned = SourceRef("pictures", KEY, "v1")
    plain = bench.source.open
    bench.source.open = lambda key, **more: plain(key)  # type: ignore[method-assign] # folders have no versions
    what = RenderJob(versioned, job().transform)
    ask(engine, what)
    bench.now += 1_000_000
    assert ask(engine, what).origin == "disk"
    assert bench.asked() == 1


def test_stale_facts_serve_while_the_source_is_asked_in_the_background(bench: Bench) -> None:
    engine = bench.engine(fresh=60, stale_while_revalidate=600)
    first = ask(engine)
    bench.source.put(KEY, photo(80, 60, seed=2), media_type="image/jpeg")
    bench.now += 61
    assert ask(engine).etag == first.etag
    end = time.monotonic() + 20
    while (newer := ask(engine)).etag == first.etag and time.monotonic() < end:
        time.sleep(0.01)
    assert newer.etag != first.etag


@pytest.mark.parametrize("is_current", [True, False])
def test_inspect_ends_the_work_for_a_client_that_is_current(bench: Bench, is_current: Any) -> None:
    seen: list[tuple[SourceFacts, str]] = []

    def inspect(facts: SourceFacts, tag: str) -> bool:
        seen.append((facts, tag))
        return is_current

    result = ask(bench.engine(), inspect=inspect)
    assert result.unchanged is is_current
    assert bool(result.body) is not is_current
    assert {(facts.size, tag) for facts, tag in seen} == {(len(bench.source.get(KEY)), result.etag)}


def test_current_client_of_a_known_source_costs_no_request(bench: Bench) -> None:
    engine = bench.engine()
    tag = ask(engine).etag
    for path in bench.entries():
        path.unlink()
    assert ask(engine, inspect=lambda _, current: current == tag).unchanged
    assert bench.source.requests == {"put": 1, "get": 1}


def test_inspect_may_forbid_the_answer(bench: Bench) -> None:
    def inspect(facts: SourceFacts, tag: str) -> bool:
        raise AccessDenied("private")

    engine = bench.engine()
    for _ in range(2):
        with pytest.raises(AccessDenied):
            ask(engine, inspect=inspect)
    assert bench.entries() == []


def test_twenty_requests_at_once_are_one_get_and_one_render(bench: Bench) -> None:
    engine = bench.engine(target=bench.target)
    start = threading.Barrier(20)

    def request(_: int) -> bytes:
        start.wait(20)
        body = ask(engine).body
        assert isinstance(body, bytes)
        return body

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(request, range(20)))) == 1
    engine.close()
    assert (bench.asked(), bench.target.requests["put"]) == (1, 1)


def test_derived_results_are_kept_like_renderings(bench: Bench) -> None:
    engine, calls = bench.engine(target=bench.target), []

    def measure(data: bytes) -> bytes:
        calls.append(len(data))
        return b'{"bytes": %d}' % len(data)

    source = SourceRef("pictures", KEY)
    first, second = (engine.derived(source, "info/1", measure, Budget.of(10)) for _ in range(2))
    assert (first.media_type, second.body, len(calls)) == ("application/json", first.body, 1)
    engine.close()
    other = bench.engine(target=bench.target, cache_folder=bench.folder / "other")
    assert other.derived(source, "info/1", measure, Budget.of(10)).origin == "target"


@pytest.mark.slow
def test_large_result_is_handed_on_as_a_file(bench: Bench) -> None:
    bench.source.put(KEY, photo(1200, 900, format="PNG"), media_type="image/png")
    engine = bench.engine()
    first, second, third = (ask(engine, job("w-1000,f-png")) for _ in range(3))
    assert isinstance(first.body, bytes)
    assert not isinstance(second.body, bytes)
    assert not isinstance(third.body, bytes)
    assert second.body.read() == third.body.read() == first.body
    second.close()
    third.close()
