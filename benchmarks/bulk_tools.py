"""s3img render against img2dataset: one folder of photographs, each to one JPEG of 256 px, seconds of processors.

``python benchmarks/bulk_tools.py PYTHON [PICTURES]``, where PYTHON is that of an environment of its own with
img2dataset, whose command lies beside it. Both start, read and write as a user would have them do; what starting takes
is left out by taking a small run from a large one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from drawings import photograph

ROUNDS = 3
FEW = 20
"""Pictures of the small run."""

SIDE = 256
QUALITY = 80


def run_s3img(pictures: Path, count: int, made: Path) -> None:
    """Render with one worker process."""
    settings = {
        "S3IMG_BUCKET": (pictures / str(count)).as_uri(),
        "S3IMG_SERVICE": f'{{"results": "{made.as_uri()}"}}',
    }
    command = [sys.executable, "-m", "s3img", "render", "--executor", "processes", "--processes", "1"]
    command += ["--tr", f"w-{SIDE},f-jpg,q-{QUALITY}"]
    subprocess.run(command, check=True, env={**os.environ, **settings}, stdout=subprocess.DEVNULL)


def run_img2dataset(pictures: Path, count: int, made: Path) -> None:
    """Do the same with one worker process, from a list of file:// addresses."""
    listed = made / "list.txt"
    listed.write_text("".join(f"{file.as_uri()}\n" for file in sorted((pictures / str(count)).iterdir())))
    options = {
        "url_list": listed,
        "input_format": "txt",
        "output_folder": made / "out",
        "output_format": "files",
        "processes_count": 1,
        "thread_count": 8,
        "image_size": SIDE,
        "resize_mode": "keep_ratio_largest",
        "encode_quality": QUALITY,
    }
    command = [str(Path(sys.argv[1]).parent / "img2dataset"), *(f"--{name}={value}" for name, value in options.items())]
    environ = {**os.environ, "NO_ALBUMENTATIONS_UPDATE": "1"}
    subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


TOOLS = {"s3img": run_s3img, "img2dataset": run_img2dataset}


def measure(name: str, pictures: Path, count: int) -> float:
    """Return the seconds of processors of one run, its worker included; check that it has made every picture."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        before = os.times()
        TOOLS[name](pictures, count, made)
        after = os.times()
        found = sum(1 for file in made.rglob("*") if file.is_file() and file.read_bytes()[:2] == b"\xff\xd8")
        assert found == count, (name, found, count)
    return after.children_user + after.children_system - before.children_user - before.children_system


def main(many: int) -> None:
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors, {many} photographs of 1600 x 1200 px")
    with tempfile.TemporaryDirectory() as name:
        pictures = Path(name)
        picture = photograph().convert("RGB").resize((1600, 1200))
        for count in (FEW, many):
            (pictures / str(count)).mkdir()
            for number in range(count):
                picture.save(pictures / str(count) / f"{number:05}.jpg", quality=85 + number % 8)
        rounds: dict[str, list[float]] = {tool: [] for tool in TOOLS}
        for turn in range(ROUNDS):
            for tool in sorted(TOOLS, reverse=bool(turn % 2)):
                few, all_ = measure(tool, pictures, FEW), measure(tool, pictures, many)
                rounds[tool].append((all_ - few) / (many - FEW))
    for tool, found in rounds.items():
        print(f"{tool}: {1 / median(found):.0f} pictures a second of a processor ({median(found) * 1000:.1f} ms each)")
    ratio = median(theirs / ours for ours, theirs in zip(rounds["s3img"], rounds["img2dataset"], strict=True))
    print(f"s3img makes {ratio:.2f} x as many (median of {ROUNDS} pairs)")


if __name__ == "__main__":
    main(int(sys.argv[2]) if len(sys.argv) > 2 else 320)
