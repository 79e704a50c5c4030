"""Animations: frames with their durations, and how often they play."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import Image

from s3img.imaging.color import has_alpha
from s3img.imaging.decode import Decoded, decoder, flag_alpha, pillow_errors
from s3img.imaging.encode import WEBP_METHOD, Encoding, buffered, check_encoder, palette
from s3img.imaging.probing import check_frames

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import BinaryIO

    from PIL import ImageFile

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
    """Hold upright frames in sRGB, the ms each is shown for, and how often all are played (0: for ever)."""

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
    """Say whether an animated source stays animated in the format ``target``; only APNG becomes APNG."""
    return info.animated and (target in _KEEPING or target == info.format)


def load_animation(
    fp: BinaryIO, info: ImageInfo, finish: Callable[[Decoded], Image.Image], *, limits: Limits, deadline: RenderDeadline
) -> Animation:
    """Decode every frame, composed as a viewer shows it; ``finish`` makes each the picture that is kept.

    Raises ``ImageTooLarge`` at the first frame if all of them would be more than ``frame_pixels``.
    """
    durations: list[int] = []
    frames: list[Image.Image] = []
    with decoder(fp, info) as image:
        profile = image.info.get("icc_profile")
        for number in range(info.frames):
            deadline.check()
            image.seek(number)
            frame = _on_screen(image.convert("RGBA" if info.alpha else "RGB"), info)
            stored = float(frame.width), float(frame.height)
            decoded = Decoded(frame, (info.width, info.height), stored, info.orientation, profile)
            picture = finish(decoded)
            picture.info = {}  # nothing of the source's goes into a result
            check_frames(picture.size, info.frames, limits)
            frames.append(picture)
            durations.append(round(image.info.get("duration") or 0))
        return Animation(tuple(frames), tuple(durations), _plays(image))


def _on_screen(frame: Image.Image, info: ImageInfo) -> Image.Image:
    """Return a frame in the size of the screen; that of a GIF may grow while it plays."""
    if frame.size == info.stored_size:
        return frame
    screen = Image.new("RGBA", info.stored_size)
    screen.paste(frame)
    return screen


def _plays(image: ImageFile.ImageFile) -> int:
    """Return how often the animation plays, 0 for ever; a GIF counts repetitions, and plays once if it has no count."""
    loop = image.info.get("loop")
    if image.format == "GIF":
        return 1 if loop is None else loop + 1 if loop else 0
    return loop or 0


def encode_animation(animation: Animation, encoding: Encoding) -> bytes:
    """Encode to WebP, GIF, AVIF or APNG, with the timing and the number of plays kept."""
    check_encoder(encoding.format)
    with pillow_errors(f"The animation can't be written as {encoding.format.upper()}"):
        return _WRITERS[encoding.format](animation, encoding)


def _save(animation: Animation, name: str, settings: Mapping[str, object]) -> bytes:
    first, *rest = animation.frames
    shared = {"save_all": True, "append_images": rest, "duration": list(animation.durations)}
    return buffered(first, name, {**shared, **settings})


def _webp(animation: Animation, encoding: Encoding) -> bytes:
    settings = {
        "loop": animation.plays,
        "background": (0, 0, 0, 0),
        "quality": encoding.effective_quality,
        "lossless": encoding.lossless,
        "method": WEBP_METHOD,
        "kmin": _NEVER - 1,
        "kmax": _NEVER,
    }
    data = _save(animation, "WEBP", settings)
    return flag_alpha(data) if any(map(has_alpha, animation.frames)) else data


def _gif(animation: Animation, encoding: Encoding) -> bytes:
    del encoding  # a GIF has no quality
    loop = {} if animation.plays == 1 else {"loop": max(0, animation.plays - 1)}
    clear = any(frame.mode == "RGBA" for frame in animation.frames)
    return _save(animation.map(palette), "GIF", {"disposal": 2 if clear else 0, **loop})


def _avif(animation: Animation, encoding: Encoding) -> bytes:
    timed = Animation(animation.frames, tuple(d or _UNTIMED for d in animation.durations), animation.plays)
    data = _save(timed, "AVIF", encoding.avif_settings(_AVIF_SPEED))
    return _limit_plays(data, timed.plays * sum(timed.durations)) if timed.plays else data


def _limit_plays(avif: bytes, duration: int) -> bytes:
    """Write how long the movie and its tracks last in ms (ISO/IEC 14496-12, 8.2.2, 8.3.2); Pillow writes: for ever.

    The edit list already repeats the frames for as long as the track lasts.
    """
    return _ENDLESS.sub(lambda match: match[1] + duration.to_bytes(8), avif, count=3)


def _png(animation: Animation, encoding: Encoding) -> bytes:
    del encoding  # always lossless
    return _save(animation, "PNG", {"loop": animation.plays, "default_image": False})


_WRITERS: Final = {"webp": _webp, "gif": _gif, "avif": _avif, "png": _png}
