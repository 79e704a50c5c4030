"""Readers of headers: work grows with the input and no faster, and no number of a file is believed.

Work is counted, not timed: executed lines, and the bytes that are read, searched and copied.
"""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from work_counter import Work, work_of

from s3img.errors import ImageError, ImageTooLarge, UnsupportedImage
from s3img.imaging import probe
from s3img.imaging.probing import bmff, gif, headers, svg
from s3img.imaging.strip import stripped

if TYPE_CHECKING:
    from collections.abc import Callable

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\2\0\0\0\0\0\0\0"
JPEG = b"\xff\xd8"
SOF = b"\xff\xc0\0\x0b\x08\0\x10\0\x10\1\1\x11\0"
SOF2 = b"\xff\xc2\0\x0b\x08\0\x10\0\x10\1\1\x11\0"
SOS = b"\xff\xda\0\x08\1\1\0\0\x3f\0"
WEBP = b"RIFF\xff\xff\xff\x7fWEBPVP8X\x0a\0\0\0\x02\0\0\0\x0f\0\0\x0f\0\0"
GIF = b"GIF89a\x10\0\x10\0\0\0\0"
AVIF = b"\0\0\0\x14ftypavif\0\0\0\0avif"
TIFF = b"II*\0\x08\0\0\0"


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L4s", len(body) + 8, kind) + body


PATTERNS: dict[str, tuple[Callable[[Any], object], list[tuple[bytes, bytes, bytes]]]] = {
    "jpeg": (
        headers.jpeg,
        [
            *((JPEG, one, SOF + SOS) for one in (b"\xff", b"\0", b"\xff\0", b"a", b"\xff\x01", b"\xff\xd0")),
            *(
                (JPEG, one, SOF + SOS)
                for one in (b"\xff\xfe\0\2", b"\xff\xe1\0\2", b"\xff\xfe\0\0", b"\xff\xe1\0\x08Exif\0\0")
            ),
            *((JPEG + SOF2 + SOS, one, b"\xff\xd9") for one in (b"\xff\xda", b"\xff", b"\xff\0", b"\xff\xd0", b"abc")),
            (JPEG, SOF, SOS),
        ],
    ),
    "png": (
        headers.png,
        [
            *(
                (PNG, bytes(4) + kind + bytes(4), b"")
                for kind in (b"tEXt", b"tRNS", b"eXIf", b"abcd", b"PLTE", b"IHDR")
            ),
            (PNG, b"\0\0\0\4acTL\0\0\0\1\0\0\0\0", b""),
            (PNG, b"\0\0\0\x08eXIfII*\0\x08\0\0\0\0\0\0\0", b""),
            (PNG, b"\0", b""),
            (PNG, b"\xff", b""),
        ],
    ),
    "webp": (
        headers.webp,
        [
            *((WEBP, kind + bytes(4), b"") for kind in (b"ANMF", b"EXIF", b"ALPH", b"abcd", b"VP8 ", b"ICCP", b"ANIM")),
            (WEBP, b"ANMF\x10\0\0\0" + bytes(16), b""),
            (WEBP, b"ANMF\x18\0\0\0" + bytes(16) + b"ALPH\0\0\0\0", b""),
            (WEBP, b"EXIF\x08\0\0\0II*\0\x08\0\0\0", b""),
        ],
    ),
    "gif": (
        gif.gif,
        [
            *(
                (GIF, one, b";")
                for one in (b"\x21\xfe\0", b"\x21\xfe\1a\0", b"\x21\xf9\4\0\0\0\0\0", b"\x21\1\0", b"\x21")
            ),
            *(
                (GIF, one, b";")
                for one in (b"\x2c" + bytes(9) + b"\2\0", b"\x2c" + bytes(9) + b"\2\1\0\0", b"\x2c", b"\0")
            ),
            (GIF + b"\x21\xfe", b"\1a", b"\0;"),
            (GIF + b"\x2c" + bytes(9) + b"\2", b"\1a", b"\0;"),
        ],
    ),
    "avif": (
        bmff.heif,
        [
            *((AVIF, box(kind, b""), b"") for kind in (b"free", b"meta", b"moov", b"mdat", b"ftyp")),
            (AVIF, b"\0\0\0\1free\0\0\0\0\0\0\0\x10", b""),
            *((AVIF, one, b"") for one in (b"\0", b"\xff", b"\0\0\0\0")),
            (b"\0\0\xff\xffftypavif\0\0\0\0", b"avif", b""),
        ],
    ),
    "tiff": (
        headers.tiff,
        [
            *((TIFF + n, b"\0\1\3\0\1\0\0\0\1\0\0\0", b"") for n in (b"\xff\xff", b"\1\0", b"\0\0", b"\xff\x0f")),
            *((TIFF + b"\xff\xff", one, b"") for one in (b"\0", b"\xff", b"ab", b"\1\1\4\0", b"\x12\1\3\0", b"\0\0\0")),
        ],
    ),
}
SVG_PARTS = (
    ("<svg ", "a", ">"), ("<svg ", "a ", ">"), ("<svg ", "a=", ">"), ("<svg ", "a='b' ", ">"), ("<svg ", 'a="', '">'),
    ("<svg ", " ", ">"), ("<svg ", "'", ">"), ("<svg ", '"', ">"), ("<svg a", " ", "=x>"), ("<svg a=", " ", ">"),
    ("", " ", "<svg>"), ("", "<!---->", "<svg>"), ("", "<!-- ", ""), ("", "<?a?>", "<svg>"), ("<!DOCTYPE ", "a", "<svg>"),
    ("<!DOCTYPE [", "a", "]>"), ("<svg width='", " ", "'>"), ("<svg width='", "1", "'>"), ("<svg viewBox='", "1 ", "'>"),
    ("<svg a='", '"', "'>"), ("<svg ", "=", ">"), ("<svg ", "a:b.c-d", ">"), ("<svg ", "\u00e9", ">"), ("<svg ", "a\n=\n'b'", ">"),
)  # fmt: skip


class CountingFile(io.BytesIO):
    """A file that counts the bytes that are read from it, and gives bytes that count what is done with them."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        Work.done += len(data)
        return CountingBytes(data)


class CountingBytes(bytes):
    """Bytes that count what is searched and copied."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        if isinstance(found, bytes):
            Work.done += len(found)
            return CountingBytes(found)
        return found

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        at = super().find(sub, start, len(self) if end is None else end)
        Work.done += (at if at >= 0 else len(self)) - start
        return at

    def count(self, *args: Any) -> int:
        Work.done += len(self)
        return super().count(*args)

    def __add__(self, other: bytes) -> CountingBytes:
        Work.done += len(self) + len(other)
        return CountingBytes(super().__add__(other))


CASES = [
    pytest.param(name, parts, id=f"{name}-{number}")
    for name, (_, rows) in PATTERNS.items()
    for number, parts in enumerate(rows)
]


@pytest.mark.parametrize(("name", "parts"), CASES)
def test_probing_works_in_proportion_to_the_input(name: str, parts: tuple[bytes, bytes, bytes]) -> None:
    read = PATTERNS[name][0]
    start, one, end = parts
    half, whole = (work_of(lambda n=n: read(CountingFile(start + one * n + end))) for n in (400, 800))  # type: ignore[misc]
    assert whole <= 2.1 * half + 600


@pytest.mark.parametrize(("name", "parts"), [case for case in CASES if not str(case.id).startswith("tiff")])
def test_stripping_works_in_proportion_to_the_input(name: str, parts: tuple[bytes, bytes, bytes]) -> None:
    start, one, end = parts
    half, whole = (
        work_of(lambda n=n: stripped(CountingBytes(start + one * n + end), name))  # type: ignore[misc]
        for n in (400, 800)
    )
    assert whole <= 2.1 * half + 600


@pytest.mark.parametrize("parts", SVG_PARTS)
def test_an_svgs_first_tag_is_gone_over_once(parts: tuple[str, str, str]) -> None:
    """Every match begins where the last one ended, so nothing is read twice: also what is no attribute matches."""
    text = parts[0] + parts[1] * 200 + parts[2]
    root = svg._ROOT.match(text)
    if root is not None:
        position = 0
        for found in svg._ATTRIBUTE.finditer(root[1]):
            assert found.start() == position
            position = found.end()
        assert position == len(root[1])
    with suppress(UnsupportedImage):
        svg.svg(io.BytesIO(text.encode()))


def test_what_begins_an_svg_is_gone_over_once() -> None:
    text = "<!-- a --> <?b?>\n" * 100 + "<svg width='3' height='4'>"
    assert probe(text.encode()).width == 3


@pytest.mark.parametrize("size", [2**64 - 1, 2**63 - 1, 2**63, 2**32, 1000, 15, 0])
@pytest.mark.parametrize("kind", [b"free", b"meta", b"moov", b"mdat", b"ftyp"])
def test_a_box_of_any_size_is_an_image_error(kind: bytes, size: int) -> None:
    with pytest.raises(ImageError):
        probe(AVIF + struct.pack(">L4sQ", 1, kind, size) + b"x" * 100)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 2**31, 2**32 - 1])
@pytest.mark.parametrize("kind", [b"free", b"meta", b"moov", b"iloc"])
def test_a_short_box_of_any_size_is_an_image_error(kind: bytes, size: int) -> None:
    with pytest.raises(ImageError):
        probe(AVIF + struct.pack(">L4s", size, kind) + b"x" * 100)


@pytest.mark.parametrize("digits", [5_000, 30_000])
@pytest.mark.parametrize("attribute", ["width", "height", "viewBox"])
def test_a_number_of_many_digits_is_no_size(attribute: str, digits: int) -> None:
    number = "9" * digits
    value = f"0 0 {number} {number}" if attribute == "viewBox" else number
    assert probe(f"<svg {attribute}='{value}'/>".encode()).width == 0


@pytest.mark.parametrize(
    "text", ["<svg width='999999999' height='1'/>", "<svg width='9e9' viewBox='0 0 .000001 9999'/>"]
)
def test_a_size_that_no_screen_shows_is_none(text: str) -> None:
    info = probe(text.encode())
    assert (info.width, info.height) == (0, 0)


def progressive(scans: int, side: int = 16) -> bytes:
    frame = b"\xff\xc2\0\x0b\x08" + struct.pack(">HH", side, side) + b"\1\1\x11\0"
    return JPEG + frame + (SOS + b"\x12") * scans + b"\xff\xd9"


@pytest.mark.parametrize(("scans", "side"), [(257, 16), (2_400, 5_000), (21, 20_000), (100_000, 1)])
def test_a_jpeg_of_too_many_scans_is_refused_by_its_markers(scans: int, side: int) -> None:
    from s3img.limits import Limits

    with pytest.raises(ImageTooLarge, match="scans") as caught:
        probe(progressive(scans, side), limits=Limits(input_pixels=10**9))
    assert caught.value.limit == "scans"


@pytest.mark.parametrize(("scans", "side"), [(1, 16), (12, 9_000), (100, 5_000), (256, 1_000)])
def test_a_jpeg_of_usual_scans_is_taken(scans: int, side: int) -> None:
    assert probe(progressive(scans, side)).width == side


def test_a_scan_that_two_reads_share_counts() -> None:
    start = progressive(1)[:-2]
    data = start + b"\x12" * ((1 << 20) - 1) + b"\xff\xda" * 300
    with pytest.raises(ImageTooLarge):
        probe(data)


def test_a_baseline_jpeg_is_not_read_to_its_end() -> None:
    class Pipe(io.BytesIO):
        most = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.most = max(self.most, self.tell())
            return data

    file = Pipe(JPEG + SOF + SOS + bytes(5_000_000))
    headers.jpeg(file)
    assert file.most < 100


@pytest.mark.parametrize(
    "data",
    [
        JPEG + b"\xff" * 100_000 + SOF + SOS,
        JPEG + b"a" * 100_000 + SOF + SOS,
        JPEG + (b"a" * 1_000 + b"\xff\x01") * 100 + SOF + SOS,
        JPEG + b"\xff\xfe\0\2" * 70_000 + SOF + SOS,
        PNG + b"\0\0\0\0abcd\0\0\0\0" * 70_000,
        WEBP + b"ANMF\0\0\0\0" * 210_000,
        AVIF + box(b"free", b"") * 1_100 + box(b"meta", b""),
    ],
)
def test_more_parts_than_a_picture_needs_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        probe(data)


@pytest.mark.parametrize("stray", [b"hello", b"\0", b"\xff\0x", b"\xff\xff"])
def test_stray_bytes_between_segments_are_passed_over(stray: bytes) -> None:
    assert probe(JPEG + b"\xff\xfe\0\2" + stray + SOF + stray + SOS).width == 16


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + b"\0\0\xff\xffmdat", "HEIC"),
        (b"\0\0\0\x14ftypjxl \0\0\0\0jxl ", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\xff\x0a\0", "JPEG XL"),
        (b"\x1f\x8b\x08\0", "svgz"),
        (b"\0\0\0\x14ftypisom\0\0\0\0isom", "MP4"),
        (b"\0\0\0\x14ftypcrx \0\0\0\0crx ", "raw photograph"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_what_is_not_read_is_named(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedImage, match=words) as caught:
        probe(data)
    assert caught.value.fix
