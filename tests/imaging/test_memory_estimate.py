"""What decoding takes is estimated from above, by a factor that docs/service.md can be planned with."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from s3img.imaging.image_info import ImageInfo
from s3img.imaging.memory_estimate import decoding_bytes
from s3img.transform import Transform

DOCS = Path(__file__).parents[2] / "docs"
MEASURE = """
import io, json, re, sys
from PIL import Image
from s3img.imaging import draw, probe
from s3img.imaging.memory_estimate import decoding_bytes
from s3img.service.factory import return_large_blocks
from s3img.transform import Transform

def status(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) << 10

return_large_blocks()
transform = Transform.parse("w-400,f-webp")
noise = Image.effect_noise((350, 250), 40).resize((1400, 1000)).convert("RGB")
kinds = {
    "jpeg": (noise, "JPEG", {}), "progressive": (noise, "JPEG", {"progressive": True}), "png": (noise, "PNG", {}),
    "transparent": (noise.convert("RGBA"), "PNG", {"compress_level": 1}), "webp": (noise, "WEBP", {"method": 0}),
    "avif": (noise, "AVIF", {"speed": 10, "subsampling": "4:4:4"}), "gif": (noise.convert("P"), "GIF", {}),
    "tiff": (noise, "TIFF", {}),
}
warm = io.BytesIO()
found = {}
for name, (image, kind, options) in kinds.items():
    file = io.BytesIO()
    image.save(file, kind, **options)
    for size in ("w-20,f-webp", "w-400,f-webp"):  # the first loads the codecs
        data = file.getvalue()
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")  # VmHWM begins anew
        before = status("VmRSS")
        draw(data, Transform.parse(size), profile="request")
        peak = status("VmHWM") - before + len(data)
        found[name] = peak, decoding_bytes(probe(data), len(data), Transform.parse(size))
print(json.dumps(found))
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak of a process")
def test_estimate_is_an_upper_bound() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    slack = 4 << 20
    assert {name: pair for name, pair in found.items() if pair[0] > pair[1] + slack} == {}
    assert {name: pair for name, pair in found.items() if pair[1] > 4 * pair[0] + slack} == {}, "of no use to plan with"


def test_jpeg_that_is_scaled_down_as_it_comes_takes_little() -> None:
    info = ImageInfo("jpeg", 16_000, 12_000)
    assert decoding_bytes(info, 10_000_000, Transform.parse("w-300")) < 40_000_000
    assert decoding_bytes(info, 10_000_000, Transform.parse("w-300,cm-extract,h-300")) > 1_000_000_000
    assert decoding_bytes(info, 10_000_000, None) < 40_000_000


def test_animation_takes_all_its_frames() -> None:
    still, moving = ImageInfo("gif", 400, 300), ImageInfo("gif", 400, 300, frames=100)
    transform = Transform.parse("w-200")
    assert decoding_bytes(moving, 0, transform) - decoding_bytes(still, 0, transform) == 4 * 200 * 150 * 97


def test_what_is_never_rendered_takes_no_more_than_itself() -> None:
    assert decoding_bytes(ImageInfo("svg", 40_000, 30_000), 123, Transform.parse("w-300")) == 123


def test_page_has_the_table_of_these_estimates() -> None:
    generator = runpy.run_path(str(DOCS / "generate_memory.py"))
    assert generator["table"]() in (DOCS / "service.md").read_text(encoding="utf-8"), "python docs/generate_memory.py"
