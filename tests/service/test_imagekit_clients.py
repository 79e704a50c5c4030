"""ImageKit's own libraries as clients: the addresses that they build are answered, signed and not."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from PIL import Image
from transform_service import Served

from s3img.config import Config
from s3img.service import TransformService
from s3img.signing import ImageKitSigner
from s3img.urls import imagekit_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "private_key"
ENDPOINT = "https://images.example.com"
VECTORS = json.loads((Path(__file__).parent.parent / "data/service/imagekit-signed.json").read_text())
LOGO = {"type": "image", "input": "/img/cat.jpg", "transformation": [{"width": 20, "height": 20}]}
STEPS: list[tuple[list[dict[str, Any]], tuple[int, int]]] = [
    ([{"width": 40}], (40, 30)),
    ([{"width": 40, "height": 40, "cropMode": "pad_resize", "background": "blurred"}], (40, 40)),
    ([{"width": 40, "height": 40, "focus": "auto"}, {"rotation": 90}], (40, 40)),
    ([{"aspectRatio": "4_3", "width": 40, "contrastStretch": True, "grayscale": True}], (40, 30)),
    ([{"shadow": "bl-15_st-40_x-10_y-N5"}, {"gradient": "from-red_to-white"}, {"shadow": ""}], (400, 300)),
    ([{"colorize": "co-red_in-50", "colorReplace": "FF0000_10_0000FF"}], (400, 300)),
    ([{"distort": "p-10_20_100_20_100_200_10_200"}, {"distort": "a-N20"}], (400, 300)),
    ([{"width": 80, "overlay": {**LOGO, "position": {"x": "N10", "y": 5}}}], (80, 60)),
    ([{"overlay": {**LOGO, "layerMode": "cutout", "position": {"focus": "bottom_right"}}}], (400, 300)),
    ([{"overlay": {**LOGO, "position": {"xCenter": 100, "yCenter": "bh_div_2", "anchorPoint": "center"}}}], (400, 300)),
    ([{"overlay": {"type": "solidColor", "color": "FF0000", "transformation": [{"width": "bw_mul_0.5", "alpha": 5}]}}], (400, 300)),
    ([{"overlay": {"type": "text", "text": "Every thing, ok: 100%", "transformation": [{"fontSize": 20, "padding": 5}]}}], (400, 300)),
    ([{"overlay": {"type": "text", "text": "Hello", "transformation": [{"width": "bw_mul_0.5", "fontFamily": "OpenSans",
       "fontColor": "0000ff", "innerAlignment": "left", "alpha": 7, "typography": "b", "background": "red", "radius": 10,
       "rotation": "N45", "flip": "h", "lineHeight": 20}]}}], (400, 300)),
    ([{"width": 40, "height": 40, "focus": "face", "zoom": 0.5}], (40, 40)),
    ([{"focus": "car", "aspectRatio": "2_1", "density": "idn_mul_2"}], (400, 200)),
    ([{"overlay": {"type": "solidColor", "color": "red", "transformation": [{"alpha": 0.5, "radius": "max"}]}}], (400, 300)),
    ([{"raw": "if-ar_eq_4-3,w-100,if-else,w-50,if-end"}], (100, 75)),
    ([{"raw": "l-image,i-img@@cat.jpg,w-bw_div_3:l-text,i-Nested,fs-9,l-end,l-end"}], (400, 300)),
]  # fmt: skip


@pytest.fixture
def service(folder: Path, tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Make services whose clock is the real one, as the libraries' is."""
    made: list[TransformService] = []

    def new(**settings: Any) -> Served:
        config = Config(bucket=folder.as_uri(), cache_dir=str(tmp_path / "cache"), **settings)
        made.append(TransformService(config, environ={}))
        return Served(made[-1], config)

    yield new
    for app in made:
        app.close()


def below(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def size_of(served: Served, url: str) -> tuple[int, int]:
    answer = served.ask(below(url))
    assert answer.status_code == 200, (url, answer.text)
    return Image.open(BytesIO(answer.data)).size


def snake(value: Any) -> Any:
    """Return options as the Python library spells them."""
    if isinstance(value, list):
        return [snake(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): snake(one) for name, one in value.items()}


@pytest.mark.slow
@pytest.mark.parametrize("position", ["path", "query"])
@pytest.mark.parametrize("signed", [False, True])
def test_addresses_of_the_python_library_are_answered(
    service: Callable[..., Served], position: str, *, signed: bool
) -> None:
    helper = pytest.importorskip("imagekitio").ImageKit(private_key=KEY).helper
    served = service(access="signed" if signed else "open", imagekit_private_key=KEY)
    for steps, size in STEPS:
        url = helper.build_url(
            src="/cat.jpg", url_endpoint=ENDPOINT, transformation=snake(steps), transformation_position=position,
            signed=signed, expires_in=300 if signed else 0, query_parameters={"v": "2"},
        )  # fmt: skip
        assert size_of(served, url) == size
        if signed:
            assert served.ask(below(url).replace("ik-s=", "ik-s=0")).status_code == 403


@pytest.mark.nightly
@pytest.mark.process
@pytest.mark.parametrize(
    ("package", "module"),
    [
        ("@imagekit/javascript@5", "const make = (await import('@imagekit/javascript')).buildSrc"),
        (
            "@imagekit/nodejs@7",
            "const K = (await import('@imagekit/nodejs')).default, make = o => new K({privateKey: 'k'}).helper.buildSrc(o)",
        ),
    ],
)
def test_addresses_of_the_javascript_libraries_are_answered(
    service: Callable[..., Served], tmp_path: Path, package: str, module: str
) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        pytest.skip("node is not installed")
    try:
        subprocess.run(
            [npm, "install", "--silent", "--no-audit", package],
            cwd=tmp_path,
            check=True,
            timeout=200,
            capture_output=True,
        )
    except (subprocess.SubprocessError, OSError):
        pytest.skip("the npm registry can't be reached")
    options = [{"urlEndpoint": ENDPOINT, "src": "/cat.jpg", "transformation": steps} for steps, _ in STEPS]
    script = f"{module}; console.log(JSON.stringify({json.dumps(options)}.map(make)))"
    done = subprocess.run(
        [node, "--input-type=module", "-e", script], cwd=tmp_path, check=True, capture_output=True, timeout=60
    )
    served = service(access="open")
    urls = json.loads(done.stdout)
    assert [size_of(served, url) for url in urls] == [size for _, size in STEPS]


@pytest.mark.parametrize("vector", [v for v in VECTORS if v["url"].startswith(v["endpoint"])], ids=lambda v: v["id"])
def test_our_address_is_the_librarys(vector: dict[str, str]) -> None:
    plain, _, _ = vector["url"].removeprefix(vector["endpoint"].rstrip("/")).partition("ik-s=")
    plain, _, until = plain.rstrip("?&").partition("ik-t=")
    path, _, query = plain.rstrip("?&").partition("?")
    position, steps = "query", query.removeprefix("tr=")
    if path.startswith("/tr:"):
        position, (steps, _, path) = "path", path.removeprefix("/tr:").partition("/")
    if query and not query.startswith("tr="):
        pytest.skip("other parameters are not ours to write")
    made = imagekit_url(
        vector["endpoint"], unquote(path), steps, private_key=vector["key"], expires=int(until) if until else None,
        position=position,
    )  # fmt: skip
    assert made == vector["url"]


def test_our_addresses_are_answered(service: Callable[..., Served]) -> None:
    served = service(access="signed", imagekit_private_key=KEY)
    url = imagekit_url(ENDPOINT, "img/cat.jpg", "w-40", private_key=KEY, expires=int(time.time()) + 600)
    assert size_of(served, url) == (40, 30)
    assert below(url) == ImageKitSigner.of(KEY).sign("/img/cat.jpg?tr=w-40", expires=int(url.split("ik-t=")[1][:10]))


@pytest.mark.parametrize("options", [{"position": "middle"}, {"expires": 3}, {"expires": 10**10}])
def test_an_address_that_can_not_be_written_is_an_error(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"position|expires"):
        imagekit_url(ENDPOINT, "a.jpg", "w-1", private_key=KEY, **options)


@pytest.mark.parametrize("position", ["query", "path"])
def test_address_keeps_every_character_of_a_text(position: str) -> None:
    url = imagekit_url(ENDPOINT, "a.jpg", "l-text,i-a&b+c#d?e f,l-end", position=position)
    parts = urlsplit(url)
    text = parse_qs(parts.query)["tr"][0] if position == "query" else unquote(parts.path.split("/tr:")[1].split("/")[0])
    assert text == "l-text,i-a&b+c#d?e f,l-end"
