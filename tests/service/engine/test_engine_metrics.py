"""Counts for Prometheus, times for Server-Timing, and memory that does not grow."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import engine_bench
import pytest
from engine_bench import ask, job

from s3img.errors import ConfigError, ObjectNotFound

if TYPE_CHECKING:
    from engine_bench import Bench


def test_results_errors_and_steps_are_counted(bench: Bench) -> None:
    engine = bench.engine()
    engine.measure()
    for _ in range(3):
        ask(engine)
    ask(engine, inspect=lambda _, tag: True)
    with pytest.raises(ObjectNotFound):
        ask(engine, job(key="none"))
    text, media_type = engine.metrics()
    lines = text.decode().splitlines()
    assert media_type.startswith("text/plain")
    assert {
        's3img_results_total{origin="render"} 1.0',
        's3img_results_total{origin="disk"} 2.0',
        's3img_results_total{origin="client"} 1.0',
        's3img_errors_total{error="ObjectNotFound"} 1.0',
        's3img_step_seconds_count{step="render"} 1.0',
        's3img_work_count{step="fetch"} 0.0',
    } <= set(lines)


def test_metrics_are_off_by_default(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="metrics"):
        bench.engine().metrics()


_COUNTED = """
import pathlib, sys
sys.path.insert(0, sys.argv[2])
from engine_bench import Bench, ask
from s3img.buckets import open_bucket
folder = pathlib.Path(sys.argv[1])
source = open_bucket((folder / "source").as_uri())
engine = Bench(folder, source, source).engine()
engine.measure()
ask(engine)
print(engine.metrics()[0].decode())
engine.close()
"""


def test_counts_of_several_processes_are_added_up(bench: Bench) -> None:
    shared = bench.folder / "prometheus"
    shared.mkdir()
    command = [sys.executable, "-c", _COUNTED, str(bench.folder), str(Path(engine_bench.__file__).parent)]
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(shared)}
    texts = [
        subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60).stdout
        for _ in range(2)
    ]
    assert 's3img_results_total{origin="render"} 1.0' in texts[1]
    assert 's3img_results_total{origin="disk"} 1.0' in texts[1]
    assert {path.name.partition("_")[0] for path in shared.iterdir()} == {
        "counter",
        "histogram",
    }  # the gauges have gone


def test_cold_result_tells_how_long_its_steps_took(bench: Bench) -> None:
    engine = bench.engine(target=bench.target)
    cold, hot = ask(engine), ask(engine)
    assert {"fetch", "render", "target", "render-queue"} <= {step for step, _ in cold.timings}
    assert all(seconds >= 0 for _, seconds in cold.timings)
    assert hot.timings == ()


@pytest.mark.slow
def test_memory_does_not_grow_with_requests(bench: Bench) -> None:
    engine = bench.engine(target=bench.target)

    def round_of_requests(start: int) -> None:
        for number in range(start, start + 40):
            ask(engine, job(f"w-{10 + number % 60}"))
            ask(engine)
            with pytest.raises(ObjectNotFound):
                ask(engine, job(key="none"))

    for start in (0, 40, 80):
        round_of_requests(start)
    gc.collect()
    tracemalloc.start()
    round_of_requests(0)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    for start in range(40, 400, 40):
        round_of_requests(start)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 200_000
