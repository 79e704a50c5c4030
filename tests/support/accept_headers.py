"""``Accept`` as browsers send it for ``<img>``, as curl does, and none at all."""

from __future__ import annotations

from typing import Final

CHROME: Final = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX: Final = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
SAFARI: Final = "image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
CURL: Final = "*/*"

CLIENTS: Final[dict[str, str | None]] = {
    "chrome": CHROME,
    "firefox": FIREFOX,
    "safari": SAFARI,
    "curl": CURL,
    "none": None,
}
