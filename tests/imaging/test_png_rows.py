"""PNG is decoded from the rows of s3img-native: Pillow's pixels, twice as fast, in bounded memory.

`python -m pip install ./native` installs it; it needs cargo. The pictures are Willem van Schaik's PngSuite, of which
``x*`` are damaged.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, PngImagePlugin
from pngs import chunk, png

from s3img.errors import ImageError, S3ImgError
from s3img.imaging import png_rows as seam
from s3img.imaging import probe, render
from s3img.imaging.decode import Decoded, decode, decoder, resizable
from s3img.limits import Limits
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Iterator

SUITE = {path.stem: path.read_bytes() for path in Path(__file__).parents[1].glob("data/imaging/pngsuite/*.png")}
WHOLE = [name for name in sorted(SUITE) if not name.startswith("x")]
DAMAGED = [name for name in sorted(SUITE) if name.startswith("x")]
DEEP_KEYS = {"tbbn2c16", "tbgn2c16"}  # a colour key of 3 x 16 bits, which takes a second reading
EVERYTHING = (10**6, 10**6)

needs_rows = pytest.mark.skipif(
    seam.row_reader() is None, reason="s3img-native is not installed: python -m pip install ./native (needs cargo)"
)


def decoded(data: bytes, wanted: tuple[int, int] = EVERYTHING) -> Decoded:
    return decode(BytesIO(data), probe(data), wanted, Limits())


def by_rows(data: bytes, wanted: tuple[int, int] = EVERYTHING) -> Any:
    """Return what the rows alone give, None where they leave a picture to Pillow."""
    with decoder(BytesIO(data), probe(data)) as image:
        assert isinstance(image, PngImagePlugin.PngImageFile)
        return seam.decode_rows(data, image, wanted, resizable)


def by_pillow(data: bytes) -> Image.Image:
    with decoder(BytesIO(data), probe(data)) as image:
        image.load()
        return resizable(image)


@pytest.fixture
def without_rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let Pillow decode, as where s3img-native is not installed."""
    seam.row_reader.cache_clear()
    monkeypatch.setitem(sys.modules, "s3img_native", None)
    yield
    seam.row_reader.cache_clear()


@needs_rows
@pytest.mark.parametrize("name", WHOLE)
def test_rows_have_the_pixels_of_pillow(name: str) -> None:
    expected = by_pillow(SUITE[name])
    if name not in DEEP_KEYS:
        picture, extent = by_rows(SUITE[name])
        assert (picture.mode, picture.tobytes(), extent) == (expected.mode, expected.tobytes(), expected.size)
        assert decoded(SUITE[name]).image.tobytes() == expected.tobytes()


@needs_rows
@pytest.mark.parametrize("name", [name for name in WHOLE if name not in DEEP_KEYS])
@pytest.mark.parametrize("wanted", [(7, 7), (5, 3), (1, 1)])
def test_reduced_rows_are_those_of_the_whole_picture(name: str, wanted: tuple[int, int]) -> None:
    picture, extent = by_rows(SUITE[name], wanted)
    whole = by_pillow(SUITE[name])
    across, down = max(1, whole.width // (2 * wanted[0])), max(1, whole.height // (2 * wanted[1]))
    assert picture.tobytes() == whole.reduce((across, down)).tobytes()
    assert extent == (whole.width / across, whole.height / down)


@needs_rows
@pytest.mark.parametrize("wanted", [(300, 200), (40, 30)])
def test_pictures_of_many_bands_are_joined_without_a_seam(make: Any, wanted: tuple[int, int]) -> None:
    size = 1499, 1001
    bands = [Image.effect_noise(size, 90), Image.linear_gradient("L").resize(size), Image.effect_noise(size, 20)]
    data = make.encode(Image.merge("RGB", bands), "png", compress_level=1)
    across, down = size[0] // (2 * wanted[0]), size[1] // (2 * wanted[1])
    assert by_rows(data, wanted)[0].tobytes() == make.decode(data).reduce((across, down)).tobytes()


@needs_rows
def test_a_reduced_png_is_cut_and_turned_as_the_whole_one(make: Any) -> None:
    picture = make.quadrants(1203, 807)
    data = make.encode(picture, "png", exif=make.orientation_exif(6))
    turned = make.decode(render(data, Transform.parse("w-60,f-png")).data)
    assert make.corners(turned) == make.corners(picture.transpose(Image.Transpose.ROTATE_270))
    cut = make.decode(render(data, Transform.parse("w-41,h-40,fo-top_left,f-png")).data)
    assert make.corners(cut)[0] == "blue"
    with Image.open(BytesIO(data)) as whole:
        expected = whole.transpose(Image.Transpose.ROTATE_270).resize(turned.size, Image.Resampling.LANCZOS)
    assert not any(ImageChops.difference(turned.convert("RGB"), expected).convert("L").histogram()[13:])


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_png_is_what_pillow_makes_of_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def outcome() -> Any:
        try:
            return decoded(SUITE[name]).image.tobytes()
        except ImageError as error:
            return str(error)

    found = outcome()
    with monkeypatch.context() as patch:
        patch.setattr("s3img.imaging.decode.row_reader", lambda: None)
        assert outcome() == found


@needs_rows
def test_the_first_frame_of_an_animation_is_read_by_rows(make: Any) -> None:
    data = make.animate(make.moving(3), "png", duration=50)
    assert by_rows(data)[0].tobytes() == by_pillow(data).convert(by_rows(data)[0].mode).tobytes()


@needs_rows
def test_a_first_frame_smaller_than_the_picture_is_left_to_pillow() -> None:
    control = chunk(b"acTL", (1).to_bytes(4) + bytes(4))
    frame = chunk(b"fcTL", b"".join(n.to_bytes(4) for n in (0, 2, 2, 0, 0)) + bytes(6))
    assert by_rows(png((4, 4), 8, 0, [bytes(4)] * 4, control + frame)) is None


def test_exif_behind_the_pixels_is_found(make: Any) -> None:
    data = make.encode(Image.new("RGB", (30, 20)), "png")
    exif = make.orientation_exif(3).removeprefix(b"Exif\0\0")
    assert decoded(data[:-12] + chunk(b"eXIf", exif) + data[-12:]).exif == b"Exif\0\0" + exif


@needs_rows
def test_pixels_that_look_like_exif_are_none() -> None:
    data = bytearray(png((8, 1), 8, 0, [bytes(8)]))
    at = data.index(b"IDAT") - 4
    data[at : at + 12 + int.from_bytes(data[at : at + 4])] = chunk(b"IDAT", zlib.compress(b"\0" + b"eXIfeXIf", 0))
    assert by_rows(bytes(data))[0].tobytes() == b"eXIfeXIf"


@needs_rows
def test_palette_indices_behind_its_end_are_those_of_pillow() -> None:
    data = png((4, 1), 8, 3, [bytes([0, 1, 2, 200])], chunk(b"PLTE", bytes([255, 0, 0, 0, 255, 0])))
    assert by_rows(data)[0].tobytes() == by_pillow(data).tobytes()


@needs_rows
def test_a_palette_that_is_missing_is_left_to_pillow() -> None:
    data = png((4, 1), 8, 3, [bytes(4)])
    assert by_rows(data) is None


@needs_rows
def test_an_interlaced_picture_takes_no_more_memory_than_it_may() -> None:
    reader = seam.row_reader()
    assert reader is not None
    assert reader(SUITE["basi6a16"], 32 * 32 * 8).size == (32, 32)
    with pytest.raises(ValueError, match="memory"):
        reader(SUITE["basi6a16"], 32 * 32 * 8 - 1)


MEMORY = """
import sys, zlib
from pngs import chunk
from s3img.imaging import render
from s3img.transform import Transform

def peak():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) // 1024

def flat(side):
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(side)) + packer.flush()
    header = chunk(b"IHDR", side.to_bytes(4) * 2 + bytes([8, 2, 0, 0, 0]))
    return b"\\x89PNG\\r\\n\\x1a\\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

to = Transform.parse("w-200,f-jpg")
small, large = flat(100), flat(5000)
render(small, to)
before = peak()
render(large, to)
print(peak() - before)
"""


@needs_rows
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_a_large_png_is_scaled_down_in_little_memory() -> None:
    support = str(Path(__file__).parents[1] / "support")
    path = os.pathsep.join([support, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", MEMORY],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) < 40  # MB; Pillow takes 100 for its px


@pytest.mark.usefixtures("without_rows")
def test_pillow_decodes_without_the_package(make: Any) -> None:
    assert seam.row_reader() is None
    data = make.encode(make.quadrants(600, 400), "png")
    assert decoded(data, (60, 40)).image.size == (600, 400)


@pytest.mark.usefixtures("without_rows")
def test_rows_that_are_not_those_of_pillow_are_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zeros:
        """Rows of the right length without anything in them."""

        def __init__(self, data: bytes, memory: int) -> None:
            with Image.open(BytesIO(data)) as image:
                self.size = image.size
                bits = {"1": 1, "L": 8, "P": 8, "LA": 16, "RGB": 24, "RGBA": 32, "I;16": 16}[image.mode]
            self.stride, self.left = (self.size[0] * bits + 7) // 8, self.size[1]

        def read(self, count: int) -> bytes:
            count = min(count, self.left)
            self.left -= count
            return bytes(count * self.stride)

    monkeypatch.setitem(sys.modules, "s3img_native", type("module", (), {"PngRows": Zeros}))
    assert seam.row_reader() is None


@needs_rows
@settings(max_examples=4 * settings().max_examples, deadline=None)
@given(st.data())
def test_changed_bytes_give_the_picture_of_pillow_or_none(data: Any) -> None:
    source = bytearray(SUITE[data.draw(st.sampled_from([name for name in WHOLE if name not in DEEP_KEYS]))])
    at = source.index(b"IDAT") + 4
    length = int.from_bytes(source[at - 8 : at - 4])
    if data.draw(st.booleans()):  # below the compression, so that the change arrives
        rows = bytearray(zlib.decompressobj().decompress(source[at : at + length]))
        for position, value in data.draw(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8)):
            rows[position % len(rows)] = value
        rows = rows[: data.draw(st.sampled_from([len(rows), len(rows) // 2]))]
        source[at - 8 : at + length + 4] = chunk(b"IDAT", zlib.compress(bytes(rows)))
    else:
        for position, value in data.draw(st.lists(st.tuples(st.integers(8, 10_000), st.integers(0, 255)), max_size=8)):
            source[position % len(source)] = value
    found = None
    with suppress(S3ImgError):
        if probe(bytes(source)).width <= 1000:
            found = by_rows(bytes(source))
    if found:
        with suppress(ImageError):  # of what follows the pixels, and the rows have them all
            assert found[0].tobytes() == by_pillow(bytes(source)).tobytes()
