"""Colour: embedded ICC profiles to sRGB, CMYK to RGB, transparency onto a background."""

from __future__ import annotations

from functools import cache, lru_cache
from io import BytesIO
from typing import Final, TypeAlias

from PIL import Image, ImageCms

Colour: TypeAlias = tuple[int, int, int]
WHITE: Final[Colour] = (255, 255, 255)

_SPACES: Final = {"RGB ": ("RGB", "RGBA"), "GRAY": ("L", "LA"), "CMYK": ("CMYK",)}
_SRGB_NAMES: Final = ("sRGB", "IEC 61966-2-1", "IEC 61966-2.1", "IEC61966-2.1")


def is_converted(mode: str, profile: bytes | None) -> bool:
    """Tell whether ``to_srgb`` computes colours for an image of this mode and profile."""
    return bool(profile) and transform_to_srgb(profile or b"", mode) is not None


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return the image in sRGB: L, LA, RGB or RGBA.

    ``profile`` is what the source embeds. One that is sRGB already, does not belong to the pixels' mode or is broken
    is passed over, as browsers do; CMYK without a usable one is converted by formula.
    """
    transform = transform_to_srgb(profile, image.mode) if profile else None
    if transform is None:
        return image.convert("RGB") if image.mode == "CMYK" else image
    # lcms would take alpha for a colour, so it sees the colour bands alone.
    alpha = image.getchannel("A") if image.mode in {"RGBA", "LA"} else None
    result = transform.apply(image.convert(image.mode.removesuffix("A")) if alpha else image)
    if image.mode in {"L", "LA"}:
        result = result.convert("L")
    if alpha:
        result.putalpha(alpha)
    return result


def to_profile(image: Image.Image, profile: bytes, own: bytes = b"") -> Image.Image:
    """Return an image in the colours of an ICC profile for RGB; ``own`` is the profile that it is in, else sRGB.

    Raise ValueError for a profile of another kind.
    """
    transform = transform_to_profile(own, profile)
    alpha = image.getchannel("A") if image.mode in {"RGBA", "LA"} else None
    result = image.convert("RGB")  # of a grey picture, too: its one band has no place in a profile of three
    result = transform.apply(result) if transform else result
    if alpha:
        result.putalpha(alpha)
    return result


@lru_cache(maxsize=16)
def transform_to_profile(own: bytes, profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """Return the transform between two profiles for RGB, None where they are one; raise ValueError for another kind.

    An ``own`` profile that can't be used is passed over, as browsers do.
    """
    try:
        target = ImageCms.ImageCmsProfile(BytesIO(profile))
        if target.profile.xcolor_space != "RGB ":
            raise ValueError("The profile is not one for RGB.")
        name = target.profile.profile_description or ""
        if own == profile or (not own and any(known in name for known in _SRGB_NAMES)):
            return None
        return ImageCms.buildTransform(_rgb_profile(own) or srgb_profile(), target, "RGB", "RGB")
    except (ImageCms.PyCMSError, OSError, TypeError) as error:
        raise ValueError("The profile can't be read.") from error


def _rgb_profile(data: bytes) -> ImageCms.ImageCmsProfile | None:
    try:
        found = ImageCms.ImageCmsProfile(BytesIO(data)) if data else None
    except (ImageCms.PyCMSError, OSError, TypeError):
        return None
    return found if found and found.profile.xcolor_space == "RGB " else None


@lru_cache(maxsize=16)
def transform_to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the transform from ``profile`` to sRGB for ``mode``, None where there is nothing to do.

    Building one takes 5 ms (50 ms for CMYK), and the pictures of a site come from few devices.
    """
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if mode not in _SPACES.get(source.profile.xcolor_space, ()):
            return None
        name = source.profile.profile_description or ""
        if any(known in name for known in _SRGB_NAMES) and "linear" not in name.lower():
            return None
        bands = mode.removesuffix("A")
        return ImageCms.buildTransform(source, srgb_profile(), bands, "RGB")  # perceptual, as sharp and browsers do
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


@cache
def srgb_profile() -> ImageCms.ImageCmsProfile:
    """Return the profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def has_alpha(image: Image.Image) -> bool:
    """Tell whether any pixel is less than opaque."""
    if image.mode not in {"RGBA", "LA"}:
        return False
    low = image.getchannel("A").getextrema()[0]
    return isinstance(low, (int, float)) and low < 255


def opaque(image: Image.Image) -> Image.Image:
    """Drop an alpha band that has no effect."""
    return image if image.mode in {"L", "RGB"} or has_alpha(image) else image.convert(image.mode[:-1])


def flatten(image: Image.Image, background: Colour) -> Image.Image:
    """Lay the image over a background; the result has no alpha."""
    if image.mode not in {"RGBA", "LA"}:
        return image
    rgba = image.convert("RGBA")
    canvas = Image.new("RGB", image.size, background)
    canvas.paste(rgba, mask=rgba.getchannel("A"))
    return canvas
