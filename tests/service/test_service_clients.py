"""The addresses that ImageKit's own libraries make are served; docs/service.md lists the libraries."""

from __future__ import annotations

import io
import json
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from accept_headers import CLIENTS
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from transform_service import Served

ROOT = Path(__file__).parents[2]
LIBRARIES = json.loads((ROOT / "tests/data/service/imagekit-sdks.json").read_text(encoding="utf-8"))["libraries"]
ADDRESSES = sorted({url.removeprefix("https://img.example.com") for one in LIBRARIES for url in one["urls"]})
SIZES = {"w-300": (300, 200), "w-60": (40, 60), "w-40": (40, 30)}


@pytest.mark.parametrize("address", ADDRESSES)
def test_address_of_a_library_is_served(serve: Callable[..., Served], address: str) -> None:
    served = serve(access="signed" if "ik-s=" in address else "open", imagekit_private_key="private_key")
    (size,) = [size for width, size in SIZES.items() if width in address]
    for accept in CLIENTS.values():
        answer = served.ask(address, **({"Accept": accept} if accept else {}))
        assert answer.status_code == 200
        assert Image.open(io.BytesIO(answer.data)).size == size


def test_page_lists_the_libraries() -> None:
    generator = runpy.run_path(str(ROOT / "docs/generate_clients.py"))
    assert generator["table"]() in (ROOT / "docs/service.md").read_text(encoding="utf-8"), "docs/generate_clients.py"
