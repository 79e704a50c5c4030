"""ICC profiles for pictures that state their colours in numbers: PNG's cICP, sRGB, gAMA and cHRM, and AVIF's nclx.

Browsers apply these like an embedded profile, so they become one here, and all of them are converted in one place.
Where specifications leave it open, the curves are those that Chromium 156 shows on an sRGB canvas (within 3 of 255):
video's BT.709 is a power of 2.4, and PQ and HLG are brought to the range of a screen.
"""

from __future__ import annotations

import struct
from functools import cache, lru_cache
from math import exp
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from s3img.imaging.probing.bmff import top_boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Chromaticities: TypeAlias = tuple[float, ...]
"""x and y of white, red, green and blue (CIE 1931), in the order of a PNG's cHRM."""

Curve: TypeAlias = "float | tuple[float, ...] | Callable[[float], float]"

_SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""Of IEC 61966-2-1: gamma, and the numbers a to d of ICC.1:2022, table 68."""

D65: Final = (0.3127, 0.329)
PRIMARIES: Final[dict[int, Chromaticities]] = {
    1: (*D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06),  # BT.709, sRGB
    4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # BT.470 M
    5: (*D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),  # BT.601 with 625 lines
    6: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),  # BT.601 with 525 lines
    7: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),  # SMPTE ST 240
    8: (0.31, 0.316, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),  # film with illuminant C
    9: (*D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),  # BT.2020
    10: (1 / 3, 1 / 3, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),  # CIE 1931 XYZ
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # DCI-P3
    12: (*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # Display P3
    22: (*D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),  # EBU Tech 3213
}
"""Colour primaries by their code (ITU-T H.273, table 2)."""

GAMMAS: Final = {1: 2.4, 4: 2.2, 5: 2.8, 6: 2.4, 8: 1.0, 14: 2.4, 15: 2.4}
"""Transfer characteristics that are a power (ITU-T H.273, table 3; ITU-R BT.1886 for those of video)."""

WHITE: Final = 203.0
"""Of PQ and HLG in cd/m² (ITU-R BT.2408)."""

PEAK: Final = 1000.0
"""What becomes the brightest white of a screen, in cd/m²."""

_HALF: Final = 0.5
_KNEE: Final = 0.45
_SRGB: Final = (1, 13)
_SAMPLES: Final = 4096
_CHUNKS: Final = 256
_SCREEN_GAMMA: Final = 2.2

# Bradford's cone responses (ICC.1:2022, annex E): profiles are relative to D50 whatever the picture's white is.
_BRADFORD: Final = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_BRADFORD_BACK: Final = (
    (0.9869929, -0.1470543, 0.1599627),
    (0.4323053, 0.5183603, 0.0492912),
    (-0.0085287, 0.0400428, 0.9684867),
)
_D50: Final = (0.9642, 1.0, 0.8249)


def png_chunks(fp: BinaryIO) -> dict[bytes, bytes]:
    """Return the short chunks before the pixels of a PNG (at most 256 bytes each), the first of each kind.

    ``fp`` is where it was afterwards: a decoder may go on reading from there.
    """
    found: dict[bytes, bytes] = {}
    position = fp.tell()
    fp.seek(8)
    for _ in range(_CHUNKS):
        header = fp.read(8)
        if len(header) < 8 or header[4:] == b"IDAT":
            break
        length = int.from_bytes(header[:4])
        if length <= 256:
            found.setdefault(header[4:], fp.read(length))
            length = 0
        fp.seek(length + 4, 1)
    fp.seek(position)
    return found


def png_profile(chunks: Mapping[bytes, bytes], embedded: bytes | None, *, grey: bool) -> bytes | None:
    """Return the profile in force for a PNG: cICP, else iCCP, else sRGB, else gAMA and cHRM (third edition, 4.3)."""
    cicp = chunks.get(b"cICP", b"")
    if len(cicp) == 4 and cicp[2] == 0 and cicp[3] == 1:  # RGB in the full range: a PNG has no other
        return cicp_profile(cicp[0], cicp[1], grey=grey)
    if embedded or b"sRGB" in chunks or len(chunks.get(b"gAMA", b"")) != 4:
        return embedded
    gamma = int.from_bytes(chunks[b"gAMA"])
    if not 1000 <= gamma <= 1_000_000:
        return None
    power = 100_000 / gamma
    if len(chunks.get(b"cHRM", b"")) == 32:
        primaries = tuple(value / 100_000 for value in struct.unpack(">8L", chunks[b"cHRM"]))
        return profile_of(primaries, power, grey=grey)
    if abs(power - _SCREEN_GAMMA) < 0.05:  # without cHRM, browsers take it for sRGB
        return None
    return profile_of(PRIMARIES[1], power, grey=grey)


def avif_profile(fp: BinaryIO, embedded: bytes | None) -> bytes | None:
    """Return the profile in force for an AVIF: an embedded one, else what its nclx property names (AVIF 1.1, 4)."""
    if embedded:
        return embedded
    described = b"".join(box.body or b"" for box in top_boxes(fp))
    at = described.find(b"colrnclx")
    if at < 0 or len(described) < at + 12:
        return None
    primaries, transfer = struct.unpack_from(">HH", described, at + 8)
    # Browsers show a still with video's curve as if it were sRGB's: encoders write the one and mean the other.
    return cicp_profile(primaries, 13 if transfer in {1, 6, 14, 15} else transfer, grey=False)


@cache
def srgb_icc() -> bytes:
    """Return a profile of sRGB in a few hundred bytes, always the same ones; its name is what browsers know it by."""
    profile = profile_of(PRIMARIES[1], _SRGB_CURVE, grey=False, name="sRGB")
    return profile or b""


@lru_cache(maxsize=32)
def cicp_profile(primaries: int, transfer: int, *, grey: bool) -> bytes | None:
    """Return a profile for code points of ITU-T H.273, None for sRGB and for codes that are unknown or unspecified."""
    curve = CURVES.get(transfer) or GAMMAS.get(transfer)
    if (primaries, transfer) == _SRGB or primaries not in PRIMARIES or curve is None:
        return None
    return profile_of(PRIMARIES[primaries], curve, grey=grey)


def srgb_to_linear(value: float) -> float:
    """Return the light (0 to 1) of a value of sRGB (IEC 61966-2-1)."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def pq_to_linear(value: float) -> float:
    """Return the light on a screen of a value of PQ (SMPTE ST 2084)."""
    root = value ** (32 / 2523)
    light: float = (max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (16_384 / 2610)
    return to_screen(10_000 / WHITE * light)


def hlg_to_linear(value: float) -> float:
    """Return the light on a screen of a value of HLG (ITU-R BT.2100), made for one of 1,000 cd/m²."""
    scene = value * value / 3 if value <= 0.5 else (exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return to_screen(PEAK / WHITE * float(scene**1.2))


def to_screen(light: float) -> float:
    """Bring light, white as 1, to the range of a screen: half of it, and above a knee ever less, up to the peak."""
    half = _HALF * light
    if half <= _KNEE:
        return half
    above, most = ((value - _KNEE) / (1 - _KNEE) for value in (half, _HALF * PEAK / WHITE))
    return min(1.0, _KNEE + (1 - _KNEE) * above * (1 + above / most**2) / (1 + above))


CURVES: Final = {13: srgb_to_linear, 16: pq_to_linear, 18: hlg_to_linear}
"""Transfer characteristics that are not a power."""


@lru_cache(maxsize=32)
def profile_of(primaries: Chromaticities, curve: Curve, *, grey: bool, name: str = "Stated in numbers") -> bytes | None:
    """Return an ICC profile (version 4): a matrix of ``primaries`` and one curve.

    The curve is a power, the function that makes light (0 to 1) of a value, or the parameters of such a function.
    None where the chromaticities are none that colours have.
    """
    try:
        columns = [(x, y, 1 - x - y) for x, y in (primaries[2:4], primaries[4:6], primaries[6:8])]
        x, y = primaries[:2]
        white = (x / y, 1.0, (1 - x - y) / y)
        shares = _solve(columns, white)
    except ZeroDivisionError:
        return None
    cones = [_times(_BRADFORD, white), _times(_BRADFORD, _D50)]
    adapted = [
        _times(
            _BRADFORD_BACK,
            tuple(
                v * b / a for v, a, b in zip(_times(_BRADFORD, tuple(share * c for c in column)), *cones, strict=True)
            ),
        )
        for column, share in zip(columns, shares, strict=True)
    ]
    tags = {b"desc": _text(name), b"cprt": _text("No rights reserved"), b"wtpt": _xyz_tag(_D50)}
    if grey:
        tags[b"kTRC"] = _curve(curve)
    else:
        tags |= {name: _xyz_tag(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), adapted, strict=True)}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve(curve))
    return _file(tags, b"GRAY" if grey else b"RGB ")


def _times(matrix: tuple[tuple[float, ...], ...], vector: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def _solve(columns: Sequence[tuple[float, ...]], target: tuple[float, ...]) -> list[float]:
    """Return how much of each column makes the target, by Cramer's rule."""

    def determinant(vectors: Sequence[tuple[float, ...]]) -> float:
        a, b, c = vectors
        return (
            a[0] * (b[1] * c[2] - b[2] * c[1]) - b[0] * (a[1] * c[2] - a[2] * c[1]) + c[0] * (a[1] * b[2] - a[2] * b[1])
        )

    whole = determinant(columns)
    return [determinant([*columns[:i], target, *columns[i + 1 :]]) / whole for i in range(3)]


def _fixed(value: float) -> bytes:
    """Return a s15Fixed16Number."""
    return struct.pack(">l", round(max(-32768.0, min(32767.0, value)) * 65536))


def _xyz_tag(xyz: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, xyz))


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">LL2s2sLL", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _curve(curve: Curve) -> bytes:
    if isinstance(curve, tuple):  # ICC.1:2022, table 68, function type 3
        return b"para\0\0\0\0\0\3\0\0" + b"".join(map(_fixed, curve))
    if not callable(curve):
        return b"para\0\0\0\0\0\0\0\0" + _fixed(curve)
    values = [round(65535 * min(1.0, curve(i / (_SAMPLES - 1)))) for i in range(_SAMPLES)]
    return b"curv\0\0\0\0" + struct.pack(f">L{_SAMPLES}H", _SAMPLES, *values)


def _file(tags: Mapping[bytes, bytes], space: bytes) -> bytes:
    """Lay the tags out behind header and table (ICC.1:2022, 7)."""
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    places: dict[bytes, int] = {}
    for name, data in tags.items():
        if data not in places:  # the three curves are one
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += name + struct.pack(">LL", places[data], len(data))
    header = struct.pack(">LL", start + len(body), 0) + struct.pack(">L4s4s4s", 0x04300000, b"mntr", space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + b"".join(map(_fixed, _D50))
    return header.ljust(128, b"\0") + struct.pack(">L", len(tags)) + table + body
