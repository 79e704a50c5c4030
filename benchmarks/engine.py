"""The image engine against sharp and pyvips, paired in one run: CPU and wall time, memory, bytes, likeness.

    python -m pip install numpy pyvips pyvips-binary ./native && npm install --prefix DIR sharp@0.35
    python benchmarks/engine.py --sharp DIR --cache DIR2 --rounds 7

Every engine runs in every round, in a process of its own pinned to one processor, in rotating order; a ratio is the
median over rounds of engine / sharp in the same round. s3img's quality is lowered until no output has more bytes than
sharp's. ``s3img`` is what ``pip install s3img`` brings, ``s3img-native`` has s3img-native too, and ``s3img-pillow``
nothing beside Pillow's own decoders and resizer. SSIM is that of luma against a full decode scaled with Lanczos. Prints
``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from engine_inputs import prepare
from PIL import Image

Image.MAX_IMAGE_PIXELS = None
HERE = Path(__file__).parent
ENGINES = ["sharp", "pyvips", "s3img", "s3img-native", "s3img-pillow"]
WIDTHS = [320, 640, 960, 1280, 1920]


@dataclass(frozen=True)
class Task:
    """One row: what is made of which input."""

    name: str
    source: str
    outputs: tuple[dict[str, Any], ...]
    profile: str = "request"
    bar: float | None = None

    @property
    def engines(self) -> list[str]:
        """Return the engines that differ for this source."""
        return [name for name in ENGINES if name != "s3img-native" or "png" in self.source]

    def message(self, inputs: dict[str, Path], **extra: str) -> str:
        outputs = [{**o, "logo": str(inputs[o["logo"]])} if "logo" in o else o for o in self.outputs]
        plain = {"source": str(inputs[self.source]), "outputs": outputs, "profile": self.profile}
        return json.dumps(plain | extra) + "\n"


def out(width: int, height: int, name: str, quality: int) -> dict[str, Any]:
    return {"width": width, "height": height, "format": name, "quality": quality}


def with_logo(source: str, side: int) -> dict[str, Any]:
    """Return an output with a logo of ``side`` px laid over it, 80 px wide, 10 px from the lower right corner."""
    return {**out(300, 300, "webp", 80), "logo": source, "logo_side": side}


def variants(*formats: tuple[str, int]) -> tuple[dict[str, Any], ...]:
    return tuple(out(w, round(w * 3168 / 4224), name, quality) for w in WIDTHS for name, quality in formats)


TASKS = [
    Task("6 MP JPEG → 720x588 JPEG", "6 MP jpeg", (out(720, 588, "jpeg", 80),), bar=0.8),
    Task("the same, build profile", "6 MP jpeg", (out(720, 588, "jpeg", 80),), "build"),
    Task("12 MP JPEG → 300x300 cover WebP", "12 MP jpeg", (out(300, 300, "webp", 80),), bar=0.95),
    Task("the same, build profile", "12 MP jpeg", (out(300, 300, "webp", 80),), "build"),
    Task("6 MP JPEG → 300x300 WebP", "6 MP jpeg", (out(300, 300, "webp", 80),)),
    Task("6 MP JPEG → 300x300 WebP, logo of 400 px", "6 MP jpeg", (with_logo("logo", 400),), bar=1.0),
    Task("6 MP JPEG → 300x300 WebP, logo of 80 px", "6 MP jpeg", (with_logo("small logo", 80),), bar=1.0),
    Task("small JPEG → 200 px JPEG", "small jpeg", (out(200, 0, "jpeg", 80),), bar=0.6),
    Task("12 MP AVIF → 800 px WebP", "12 MP avif", (out(800, 0, "webp", 80),), bar=0.5),
    Task("3 MP PNG → 400 px WebP", "3 MP png", (out(400, 0, "webp", 80),), bar=1.0),
    Task("10 MP WebP → 800 px WebP", "10 MP webp", (out(800, 0, "webp", 80),), bar=1.0),
    Task("GIF, 40 frames of a photograph → WebP", "pan gif", (out(300, 0, "webp", 80),), bar=1.0),
    Task("GIF, 40 frames of a drawing → WebP", "drawing gif", (out(360, 0, "webp", 80),), bar=1.0),
    Task("5 variants: JPEG", "12 MP jpeg", variants(("jpeg", 80)), "build", 0.35),
    Task("5 variants: JPEG, WebP", "12 MP jpeg", variants(("jpeg", 80), ("webp", 80)), "build"),
    Task(
        "5 variants: JPEG, WebP, AVIF", "12 MP jpeg", variants(("jpeg", 80), ("webp", 80), ("avif", 50)), "build", 0.8
    ),
]


class Worker:
    """An engine in a process of its own."""

    def __init__(self, engine: str, sharp: Path, *, processors: set[int]) -> None:
        command = [sys.executable, str(HERE / "engine_worker.py"), engine]
        if engine == "sharp":
            command = ["node", str(HERE / "engine_worker.mjs")]
        environment = os.environ | {
            "SHARP": str(sharp),
            "VIPS_CONCURRENCY": "1",
            "UV_THREADPOOL_SIZE": "1",
            "PYTHONPATH": str(HERE.parent),
        }
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            preexec_fn=partial(os.sched_setaffinity, 0, processors),  # noqa: PLW1509 - no threads yet
        )

    def run(self, message: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(message)
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"an engine died on {message}")
        return json.loads(line)

    def close(self) -> int:
        """End the process and return its peak memory in KiB."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        _, _, usage = os.wait4(self.process.pid, 0)
        return usage.ru_maxrss


def equalised(task: Task, worker: Worker, inputs: dict[str, Path], limit: list[int]) -> Task:
    """Lower the quality of each output until it has no more bytes than ``limit`` says (0.3 % is noise of a step)."""
    for _ in range(12):
        sizes = worker.run(task.message(inputs))["bytes"]
        over = [size > 1.003 * most for size, most in zip(sizes, limit, strict=True)]
        if not any(over):
            break
        pairs = zip(task.outputs, over, strict=True)
        lower = tuple({**o, "quality": o["quality"] - 1} if more else o for o, more in pairs)
        task = replace(task, outputs=lower)
    return task


def likeness(path: Path, source: Path) -> float:
    """Return the SSIM of luma over windows of 7 x 7 px."""
    with Image.open(path) as image, Image.open(source) as original:
        found = np.asarray(image.convert("L"), float)
        width, height = image.size
        scale = max(width / original.width, height / original.height)
        cut = ((original.width - width / scale) / 2, (original.height - height / scale) / 2)
        box = (cut[0], cut[1], original.width - cut[0], original.height - cut[1])
        expected = original.convert("RGB").resize((width, height), Image.Resampling.LANCZOS, box=box).convert("L")
    return _ssim(found, np.asarray(expected, float))


def _ssim(a: np.ndarray, b: np.ndarray) -> float:
    mean_a, mean_b = _mean(a), _mean(b)
    var_a, var_b = _mean(a * a) - mean_a**2, _mean(b * b) - mean_b**2
    both = _mean(a * b) - mean_a * mean_b
    low, high = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_a * mean_b + low) * (2 * both + high)
    return float(np.mean(above / ((mean_a**2 + mean_b**2 + low) * (var_a + var_b + high))))


def _mean(a: np.ndarray, side: int = 7) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(a, (side, side)).mean((2, 3))


def measure(task: Task, inputs: dict[str, Path], sharp: Path, rounds: int) -> list[str]:
    """Return a line for each engine."""
    engines = task.engines
    workers = {name: Worker(name, sharp, processors={0}) for name in engines}
    with tempfile.TemporaryDirectory() as folder:
        save = {name: str(Path(folder) / name) for name in engines}
        limit = workers["sharp"].run(task.message(inputs, save=save["sharp"]))["bytes"]
        tasks = dict.fromkeys(engines, task)
        for name in engines[2:]:
            tasks[name] = equalised(task, workers[name], inputs, limit)
        first = {name: workers[name].run(tasks[name].message(inputs, save=save[name])) for name in engines}
        seen: dict[str, list[dict[str, Any]]] = {name: [] for name in engines}
        for number in range(rounds):
            start = number % len(engines)
            for name in engines[start:] + engines[:start]:
                seen[name].append(workers[name].run(tasks[name].message(inputs)))
        alike = {
            name: np.mean([likeness(Path(f"{save[name]}.{n}"), inputs[task.source]) for n in range(len(limit))])
            for name in engines
        }
    for worker in workers.values():
        worker.close()
    return [_line(task, name, seen, sum(first[name]["bytes"]), alike[name]) for name in engines]


def _line(task: Task, name: str, seen: dict[str, list[dict[str, Any]]], size: int, alike: float) -> str:
    cpu, wall = (median(run[key] for run in seen[name]) * 1000 for key in ("cpu", "wall"))
    ratio = median(run["cpu"] / base["cpu"] for run, base in zip(seen[name], seen["sharp"], strict=True))
    bar = f" (≤ {task.bar})" if task.bar and name == "s3img" else ""
    return f"| {task.name} | {name} | {ratio:.2f}{bar} | {cpu:.1f} | {wall:.1f} | {size:,} | {alike:.4f} |"


def memory(inputs: dict[str, Path], sharp: Path) -> list[str]:
    """Return a line for each engine and large input: peak memory above that of the same process without a task."""
    lines = []
    for source in ("100 MP jpeg", "100 MP png"):
        for name in Task("", source, ()).engines:
            idle = Worker(name, sharp, processors={0, 1})
            idle.run(Task("", "small jpeg", (out(200, 0, "jpeg", 80),)).message(inputs))
            base = idle.close()
            worker = Worker(name, sharp, processors={0, 1})
            found = worker.run(Task("", source, (out(400, 0, "jpeg", 80),)).message(inputs))
            above = (worker.close() - base) / 1024
            lines.append(f"| {source} → 400 px JPEG | {name} | {above:.0f} | {found['cpu']:.2f} |")
    return lines


def threads(inputs: dict[str, Path]) -> list[str]:
    """Return how much faster two threads render than one: the best of ten turns each, short and alternating."""
    sys.path.insert(0, str(HERE.parent))
    from s3img.imaging import render
    from s3img.transform import Transform

    lines = []
    tasks = [
        ("6 MP jpeg", "w-720,h-588,f-jpg", 16),
        ("12 MP jpeg", "w-300,h-300,f-webp", 6),
        ("small jpeg", "w-200,f-jpg", 120),
    ]
    for source, text, jobs in tasks:
        data, transform = inputs[source].read_bytes(), Transform.parse(text)
        speed = {1: 0.0, 2: 0.0}
        for count in (1, 2) * 10:
            with ThreadPoolExecutor(count) as pool:
                start = time.perf_counter()
                list(pool.map(lambda item, to=transform: render(item, to, profile="request"), [data] * jobs))
                speed[count] = max(speed[count], jobs / (time.perf_counter() - start))
        lines.append(f"| {source} → {text} | {speed[1]:.0f} | {speed[2]:.0f} | {speed[2] / speed[1]:.2f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sharp", type=Path, required=True, help="folder that holds node_modules/sharp")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the inputs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="part of a row's name")
    options = parser.parse_args()
    inputs = prepare(options.cache)
    print("| task | engine | CPU / sharp | CPU ms | wall ms | bytes | SSIM |\n|---|---|---|---|---|---|---|")
    for task in TASKS:
        if options.only in task.name:
            print(*measure(task, inputs, options.sharp.resolve(), options.rounds), sep="\n", flush=True)
    if not options.only:
        print(
            "\n| task | engine | MB above idle | CPU s |\n|---|---|---|---|",
            *memory(inputs, options.sharp.resolve()),
            sep="\n",
        )
        print("\n| task | 1 thread /s | 2 threads /s | ratio |\n|---|---|---|---|", *threads(inputs), sep="\n")


if __name__ == "__main__":
    main()
