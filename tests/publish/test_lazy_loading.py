"""Images whose real URL a script puts in keep their markup: a ``srcset`` of ours would win over what the script writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sites import animation, photo

from s3img import Config, Images
from s3img.pictures.choices import is_lazy

if TYPE_CHECKING:
    from sites import Site

PHOTO = photo(400, 300)


@pytest.mark.parametrize(
    ("attribute", "lazy"),
    [
        ({"data-src": "cat.jpg"}, True),
        ({"data-lazy-src": "/img/cat.jpg?v=1"}, True),
        ({"data-original": "cat.webp"}, True),
        ({"data-ll-src": "cat.png"}, True),
        ({"data-echo": "cat.png"}, True),
        ({"data-lazy": "cat.png"}, True),
        ({"data-real-src": "cat.png"}, True),
        ({"lazy-src": "cat.png"}, True),
        ({"lazyload": ""}, True),
        ({"data-original": "Cat no. 7"}, False),
        ({"data-zoom-src": "cat.jpg"}, False),
        ({"data-full": "cat.jpg"}, False),
        ({"loading": "lazy"}, False),
        ({"alt": "cat.jpg"}, False),
    ],
)
def test_lazy_images_are_known_by_the_attribute_that_a_script_reads(attribute: dict[str, str], lazy: object) -> None:
    assert is_lazy({"src": "dot.gif", **attribute}) is lazy


@pytest.mark.parametrize(
    "tag",
    [
        '<img src="dot.gif" data-lazy-src="cat.jpg" alt="">',
        '<img src="cat.jpg" srcset="dot.gif" lazyload alt="">',
    ],
)
def test_lazy_image_keeps_its_markup(site: Site, cache_dir: str, tag: str) -> None:
    site.add("dot.gif", animation(120, 30))
    site.add("cat.jpg", PHOTO)
    site.page("index.html", tag)
    Images(Config(widths=(200,), formats=("webp",), cache_dir=cache_dir)).publish(site.root)
    assert tag in site.text("index.html")


def test_image_that_stands_for_one_of_another_shape_gets_no_size(site: Site, cache_dir: str) -> None:
    site.add("dot.gif", animation(120, 30))
    site.add("cat.jpg", PHOTO)
    site.page("index.html", '<img src="cat.jpg" srcset="dot.gif" alt="">')
    Images(Config(widths=(200,), formats=("webp",), cache_dir=cache_dir)).publish(site.root)
    assert " width=" not in site.text("index.html")
