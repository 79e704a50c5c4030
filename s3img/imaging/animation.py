"""Animations: frames with their durations, and how often they play."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from PIL import GifImagePlugin

from s3img.imaging.color import has_alpha
from s3img.imaging.decode import (
    Decoded,
    decoder,
    first_shown,
    flag_alpha,
    pillow_errors,
    profile_in_force,
    resizable,
    transparent_outside,
)
from s3img.imaging.encode import WEBP_METHOD, Encoding, check_encoder, palette, saved
from s3img.imaging.probing import check_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from PIL import Image

    from s3img.imaging.decode import RenderDeadline
    from s3img.imaging.image_info import ImageInfo
    from s3img.limits import Limits

_KEEPING: Final = frozenset({"gif", "webp", "avif"})
_NEVER: Final = 2**31 - 1  # no key frames in between, as libvips writes WebP: smaller and faster
_ENDLESS: Final = re.compile(rb"((?:mvhd.{24}|tkhd.{28}))\xff{8}", re.DOTALL)
_AVIF_SPEED: Final = 7  # 6 takes ten times as long for as many bytes
_UNTIMED: Final = 100  # ms; what browsers show a frame for that states no duration


@dataclass(frozen=True, slots=True)
class Animation:
    """Upright frames in sRGB, the ms each is shown for, and how often all are played (0: for ever)."""

    frames: tuple[Image.Image, ...]
    durations: tuple[int, ...]
    plays: int

    @property
    def size(self) -> tuple[int, int]:
        """Return the px of each frame."""
        return self.frames[0].size

    def map(self, change: Callable[[Image.Image], Image.Image]) -> Animation:
        """Return the animation with each frame changed."""
        return Animation(tuple(map(change, self.frames)), self.durations, self.plays)


def keeps_animation(info: ImageInfo, target: str) -> bool:
    """Tell whether an animated source stays animated in the format ``target``; only APNG becomes APNG."""
    return info.animated and (target in _KEEPING or target == info.format)


def load_animation(
    fp: BinaryIO, info: ImageInfo, finish: Callable[[Decoded], Image.Image], *, limits: Limits, deadline: RenderDeadline
) -> Animation:
    """Decode every frame, composed as a viewer shows it; ``finish`` makes each the picture that is kept.

    Raises ``ImageTooLarge`` at the first frame if all of them would be more than ``frame_pixels``.
    """
    durations: list[int] = []
    frames: list[Image.Image] = []
    drawn: list[tuple[int, int, int, int] | None] = []
    with decoder(fp, info) as image:
        profile = profile_in_force(fp, image)
        first = first_shown(image)
        for number in range(first, first + info.frames):
            deadline.check()
            image.seek(number)
            frame = image if image.mode in {"P", "RGB", "RGBA"} else resizable(image)
            frame = frame.convert("RGBA" if info.alpha else "RGB")
            if isinstance(image, GifImagePlugin.GifImageFile):
                drawn.append(image.dispose_extent)
                if info.alpha and drawn[0] != (0, 0, *info.stored_size):
                    frame = transparent_outside(frame, drawn)
            if frame.size != info.stored_size:  # Pillow lets the screen of a GIF grow while it plays, browsers don't
                frame = frame.crop((0, 0, *info.stored_size))
            stored = float(frame.width), float(frame.height)
            picture = finish(Decoded(frame, (info.width, info.height), stored, info.orientation, profile))
            picture.info = {}  # nothing of the source's goes into a result
            check_frames(picture.size, info.frames, limits)
            frames.append(picture)
            durations.append(round(image.info.get("duration") or 0))
        plays = image.info.get("loop")
        if image.format == "GIF":  # it counts repetitions, and plays once if it has no count
            plays = 1 if plays is None else plays + 1 if plays else 0
        return Animation(tuple(frames), tuple(durations), plays or 0)


def encode_animation(animation: Animation, encoding: Encoding) -> bytes:
    """Encode to WebP, GIF, AVIF or APNG, with the timing and the number of plays kept."""
    check_encoder(encoding.format)
    first, *rest = animation.frames
    shared: dict[str, Any] = {"save_all": True, "append_images": rest, "duration": list(animation.durations)}
    plays = animation.plays
    with pillow_errors(f"The animation can't be written as {encoding.format.upper()}"):
        match encoding.format:
            case "webp":
                shared |= {"loop": plays, "background": (0, 0, 0, 0), "method": WEBP_METHOD}
                shared |= {"quality": encoding.effective_quality, "lossless": encoding.lossless}
                shared |= {"allow_mixed": encoding.lossless_source}  # each frame lossy or lossless, whatever is smaller
                data = saved(first, "WEBP", {**shared, "kmin": _NEVER - 1, "kmax": _NEVER})
                return flag_alpha(data) if any(map(has_alpha, animation.frames)) else data
            case "gif":
                disposal = 2 if any(frame.mode == "RGBA" for frame in animation.frames) else 0
                first, *rest = map(palette, animation.frames)
                loop = {} if plays == 1 else {"loop": max(0, plays - 1)}
                return saved(first, "GIF", {**shared, "append_images": rest, "disposal": disposal, **loop})
            case "avif":
                durations = [duration or _UNTIMED for duration in animation.durations]
                settings = {**shared, "duration": durations, **encoding.avif_settings(_AVIF_SPEED, first.mode)}
                data = saved(first, "AVIF", settings)
                return limit_plays(data, plays * sum(durations)) if plays else data
            case _:
                return saved(first, "PNG", {**shared, "loop": plays, "default_image": False})


def limit_plays(avif: bytes, duration: int) -> bytes:
    """Write how long the movie and its tracks last in ms (ISO/IEC 14496-12, 8.2.2, 8.3.2); Pillow writes: for ever.

    The edit list already repeats the frames for as long as the track lasts.
    """
    return _ENDLESS.sub(lambda match: match[1] + duration.to_bytes(8), avif, count=3)
