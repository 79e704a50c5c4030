"""Uploads as editors' plugins send them, and as pages of the web would try to."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from werkzeug.test import Client

from s3img import Config
from s3img.buckets import open_bucket
from s3img.errors import AssetError
from s3img.gallery.picgo_protocol import PicGoServer
from s3img.uploads import Uploader
from s3img.uploads.template import AUTHORS_TEMPLATE

if TYPE_CHECKING:
    from pathlib import Path

    from werkzeug.test import TestResponse

PUBLIC = "https://img.example.com/"
HOST = "http://127.0.0.1:36677"


def png(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(file, "png")
    return file.getvalue()


@pytest.fixture
def uploader(tmp_path: Path) -> Uploader:
    config = Config(bucket=(tmp_path / "bucket").as_uri(), public_url=PUBLIC)
    return Uploader(open_bucket(config.bucket), config, template=AUTHORS_TEMPLATE)


@pytest.fixture
def client(uploader: Uploader) -> Client:
    return Client(PicGoServer(uploader))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "my cat é.png"
    file.write_bytes(png())
    return file


def post(client: Client, path: str = "/upload", **options: Any) -> TestResponse:
    return client.post(path, base_url=options.pop("base_url", HOST), **options)


def stored(tmp_path: Path) -> list[Path]:
    return [file for file in (tmp_path / "bucket").rglob("*") if file.is_file()]


def test_list_of_paths_is_answered_with_addresses_in_its_order(client: Client, tmp_path: Path, picture: Path) -> None:
    other = tmp_path / "b.png"
    other.write_bytes(png("blue"))
    answer = post(client, json={"list": [str(picture), str(other), picture.as_uri()]})
    found = answer.json
    assert found
    assert (answer.status_code, found["success"], len(found["result"])) == (200, True, 3)
    assert all(url.startswith(f"{PUBLIC}i/") for url in found["result"])
    assert found["result"][0] == found["result"][2] != found["result"][1]
    assert found["fullResult"][0]["imgUrl"] == found["result"][0]


def test_address_of_a_file_whose_name_is_not_utf8_leads_to_it(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "cat\udcff.png"
    file.write_bytes(png())
    found = post(client, json={"list": [file.as_uri()]}).json
    assert found
    assert (found["success"], len(found["result"])) == (True, 1)
    missing = post(client, json={"list": [file.with_stem("dog\udcff").as_uri()]})
    assert (missing.status_code, "there is no such file" in missing.text) == (400, True)


@pytest.mark.parametrize("field", ["files", "list", "file"])
def test_form_is_stored_whatever_its_field_is_called(client: Client, field: str) -> None:
    files = [(io.BytesIO(png()), "a.png"), (io.BytesIO(png("blue")), "b.png")]
    found = post(client, data={field: files}, content_type="multipart/form-data").json
    assert found
    assert (found["success"], len(found["result"])) == (True, 2)


def test_query_of_piclist_changes_nothing(client: Client, picture: Path) -> None:
    found = post(client, "/upload?picbed=aws-s3&configName=Default", json={"list": [str(picture)]}).json
    assert found
    assert found["success"]


@pytest.mark.parametrize("method", ["post", "get"])
def test_heartbeat_is_alive(client: Client, method: str) -> None:
    answer = getattr(client, method)("/heartbeat", base_url=HOST)
    assert answer.json == {"success": True, "result": "alive"}


CLIPBOARD = [{}, {"json": {}}, {"json": {"list": []}}, {"data": "", "content_type": "application/json"}]
"""How programs ask for what is in the clipboard: Obsidian's plugin sends nothing at all, others an empty list."""


@pytest.mark.parametrize("options", CLIPBOARD)
def test_request_without_pictures_means_the_clipboard(uploader: Uploader, options: dict[str, Any]) -> None:
    found = post(Client(PicGoServer(uploader, clipboard=png)), **options).json
    assert found
    assert (found["success"], len(found["result"])) == (True, 1)


def test_clipboard_without_a_picture_says_so(uploader: Uploader) -> None:
    def empty() -> bytes:
        raise AssetError("The clipboard: it holds no picture.", path="clipboard", fix="Copy one first.")

    found = post(Client(PicGoServer(uploader, clipboard=empty))).json
    assert found
    assert (found["success"], found["message"]) == (False, "The clipboard: it holds no picture. Copy one first.")


def test_page_of_the_web_has_no_clipboard(uploader: Uploader, tmp_path: Path) -> None:
    client = Client(PicGoServer(uploader, clipboard=png))
    assert post(client, headers={"Origin": "https://evil.example"}).status_code == 403
    assert post(client, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert stored(tmp_path) == []


@pytest.mark.parametrize("options", CLIPBOARD)
def test_clipboard_is_refused_with_what_to_do_instead(client: Client, options: dict[str, Any]) -> None:
    answer = post(client, **options)
    assert answer.status_code == 400
    assert "clipboard" in answer.get_data(as_text=True)


def test_one_bad_picture_is_told_and_keeps_no_other_from_being_stored(
    client: Client, tmp_path: Path, picture: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no picture")
    answer = post(client, json={"list": [str(tmp_path / "bad.png"), str(picture)]})
    found = answer.json
    assert found
    assert (answer.status_code, found["success"], len(found["result"])) == (200, False, 1)
    assert found["msg"].startswith("bad.png: ")
    assert len(stored(tmp_path)) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"list": ["http://169.254.169.254/x.png"]}', 400),
        ('{"list": ["data:image/png;base64,AA"]}', 400),
        ('{"list": ["a.png"]}', 400),
        ('{"list": ["/nowhere/a.png"]}', 400),
        ('{"list": ["/dev/zero"]}', 400),
        ('{"list": ["/tmp/\\u0000.png"]}', 400),
        ('{"list": [1]}', 400),
        ('{"list": "a"}', 400),
        ("[", 400),
        pytest.param('{"list": ["/' + "a" * 5_000 + '.png"]}', 400, id="long-name"),
        ('{"list": ["file://[/a.png"]}', 400),
        ('{"list": ["file:///tmp/%00.png"]}', 400),
        ('"x"', 400),
        (json.dumps({"list": ["/" + "a" * 2_000_000]}), 413),
    ],
)
def test_bad_list_is_refused(client: Client, tmp_path: Path, body: str, status: int) -> None:
    answer = post(client, data=body, content_type="application/json")
    assert (answer.status_code, answer.json and answer.json["success"]) == (status, False)
    assert stored(tmp_path) == []


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:8000"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000"},
    {"Origin": "http://["},
    {"Host": "evil.example:36677"},
    {"Host": "127.0.0.1.evil.example"},
    {"Host": "169.254.169.254"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("path", ["/upload", "/heartbeat", "/delete"])
def test_page_of_the_web_is_refused(
    client: Client, tmp_path: Path, picture: Path, headers: dict[str, str], path: str
) -> None:
    for options in ({"json": {"list": [str(picture)]}}, {"data": {"files": (io.BytesIO(png()), "a.png")}}):
        answer = post(client, path, headers=headers, **options)
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert stored(tmp_path) == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "text/json"])
def test_type_that_a_page_could_send_unasked_is_refused(client: Client, picture: Path, kind: str) -> None:
    answer = post(client, data=json.dumps({"list": [str(picture)]}), content_type=kind)
    assert answer.status_code == 415


@pytest.mark.parametrize("origin", ["app://obsidian.md", "vscode-webview://abc", HOST])
def test_windows_of_editors_may_upload(client: Client, picture: Path, origin: str) -> None:
    assert post(client, json={"list": [str(picture)]}, headers={"Origin": origin}).status_code == 200


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("", {}, 401),
        ("?secret=wrong", {}, 401),
        ("", {"Authorization": "Basic s3cret"}, 401),
        ("?secret=s3cret", {}, 200),
        ("?key=s3cret", {}, 200),
        ("", {"Authorization": "Bearer s3cret"}, 200),
        ("", {"X-PicGo-Secret": "s3cret"}, 200),
    ],
)
def test_token_is_asked_for(
    uploader: Uploader, picture: Path, query: str, headers: dict[str, str], status: int
) -> None:
    client = Client(PicGoServer(uploader, token="s3cret"))
    assert post(client, f"/upload{query}", json={"list": [str(picture)]}, headers=headers).status_code == status


def test_svg_is_refused_as_everywhere_else(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>")
    found = post(client, json={"list": [str(tmp_path / "a.svg")]}).json
    assert found
    assert not found["success"]


def test_nothing_is_removed_on_request_of_an_editor(client: Client) -> None:
    assert post(client, "/delete", json={"list": ["x"]}).status_code == 403


def test_unknown_address_is_not_found(client: Client) -> None:
    assert post(client, "/upload/x").status_code == 404
    assert client.get("/upload", base_url=HOST).status_code == 404
