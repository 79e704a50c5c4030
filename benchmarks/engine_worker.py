"""One engine in a process of its own: reads tasks as JSON lines, writes CPU s, wall s and bytes as JSON lines.

``python engine_worker.py ENGINE``, where ENGINE is ``pyvips``, ``s3img`` (without s3img-native), ``s3img-native``, or
``s3img-pillow`` (without cykooz.resizer and libwebp, too).
A task is {source, outputs: [{width, height, fit, format, quality}], profile, save}: buffer in, buffers out.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

Task = dict[str, Any]
Engine = Callable[[bytes, Task], list[bytes]]


def s3img_engine() -> Engine:
    from s3img.errors import ImageError
    from s3img.imaging import RenderTarget, render, render_variants
    from s3img.transform import Transform

    def run(data: bytes, task: Task) -> list[bytes]:
        outputs = task["outputs"]
        if len(outputs) > 1:
            targets = [RenderTarget(o["width"], o["height"], o["format"], o["quality"]) for o in outputs]
            outcomes = render_variants(data, targets)
            if failures := [outcome for outcome in outcomes if isinstance(outcome, ImageError)]:
                raise failures[0]
            return [outcome.data for outcome in outcomes if not isinstance(outcome, ImageError)]
        (o,) = outputs
        height = f",h-{o['height']}" if o["height"] else ""
        text = f"w-{o['width']}{height},f-{o['format']},q-{o['quality']}"
        inputs = {}
        if "logo" in o:
            text += ",l-image,i-logo.png,w-80,lx-N10,ly-N10,l-end"
            inputs = {"logo.png": Path(o["logo"]).read_bytes()}
        return [render(data, Transform.parse(text), profile=task["profile"], inputs=inputs).data]

    return run


def pyvips_engine() -> Engine:
    import pyvips

    def run(data: bytes, task: Task) -> list[bytes]:
        return [_vips_one(pyvips, data, output) for output in task["outputs"]]

    return run


def _vips_one(pyvips: ModuleType, data: bytes, o: Task) -> bytes:
    fit = {"height": o["height"], "crop": "centre"} if o["height"] else {"height": 10_000_000}
    pages = "n=-1" if data[:3] == b"GIF" else ""
    image = pyvips.Image.thumbnail_buffer(data, o["width"], option_string=pages, **fit)
    if "logo" in o:
        logo = pyvips.Image.thumbnail_buffer(Path(o["logo"]).read_bytes(), 80)
        image = image.composite2(logo, "over", x=o["width"] - 90, y=o["height"] - 90)
    if o["format"] == "jpeg":
        return image.jpegsave_buffer(Q=o["quality"], optimize_coding=True, keep="none")
    if o["format"] == "webp":
        return image.webpsave_buffer(Q=o["quality"], effort=4, keep="none")
    return image.heifsave_buffer(Q=o["quality"], compression="av1", effort=4, keep="none")


def main(name: str) -> None:
    if name in {"s3img", "s3img-pillow"}:  # as if they were not installed
        sys.modules["s3img_native"] = None  # type: ignore[assignment]
    if name == "s3img-pillow":
        from s3img.imaging import libwebp

        sys.modules["cykooz_resizer"] = None  # type: ignore[assignment]
        libwebp.library_paths = list
    run = pyvips_engine() if name == "pyvips" else s3img_engine()
    for line in sys.stdin:
        task = json.loads(line)
        data = Path(task["source"]).read_bytes()
        cpu, wall = time.process_time(), time.perf_counter()
        results = run(data, task)
        answer = {
            "cpu": time.process_time() - cpu,
            "wall": time.perf_counter() - wall,
            "bytes": [len(result) for result in results],
        }
        for number, result in enumerate(results if task.get("save") else []):
            Path(f"{task['save']}.{number}").write_bytes(result)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
