"""Limits that keep a hostile or mistaken input from costing memory or time."""

from __future__ import annotations

from typing import Literal

import msgspec


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bound what one image may cost; each field is a setting under ``limits`` in the configuration.

    ``input_bytes`` bytes of one source; ``input_pixels`` px of its first frame that decoding brings into memory;
    ``jpeg_pixels`` px of a JPEG that is scaled down while it is decoded, which costs time and little memory;
    ``frame_pixels`` px times frames of an animation; ``output_pixels`` px and ``output_side`` px of a result;
    ``steps`` of a transform chain; ``seconds`` of one render, checked between its steps. ``tolerant`` takes JPEGs that
    lack nothing but their end marker, as browsers do; uploads have a setting of their own for that.
    ``memory`` bytes of all sources that one process of the service has in memory to decode (0: any number).
    ``isolate`` decodes what strangers send (to the service, as uploads) in processes of their own, which end with
    ``seconds`` whatever a decoder does; ``"auto"`` where the system can and has a GiB of memory.
    """

    input_bytes: int = 100_000_000
    input_pixels: int = 100_000_000
    jpeg_pixels: int = 400_000_000
    frame_pixels: int = 400_000_000
    output_pixels: int = 50_000_000
    output_side: int = 16_383
    steps: int = 20
    seconds: float = 60.0
    tolerant: bool = True
    memory: int = 0
    isolate: bool | Literal["auto"] = "auto"
