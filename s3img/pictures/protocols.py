"""What choosing and writing need from the site of a page: a built one, the lock, or a running application."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from s3img.assets import Asset, LinkTarget
    from s3img.pictures.variants import VariantRequest, VariantSet


class ReferenceFault(NamedTuple):
    """Why a reference leads to no image although it should: ``missing``, ``ambiguous`` …, and a sentence."""

    code: str
    message: str


class ReferenceResolver(Protocol):
    """Find where the URLs of a page lead."""

    def resolve(self, url: str, *, document: str, base: str | None = None) -> LinkTarget:
        """Return the target of a URL in the page ``document``, as a browser finds it; ``base`` is ``<base href>``."""


class ImageLibrary(Protocol):
    """Find the images that references lead to, and the variants of each."""

    def find(self, target: LinkTarget) -> Asset | ReferenceFault | None:
        """Return the image at a target; None where there is none and that is not a fault."""

    def variants(self, asset: Asset, request: VariantRequest) -> VariantSet | ReferenceFault:
        """Return the variants that an image may be shown in; none where it is shown as it is.

        A fault stands for a layer of the request's transform that is nowhere.
        """


class ObjectAddress(Protocol):
    """Return the public address of each object."""

    def url(self, key: str) -> str:
        """Return the URL of an object."""

    def original_key(self, asset: Asset) -> str:
        """Return the key of an image's own bytes."""
