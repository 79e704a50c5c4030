"""Tell what an image is from its first bytes: never from its name, and never by decoding a pixel."""

from __future__ import annotations

import os
from contextlib import contextmanager
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

import msgspec

from s3img.errors import AssetError, ImageError, ImageTooLarge, UnsupportedImage
from s3img.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.assets import ImageFacts
    from s3img.imaging.image_info import ImageInfo

ImageSource: TypeAlias = bytes | str | os.PathLike[str]
"""The bytes of an image, or the path of its file."""


_SIGNATURES: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\xff\xd8\xff", "headers.jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "headers.png"),
    (0, b"GIF87a", "gif.gif"),
    (0, b"GIF89a", "gif.gif"),
    (8, b"WEBP", "headers.webp"),
    (4, b"ftyp", "bmff.heif"),
    (0, b"II*\0", "headers.tiff"),
    (0, b"MM\0*", "headers.tiff"),
    (0, b"BM", "headers.bmp"),
    (0, b"\0\0\1\0", "headers.ico"),
    (0, b"\0\0\0\x0cjP  ", "bmff.jpeg2000"),
    (0, b"\xff\x4f\xff\x51", "bmff.jpeg2000"),
)
"""Where in the first bytes which ones stand, and the reader of such a file: loaded when it is used."""
_REFUSED: Final = {
    b"%PDF": "a PDF document",
    b"8BPS": "a Photoshop file",
    b"\xff\x0a": "a JPEG XL image",
    b"\0\0\0\x0cJXL ": "a JPEG XL image",
}
_POINTERS: Final = {
    b"version https://git-lfs.github.com/spec/": ("a Git LFS pointer", "Run git lfs pull (in CI: check out with LFS)."),
    b"/annex/objects/": ("a git-annex pointer", "Run git annex get."),
}
"""What stands in the place of a picture that was not checked out, and what brings the picture."""
_TAIL: Final = 4096  # bytes
_BYTES_A_PIXEL: Final = 4  # in Pillow's memory, RGB too
_CONVERT: Final = "Convert it to JPEG, PNG, WebP, AVIF, GIF or SVG."


def probe(source: ImageSource, *, limits: Limits | None = None) -> ImageInfo:
    """Describe an image by its header.

    Raises ``AssetError`` for a path that can't be read, ``UnsupportedImage`` for what is not an image or of a kind that
    is not handled, ``ImageTooLarge`` above a limit, ``ImageError`` for an empty, truncated or corrupt header.
    """
    limits = limits or Limits()
    with opened(source) as fp, located(source):
        check_bytes(fp, limits)
        fp.seek(0)
        head = fp.read(48)
        reader = next((name for offset, start, name in _SIGNATURES if head.startswith(start, offset)), "")
        if not reader:
            name = next((name for start, name in _REFUSED.items() if head.startswith(start)), "")
            if name:
                raise UnsupportedImage(f"The file is {name}.", fix=_CONVERT)
            if head.startswith(b"\x1f\x8b"):
                # A browser shows it only from a server that sends Content-Encoding: gzip for this very file.
                fix = "Unpack it to an .svg (gunzip -S z): servers compress what they send by themselves."
                raise UnsupportedImage("The file is compressed with gzip, as an .svgz is.", fix=fix)
            for start, (pointer, fix) in _POINTERS.items():
                if head.startswith(start):
                    raise UnsupportedImage(f"The file is {pointer}, not the picture itself.", fix=fix)
            reader = "svg.svg"  # has no signature: its reader says whether it is one
        module, function = reader.split(".")
        info: ImageInfo = getattr(import_module(f"s3img.imaging.probing.{module}"), function)(fp)
        check_pixels(info, limits)
        return info


def lacks_end_marker(source: ImageSource) -> bool:
    """Tell whether a JPEG has no end marker behind its px; such a file was most often cut short.

    Coded px never hold the marker's two bytes, so they are only looked for. Usually they are at the very end; the whole
    file is read where something follows the picture, as a telephone's video, or where they are missing.
    """
    with opened(source) as fp:
        size = fp.seek(0, os.SEEK_END)
        fp.seek(max(0, size - _TAIL))
        if b"\xff\xd9" in fp.read():
            return False
        fp.seek(0)
        data = fp.read()
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":
        at += 2 + int.from_bytes(data[at + 2 : at + 4])  # over segments: a thumbnail in them has an end of its own
    return data.find(b"\xff\xd9", at) < 0


def read_facts(source: ImageSource, *, limits: Limits) -> ImageFacts:
    """Return the facts of an image, and whether it is a JPEG without its end; raise what ``probe`` raises."""
    info = probe(source, limits=limits)
    return msgspec.structs.replace(info.facts, is_cut=info.format == "jpeg" and lacks_end_marker(source))


@contextmanager
def opened(source: ImageSource) -> Iterator[BinaryIO]:
    """Open a source for reading; a path that can't be opened or read is an ``AssetError``."""
    if isinstance(source, bytes):
        yield BytesIO(source)
        return
    try:
        with Path(source).open("rb") as fp:
            yield fp
    except OSError as error:
        reason = error.strerror or str(error)
        raise AssetError(f"{os.fspath(source)}: {reason}.", path=os.fspath(source)) from error


@contextmanager
def located(source: ImageSource) -> Iterator[None]:
    """Put the path of ``source`` in front of the message of an ``ImageError``."""
    try:
        yield
    except ImageError as error:
        if not isinstance(source, bytes):
            error.message = f"{os.fspath(source)}: {error.message}"
        raise


def check_bytes(fp: BinaryIO, limits: Limits) -> None:
    """Raise ``ImageError`` for an empty file and ``ImageTooLarge`` for one above ``input_bytes``."""
    size = fp.seek(0, os.SEEK_END)
    if not size:
        raise ImageError("The file is empty.")
    if size > limits.input_bytes:
        raise too_large("input_bytes", f"The file has {size:,} bytes", limits.input_bytes)


def check_pixels(info: ImageInfo, limits: Limits) -> None:
    """Raise ``ImageTooLarge`` for more px than ``input_pixels``, over all frames than ``frame_pixels``.

    What counts is what decoding costs. A JPEG in one scan is scaled down row by row and may have ``jpeg_pixels``; its
    decoder is told the size only later, so ``decode`` compares that with ``input_pixels``.
    """
    if not info.renderable:
        return
    width, height = max(info.width, info.canvas[0]), max(info.height, info.canvas[1])
    pixels = width * height
    what = f"The image has {width} x {height} = {pixels:,} px"
    if info.format == "jpeg" and not info.buffered:
        if pixels > limits.jpeg_pixels:
            # Uploads, which are decoded whole, have one limit for every kind of picture: it is known by its own name.
            is_common = limits.jpeg_pixels == limits.input_pixels
            raise too_large("input_pixels" if is_common else "jpeg_pixels", what, limits.jpeg_pixels)
    elif pixels > limits.input_pixels and not 0 < info.buffered <= _BYTES_A_PIXEL * limits.input_pixels:
        if info.buffered:
            what += ", all of which a progressive JPEG keeps in memory"
        raise too_large("input_pixels", what, limits.input_pixels)
    if info.animated:
        check_frames((width, height), info.frames, limits)


def check_frames(size: tuple[int, int], frames: int, limits: Limits) -> None:
    """Raise ``ImageTooLarge`` for an animation of more px than ``frame_pixels``."""
    pixels = size[0] * size[1] * frames
    if pixels > limits.frame_pixels:
        what = f"The animation has {frames:,} frames of {size[0]} x {size[1]} = {pixels:,} px"
        raise too_large("frame_pixels", what, limits.frame_pixels)


def too_large(limit: str, what: str, maximum: float) -> ImageTooLarge:
    """Return the error for a value above the limit called ``limit``."""
    fix = f"Make it smaller, or raise limits.{limit}."
    return ImageTooLarge(f"{what}; {maximum:,} is the limit.", limit=limit, fix=fix)
