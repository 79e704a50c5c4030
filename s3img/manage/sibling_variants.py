"""The renderings that lie beside an object: found by their names, and proved to be its own by the digest in them."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

from s3img.buckets.copying import digest_of
from s3img.keys import RENDER_VERSION, variant_digest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3img.buckets import Bucket, ObjectInfo

VARIANT_NAME: Final = re.compile(r"\.([0-9a-f]{8,64})\.w-([1-9]\d{0,5})\.(jpg|png|gif|webp|avif)")
"""What follows the stem in the name of a rendering: ``cat`` + ``.77aa0011.w-640.webp``."""

HASHED: Final = re.compile(r"(.+)\.([0-9a-f]{8,64})")
"""A name without its ending that has a hash: ``cat.9f2c81aa``."""

FORMATS_OF_ENDINGS: Final = {"jpg": "jpeg"}

QUALITIES: Final = (None, *range(1, 101))


def stems_of(key: str) -> tuple[str, ...]:
    """Return what the names of a key's renderings may begin with: its name without ending, and without its hash."""
    stem = posixpath.splitext(key)[0]
    match = HASHED.fullmatch(stem)
    return (stem, match[1]) if match else (stem,)


def sibling_variants(bucket: Bucket, info: ObjectInfo) -> Iterator[tuple[str, ObjectInfo]]:
    """Yield (the end of the name behind the stem, object) of each rendering of an object that lies beside it.

    That the name fits is not enough: ``cat.jpg`` and ``cat.png`` share theirs. The hash in it has to be that of this
    object's bytes at this width and format, in any quality and by any version of the renderer so far.
    """
    digest = ""
    for stem in stems_of(info.key):
        for other in bucket.list(f"{stem}."):
            match = VARIANT_NAME.fullmatch(other.key[len(stem) :])
            if match is None or other.key == info.key:
                continue
            if not digest:  # read in flat memory: metadata may be of another picture
                with bucket.open(info.key) as opened:
                    digest = digest_of(opened)
            if is_rendering(digest, match[1], int(match[2]), FORMATS_OF_ENDINGS.get(match[3], match[3])):
                yield match[0], other


def is_rendering(digest: str, found: str, width: int, form: str) -> bool:
    """Tell whether the hash in a name is that of some rendering of the content ``digest``."""
    for version in range(1, RENDER_VERSION + 1):
        for quality in QUALITIES:
            text = f"w-{width},f-{form}" + (f",q-{quality}" if quality else "")
            if variant_digest(digest, text, version=version).startswith(found):
                return True
    return False


def renamed_variant(end: str, new_key: str) -> str:
    """Return the key of a rendering beside the new key of its original; a hash in that key is the original's own."""
    stem = posixpath.splitext(new_key)[0]
    match = HASHED.fullmatch(stem)
    return (match[1] if match else stem) + end
