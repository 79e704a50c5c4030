"""Pictures with a marker in each place where a format may keep something that is not the picture."""

from __future__ import annotations

import io
import struct
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = b"PLANTED-MARKER!!"  # 16 bytes


def noise() -> Image.Image:
    return Image.effect_noise((40, 30), 80).convert("RGB")


def encode(image: Image.Image, name: str, **settings: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, name, **settings)
    return out.getvalue()


def frames(data: bytes) -> list[bytes]:
    image = Image.open(io.BytesIO(data))
    found = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        found.append(image.convert("RGBA").tobytes())
    return found


def exif() -> bytes:
    found = Image.Exif()
    found[0x010F] = SECRET.decode()
    found[0x927C] = SECRET  # a maker note
    found.get_ifd(0x8825)[29] = SECRET.decode()
    return found.tobytes()


# ---- JPEG


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpegs() -> Iterator[tuple[str, bytes]]:
    data = encode(noise(), "JPEG", exif=exif(), comment=SECRET, xmp=SECRET)
    plain = encode(noise(), "JPEG")
    head, first = plain[:2], 4 + int.from_bytes(plain[4:6])
    yield "exif-comment-xmp", data
    for marker in [*range(0xE0, 0xF0), 0xFE]:
        yield f"segment-{marker:x}", plain[:first] + segment(marker, SECRET) + plain[first:]
        yield f"segment-{marker:x}-first", head + segment(marker, b"JFXX\0" + SECRET) + plain[2:]
    yield "mpf", encode(noise(), "MPO", save_all=True, append_images=[noise()], comment=SECRET) + SECRET
    yield "icc-that-is-none", plain[:first] + segment(0xE2, b"ICC_PROFILE\0\1\1" + SECRET * 20) + plain[first:]
    yield "jfif-thumbnail", head + segment(0xE0, plain[6:18] + b"\4\4" + (SECRET * 3)) + plain[first:]
    yield "behind-jfif", head + segment(0xE0, plain[6:20] + SECRET) + plain[first:]
    yield "two-jfif", plain[:first] + segment(0xE0, plain[6:20] + SECRET) + plain[first:]
    adobe = encode(noise().convert("CMYK"), "JPEG")
    at = adobe.index(b"\xff\xee")
    end = at + 2 + int.from_bytes(adobe[at + 2 : at + 4])
    yield "behind-adobe", adobe[:at] + segment(0xEE, adobe[at + 4 : end] + SECRET) + adobe[end:]
    yield "between-segments", plain[:first] + SECRET + plain[first:]
    yield "between-segments-with-ff", plain[:first] + b"\xff\0" + SECRET + b"\xff\0" + plain[first:]
    yield "behind-the-pixels", plain[:-2] + SECRET + plain[-2:]
    yield "behind-the-end", plain + SECRET
    yield "second-picture", plain + data
    yield "no-lines", plain[:-2] + segment(0xDC, b"\0\x1e" + SECRET) + plain[-2:]
    progressive = encode(noise(), "JPEG", progressive=True)
    at = progressive.rindex(b"\xff\xda")
    yield "between-scans", progressive[:at] + segment(0xFE, SECRET) + segment(0xE5, SECRET) + progressive[at:]


# ---- PNG


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def pngs() -> Iterator[tuple[str, bytes]]:
    plain = encode(noise(), "PNG")
    ends = plain.index(b"IEND") - 4
    packed = chunk(b"zTXt", b"a\0\0" + zlib.compress(SECRET))
    yield "zTXt", plain[:33] + packed + plain[33:ends] + packed + plain[ends:]
    for kind in (b"tEXt", b"iTXt", b"eXIf", b"prVt", b"tIME", b"sPLT", b"hIST", b"caBX", b"gAMA", b"pHYs"):
        yield f"{kind.decode()}-before", plain[:33] + chunk(kind, b"a\0" + SECRET * 3) + plain[33:]
        yield f"{kind.decode()}-behind", plain[:ends] + chunk(kind, b"a\0" + SECRET * 3) + plain[ends:]
    named = chunk(b"iCCP", SECRET + b"\0\0" + zlib.compress(profile()))
    yield "name-of-profile", plain[:33] + named + plain[33:]
    yield "profile-that-is-none", plain[:33] + chunk(b"iCCP", b"a\0\0" + zlib.compress(SECRET)) + plain[33:]
    yield "in-the-end", plain[:ends] + chunk(b"IEND", SECRET)
    yield "behind-the-end", plain + SECRET
    at = plain.index(b"IDAT") - 4
    length = int.from_bytes(plain[at : at + 4])
    body = plain[at + 8 : at + 8 + length]
    yield "behind-the-pixels", plain[:at] + chunk(b"IDAT", body + SECRET) + plain[at + 12 + length :]
    more = zlib.compress(zlib.decompress(body) + SECRET * 4, 0)
    yield "more-rows", plain[:at] + chunk(b"IDAT", more) + plain[at + 12 + length :]
    moving = encode(noise(), "PNG", save_all=True, append_images=[noise(), noise()], duration=50)
    at = moving.rindex(b"fdAT") - 4
    length = int.from_bytes(moving[at : at + 4])
    body = moving[at + 8 : at + 8 + length]
    yield "behind-a-frame", moving[:at] + chunk(b"fdAT", body + SECRET) + moving[at + 12 + length :]


# ---- WebP


def riff(*chunks: bytes, tail: bytes = b"") -> bytes:
    body = b"".join(chunks)
    return struct.pack("<4sL4s", b"RIFF", len(body) + 4, b"WEBP") + body + tail


def part(kind: bytes, body: bytes, pad: bytes = b"\0") -> bytes:
    return kind + struct.pack("<L", len(body)) + body + pad[: len(body) & 1]


def webps() -> Iterator[tuple[str, bytes]]:
    plain = encode(noise(), "WEBP", lossless=True)
    picture = plain[12:]
    canvas = struct.pack("<BxxxHBHB", 0x2C, 39, 0, 29, 0)
    yield "exif-xmp", encode(noise(), "WEBP", exif=exif(), xmp=SECRET)
    yield "behind-the-pixels", riff(part(picture[:4], picture[8:] + SECRET))
    lossy = encode(noise(), "WEBP")
    yield "behind-lossy-pixels", riff(part(lossy[12:16], lossy[20:] + SECRET))
    clear = encode(Image.merge("RGBA", [*noise().split(), noise().getchannel(0)]), "WEBP")
    at = clear.index(b"ALPH")
    length = int.from_bytes(clear[at + 4 : at + 8], "little")
    alpha = part(b"ALPH", clear[at + 8 : at + 8 + length] + SECRET)
    yield "behind-alpha", riff(clear[12:at] + alpha + clear[at + 8 + length + (length & 1) :])
    yield "behind-the-riff", plain + SECRET
    yield "behind-the-riff-like-a-chunk", plain + part(b"ICCP", SECRET)
    yield "behind-a-simple-picture", riff(picture, part(b"XMP ", SECRET))
    for kind in (b"ICCP", b"EXIF", b"XMP ", b"abcd", b"ALPH"):
        yield f"{kind.decode()}-behind", riff(part(b"VP8X", canvas), picture, part(kind, SECRET))
    for kind in (b"ICCP", b"EXIF", b"XMP ", b"abcd"):
        yield f"{kind.decode()}-before", riff(part(b"VP8X", canvas), part(kind, SECRET), picture)
    moving = encode(noise(), "WEBP", save_all=True, append_images=[noise(), noise()], duration=50, lossless=True)
    at = moving.rindex(b"ANMF")
    length = int.from_bytes(moving[at + 4 : at + 8], "little")
    body = moving[at + 8 : at + 8 + length] + part(b"abcd", SECRET)
    more = body[:16] + part(body[16:20], body[24 : 24 + int.from_bytes(body[20:24], "little")] + SECRET)
    yield "behind-the-pixels-of-a-frame", riff(moving[12:at] + part(b"ANMF", more))
    yield "inside-a-frame", riff(moving[12:at] + part(b"ANMF", body))
    yield "behind-the-frames", riff(moving[12:], part(b"ICCP", SECRET), part(b"EXIF", exif()))
    at = moving.index(b"ANIM")
    yield (
        "long-animation-header",
        riff(moving[12:at], part(b"ANIM", moving[at + 8 : at + 14] + SECRET), moving[at + 14 :]),
    )


# ---- GIF


def gifs() -> Iterator[tuple[str, bytes]]:
    plain = encode(noise(), "GIF", comment=SECRET)
    moving = encode(noise(), "GIF", save_all=True, append_images=[noise(), noise()], duration=50, loop=3)
    sub = bytes([len(SECRET)]) + SECRET + b"\0"
    at = moving.index(b"\x21\xf9", moving.index(b"\x2c" + bytes(4)))  # behind the first frame
    yield "behind-the-pixels-of-a-frame", moving[: at - 1] + sub + moving[at:]
    yield "comment", plain
    still = encode(noise(), "GIF")
    yield "behind-the-pixels", still[:-2] + sub + b";"
    yield "far-behind-the-pixels", still[:-2] + sub[:-1] * 40 + b"\0;"
    yield "behind-the-end", encode(noise(), "GIF") + SECRET
    for name, block in {
        "comment": b"\x21\xfe" + sub,
        "text": b"\x21\x01\x0c" + bytes(12) + sub,
        "unknown": b"\x21\x77" + sub,
        "xmp": b"\x21\xff\x0bXMP DataXMP" + sub,
        "loop": b"\x21\xff\x0bNETSCAPE2.0" + sub,
        "loop-and-more": b"\x21\xff\x0bNETSCAPE2.0\3\1\2\0" + sub,
        "other-loop": b"\x21\xff\x0bANIMEXTS1.0\3\1\2\0" + sub,
    }.items():
        yield f"{name}-behind", moving[:-1] + block + b";"
        at = moving.index(b"\x21\xf9")
        yield f"{name}-before", moving[:at] + block + moving[at:]
    at = moving.index(b"\x21\xf9")
    yield "long-control-block", moving[:at] + moving[at : at + 7] + sub + moving[at + 8 :]


# ---- AVIF


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L4s", len(body) + 8, kind) + body


def avifs() -> Iterator[tuple[str, bytes]]:
    plain = encode(noise(), "AVIF")
    yield "exif-xmp", encode(noise(), "AVIF", exif=exif(), xmp=SECRET)
    for kind in (b"uuid", b"free", b"skip", b"abcd"):
        yield f"{kind.decode()}-behind", plain + box(kind, SECRET)
    yield "behind-the-pixels", lengthen_item(plain, SECRET)
    yield "behind-the-pixels-as-padding", lengthen_item(plain, b"\x7a\x10" + SECRET)
    yield "behind-the-pixels-as-metadata", lengthen_item(plain, b"\x2a\x11\x04" + SECRET)
    yield "behind-the-end", plain + SECRET
    yield "in-the-data", plain[:-1] + plain[-1:] + box(b"mdat", SECRET)
    at = plain.index(b"ftyp") - 4
    size = int.from_bytes(plain[at : at + 4])
    moved = shift_items(plain, len(SECRET))
    yield "brand", moved[:at] + box(b"ftyp", moved[at + 8 : at + size] + SECRET) + moved[at + size :]
    moving = encode(noise(), "AVIF", save_all=True, append_images=[noise(), noise()], duration=50)
    for kind in (b"uuid", b"free", b"mdat"):
        yield f"sequence-{kind.decode()}-behind", moving + box(kind, SECRET)
    sequence = partial(encode, noise(), "AVIF", save_all=True, append_images=[noise()], duration=50)
    yield "sequence-exif", sequence(exif=exif())
    yield "sequence-xmp", sequence(xmp=SECRET)
    yield "sequence-both", sequence(exif=exif(), xmp=SECRET)


def lengthen_item(avif: bytes, more: bytes) -> bytes:
    """Add bytes to the one item of an AVIF of Pillow's."""
    at, data = avif.index(b"iloc") + 4, avif.index(b"mdat") - 4
    length = len(avif) - data - 8
    place = avif.index(struct.pack(">L", length), at)
    moved = avif[:place] + struct.pack(">L", length + len(more)) + avif[place + 4 : data]
    return moved + box(b"mdat", avif[data + 8 :] + more)


def shift_items(avif: bytes, by: int) -> bytes:
    """Add to the place of the one item of an AVIF of Pillow's."""
    at = avif.index(b"iloc") + 4
    place = avif.index(struct.pack(">L", avif.index(b"mdat") + 4), at)
    return avif[:place] + struct.pack(">L", avif.index(b"mdat") + 4 + by) + avif[place + 4 :]


def profile() -> bytes:
    from PIL import ImageCms

    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


MAKERS: dict[str, Callable[[], Iterator[tuple[str, bytes]]]] = {
    "jpeg": jpegs,
    "png": pngs,
    "webp": webps,
    "gif": gifs,
    "avif": avifs,
}
