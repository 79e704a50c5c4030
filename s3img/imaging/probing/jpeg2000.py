"""Read the size of a JPEG 2000 image: of a bare codestream, or of the one in a JP2 file (ISO/IEC 15444-1, A and I)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from s3img.errors import ImageError
from s3img.imaging.probing.bmff import top_boxes
from s3img.imaging.probing.headers import info, take

if TYPE_CHECKING:
    from typing import BinaryIO

    from s3img.imaging.image_info import ImageInfo


def jpeg2000(fp: BinaryIO) -> ImageInfo:
    """Read the codestream's SIZ segment: what decoders allocate follows from it, whatever the boxes around it state."""
    fp.seek(0)
    start = 0
    if fp.read(2) != b"\xff\x4f":
        start = next((box.content for box in top_boxes(fp) if box.kind == b"jp2c"), -1)
        if start < 0:
            raise ImageError("The JPEG 2000 file has no picture.")
    fp.seek(start)
    if take(fp, 4, "JPEG 2000 header") != b"\xff\x4f\xff\x51":
        raise ImageError("The JPEG 2000 picture does not begin with its size.")
    right, bottom, left, top = struct.unpack(">4x4L", take(fp, 20, "JPEG 2000 header"))
    (components,) = struct.unpack(">16xH", take(fp, 18, "JPEG 2000 header"))
    return info("jp2", (right - left, bottom - top), alpha=components in {2, 4})
