"""Pictures of the settings that are not objects of an origin: a watermark or fallback as data or as a local file.

They are kept in a folder of the service's cache under the digest of their bytes, which is an origin that no address can
name: so they are fetched, bounded and cached like any other source.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from s3img.atomic import write_atomically
from s3img.cache import Cache
from s3img.errors import ConfigError
from s3img.service.engine.jobs import SourceRef

if TYPE_CHECKING:
    from s3img.config import Config

KEPT: Final = "imgproxy:"
"""Name of the origin; names of origins in settings have no colon."""
_EMBEDDED: Final = ("data:", "file:")


def kept_folder(config: Config) -> Path:
    """Return the folder of the pictures, made where it is not there."""
    folder = Cache.at(config.cache_dir).folder / "service" / "imgproxy-pictures"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def has_kept(config: Config) -> bool:
    """Tell whether the settings name such a picture."""
    settings = config.imgproxy
    return settings is not None and any(
        url.startswith(_EMBEDDED) for url in (settings.watermark, settings.fallback_image)
    )


def keep_picture(config: Config, field: str, url: str) -> SourceRef | None:
    """Keep the picture of a ``data:`` or ``file:`` URL and return its name, None for any other URL.

    ``field`` is the setting that has the URL. Raise ConfigError for data that is not base64 and for a file that can't
    be read.
    """
    if not url.startswith(_EMBEDDED):
        return None
    try:
        if url.startswith("data:"):
            data = base64.b64decode(url.partition(",")[2], validate=True)
        else:
            data = Path(unquote(urlsplit(url).path)).read_bytes()
    except binascii.Error as error:
        raise ConfigError([f"imgproxy.{field}: the data is not base64"]) from error
    except OSError as error:
        raise ConfigError([f"imgproxy.{field}: {url} can't be read: {error.strerror}"]) from error
    name = hashlib.sha256(data).hexdigest()
    file = kept_folder(config) / name
    if not file.is_file():
        write_atomically(file, data)
    return SourceRef(KEPT, name)
