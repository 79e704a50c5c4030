"""What pictures look like, as far as thumbnails of them were made: a colour, and 64 bits that similar ones share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from s3img.errors import S3ImgError
from s3img.imaging.picture_summary import picture_facts
from s3img.imgproxy.info_options import InfoOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3img.limits import Limits

MOST_KNOWN: Final = 20_000  # pictures in memory, some 300 bytes each; those that were seen last stay
MOST_DIFFERENT: Final = 10  # of 64 bits, in which similar pictures may differ; unrelated ones differ in about 32

_LOOKS: Final = InfoOptions(
    size=False, format=False, dimensions=False, exif=False, iptc=False, xmp=False, average=True, perceptual_hash=True
)


class PictureLook(NamedTuple):
    """The mean colour of a picture (``#rrggbb``) and its perceptual hash, while it has this ETag."""

    etag: str
    color: str
    hash: int


class PictureIndex:
    """Know what pictures look like by key and ETag; safe to share between threads.

    Nothing of it is stored: it fills while people look at folders, and is lost with the process.
    """

    def __init__(self, limits: Limits, *, most: int = MOST_KNOWN) -> None:
        self._limits = limits
        self._most = most
        self._known: OrderedDict[str, PictureLook] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, key: str, etag: str) -> PictureLook | None:
        """Return what a picture looks like, None for one that was not seen or has been replaced since."""
        with self._lock:
            look = self._known.get(key)
        return look if look and look.etag == etag else None

    def add(self, key: str, etag: str, thumbnail: bytes) -> None:
        """Learn from a thumbnail; what can't be read is left out."""
        try:
            facts = picture_facts(thumbnail, _LOOKS, limits=self._limits)
        except S3ImgError:
            return
        if "average" not in facts:  # of a kind that is never rendered
            return
        mean = facts["average"]
        color = f"#{mean['R']:02x}{mean['G']:02x}{mean['B']:02x}"
        with self._lock:
            self._known[key] = PictureLook(etag, color, int(facts["perceptual_hash"], 16))
            self._known.move_to_end(key)
            while len(self._known) > self._most:
                self._known.popitem(last=False)

    def similar(self, key: str, etag: str, *, allowed: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
        """Yield (key, ETag) of the known pictures that look like one, the most similar first."""
        own = self.find(key, etag)
        if own is None:
            return
        with self._lock:
            others = [*self._known.items()]
        found = sorted(((look.hash ^ own.hash).bit_count(), other, look.etag) for other, look in others)
        for bits, other, other_etag in found:
            if bits <= MOST_DIFFERENT and other != key and allowed(other):
                yield other, other_etag
