"""Layers at the service: their pictures are those of the endpoint, and part of what a result is."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from s3img.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3_servers import S3Server, TestBucket
    from transform_service import Served
    from werkzeug.test import TestResponse

TARGET = "/tr:w-80,h-60,l-image,i-brand@@logo.png,t-false,lx-0,ly-0,l-end,f-png/cat.jpg"


@pytest.fixture(autouse=True)
def logo(folder: Path) -> Path:
    path = folder / "brand" / "logo.png"
    path.parent.mkdir()
    Image.new("RGB", (10, 10), (255, 0, 0)).save(path)
    return path


def corner(answer: TestResponse) -> object:
    assert answer.status_code == 200, answer.text
    return Image.open(BytesIO(answer.data)).convert("RGBA").convert("RGB").getpixel((4, 4))


def test_layer_is_a_key_of_the_endpoint(serve: Callable[..., Served]) -> None:
    served = serve()
    assert corner(served.ask(TARGET)) == (255, 0, 0)
    query = "/cat.jpg?tr=w-80,h-60,l-image,ie-YnJhbmQvbG9nby5wbmc%3D,t-false,lx-0,ly-0,l-end,f-png"
    assert served.ask(query).headers["ETag"] == served.ask(TARGET).headers["ETag"]


def test_a_changed_logo_is_another_result(serve: Callable[..., Served], logo: Path) -> None:
    served = serve(service={"fresh": 0.0})
    before = served.ask(TARGET)
    assert served.ask(TARGET, If_None_Match=before.headers["ETag"]).status_code == 304
    Image.new("RGB", (12, 10), (0, 0, 255)).save(logo)
    after = served.ask(TARGET, If_None_Match=before.headers["ETag"])
    assert corner(after) == (0, 0, 255)
    assert after.headers["ETag"] != before.headers["ETag"]


def test_a_logo_that_changes_behind_its_facts_is_never_kept_under_the_old_name(
    serve: Callable[..., Served], logo: Path
) -> None:
    served = serve(service={"fresh": 3600.0})
    before = served.ask(TARGET)
    Image.new("RGB", (12, 10), (0, 0, 255)).save(logo)
    other = served.ask(TARGET.replace("w-80,h-60", "w-60,h-60"))  # fetches the logo anew, and learns of the change
    assert corner(other) == (0, 0, 255)
    again = served.ask(TARGET)
    assert corner(again) == (0, 0, 255)
    assert again.headers["ETag"] != before.headers["ETag"]


def test_a_missing_layer_is_not_found_by_name(serve: Callable[..., Served], logo: Path) -> None:
    logo.unlink()
    answer = serve().ask(TARGET.replace("f-png", "f-png,di-dot.png"))
    assert answer.status_code == 404
    assert answer.headers["S3img-Error"].startswith("ENOENT")
    assert "brand/logo.png" in answer.text


def test_a_missing_picture_is_replaced_with_its_layer(serve: Callable[..., Served]) -> None:
    answer = serve().ask(TARGET.replace("f-png", "f-png,di-dot.png").replace("cat.jpg", "gone.jpg"))
    assert corner(answer) == (255, 0, 0)
    assert answer.headers["S3img-Fallback"] == "default-image"


@pytest.mark.parametrize("key", [".s3img@@results@@a", "..@@a", "a@@.@@b"])
def test_layers_reach_no_key_that_is_not_served(serve: Callable[..., Served], key: str) -> None:
    assert serve().ask(f"/tr:l-image,i-{key},l-end/cat.jpg").status_code in {400, 404}


@pytest.mark.parametrize(("text", "status"), [("l-image,i-notes.txt,l-end", 415), ("l-image,i-broken.jpg,l-end", 422)])
def test_a_bad_layer_is_an_error(serve: Callable[..., Served], text: str, status: int) -> None:
    assert serve().ask(f"/tr:{text}/cat.jpg").status_code == status


def test_layers_come_from_another_origin_of_the_endpoint(
    serve: Callable[..., Served], tmp_path: Path, logo: Path
) -> None:
    brand = tmp_path / "brands"
    (brand / "brand").mkdir(parents=True)
    logo.rename(brand / "brand" / "logo.png")
    origins = {"pictures": {"bucket": (tmp_path / "pictures").as_uri()}, "brands": {"bucket": brand.as_uri()}}
    served = serve(origins=origins)
    assert corner(served.ask(TARGET)) == (255, 0, 0)


def test_conditions_hold_for_each_picture(serve: Callable[..., Served]) -> None:
    served = serve()
    target = "/tr:if-w_gt_100,w-40,if-else,w-20,if-end,f-png/{}"
    assert served.ask(target.format("cat.jpg").replace("if-end", "if-end,h-9")).status_code == 400
    widths = [Image.open(BytesIO(served.ask(target.format(key)).data)).width for key in ("cat.jpg", "dot.png")]
    assert widths == [40, 20]


def test_a_signature_covers_layers(serve: Callable[..., Served]) -> None:
    from s3img.signing import ImageKitSigner

    served = serve(access="signed", imagekit_private_key="private_key")
    signed = ImageKitSigner.of("private_key").sign(TARGET)
    assert corner(served.ask(signed)) == (255, 0, 0)
    assert served.ask(signed.replace("logo.png", "dot.png")).status_code == 403


def test_text_is_set_in_a_font_of_the_bucket(serve: Callable[..., Served], folder: Path) -> None:
    fonts = Path(__file__).parent.parent / "data" / "fonts"
    (folder / "fonts").mkdir()
    (folder / "fonts" / "Thai.woff2").write_bytes((fonts / "noto-sans-thai-thai-400-normal.woff2").read_bytes())
    target = "/tr:l-text,i-Hello,ff-fonts@@{},co-red,fs-80,l-end,f-png/cat.jpg"
    assert serve().ask(target.format("Thai.woff2")).status_code == 200
    assert serve().status(target.format("gone.woff2")) == (404, "ENOENT")


@pytest.mark.parametrize("style", ["ie-5pel5pys", "i-a,ff-Lato", "i-a,fs-9999", "i-a,ff-notes.ttf"])
def test_text_that_can_not_be_set_is_an_error_of_its_own(
    serve: Callable[..., Served], folder: Path, style: str
) -> None:
    (folder / "notes.ttf").write_text("no font")
    assert serve().status(f"/tr:l-text,{style},l-end/cat.jpg") == (400, "ETEXT")


@pytest.fixture
def stored(
    serve: Callable[..., Served], moto_server: S3Server, moto_bucket: TestBucket, folder: Path
) -> Callable[..., Served]:
    """A bucket with a public picture of a year and layers that are private, or kept for ten seconds."""
    put = moto_bucket.bucket.put
    year = "public, max-age=31536000, immutable"
    put("cat.jpg", (folder / "cat.jpg").read_bytes(), media_type="image/jpeg", cache_control=year)
    logo = (folder / "brand/logo.png").read_bytes()
    put("free.png", logo, media_type="image/png", cache_control=year)
    put("secret.png", logo, media_type="image/png", cache_control=year, metadata={"isPrivateFile": "true"})
    put("brief.png", logo, media_type="image/png", cache_control="max-age=10")
    put("never.png", logo, media_type="image/png", cache_control="no-store")

    def new(**settings: object) -> Served:
        environ = {"S3IMG_ACCESS_KEY_ID": moto_server.access_key, "S3IMG_SECRET_ACCESS_KEY": moto_server.secret_key}
        where = {"bucket": moto_bucket.address, "endpoint_url": moto_server.endpoint_url, "region": "us-east-1"}
        return serve(**{**where, "environ": environ, **settings})

    return new


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [
        ("free", "public, max-age=31536000, immutable"),
        ("secret", "private, max-age=31536000, immutable"),
        ("brief", "public, max-age=10"),
        ("never", "no-store"),
    ],
)
def test_an_answer_is_kept_no_longer_and_no_wider_than_its_layers(
    stored: Callable[..., Served], layer: str, wanted: str
) -> None:
    from s3img.signing import ImageKitSigner

    served = stored(access="signed", imagekit_private_key="private_key")
    target = ImageKitSigner.of("private_key").sign(f"/tr:w-80,l-image,i-{layer}.png,l-end,f-png/cat.jpg")
    assert served.ask(target).headers["Cache-Control"] == wanted


def test_a_private_layer_needs_a_signature_as_it_does_alone(stored: Callable[..., Served]) -> None:
    served = stored(access="open", presets={"marked": "l-image,i-secret.png,l-end,f-png"})
    assert served.status("/tr:w-80,l-image,i-secret.png,l-end/cat.jpg") == (403, "ESIGNATURE")
    named = served.ask("/tr:n-marked/cat.jpg")  # the owner's own word
    assert (named.status_code, named.headers["Cache-Control"].split(",")[0]) == (200, "private")


def left_edge(answer: TestResponse) -> int:
    """Return how red the left half of an answer is, in a picture that is red at its left and blue at its right."""
    assert answer.status_code == 200, answer.text
    picture = Image.open(BytesIO(answer.data)).convert("RGB").resize((1, 1))
    return picture.getpixel((0, 0))[0]  # type: ignore[index]


def test_custom_focus_is_the_box_in_a_pictures_metadata(stored: Callable[..., Served], moto_bucket: TestBucket) -> None:
    wide = Image.new("RGB", (300, 100), "blue")
    wide.paste("red", (0, 0, 100, 100))
    out = BytesIO()
    wide.save(out, "PNG")

    def put(**metadata: str) -> None:
        moto_bucket.bucket.put("wide.png", out.getvalue(), media_type="image/png", metadata=metadata)

    served = stored(access="open", service={"fresh": 0.0})
    put(focus="0,0,100,100")
    left = served.ask("/tr:w-50,h-50,fo-custom,f-png/wide.png")
    put(focus="200,0,100,100")
    right = served.ask("/tr:w-50,h-50,fo-custom,f-png/wide.png", If_None_Match=left.headers["ETag"])
    assert (left_edge(left), left_edge(right)) == (255, 0)
    assert left.headers["ETag"] != right.headers["ETag"]
    for senseless in ("", "left", "0,0,0,0"):
        put(focus=senseless)
        assert left_edge(served.ask("/tr:w-50,h-50,fo-custom,f-png/wide.png")) == 0


def test_faces_without_a_detector_are_what_draws_attention_or_refused(serve: Callable[..., Served]) -> None:
    served = serve(presets={"portrait": "w-30,h-60,fo-face,f-png"})
    answers = [served.ask(f"/{steps}/cat.jpg") for steps in ("tr:n-portrait", "tr:w-30,h-60,fo-auto,f-png")]
    assert [answer.headers.get("S3img-Focus") for answer in answers] == ["auto", None]
    assert answers[0].headers["ETag"] == answers[1].headers["ETag"]
    strict = serve(service={"missing_detector": "refuse"})
    assert strict.status("/tr:w-30,h-60,fo-face/cat.jpg") == (400, "EINVAL")
    assert "detector" in strict.ask("/tr:w-30,h-60,fo-face/cat.jpg").text


def test_object_is_looked_for_once_by_the_detector_of_the_settings(
    serve: Callable[..., Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    (tmp_path / "car_finder.py").write_text(
        "import pathlib\n"
        "def find(picture, kind='car'):\n"
        f"    with pathlib.Path({str(calls)!r}).open('a') as file:\n"
        "        file.write(kind + ' ')\n"
        "    return [(0, 0, picture.width / 4, picture.height / 2)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    served = serve(focus_detectors={"car": "car_finder:find"}, limits=Limits(isolate=False))
    for steps, size in {"fo-car": (100, 150), "w-40,h-40,fo-car": (40, 40), "fo-car,ar-1-1": (150, 150)}.items():
        answer = served.ask(f"/tr:{steps},f-png/cat.jpg")
        assert Image.open(BytesIO(answer.data)).size == size, answer.text
        assert "S3img-Focus" not in answer.headers
        assert served.ask(f"/tr:{steps},f-png/cat.jpg", If_None_Match=answer.headers["ETag"]).status_code == 304
    layer = served.ask("/tr:l-image,i-cat.jpg,fo-car,lx-0,ly-0,l-end,f-png/cat.jpg")
    assert layer.status_code == 200, layer.text
    assert calls.read_text() == "car "  # also for the layer, which is the same source
    (tmp_path / "bus_finder.py").write_text("def find(picture, kind='car'):\n    return []\n")
    other = serve(focus_detectors={"car": "bus_finder:find"}, limits=Limits(isolate=False))
    plain, found = (other.ask(f"/tr:w-40,h-40,fo-{focus},f-png/cat.jpg") for focus in ("auto", "car"))
    assert plain.headers["ETag"] == found.headers["ETag"]


def test_objects_without_a_detector_are_refused_by_their_name(serve: Callable[..., Served]) -> None:
    strict = serve(service={"missing_detector": "refuse"})
    assert "'fo-car' needs a detector" in strict.ask("/tr:w-30,h-60,fo-car/cat.jpg").text
    assert serve().ask("/tr:fo-car,ar-2_1/cat.jpg").headers["S3img-Focus"] == "auto"


def test_name_of_a_font_is_the_file_that_the_settings_give(serve: Callable[..., Served], folder: Path) -> None:
    bold = Path(__file__).parents[2] / "s3img/imaging/fonts/open-sans-latin-700-normal.woff2"
    (folder / "fonts").mkdir()
    (folder / "fonts" / "Lato.woff2").write_bytes(bold.read_bytes())
    text = "l-text,i-Hello,ff-Lato,fs-40,l-end,f-png"
    served = serve(access="sizes", fonts={"Lato": "fonts/Lato.woff2"}, allowed=[text])
    answer = served.ask(f"/tr:{text}/cat.jpg")
    assert answer.status_code == 200
    by_key = serve().ask(f"/tr:{text.replace('ff-Lato', 'ff-fonts@@Lato.woff2')}/cat.jpg")
    assert answer.headers["ETag"] == by_key.headers["ETag"]
    assert "setting fonts" in serve().ask(f"/tr:{text}/cat.jpg").text
