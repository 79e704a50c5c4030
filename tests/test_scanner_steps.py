"""Twice the input is twice the work in every scanner that is not tested beside its own module: counted, not timed.

Work is the lines of this project that run, the bytes and characters that are cut out of the input, and what patterns
go over. Pages, style sheets, XML, JSON, Markdown, srcset and policies are in ``tests/rewrite``, transforms and templates
in ``tests/transform``, headers of pictures in ``tests/imaging/test_hostile_headers.py``.
"""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import pytest
from work_counter import Work, work_of

from s3img import codings
from s3img.buckets.s3.response_checks import BrokenListingError, ListingPages, require_root
from s3img.doctor import foreign_settings
from s3img.errors import S3ImgError
from s3img.gallery.messages import words_for
from s3img.gallery.search_query import SearchQuery
from s3img.imaging.avif_items import stripped_avif
from s3img.imaging.icons import clean_icon
from s3img.imaging.strip import frame_stills, shortened, with_frame_stills
from s3img.imgproxy import OptionGrammar
from s3img.imgproxy.arguments import decimal
from s3img.imgproxy.info_options import InfoGrammar
from s3img.imgproxy.option_grammar import repaired
from s3img.limits import Limits
from s3img.lock import Lock
from s3img.lock.file import HEADER
from s3img.service import request_parsing
from s3img.service.request_parsing import RequestTarget, parse_request
from s3img.signing import ImgproxySigner, Signer, canonical
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = Limits(steps=100_000)
DIGEST = "0" * 64
LINE = f"a.jpg {DIGEST} 1 1x1 image/jpeg a.{DIGEST[:8]}.o.jpg -\n"


class CountingText(str):
    """Text that counts what is cut out of it."""

    def __getitem__(self, at: Any) -> CountingText:
        found = super().__getitem__(at)
        Work.done += len(found)
        return CountingText(found)

    def removeprefix(self, prefix: str, /) -> CountingText:
        return CountingText(super().removeprefix(prefix))


class CountingBytes(bytes):
    """Bytes that count what is cut out of them."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        if isinstance(found, int):
            return found
        Work.done += len(found)
        return CountingBytes(found)


REFUSALS = (S3ImgError, BrokenListingError, ValueError, KeyError, IndexError, struct.error)
GRAMMAR = OptionGrammar(presets={"p": "rs:fit:1:1/q:5", "default": "q:6"})
INFO = InfoGrammar(presets={"p": "size:1"})
IMGPROXY = ImgproxySigner(((b"key", b"salt"),))
SIGNER = Signer.of("k:0123456789abcdef0123456789abcdef")


def below_a_mount(text: str) -> RequestTarget:
    environ = {"RAW_URI": text, "REQUEST_URI": text, "SCRIPT_NAME": "/nowhere" * 40, "PATH_INFO": "/c"}
    return RequestTarget.of(environ)


def imagekit(text: str) -> object:
    return parse_request(canonical(str(RequestTarget.of({"RAW_URI": text, "PATH_INFO": text}))))


def program(text: str) -> object:
    return foreign_settings.read(text)


TEXTS: dict[str, tuple[Callable[[str], object], str, str]] = {
    "imgproxy address": (
        lambda text: GRAMMAR.parse(CountingText(f"/{text}plain/s3://b/k")),
        "rs:fit:1:1/ -/ pr:p/ pr:p:p/ w:1/ w:/ wm:1:re/ plain/ plain/a/ % %41 @ @png/ : / // enc/ enc/a q:1 = %3A wmt:YQ/ bg:fff/ c:1:1:sm/",
        "",
    ),
    "imgproxy info": (
        lambda text: INFO.read(f"{text}plain/s3://b/k".split("/")),
        "size:1/ pr:p/ pr:p:p/ s: exif:1:1/ plain/ : / // bh:1:1/ p:3:1/ avg:1/ @ %",
        "",
    ),
    "imgproxy repairs": (
        lambda text: repaired(CountingText(f"/{text}")),
        "%3A :/ :/a a:/b /plain/ /plain/a:/ local:/ :// / \t%41",
        "",
    ),
    "imgproxy signature": (
        lambda text: IMGPROXY.check(text, f"/{text}"), "a / = _ - %41 A== : . é", ""
    ),
    "imagekit address": (imagekit, "a /a / // %2F %252F tr:w-1/ ? ?tr=w-1 &tr=w-1 &a=b % %zz é ik-seo/ s3:// : ,", "/"),
    "address below a mount": (below_a_mount, "/ // /a a %2F %61 /a/b /%61/b ? é http:// /. %", ""),
    "signed address": (SIGNER.read, "a / %2F %41 & &sig=1 &sig= ? =, tr:w-1/ é", "/a?"),
    "layers": (
        lambda text: Transform.parse(CountingText(text), limits=LIMITS),
        "l-text,i-a,l-end, l-image,i-a.png,l-end, l-image, l-text, l-end, l-text,ie-YQ==,l-end: i-a, ie-%41, l-image,i-a,l-image,i-b,l-end,l-end, lx-1, tg-b_i, pa-1_2_, w-1:",
        "",
    ),
    "lock": (
        Lock.parse,
        f"{LINE.replace(' ', '~')} \n # #\n <<<<<<<\n =======\n a~ %41 {DIGEST}~ \r\n {LINE.replace(' ', '~')[:-1]}~ ~",
        HEADER + "\n",
    ),
    "locked variants": (Lock.parse, "320, 1, ; avif= avif=1, ;jpeg=1 = : 0, ,, 320;", HEADER + "\n" + LINE[:-1] + " 00000001:avif="),
    "root of an answer": (
        lambda text: require_root(CountingBytes(text.encode()), "ListBucketResult"),
        "<!-- --> <!----> <?a?> <? ?> <a: < <a > ~ \n a.",
        "",
    ),
    "languages": (words_for, "de, ,, de-, de;q=1, ;q=0.001, - *, a-b-c, ; q= ~~,", ""),
    "search": (
        lambda text: SearchQuery.of({"q": text, "since": text, "until": text, "type": text, "size": text}).wanted,
        "a ~ a~ é ﷺ ̈ * / 2020-01- 9 \n 1e9", "",
    ),
    "settings of others": (
        lambda text: program(json.dumps([{"type": "S3", "name": text, "bucket": text, "baseUrl": text, "prefix": text}])),
        "a http:// / {path} ~ ? # {encodedKey} https://a/ // -", "",
    ),
    "links of others": (
        lambda text: program(json.dumps({"picBed": {"current": "aws-s3", "aws-s3": {"bucketName": "b", "outputURLPattern": f"https://a{text}", "uploadPath": text, "urlPrefix": text}}})),
        "/ http:// {path} {year} / a { } // {encodedKey} https://", "",
    ),
}  # fmt: skip
TEXT_CASES = [
    (name, unit.replace("~", " ").replace("\t", " ")) for name, (_, units, _) in TEXTS.items() for unit in units.split(" ") if unit
]  # fmt: skip


@pytest.mark.parametrize(("name", "unit"), TEXT_CASES)
def test_texts_take_work_in_proportion(name: str, unit: str) -> None:
    read, _, before = TEXTS[name]
    half, whole = (work_of(lambda n=n: read(before + unit * n), refusals=REFUSALS) for n in (300, 600))  # type: ignore[misc]
    assert whole <= 2.2 * half + 700


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">L4s", len(body) + 8, kind) + body


def avif(
    *,
    iloc: bytes,
    count: int,
    kinds: bytes = b"",
    properties: bytes = b"",
    used: bytes = b"",
    refs: bytes = b"",
    media: int = 1000,
) -> bytes:
    """Return a still AVIF of item 1; ``iloc`` and the others are the entries behind each box's own header."""
    meta = box(
        b"meta", bytes(4), box(b"pitm", bytes(4), b"\0\1"), box(b"iloc", bytes(4), b"\x44\0", struct.pack(">H", count & 0xFFFF), iloc),
        box(b"iinf", bytes(4), struct.pack(">H", count & 0xFFFF), box(b"infe", b"\2\0\0\0\0\1\0\0av01\0") + kinds),
        box(b"iprp", box(b"ipco", properties), box(b"ipma", bytes(4), struct.pack(">L", count), used)),
        box(b"iref", bytes(4), refs),
    )  # fmt: skip
    return box(b"ftyp", b"avif\0\0\0\0avifmif1") + meta + box(b"mdat", bytes(media))


def sequence(*, stsz: bytes, stco: bytes, stsc: bytes, inside: bytes = b"", media: int = 1000) -> bytes:
    table = box(
        b"stbl", box(b"stsz", bytes(4), stsz), box(b"stco", bytes(4), stco), box(b"stsc", bytes(4), stsc), inside
    )
    moov = box(b"moov", box(b"trak", box(b"mdia", box(b"minf", table))))
    return box(b"ftyp", b"avis\0\0\0\0avis") + moov + box(b"mdat", bytes(media))


def words(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}L", *numbers)


ITEM = struct.pack(">HHH", 1, 0, 1) + words(10, 10)
RIFF = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x0f\0\0\x0f\0\0"
GIF = b"GIF89a\x10\0\x10\0\0\0\0"
GIF_FRAME = b"\x2c\0\0\0\0\1\0\1\0\0\2"


def part(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<L", len(body)) + body + bytes(len(body) & 1)


def frames(data: bytes, name: str) -> None:
    stills = frame_stills(data, name)
    with_frame_stills(data, name, stills)
    for still in stills[:2]:
        shortened(still, name, 8)


BYTES: dict[str, tuple[Callable[[bytes], object], list[Callable[[int], bytes]]]] = {
    "gzip": (
        lambda data: codings.unpack_gzip(CountingBytes(data), 10_000_000),
        [
            *(lambda n, one=one: gzip.compress(one, mtime=0) * n for one in (b"", b"a", bytes(1000), bytes(100_000))),  # type: ignore[misc]
            *(lambda n, one=one: gzip.compress(b"a", mtime=0) + one * n for one in (b"\0", b"\x1f", b"\x1f\x8b", b"\x1f\x8b\x08")),  # type: ignore[misc]
            lambda n: gzip.compress(bytes(1000 * n), mtime=0),
            lambda n: gzip.compress(bytes(range(256)) * n, mtime=0)[:-9] * 2,
            lambda n: (gzip.compress(b"a", mtime=0) + gzip.compress(bytes(3000), mtime=0)) * n,
        ],
    ),
    "items": (
        lambda data: stripped_avif(CountingBytes(data)),
        [
            lambda n: avif(iloc=ITEM * n, count=n),
            lambda n: avif(iloc=struct.pack(">HHH", 1, 0, n) + words(10, 10) * n, count=1),
            lambda n: avif(iloc=struct.pack(">HHH", 1, 0, n) + words(0, 90 * n) * n, count=1, media=90 * n),
            lambda n: avif(iloc=ITEM, count=1, kinds=box(b"infe", b"\2\0\0\0\0\2\0\0av01\0") * n),
            lambda n: avif(iloc=ITEM, count=1, kinds=box(b"free") * n),
            lambda n: avif(iloc=ITEM, count=1, properties=box(b"ispe", bytes(12)) * n),
            lambda n: avif(iloc=ITEM, count=1, properties=box(b"colr", b"prof" + bytes(200)) * min(n, 100)),
            lambda n: avif(iloc=ITEM, count=n, used=b"\0\1\1\1" * n),
            lambda n: avif(iloc=ITEM, count=n, used=b"\0\1\0" * n),
            lambda n: avif(iloc=ITEM, count=1, refs=box(b"dimg", b"\0\1\0\1\0\1") * n),
            lambda n: avif(iloc=ITEM, count=1, refs=box(b"dimg", struct.pack(">HH", 1, n) + b"\0\1" * n)),
            lambda n: avif(iloc=ITEM, count=1, refs=box(b"cdsc", b"\0\2\0\1\0\1") * n),
        ],
    ),
    "sequence": (
        lambda data: stripped_avif(CountingBytes(data)),
        [
            lambda n: sequence(stsz=words(0, n, *[1] * n), stco=words(n, *[500] * n), stsc=words(1, 1, 1, 1)),
            lambda n: sequence(stsz=words(90 * n, n), stco=words(n, *[300] * n), stsc=words(1, 1, 1, 1), media=90 * n),
            lambda n: sequence(stsz=words(0, n, *[90 * n] * n), stco=words(n, *[300] * n), stsc=words(1, 1, 2, 1), media=90 * n),
            lambda n: sequence(stsz=words(1, 2**32 - 1), stco=words(n, *[300] * n), stsc=words(1, 1, 2**32 - 1, 1)),
            lambda n: sequence(stsz=words(1, n), stco=words(1, 300), stsc=words(n, *[1, 1, 1] * n)),
            lambda n: sequence(stsz=words(1, n), stco=words(n, *[300] * n), stsc=words(n, *(word for at in range(n) for word in (at + 1, 1, 1)))),
            lambda n: sequence(stsz=words(1, 1), stco=words(1, 300), stsc=words(1, 1, 1, 1), inside=box(b"free") * n),
            lambda n: sequence(stsz=words(1, 1), stco=words(1, 300), stsc=words(1, 1, 1, 1), inside=box(b"stts", bytes(8)) * n),
            lambda n: sequence(stsz=words(1, 1), stco=words(1, 300), stsc=words(1, 1, 1, 1), inside=b"\0\0\0\x08" * n),
            lambda n: sequence(stsz=words(1, n), stco=words(2**32 - 1), stsc=words(1, 1, 1, 1)),
            lambda n: sequence(stsz=words(1, n), stco=words(n, *range(n, 0, -1)), stsc=words(1, 1, 1, 1), media=n),
        ],
    ),
    "webp frames": (
        lambda data: frames(CountingBytes(data), "webp"),
        [
            *(
                lambda n, one=one: RIFF + one * n  # type: ignore[misc]
                for one in (
                    part(b"ANMF", bytes(16) + part(b"VP8 ", bytes(20))), part(b"ANMF", bytes(16) + part(b"VP8L", b"\x2f")), part(b"ANMF", bytes(16)),
                    part(b"ANMF", bytes(16) + part(b"ALPH", b"a") + part(b"VP8 ", b"b")), part(b"ANMF", b""), part(b"ALPH", b"a"), part(b"VP8 ", b"a"),
                    part(b"abcd", b""), b"\0", b"ANMF",
                )
            ),
        ],
    ),
    "gif frames": (
        lambda data: frames(CountingBytes(data), "gif"),
        [
            *(
                lambda n, one=one: GIF + one * n + b";"  # type: ignore[misc]
                for one in (
                    GIF_FRAME + b"\0", GIF_FRAME + b"\1a\0", b"\x21\xf9\4\0\0\0\0\0", b"\x21\xfe\0", b"\x21\xfe\1a\0", b"\x21", b"\x2c", b"\0",
                    b"\x21\xf9\4\0\0\0\0\0" + GIF_FRAME + b"\1a\0",
                )
            ),
            lambda n: GIF + GIF_FRAME + b"\1a" * n + b"\0;",
            lambda n: GIF + b"\x2c\0\0\0\0\1\0\1\0\x87" + bytes(768) + b"\2" + b"\xff" + bytes(255) * n + b"\0;",
        ],
    ),
    "icon": (
        lambda data: clean_icon(CountingBytes(data), lambda png: png, LIMITS),
        [
            *(
                lambda n, size=size, start=start: b"\0\0\1\0" + struct.pack("<H", n) + (bytes(8) + struct.pack("<LL", size, start)) * n + bytes(40 * n)  # type: ignore[misc]
                for size in (0, 1, 40, 2**31) for start in (0, 22, 2**31)
            ),
        ],
    ),
}  # fmt: skip
BYTE_CASES = [
    pytest.param(name, make, id=f"{name}-{number}")
    for name, (_, makers) in BYTES.items()
    for number, make in enumerate(makers)
]


@pytest.mark.parametrize(("name", "make"), BYTE_CASES)
def test_bytes_take_work_in_proportion(name: str, make: Callable[[int], bytes]) -> None:
    read = BYTES[name][0]
    half, whole = (work_of(lambda n=n: read(make(n)), refusals=REFUSALS) for n in (150, 300))  # type: ignore[misc]
    assert whole <= 2.2 * half + 3000


@pytest.fixture(autouse=True)
def counted_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Count what is decoded of addresses, and what zlib is given and gives back."""

    def counting_unquote(text: str) -> bytes:
        Work.done += len(text)
        return unquote_to_bytes(text)

    class CountingStream:
        def __init__(self, *arguments: Any) -> None:
            self._stream = zlib.decompressobj(*arguments)

        def decompress(self, data: bytes, most: int) -> bytes:
            found = self._stream.decompress(data, most)
            Work.done += len(data) + len(found) + len(self._stream.unused_data)
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stream, name)

    monkeypatch.setattr(request_parsing, "unquote_to_bytes", counting_unquote)
    library = SimpleNamespace(decompressobj=CountingStream, error=zlib.error, MAX_WBITS=zlib.MAX_WBITS)
    monkeypatch.setattr(codings, "zlib", library)


@pytest.mark.parametrize("name", [*TEXTS, *BYTES])
def test_each_scanner_is_tried_with_ten_inputs_or_more(name: str) -> None:
    tried = sum(case[0] == name for case in TEXT_CASES) + len(BYTES[name][1] if name in BYTES else ())
    assert tried >= 10


def test_pages_of_a_listing_take_work_in_proportion() -> None:
    def follow(count: int) -> None:
        pages = ListingPages("")
        for number in range(count):
            pages.next_token(
                {"Contents": [{"Key": str(number)}], "IsTruncated": True, "NextContinuationToken": str(number)}
            )

    half, whole = (work_of(lambda n=n: follow(n), refusals=REFUSALS) for n in (200, 400))  # type: ignore[misc]
    assert whole <= 2.1 * half + 100


@pytest.mark.parametrize(
    "text", ["9" * 300_000 + "x", "9" * 300_000 + ".", "0" * 300_000 + "1x", "." * 300_000, "1e" + "9" * 300_000]
)
def test_number_of_an_option_is_read_once(text: str) -> None:
    """One that was read again from each of its digits would take minutes."""
    with pytest.raises(S3ImgError):
        decimal("dpr", text)


def test_gzip_of_more_members_than_any_program_writes_is_refused() -> None:
    member = gzip.compress(b"")
    assert codings.unpack_gzip(member * 1000, 10) == b""
    assert codings.unpack_gzip(member * 65_537, 10) is None


@pytest.mark.parametrize("size", [1, 511, 512, 513, 1024, 70_000])
def test_gzip_members_of_any_size_are_joined(size: int) -> None:
    bodies = [bytes((n * number) % 251 for n in range(size)) for number in (1, 7, 13)]
    data = b"".join(map(gzip.compress, bodies))
    assert codings.unpack_gzip(data, 3 * size) == b"".join(bodies)
    assert codings.unpack_gzip(data, 3 * size - 1) is None
    assert codings.unpack_gzip(data[:-1], 3 * size) is None


def test_boxes_inside_each_other_without_end_are_not_followed() -> None:
    inside = b""
    for _ in range(2000):
        inside = box(b"stbl", inside)
    data = sequence(stsz=words(1, 1), stco=words(1, 300), stsc=words(1, 1, 1, 1), inside=inside)
    assert stripped_avif(data) is None


def test_items_of_extents_without_a_length_are_not_counted() -> None:
    """Extents of no bytes could be 65,535 for each six bytes of the file."""
    meta = box(
        b"meta", bytes(4), box(b"pitm", bytes(4), b"\0\1"),
        box(b"iloc", bytes(4), b"\0\0", struct.pack(">H", 2000), struct.pack(">HHH", 1, 0, 0xFFFF) * 2000),
        box(b"iinf", bytes(4), b"\0\1", box(b"infe", b"\2\0\0\0\0\1\0\0av01\0")), box(b"iprp", box(b"ipco"), box(b"ipma", bytes(8))),
    )  # fmt: skip
    data = box(b"ftyp", b"avif\0\0\0\0avif") + meta
    with pytest.raises(ValueError, match="65535"):
        stripped_avif(data)


def test_language_of_many_blanks_is_read_once() -> None:
    assert words_for("zh" + " " * 300_000 + "!, en").language == "en"
    assert words_for(" zh-TW ; q=0.5 ,").language == "zh"
