"""A layer is drawn once for all pictures of a size, and the layers that are kept stay within their bound."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from s3img.errors import ImageError, ImageTooLarge
from s3img.imaging import chain, render
from s3img.imaging.layers import DrawnLayers
from s3img.limits import Limits
from s3img.transform import Transform

if TYPE_CHECKING:
    from s3img.imaging.layers import DrawnLayer

TRANSFORM = Transform.parse("w-60,h-60,l-image,i-logo.png,w-30,lx-3,ly-3,l-end,f-png")


def png(color: str, side: int = 64) -> bytes:
    out = BytesIO()
    Image.new("RGB", (side, side), color).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often a layer's picture is decoded, with nothing kept by other tests."""
    calls: list[int] = []
    decode = chain.decode

    def counted(*args: object, **options: object) -> object:
        calls.append(1)
        return decode(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(chain, "decode", counted)
    monkeypatch.setattr(chain, "DRAWN_LAYERS", DrawnLayers(1_000_000))
    return calls


def test_logo_is_decoded_once_for_all_pictures_of_a_size(decodes: list[int]) -> None:
    logo = png("red")
    results = {render(png(color), TRANSFORM, inputs={"logo.png": logo}).data for color in ("white", "black", "white")}
    assert (len(results), len(decodes)) == (2, 1)
    render(
        png("white"), Transform.parse("w-61,h-60,l-image,i-logo.png,w-30,lx-3,ly-3,l-end"), inputs={"logo.png": logo}
    )
    assert len(decodes) == 2


def test_changed_logo_or_font_is_drawn_anew(decodes: list[int]) -> None:
    for color, level in (("red", 255), ("blue", 0), ("red", 255)):
        data = render(png("white"), TRANSFORM, inputs={"logo.png": png(color)}).data
        assert Image.open(BytesIO(data)).convert("RGB").getpixel((9, 9))[0] == level  # type: ignore[index]
    assert len(decodes) == 2


def test_layer_that_is_kept_passes_no_limit(decodes: list[int]) -> None:
    inputs = {"logo.png": png("red")}
    render(png("white"), TRANSFORM, inputs=inputs)
    with pytest.raises(ImageTooLarge):
        render(png("white"), TRANSFORM, inputs=inputs, limits=Limits(input_pixels=64 * 64 + 1))
    with pytest.raises(ImageError, match=r"Layer 'logo\.png'"):
        render(png("white"), TRANSFORM, inputs={"logo.png": inputs["logo.png"][:60]})


def layer(side: int) -> DrawnLayer:
    return Image.new("RGBA", (side, side)), (0, 0)


def test_layers_that_were_not_used_for_longest_are_forgotten() -> None:
    kept = DrawnLayers(1_000)
    for name in range(10):
        kept.keep(name, layer(7))  # 196 bytes each
        kept.get(0)
    assert [name for name in range(10) if kept.get(name)] == [0, 6, 7, 8, 9]
    kept.keep("large", layer(9))  # more than its share
    assert kept.get("large") is None
    kept.keep(0, layer(7))
    assert kept.get(9) is not None
