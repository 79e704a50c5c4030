from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from flask import Flask, render_template_string, request
from flask_s3img import S3Img, image_uploaded
from flask_s3img.validators import ImageUpload
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired, MultipleFileField
from sites import photo

from s3img.errors import S3ImgError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask.testing import FlaskClient

    from s3img.testing import Store

    Maker = Callable[..., Flask]


def client(make_app: Maker, **settings: Any) -> FlaskClient:
    extension = S3Img()
    app = make_app(sync=False, extension=extension, **settings)

    @app.post("/photos")
    def add() -> dict[str, Any]:
        saved = extension.save(request.files["photo"], **request.form.to_dict())
        return {"key": saved.key, "url": saved.url, "width": saved.width, "filename": saved.filename}

    @app.errorhandler(S3ImgError)
    def refused(error: S3ImgError) -> tuple[dict[str, str], int]:
        return {"error": error.visitor}, error.status

    return app.test_client()


def send(to: FlaskClient, data: bytes, name: str = "cat.jpg", **form: str) -> Any:
    return to.post("/photos", data={"photo": (BytesIO(data), name), **form})


def test_upload_is_stored(make_app: Maker, store: Store) -> None:
    answer = send(client(make_app), photo(60, 40), "../../etc/cat.jpg").json
    assert answer["key"] in store
    assert answer["filename"] == "cat.jpg"
    assert answer["url"].startswith("https://img.test/i/")


@pytest.mark.parametrize(
    ("data", "status"), [(b"", 422), (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415), (photo(300, 200), 413)]
)
def test_refused_upload_stores_nothing_and_names_its_status(
    make_app: Maker, store: Store, data: bytes, status: int
) -> None:
    answer = send(client(make_app, uploads={"max_pixels": 10_000}), data)
    assert answer.status_code == status
    assert "“cat.jpg”" in answer.json["error"]
    assert store.keys() == []


def test_the_developers_message_is_in_the_log(make_app: Maker, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "flask_s3img"):
        answer = send(client(make_app, uploads={"max_pixels": 1_000}), photo(300, 200))
    assert "limits.input_pixels" not in answer.json["error"]
    assert "limits.input_pixels" in caplog.text


def test_upload_follows_template_and_policy(make_app: Maker, store: Store) -> None:
    app = client(make_app, upload_template="u/{{stem}}.{{ext}}", uploads={"max_side": 30, "formats": ["png"]})
    assert send(app, photo(60, 40, format="PNG"), "a.png").json["width"] == 30
    assert send(app, photo(60, 40)).status_code == 415
    assert store.keys() == ["u/a.png"]


def test_policy_of_one_call_wins(make_app: Maker, store: Store) -> None:
    app = client(make_app, upload_template="u/{{stem}}.{{ext}}")
    send(app, photo(60, 40))
    assert send(app, photo(60, 40, seed=2)).status_code == 409
    assert send(app, photo(60, 40, seed=2), conflict="rename").json["key"] == "u/cat-2.jpg"


def test_unknown_policy_is_explained(make_app: Maker, caplog: pytest.LogCaptureFixture) -> None:
    answer = send(client(make_app), photo(60, 40), max_byte="3")
    assert answer.status_code == 500
    assert "max_byte" in caplog.text
    assert "max_byte" not in answer.json["error"]


def test_signal_tells_of_the_upload(make_app: Maker) -> None:
    heard: list[Any] = []

    def listen(sender: Flask, uploaded: Any) -> None:
        heard.append((sender.name, uploaded.key))

    with image_uploaded.connected_to(listen):
        answer = send(client(make_app), photo(60, 40))
    assert heard == [("shop", answer.json["key"])]


def test_uploads_are_shown_through_the_service(make_app: Maker) -> None:
    app = client(make_app, service="/img")
    key = send(app, photo(600, 400)).json["key"]
    with app.application.test_request_context():
        url = render_template_string("{{ s3img_url(key=key, w=50, f='png') }}", key=key)
    answer = app.get(url)
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    assert app.get(url.replace("w-50", "w-51")).status_code == 403


class PhotoForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    photo = FileField(validators=[FileRequired(), ImageUpload(max_bytes=50_000)])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (photo(60, 40), ""),
        (b"MZ\x90", "one of these formats: AVIF, GIF, JPEG, PNG or WebP"),
        (photo(60, 40) + bytes(60_000), "at most 50 kB"),
    ],
)
def test_validator_refuses_by_the_bytes(make_app: Maker, data: bytes, words: str) -> None:
    app = make_app(sync=False)
    app.config["WTF_CSRF_ENABLED"] = False
    with app.test_request_context("/", method="POST", data={"photo": (BytesIO(data), "cat.jpg")}):
        form = PhotoForm()
        assert form.validate_on_submit() == (not words)
        assert words in "".join(form.errors.get("photo", []))
        assert form.photo.data.stream.read() == data


class AlbumForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    photos = MultipleFileField(validators=[ImageUpload("No picture.", formats=["jpeg"])])


@pytest.mark.parametrize(("last", "valid"), [(photo(60, 40, seed=2), True), (photo(60, 40, format="PNG"), False)])
def test_validator_looks_at_every_file(make_app: Maker, last: bytes, valid: bool) -> None:  # noqa: FBT001 - a table
    app = make_app(sync=False)
    app.config["WTF_CSRF_ENABLED"] = False
    files = [(BytesIO(photo(60, 40)), "a.jpg"), (BytesIO(last), "b.jpg")]
    with app.test_request_context("/", method="POST", data={"photos": files}):
        form = AlbumForm()
        assert form.validate_on_submit() == valid
        assert form.errors.get("photos", ["No picture."]) == ["No picture."]


def test_validator_passes_an_empty_field(make_app: Maker) -> None:
    app = make_app(sync=False)
    app.config["WTF_CSRF_ENABLED"] = False
    with app.test_request_context("/", method="POST", data={"photos": (BytesIO(b""), "")}):
        assert AlbumForm().validate_on_submit()
