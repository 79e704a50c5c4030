"""One plan of renderings on threads and on processes: the same bytes, the same errors, nothing but plain values."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import pickle
import signal
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sites import animation, drawing, photo

from s3img import Config
from s3img.assets import Asset, ImageFacts
from s3img.cache import Cache
from s3img.errors import BucketError, ConfigError, FileUnreadable, FileUnwritable, ImageError, S3ImgError
from s3img.imaging import probe
from s3img.keys import KeyTemplate
from s3img.limits import Limits
from s3img.pictures.editor import RenderInventory
from s3img.pictures.variants import Variant, VariantRequest, choose
from s3img.transfer.render import Renderer, render_group
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = Config(widths=(40, 80), formats=("avif", "webp"))
TURNED = VariantRequest(transform=Transform.parse("rt-90"))


def spawned() -> ProcessPoolExecutor:
    """Return processes that have inherited nothing, as on other machines."""
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


def planned(path: str, content: bytes, request: VariantRequest) -> list[Variant]:
    info = probe(content)
    facts = ImageFacts(info.media_type, info.width, info.height, animated=info.animated, alpha=info.alpha)
    asset = Asset(path, hashlib.sha256(content).hexdigest(), len(content), facts)
    return choose(asset, request, CONFIG, KeyTemplate.parse(CONFIG.key_template)).variants


@pytest.fixture
def plan(tmp_path: Path) -> list[Variant]:
    """Return every variant of five images and of three that can't be rendered, whose files lie in ``tmp_path``."""
    contents = {"photo.jpg": photo(160, 120), "drawing.png": drawing(120, 90), "moving.gif": animation(100, 60)}
    contents |= {"turned.jpg": photo(160, 120, seed=2), "grey.png": photo(90, 90, format="PNG", seed=3)}
    contents |= {"broken.jpg": photo(160, 120, seed=4)[:2000], "edited.jpg": photo(80, 60), "gone.png": drawing(80, 80)}
    for path, content in contents.items():
        (tmp_path / path).write_bytes(content)
    variants = [
        variant
        for path, content in contents.items()
        for variant in planned(path, content, TURNED if path == "turned.jpg" else VariantRequest())
    ]
    (tmp_path / "edited.jpg").write_bytes(photo(80, 60, seed=5))
    (tmp_path / "gone.png").unlink()
    return variants


def rendered(
    variants: list[Variant], folder: Path, executor: Executor | str | None
) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """Return the sha256 of each result by key, and what was wrong with which image."""
    faults: list[tuple[str, str]] = []
    renderer = Renderer(
        lambda asset: folder / asset.path,
        Cache(folder / f"cache-{executor if isinstance(executor, str) else type(executor).__name__}"),
        Limits(),
        executor=executor or "threads",
    )
    inventory = RenderInventory()
    renderer.run(variants, inventory, lambda asset, text: faults.append((asset.path, text)), lambda *_: None)
    made = {variant.key: renderer.path(variant) for variant in variants if variant.identity in inventory.sizes}
    assert renderer.rendered == len(inventory.sizes)
    return {key: hashlib.sha256(file.read_bytes()).hexdigest() for key, file in made.items()}, sorted(faults)


def test_threads_and_processes_render_the_same_plan(plan: list[Variant], tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads, spawned() as processes:
        by_default, on_threads, on_processes = (rendered(plan, tmp_path, pool) for pool in (None, threads, processes))
    digests, faults = on_processes
    assert on_threads == on_processes == by_default
    assert {key.rpartition(".")[2] for key in digests} == {"avif", "webp", "jpg", "png", "gif"}
    assert len(digests) == len(plan) - sum(variant.asset.path in dict(faults) for variant in plan)
    assert [path for path, _ in faults] == ["broken.jpg", "edited.jpg", "gone.png"]
    assert "was changed meanwhile" in faults[1][1]
    assert "can't be read" in faults[2][1]


@pytest.mark.parametrize(
    "error",
    [
        FileUnreadable("a.jpg", FileNotFoundError(2, "No such file")),
        FileUnwritable("a.jpg", OSError(28, "No space left on device")),
        ConfigError(["widths: name px", "sizes: name a width"]),
        ImageError("Nothing is in it.", fix=""),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_worker_is_the_same_for_who_asked(error: S3ImgError) -> None:
    found = pickle.loads(pickle.dumps(error))
    assert (type(found), str(found), vars(found)) == (type(error), str(error), vars(error))


class Pickling(Executor):
    """Run each job at once, and let neither what goes in nor what comes out be anything but its pickle."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Any, ...]] = []

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        assert (fn, keywords) == (render_group, {})
        self.jobs.append(arguments)
        future: Future[Any] = Future()
        future.set_result(pickle.loads(pickle.dumps(fn(*pickle.loads(pickle.dumps(arguments))))))
        return future


def test_a_job_is_positional_plain_values(plan: list[Variant], tmp_path: Path) -> None:
    executor = Pickling()
    rendered(plan, tmp_path, executor)
    assert len(executor.jobs) == 8
    for source, digest, variants, limits, comparisons in executor.jobs:
        assert (type(source), type(digest), type(limits)) == (str, str, Limits)
        assert {type(value) for variant in variants for value in variant} == {str, int, tuple}
        assert comparisons == ()


def test_an_executor_is_opened_by_its_name(plan: list[Variant], tmp_path: Path) -> None:
    variants = [variant for variant in plan if variant.asset.path == "drawing.png"]
    made = [rendered(variants, tmp_path, executor) for executor in ("threads", "processes")]
    assert made[0] == made[1]
    assert len(made[0][0]) == len(variants)


def test_an_executor_that_was_given_is_left_open(plan: list[Variant], tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        rendered(plan[:2], tmp_path, executor)
        assert executor.submit(int, "7").result(60) == 7


def test_processes_that_are_broken_and_not_ours_are_a_fault_of_each_image(plan: list[Variant], tmp_path: Path) -> None:
    with spawned() as executor:
        executor.submit(os.kill, executor.submit(os.getpid).result(60), signal.SIGKILL).exception(60)
        digests, faults = rendered(plan, tmp_path, executor)
    assert (digests, len(faults)) == ({}, 8)
    assert all(text.startswith("Every worker that rendered it died") for _, text in faults)


class Fragile(Executor):
    """Work at once, and break for good at the picture that costs workers, as a pool of processes does."""

    opened = 0

    def __init__(self) -> None:
        Fragile.opened += 1
        self.is_broken = False

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.is_broken = self.is_broken or arguments[0].endswith("drawing.png")
        if self.is_broken:
            future.set_exception(BrokenExecutor("a worker died"))
        else:
            future.set_result(fn(*arguments))
        return future


def test_an_image_that_costs_workers_is_the_only_failure(plan: list[Variant], tmp_path: Path) -> None:
    name = f"{__name__}:Fragile"
    digests, faults = rendered(plan, tmp_path, name)
    expected = rendered(plan, tmp_path, "threads")
    assert dict(faults)["drawing.png"].startswith("Every worker that rendered it died")
    assert [fault for fault in faults if fault[0] != "drawing.png"] == expected[1]
    assert {key: digest for key, digest in expected[0].items() if "drawing" not in key} == digests
    assert Fragile.opened >= 3


class GivenUp(Executor):
    """Give up every task, as a client of Dask does whose scheduler has ended."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.cancel()
        future.set_running_or_notify_cancel()
        return future


def test_a_scheduler_that_ends_is_an_error_that_says_how_to_go_on(plan: list[Variant], tmp_path: Path) -> None:
    with pytest.raises(BucketError, match="Start the same command again"):
        rendered(plan, tmp_path, GivenUp())


class Interrupted(Executor):
    """Begin nothing, and be interrupted when the third job is submitted."""

    def __init__(self) -> None:
        self.futures: list[Future[Any]] = []

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        if len(self.futures) == 2:
            raise KeyboardInterrupt
        self.futures.append(Future())
        return self.futures[-1]


def test_an_interrupt_takes_back_what_has_not_begun(plan: list[Variant], tmp_path: Path) -> None:
    executor = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        rendered(plan, tmp_path, executor)
    assert [future.cancelled() for future in executor.futures] == [True, True]


def test_a_file_of_the_cache_without_bytes_is_rendered_again(plan: list[Variant], tmp_path: Path) -> None:
    renderer = Renderer(lambda asset: tmp_path / asset.path, Cache(tmp_path / "cache"), Limits())
    renderer.path(plan[0]).parent.mkdir(parents=True)
    renderer.path(plan[0]).touch()
    assert renderer.known_sizes(plan[:1], {}) == {}
