"""The page at ``/`` of ``s3img serve``: its links work, and nobody else sees it."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import Client

from s3img.service.start_page import StartPage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from transform_service import Served
    from werkzeug.test import TestResponse


@pytest.fixture
def ask(serve: Callable[..., Served]) -> Callable[..., TestResponse]:
    def new(path: str = "/", host: str = "127.0.0.1:8333", client: str = "127.0.0.1", **settings: Any) -> TestResponse:
        served = serve(**settings)
        page = StartPage(served.app, served.config, {})
        return Client(page).get(path, base_url=f"http://{host}", environ_base={"REMOTE_ADDR": client})

    return new


@pytest.mark.parametrize("access", ["open", "signed", "named"])
def test_links_of_the_page_work(ask: Callable[..., TestResponse], folder: Path, access: str) -> None:
    (folder / 'a "b" <c>&%2F,é.jpg').write_bytes((folder / "cat.jpg").read_bytes())
    settings = {"access": access, "signing_keys": "" if access == "open" else "k1:secret"}
    page = ask(**settings)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    links = [unescape(link) for link in re.findall(r'(?:href|src)="([^"]*)"', page.text)]
    assert len(links) > 10
    bad = [link for link in links if "broken" not in link and ask(link, **settings).status_code != 200]
    assert bad == []


def test_page_of_an_endpoint_has_its_segment(ask: Callable[..., TestResponse], folder: Path) -> None:
    settings = {
        "origins": {"all": {"bucket": folder.as_uri()}},
        "endpoints": {"web": {"origins": ["all"]}},
        "access": "signed",
        "signing_keys": "k1:secret",
    }
    (link, *_) = re.findall(r'href="([^"]*)"', ask(**settings).text)
    assert link.startswith("/web/tr:w-300/")
    assert ask(unescape(link), **settings).status_code == 200


def test_bucket_without_pictures_still_shows_addresses(ask: Callable[..., TestResponse], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    text = ask(bucket=empty.as_uri()).text
    assert "No picture was found" in text
    assert "/tr:w-300/cat.jpg" in text


@pytest.mark.parametrize(
    ("host", "client"),
    [("127.0.0.1", "192.0.2.7"), ("pictures.example", "127.0.0.1"), ("evil.example:8333", "127.0.0.1")],
)
def test_page_is_for_this_machine_only(ask: Callable[..., TestResponse], host: str, client: str) -> None:
    answer = ask(host=host, client=client)
    assert answer.status_code in {400, 404}
    assert answer.mimetype == "text/plain"


def test_service_itself_has_no_page(serve: Callable[..., Served]) -> None:
    assert serve().ask("/").status_code in {400, 404}
