"""Whatever stands in an imgproxy address, the answer is a picture or a 4xx, soon."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from s3img.imgproxy.info_options import LONG_NAMES as INFO_NAMES
from s3img.imgproxy.option_grammar import LONG_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transform_service import Served

LIKELY = (
    "rs:fill:10:20:1 rs:auto:9:9 rs:force:30:3:1 wm:0.5:re:3:4 wm:1:soea:0:0:0.2 g:sm g:fp:0.2:0.9 c:5:5 c:0.5:0.5:sm t:10 "
    "dpr:2 dpr:0.3 z:2:3 ex:1:so exar:1 pd:1:2:3:4 rot:90 fl:1:1 bg:fff bl:1 sh:1 pix:3 el:1 mw:60 mb:100 q:5 ar:0 mrd:9 "
    "gr:1:f00:45:0.9:0.1 col:0.3:0f0:1 mc:1 dt:1 br:9 co:2 sa:0.2 car:1.5:1 f:webp f:ico f:tiff f:gif sm:0 scp:0 - "
    "ush:always ush:auto:2:3 ba:2:0:0:0.5:1 pbl:3:45:0.9:0.1 wm:1:ch:2:2 wmt:QWRh wmu:bG9jYWw6Ly8vZG90LnBuZw wms:5:0 wmr:33 "
    "wmsh:3 pg:1 hs:md5:00 ct:a:b fiu:bG9jYWw6Ly8vZG90LnBuZw aq:size:300 aq:dssim:0.01 jpgo:1:1 pngo:0:1:4 webpo:lossless f:best ra:nearest "
    "ra:cubic pgs:3 pg:1 st:YXtifQ cp:srgb cp:x bc:0 bc:1 g:obj:face skp:png fn:a da:1 maf:1 mafr:0.0001 dpi:72 fq:png:3"
).split()
VALUES = (*"0 1 2 20 0.5 -1 90 fill sm fp re soea ff0000 webp tiff t 1e9 1e-9 10000 1000000000 NaN %00 💥".split(), "")


@pytest.mark.parametrize("seed", range(4))
def test_any_address_is_answered_or_refused(serve: Callable[..., Served], folder: Path, seed: int) -> None:
    chance = random.Random(seed)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.radial_gradient("L").resize((40, 30)).convert("RGB").save(folder / "turned.jpg", exif=exif)
    Image.new("L", (7, 1), 9).save(folder / "thin.png")
    Image.new("P", (20, 30)).save(folder / "one.gif")
    first, second = Image.new("CMYK", (9, 4)), Image.new("L", (3, 20))
    first.save(folder / "pages.tiff", save_all=True, append_images=[second])
    names = sorted(LONG_NAMES)
    served = serve(imgproxy={"watermark": "local:///dot.png", "allow_security_options": True})
    for _ in range(20):
        options = [
            chance.choice(LIKELY)
            if chance.random() < 0.7
            else ":".join([chance.choice(names), *chance.choices(VALUES, k=chance.randint(1, 4))])
            for _ in range(chance.randint(1, 6))
        ]
        source = chance.choice(["turned.jpg", "thin.png", "one.gif", "dot.png", "logo.svg", "broken.jpg", "pages.tiff"])
        address = f"/imgproxy/_/{'/'.join(options)}/plain/local:///{source}"
        status, _ = served.status(address)
        assert status == 200 or 400 <= status < 500, address


@pytest.mark.parametrize("seed", range(2))
def test_any_question_about_a_picture_is_answered_or_refused(
    serve: Callable[..., Served], folder: Path, seed: int
) -> None:
    chance = random.Random(seed)
    Image.new("L", (7, 1), 9).save(folder / "thin.png")
    Image.new("P", (20, 30)).save(folder / "one.gif")
    served = serve(imgproxy={})
    names = sorted(INFO_NAMES)
    for _ in range(25):
        options = [
            ":".join([chance.choice(names), *chance.choices(VALUES, k=chance.randint(1, 4))])
            for _ in range(chance.randint(1, 4))
        ]
        source = chance.choice(["cat.jpg", "thin.png", "one.gif", "dot.png", "logo.svg", "broken.jpg", "none.jpg"])
        for option in options:
            address = f"/imgproxy/info/_/{option}/plain/local:///{source}"
            status, _ = served.status(address)
            assert status == 200 or 400 <= status < 500, address
