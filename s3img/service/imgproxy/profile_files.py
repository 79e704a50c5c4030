"""The colour profiles that an address may name: files of a folder of the server, and sRGB."""

from __future__ import annotations

from pathlib import Path

from s3img.errors import ConfigError
from s3img.imaging.color import transform_to_profile
from s3img.imaging.profiles import srgb_icc


def color_profiles(folder: str) -> dict[str, bytes]:
    """Return the profiles that ``cp`` may name, and ``srgb``; raise ConfigError for a folder or file that is none."""
    found = {"srgb": srgb_icc()}
    if not folder:
        return found
    place = Path(folder)
    if not place.is_dir():
        raise ConfigError([f"imgproxy.color_profiles_dir: {folder} is not a folder"])
    for file in sorted(place.iterdir()):
        if file.suffix.lower() in {".icc", ".icm"}:
            try:
                data = file.read_bytes()
            except OSError as error:
                raise ConfigError([f"imgproxy.color_profiles_dir: {file} can't be read: {error.strerror}"]) from error
            # ICC.1:2022, 7.2: the signature, and the space of the colours; those for print are passed over.
            if data[36:40] != b"acsp" or data[16:20] != b"RGB ":
                continue
            try:
                transform_to_profile(b"", data)
            except ValueError as error:
                raise ConfigError([f"imgproxy.color_profiles_dir: {file} is not a profile that can be used"]) from error
            found[file.stem] = data
    return found
