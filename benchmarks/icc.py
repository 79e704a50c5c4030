"""Compare colours of wide-gamut sources with sharp's: mean ΔE (CIEDE2000) against a conversion in floating point.

    pip install numpy scikit-image && npm install --prefix DIR sharp@0.35
    python benchmarks/icc.py --sharp DIR PHOTO...

Each photograph is taken as Adobe RGB (1998), stored as JPEG and PNG of 1,600 px width with that profile, and scaled.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from s3img.imaging import render
from s3img.transform import Transform

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "imaging"))
from conftest import ADOBE_RGB  # type: ignore[attr-defined] # that of tests/imaging

WIDTHS = (300, 500, 700)
# Adobe RGB (1998) Color Image Encoding, 4.3.1.2 and 4.3.4; IEC 61966-2-1
TO_XYZ = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
TO_SRGB = np.array([[3.24045, -1.53714, -0.49853], [-0.96927, 1.87601, 0.04156], [0.05564, -0.20403, 1.05723]])
SHARP = """
const sharp = require(process.argv[1] + '/node_modules/sharp');
const [source, widths, folder] = [process.argv[2], JSON.parse(process.argv[3]), process.argv[4]];
(async () => { for (const w of widths) await sharp(source).resize(w).png().toFile(`${folder}/${w}.png`); })();
"""


def exact(pixels: Any) -> Any:
    """Convert Adobe RGB to sRGB, both 0 to 1, without rounding."""
    light = np.clip(pixels**2.19921875 @ (TO_SRGB @ TO_XYZ).T, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def scaled(pixels: Any, size: tuple[int, int]) -> Any:
    bands = [Image.fromarray(pixels[..., band].astype(np.float32), "F") for band in range(3)]
    return np.dstack([np.asarray(band.resize(size, Image.Resampling.LANCZOS)) for band in bands]).clip(0, 1)


def distance(expected: Any, image: Image.Image) -> float:
    return float(deltaE_ciede2000(rgb2lab(expected), rgb2lab(np.asarray(image.convert("RGB")) / 255)).mean())


def measure(photo: Image.Image, kind: str, sharp: str, folder: str) -> list[tuple[float, ...]]:
    source = Path(folder) / f"source.{kind}"
    photo.save(source, kind, quality=95, subsampling=0, icc_profile=ADOBE_RGB)
    truth = exact(np.asarray(Image.open(source)) / 255)
    subprocess.run(["node", "-e", SHARP, sharp, str(source), json.dumps(WIDTHS), folder], check=True)
    rows = []
    for width in WIDTHS:
        theirs = Image.open(f"{folder}/{width}.png")
        expected = scaled(truth, theirs.size)
        ask = Transform.parse(f"w-{theirs.width},h-{theirs.height},c-force,f-png")
        ours = [Image.open(io.BytesIO(render(source, ask, profile=name).data)) for name in ("build", "request")]
        rows.append(tuple(distance(expected, image) for image in (theirs, *ours)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sharp", required=True, help="folder with node_modules/sharp")
    parser.add_argument("photos", nargs="+")
    arguments = parser.parse_args()
    print("| source | sharp | s3img, build | s3img, request |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        photos = [Image.open(path).convert("RGB") for path in arguments.photos]
        photos = [photo.resize((1600, round(1600 * photo.height / photo.width))) for photo in photos]
        for kind in ("jpeg", "png"):
            rows = [
                row for photo in photos for row in measure(photo, kind, str(Path(arguments.sharp).resolve()), folder)
            ]
            print(f"| {kind.upper()} | " + " | ".join(f"{mean:.2f}" for mean in np.mean(rows, axis=0)) + " |")


if __name__ == "__main__":
    main()
