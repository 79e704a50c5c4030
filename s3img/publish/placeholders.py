"""What shows while an image loads: its average colour, or a picture of a few hundred bytes."""

from __future__ import annotations

import base64
import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from s3img import imaging
from s3img.atomic import write_atomically
from s3img.transform import Transform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from s3img.assets import Asset
    from s3img.cache import Cache
    from s3img.limits import Limits
    from s3img.pictures.choices import Image

_TINY = Transform.of(width=24, format="webp", quality=40)


class Placeholders:
    """Make the styles of placeholders, each once, and keep them in the cache."""

    def __init__(self, source: Callable[[Asset], Path], cache: Cache, limits: Limits) -> None:
        self._source = source
        self._cache = cache
        self._limits = limits

    def missing(self, images: Iterable[Image]) -> dict[str, Image]:
        """Return the images whose placeholders have to be made, by identity."""
        named = {name: image for image in images if (name := image.placeholder)}
        return {name: image for name, image in named.items() if not self._file(name).exists()}

    def make(self, missing: Mapping[str, Image]) -> None:
        """Make placeholders; an image of which none can be made has none."""

        def style(image: Image) -> str:
            source = self._source(image.asset)
            if image.directives.placeholder == "color" or image.asset.facts.animated:
                return f"background-color:{imaging.average_color(source, self._limits)}"
            inputs = {key: self._source(asset) for key, asset in image.variants.inputs}
            transform = image.directives.request.transform.then(_TINY)
            rendered = imaging.render(source, transform, limits=self._limits, inputs=inputs)
            data = base64.b64encode(rendered.data).decode("ascii")
            return f"background:url(data:{rendered.media_type};base64,{data}) center/cover no-repeat"

        def make(name: str, image: Image) -> None:
            with contextlib.suppress(Exception):  # a page does without, whatever a decoder or the disk has met
                write_atomically(self._file(name), style(image).encode("ascii"))

        with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="s3img-placeholder") as pool:
            list(pool.map(make, missing, missing.values()))

    def styles(self, images: Iterable[Image]) -> dict[str, str]:
        """Return the CSS of every placeholder there is, by identity."""
        files = {name: self._file(name) for image in images if (name := image.placeholder)}
        return {name: file.read_text("ascii") for name, file in files.items() if file.exists()}

    def _file(self, name: str) -> Path:
        return self._cache.variant(name, "css")
