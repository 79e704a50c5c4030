"""What processes that render are asked to do; the same functions serve where nothing is isolated."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from s3img import imaging
from s3img.errors import UnsupportedImage
from s3img.imaging.image_info import Rendered
from s3img.imaging.isolation.process_messages import TaskResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from s3img.imaging.encode import Subsampling
    from s3img.imaging.image_info import RenderTarget
    from s3img.imaging.pipeline import Drawn
    from s3img.imgproxy import ProcessingOptions
    from s3img.imgproxy.info_options import InfoOptions
    from s3img.limits import Limits
    from s3img.transform import Transform
    from s3img.transform.geometry import Hints


DrawSource: TypeAlias = "Callable[[bytes, Limits], Drawn | Rendered]"
"""Draw a source's bytes, or return what needs no encoding; raise `ImageTooLarge` above a limit, and other errors.

A ``partial`` of a function of a module can be sent to another process.
"""


def draw_request(
    data: bytes,
    limits: Limits,
    *,
    transform: Transform | None,
    accept: frozenset[str] | None,
    quality: Mapping[str, int],
    hints: Hints,
    inputs: Mapping[str, bytes],
) -> Drawn | Rendered:
    """Draw with the profile for requests; what is never rendered (SVG, ICO) is passed through if it may be.

    ``inputs`` are the pictures of layers by their keys.

    Raise what `imaging.draw` raises.
    """
    info = imaging.probe(data, limits=limits)
    if transform is None or (not info.renderable and transform.format in {"auto", "orig"}):
        return Rendered(data, info.media_type, info.width, info.height)
    if not info.renderable:
        fix = "Leave out f-, and it is passed on as it is."
        raise UnsupportedImage(f"{info.format.upper()} is published as it is and never rendered.", fix=fix)
    return imaging.draw(
        data, transform, profile="request", accept=accept, limits=limits, quality=quality, hints=hints, inputs=inputs
    )


def draw_options(
    data: bytes,
    limits: Limits,
    *,
    options: ProcessingOptions,
    choice: imaging.FormatChoice,
    quality: Mapping[str, int],
    subsampling: Subsampling,
    watermarks: Mapping[str, bytes],
    profile: bytes,
) -> Drawn:
    """Draw what imgproxy's options ask for; raise what `imaging.draw_processed` raises."""
    return imaging.draw_processed(
        data,
        options,
        choice=choice,
        limits=limits,
        quality=quality,
        subsampling=subsampling,
        watermarks=watermarks,
        profile=profile,
    )


def render_drawn(data: bytes, *, draw: DrawSource, limits: Limits) -> TaskResult:
    """Draw and encode; the seconds are those of ``render`` and ``encode`` (``encode-avif``)."""
    started = time.perf_counter()
    drawn = draw(data, limits)
    drawn_at = time.perf_counter()
    if isinstance(drawn, Rendered):
        return TaskResult([drawn], {"render": drawn_at - started})
    rendered = drawn.encode()
    step = "encode-avif" if drawn.format == "avif" else "encode"
    return TaskResult([rendered], {"render": drawn_at - started, step: time.perf_counter() - drawn_at})


def describe_picture(data: bytes, *, schema: str, limits: Limits) -> bytes:
    """Describe a picture in JSON."""
    return msgspec.json.encode({"schema": schema, **imaging.describe(data, limits=limits)})


def picture_facts_json(data: bytes, *, options: InfoOptions, limits: Limits) -> bytes:
    """Tell what imgproxy's info tells of a picture, in JSON."""
    return msgspec.json.encode(imaging.picture_facts(data, options, limits=limits))


def derive(data: bytes, make: Callable[[bytes], bytes]) -> TaskResult:
    """Return what ``make`` makes of the bytes; it has no media type of its own."""
    return TaskResult([Rendered(make(data), "", 0, 0)])


def clean(
    data: bytes, *, limits: Limits, max_side: int = 0, encode_anew: bool = False, convert: str = ""
) -> TaskResult:
    """Make an upload fit to be stored, as `imaging.cleaned` does."""
    return TaskResult(
        [imaging.cleaned(data, limits=limits, max_side=max_side, encode_anew=encode_anew, convert=convert)]
    )


def render_sizes(data: bytes, *, targets: Sequence[RenderTarget], limits: Limits) -> TaskResult:
    """Render one source to every target, as `imaging.render_variants` does."""
    return TaskResult(imaging.render_variants(data, targets, limits=limits))
