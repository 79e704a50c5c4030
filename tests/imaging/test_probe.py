"""What probe says of headers, and what it refuses."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from s3img.errors import AssetError, ImageError, ImageTooLarge, UnsupportedImage
from s3img.imaging import ImageInfo, probe
from s3img.limits import Limits

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = ["jpeg", "png", "gif", "webp", "avif", "tiff", "bmp"]


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("name", FORMATS)
def test_probe_reads_format_and_size(make: Any, name: str) -> None:
    assert probe(make.encode(make.quadrants(61, 47), name)) == ImageInfo(name, 61, 47)


def test_probe_knows_an_icon_by_its_largest_picture(make: Any) -> None:
    info = probe(make.encode(make.quadrants(256, 256), "ico", sizes=[(16, 16), (256, 256)]))
    assert (info.media_type, info.width, info.renderable) == ("image/vnd.microsoft.icon", 256, False)


@pytest.mark.parametrize("name", ["png", "webp", "avif", "tiff"])
def test_probe_reports_alpha(make: Any, name: str) -> None:
    assert probe(make.encode(make.moving(1)[0], name)).alpha


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "avif", "tiff"])
def test_probe_counts_in_the_upright_picture(make: Any, name: str, orientation: int) -> None:
    info = probe(make.encode(make.quadrants(60, 40), name, exif=make.orientation_exif(orientation)))
    assert info.orientation == orientation
    assert (info.width, info.height) == ((40, 60) if orientation >= 5 else (60, 40))


@pytest.mark.parametrize("name", ["gif", "png", "webp", "avif"])
def test_probe_counts_frames(make: Any, name: str) -> None:
    info = probe(make.animate(make.moving(5), name, duration=50))
    assert (info.frames, info.animated, info.alpha) == (5, True, True)


def test_probe_ignores_the_name(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(make.encode(make.quadrants(), "png"))
    assert probe(path).media_type == "image/png"


def test_probe_takes_bytes_and_paths_alike(make: Any, tmp_path: Path) -> None:
    data = make.encode(make.quadrants(), "webp")
    path = tmp_path / "é %.webp"
    path.write_bytes(data)
    assert probe(str(path)) == probe(path) == probe(data)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ('<svg xmlns="http://www.w3.org/2000/svg" width="10" height="20"/>', (10, 20)),
        ('<?xml version="1.0"?>\n<!-- c --><svg viewBox="0 0 24 12"></svg>', (0, 0)),
        ('<svg width="1in" viewBox="0,0,24,12">', (96, 48)),
        ("<svg height='30px' viewBox='-5 -5 10 20'>", (15, 30)),
        ('<svg width="100%" height="100%" viewBox="0 0 300 150">', (0, 0)),
        ('<svg width="9" height="9" style="width: 100%; height:auto" viewBox="0 0 3 1">', (0, 0)),
        ('<svg style="color:red;WIDTH:30px" viewBox="0 0 3 1">', (30, 10)),
        ('<svg:svg xmlns:svg="http://www.w3.org/2000/svg" width="10.4mm" height="2cm">', (39, 76)),
        ('\ufeff<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x"><svg width="5" height="6">', (5, 6)),
        ('<!DOCTYPE svg [<!ENTITY a "&b;"><!ENTITY b "&a;">]><svg width="5" height="&a;" viewBox="0 0 1 2">', (5, 10)),
        ('<svg data-a=">" width="7" height="8">', (7, 8)),
        ("<svg>", (0, 0)),
        ('<svg width="5">', (0, 0)),
        ('<svg width="1e9" height="-4" viewBox="0 0 0 0">', (0, 0)),
        ('<svg width="nan" height="inf" viewBox="0 0 nan 5">', (0, 0)),
    ],
)
def test_probe_reads_svg(text: str, size: tuple[int, int]) -> None:
    info = probe(text.encode())
    assert (info.format, info.width, info.height) == ("svg", *size)


def test_probe_reads_svg_in_utf_16() -> None:
    assert probe('<?xml version="1.0"?><svg width="3" height="4"/>'.encode("utf-16")).width == 3


NO_IMAGES = [
    *(b"hello", b"<html><svg width='1' height='1'/></html>", b"<svgx width='1' height='1'>", b"%PDF-1.7", b"\0" * 100),
    *(b"\xff\x0a jxl", b"8BPS\0\1", b"\x1f\x8b\x08", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", b"<!-- " * 20_000),
]


@pytest.mark.parametrize("data", NO_IMAGES)
def test_probe_refuses_what_is_no_image(data: bytes) -> None:
    with pytest.raises(UnsupportedImage):
        probe(data)


def test_probe_refuses_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.png"
    path.touch()
    with pytest.raises(ImageError, match=r"empty\.png: The file is empty"):
        probe(path)


@pytest.mark.parametrize("name", FORMATS)
def test_probe_refuses_a_header_cut_short(make: Any, name: str) -> None:
    with pytest.raises(ImageError):
        probe(make.encode(make.quadrants(), name)[:20])


def test_probe_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"gone\.png: No such file"):
        probe(tmp_path / "gone.png")


def test_probe_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(AssetError):
        probe(tmp_path)


def test_probe_refuses_a_bomb_by_its_header() -> None:
    with pytest.raises(ImageTooLarge, match="2,500,000,000 px") as caught:
        probe(png_header(50_000, 50_000) + bytes(100_000))
    assert caught.value.limit == "input_pixels"


def test_probe_refuses_too_many_frames(make: Any) -> None:
    with pytest.raises(ImageTooLarge) as caught:
        probe(make.animate(make.moving(5), "gif", duration=50), limits=Limits(frame_pixels=5 * 1200 - 1))
    assert caught.value.limit == "frame_pixels"


def test_probe_refuses_a_gif_whose_frame_leaves_its_screen() -> None:
    frame = b"," + struct.pack("<4HB", 0, 0, 65_535, 65_535, 0) + b"\x02\x02L\x01\0;"
    with pytest.raises(ImageTooLarge):
        probe(b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + frame)


def test_probe_refuses_too_many_bytes(make: Any, tmp_path: Path) -> None:
    data = make.encode(make.quadrants(), "bmp")
    with pytest.raises(ImageTooLarge) as caught:
        probe(data, limits=Limits(input_bytes=len(data) - 1))
    assert caught.value.limit == "input_bytes"


def test_probe_loads_no_pillow() -> None:
    code = "import sys, s3img.imaging; s3img.imaging.probe(b'<svg>'); sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_imaging_has_no_other_names() -> None:
    import s3img.imaging

    with pytest.raises(AttributeError):
        s3img.imaging.nothing  # noqa: B018 - looking it up is the test
