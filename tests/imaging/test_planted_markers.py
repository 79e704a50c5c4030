"""A marker in every place for metadata, of every format that is read: nothing that is written has it, says exiftool, too."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, TiffImagePlugin
from planted import MAKERS, SECRET, box, chunk, encode, exif, noise

from s3img.imaging import cleaned, render
from s3img.limits import Limits
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = Limits()
HEIC = Path(__file__).parents[1] / "data" / "heic" / "plain.heic"
WRITTEN = ["f-webp", "f-jpg", "f-png", "f-gif", "w-20,f-avif"]

HARMLESS = {
    "SourceFile",
    "ExifTool",
    "System",
    "File",
    "Composite",
    "JFIF",
    "Adobe",
    "RIFF",
    "GIF",
    "Meta",
    "QuickTime",
    "Track1",
}
"""Groups of exiftool's that tell about the coding, not about who made the picture."""
CODING = {"PNG": {"ImageWidth", "ImageHeight", "BitDepth", "ColorType", "Compression", "Filter", "Interlace"}}
CODING["PNG"] |= {
    "AnimationFrames",
    "AnimationPlays",
    "SRGBRendering",
    "Gamma",
    "Palette",
    "Transparency",
    "ProfileName",
}


def tiffs() -> Iterator[tuple[str, bytes]]:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in (269, 270, 271, 272, 285, 305, 306, 315, 316, 33432, 40092):  # names, makers, software, rights
        tags[tag] = SECRET.decode()
    for tag in (700, 33723, 34377, 50341, 65000):  # XMP, IPTC, Photoshop, PrintIM, somebody's own
        tags.tagtype[tag] = 7
        tags[tag] = SECRET * 2
    yield "tags", encode(noise(), "TIFF", tiffinfo=tags)
    yield "exif", encode(noise(), "TIFF", exif=exif())
    plain = encode(noise(), "TIFF")
    yield "behind-the-end", plain + SECRET
    yield "second-page", encode(noise(), "TIFF", save_all=True, append_images=[noise()], tiffinfo=tags)


def bmps() -> Iterator[tuple[str, bytes]]:
    plain = encode(noise(), "BMP")
    start = int.from_bytes(plain[10:14], "little")
    yield "behind-the-end", plain + SECRET
    yield "before-the-pixels", plain[:10] + struct.pack("<L", start + 16) + plain[14:start] + SECRET + plain[start:]
    yield "in-the-header", plain[:6] + SECRET[:4] + plain[10:]


def icos() -> Iterator[tuple[str, bytes]]:
    png = encode(noise().resize((16, 16)), "PNG")
    png = png[:33] + chunk(b"tEXt", b"Comment\0" + SECRET) + png[33:]
    entry = struct.pack("<BBBBHHLL", 16, 16, 0, 0, 1, 32, len(png), 22)
    yield "text-of-a-png", struct.pack("<HHH", 0, 1, 1) + entry + png
    yield "behind-the-end", struct.pack("<HHH", 0, 1, 1) + entry + png + SECRET
    yield "before-the-picture", struct.pack("<HHH", 0, 1, 1) + entry[:12] + struct.pack("<L", 38) + SECRET + png
    bitmap = encode(noise().resize((16, 16)), "ICO", bitmap_format="bmp")
    size = int.from_bytes(bitmap[14:18], "little") + len(SECRET)
    yield "behind-a-bitmap", bitmap[:14] + struct.pack("<L", size) + bitmap[18:] + SECRET


def jp2s() -> Iterator[tuple[str, bytes]]:
    plain = encode(noise(), "JPEG2000")
    for kind in (b"uuid", b"xml ", b"jp2i"):
        yield kind.decode().strip(), plain + box(kind, SECRET)
    yield "comment", encode(noise(), "JPEG2000", comment=SECRET)


def heics() -> Iterator[tuple[str, bytes]]:
    plain = HEIC.read_bytes()
    for kind in (b"uuid", b"free", b"mdat"):
        yield kind.decode(), plain + box(kind, SECRET)


OTHERS = {"tiff": tiffs, "bmp": bmps, "ico": icos, "jp2": jp2s, "heic": heics}


@pytest.fixture
def pillow_heif(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let any HEIC show noise that has the marker in every place where Pillow keeps metadata."""

    class HeifImageFile(Image.Image):
        def __new__(cls, fp: Any) -> Any:
            fp.read()
            found = Image.effect_noise((64, 48), 80).convert("RGB")
            found.info.update(exif=exif(), xmp=SECRET, icc_profile=SECRET, comment=SECRET, metadata=[SECRET])
            return found

    module: Any = ModuleType("pillow_heif")
    module.__spec__ = ModuleSpec("pillow_heif", None)
    module.HeifImageFile = HeifImageFile
    monkeypatch.setitem(sys.modules, "pillow_heif", module)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in (*MAKERS, *OTHERS) if name != "ico"])  # which is never rendered
@pytest.mark.usefixtures("pillow_heif")
def test_nothing_that_is_planted_is_in_a_rendering(name: str) -> None:
    found: list[tuple[str, str]] = []
    for what, data in (MAKERS | OTHERS)[name]():
        assert SECRET in data or SECRET[:4] in data or name in {"png", "webp"}  # those two also have it compressed
        own = {"jpeg": "f-jpg,q-100"}.get(name, f"f-{name}") if name in MAKERS else "f-orig"
        texts = [*WRITTEN[: 1 if name in MAKERS else None], own, "f-orig", "w-20,f-orig"]
        found += [(what, text) for text in texts if SECRET in render(data, Transform.parse(text), limits=LIMITS).data]
    assert found == []


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.usefixtures("pillow_heif")
def test_nothing_that_is_planted_is_stored_of_an_upload(name: str) -> None:
    stored = {what: cleaned(data, limits=LIMITS).data for what, data in OTHERS[name]()}
    assert [what for what, data in stored.items() if SECRET[:11] in data] == []
    assert stored


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed (Debian: libimage-exiftool-perl)")
@pytest.mark.usefixtures("pillow_heif")
def test_exiftool_finds_nothing_of_a_person(tmp_path: Path) -> None:
    for name, make in (MAKERS | OTHERS).items():
        for what, data in make():
            suffix = cleaned(data, limits=LIMITS)
            (tmp_path / f"{name}-{what}.{suffix.media_type.rpartition('/')[2]}").write_bytes(suffix.data)
    command = ["exiftool", "-json", "-G1", "-a", "-u", "-U", "-ee", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    told: dict[str, list[str]] = {}
    for facts in json.loads(answer.stdout):
        for field in facts:
            group, _, tag = field.partition(":")
            if group not in HARMLESS and not group.startswith("ICC") and tag not in CODING.get(group, ()):
                told.setdefault(field, []).append(Path(facts["SourceFile"]).name)
    assert told == {}
    assert len(list(tmp_path.iterdir())) > 100


def test_exif_of_a_rendering_that_keeps_metadata_has_no_place() -> None:
    """``md-true`` keeps what the photographer wrote, and never where it was taken."""
    data = encode(noise(), "JPEG", exif=exif())
    kept = render(data, Transform.parse("f-jpg,md-true"), limits=LIMITS)
    tags = Image.open(io.BytesIO(kept.data)).getexif()
    assert (tags[0x010F], dict(tags.get_ifd(0x8825))) == (SECRET.decode(), {})
