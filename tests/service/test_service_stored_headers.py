"""Headers that an object was stored with: codings, disposition, language and type reach the client, or are undone."""

from __future__ import annotations

import gzip
import io
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3_servers import S3Server, TestBucket
    from transform_service import Served

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>'


@pytest.fixture
def stored(serve: Callable[..., Served], moto_server: S3Server, moto_bucket: TestBucket) -> Callable[..., Served]:
    """Store one object with its headers; return a service of its bucket."""

    def store(key: str, body: bytes, **headers: Any) -> Served:
        moto_server.client().put_object(Bucket=moto_bucket.name, Key=key, Body=body, **headers)
        variables = {"S3IMG_ACCESS_KEY_ID": moto_server.access_key, "S3IMG_SECRET_ACCESS_KEY": moto_server.secret_key}
        settings = {"addressing_style": "path", "region": "us-east-1", "service": {"results": "none"}}
        return serve(bucket=moto_bucket.address, endpoint_url=moto_server.endpoint_url, environ=variables, **settings)

    return store


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").resize((80, 60)).convert("RGB").save(file, kind)
    return file.getvalue()


def test_coding_is_kept_for_clients_that_read_it(stored: Callable[..., Served]) -> None:
    body = gzip.compress(SVG)
    answer = stored("a.svg", body, ContentType="image/svg+xml", ContentEncoding="gzip").ask(
        "/a.svg", Accept_Encoding="br, gzip"
    )
    assert (answer.data, answer.headers["Content-Encoding"]) == (body, "gzip")
    assert (answer.headers["Vary"], answer.headers["Content-Length"]) == ("Accept-Encoding", str(len(body)))


@pytest.mark.parametrize("accepted", [None, "", "identity", "br", "gzip;q=0"])
def test_coding_is_undone_for_other_clients(stored: Callable[..., Served], accepted: str | None) -> None:
    served = stored("a.svg", gzip.compress(SVG), ContentType="image/svg+xml", ContentEncoding="gzip")
    headers = {} if accepted is None else {"Accept_Encoding": accepted}
    answer = served.ask("/a.svg", **headers)
    assert (answer.status_code, answer.data, answer.mimetype) == (200, SVG, "image/svg+xml")
    assert ("Content-Encoding" in answer.headers, answer.headers["Vary"]) == (False, "Accept-Encoding")


def test_two_forms_have_two_entity_tags_and_both_revalidate(stored: Callable[..., Served]) -> None:
    served = stored("a.svg", gzip.compress(SVG), ContentType="image/svg+xml", ContentEncoding="gzip")
    tags = []
    for accepted in ("gzip", "identity"):
        tags.append(served.ask("/a.svg", Accept_Encoding=accepted).headers["ETag"])
        again = served.ask("/a.svg", Accept_Encoding=accepted, If_None_Match=tags[-1])
        assert (again.status_code, again.headers["Vary"]) == (304, "Accept-Encoding")
    assert tags[0] != tags[1]


def test_range_is_a_range_of_what_the_client_sees(stored: Callable[..., Served]) -> None:
    body = gzip.compress(SVG)
    served = stored("a.svg", body, ContentType="image/svg+xml", ContentEncoding="gzip")
    part = served.ask("/a.svg", Accept_Encoding="gzip", Range="bytes=0-9")
    assert (part.status_code, part.data, part.headers["Content-Encoding"]) == (206, body[:10], "gzip")
    whole = served.ask("/a.svg", Range="bytes=0-9")
    assert (whole.status_code, whole.data, "Accept-Ranges" in whole.headers) == (200, SVG, False)


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "aws-chunked,gzip", "gzip,aws-chunked"])
@pytest.mark.parametrize("path", ["/tr:w-40,f-png/a.jpg", "/info/a.jpg"])
def test_coding_is_undone_before_rendering(stored: Callable[..., Served], coding: str, path: str) -> None:
    answer = stored("a.jpg", gzip.compress(picture("JPEG")), ContentEncoding=coding).ask(path)
    assert answer.status_code == 200


def test_svg_in_a_coding_passes_through_a_transform(stored: Callable[..., Served], accept: dict[str, str]) -> None:
    served = stored("a.svg", gzip.compress(SVG), ContentType="image/svg+xml", ContentEncoding="gzip")
    assert served.ask("/tr:w-5/a.svg", **accept).data == SVG


def test_coding_that_the_bytes_do_not_have_is_passed_over(stored: Callable[..., Served]) -> None:
    assert stored("a.jpg", picture("JPEG"), ContentEncoding="gzip").ask("/tr:w-40/a.jpg").status_code == 200


@pytest.mark.parametrize("pack", [zlib.compress, lambda data: zlib.compress(data, wbits=-15)], ids=["zlib", "bare"])
def test_deflate_is_undone(stored: Callable[..., Served], pack: Callable[[bytes], bytes]) -> None:
    served = stored("a.svg", pack(SVG), ContentType="image/svg+xml", ContentEncoding="deflate")
    assert [served.ask(path).data for path in ("/a.svg", "/tr:w-5/a.svg")] == [SVG, SVG]
    assert served.ask("/a.svg", Accept_Encoding="gzip, deflate").headers["Content-Encoding"] == "deflate"


@pytest.mark.parametrize("word", ["base64", "utf-8", "binary", "gzip, base64"])
@pytest.mark.parametrize("path", ["/tr:w-40/a.jpg", "/info/a.jpg"])
def test_word_that_is_no_coding_does_not_hide_the_picture(stored: Callable[..., Served], word: str, path: str) -> None:
    assert stored("a.jpg", picture("JPEG"), ContentEncoding=word).status(path) == (200, "")


def test_unknown_coding_is_kept_and_not_rendered(stored: Callable[..., Served]) -> None:
    served = stored("a.jpg", bytes(range(256)), ContentEncoding="compress")
    assert served.status("/tr:w-40/a.jpg") == (415, "EFORMAT")
    assert served.ask("/a.jpg").headers["Content-Encoding"] == "compress"


def test_coding_of_endless_bytes_is_bounded(stored: Callable[..., Served]) -> None:
    packer = zlib.compressobj(9, wbits=31)
    body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(120)) + packer.flush()
    served = stored("a.jpg", body, ContentEncoding="gzip")
    assert served.status("/tr:w-40/a.jpg") == (422, "EIMAGE")


@pytest.mark.parametrize(
    ("disposition", "sent"),
    [
        ('attachment; filename="invoice.pdf"', "attachment; filename=invoice.pdf"),
        ("attachment", "attachment"),
        ('inline; filename="a b.pdf"', 'inline; filename="a b.pdf"'),
        (
            "attachment; filename*=UTF-8''na%C3%AFve.pdf",
            "attachment; filename=naive.pdf; filename*=UTF-8''na%C3%AFve.pdf",
        ),
    ],
)
def test_stored_disposition_and_language_are_kept(stored: Callable[..., Served], disposition: str, sent: str) -> None:
    served = stored("a.pdf", b"%PDF-1.4", ContentDisposition=disposition, ContentLanguage="de")
    for method in ("GET", "HEAD"):
        answer = served.ask("/a.pdf", method)
        assert (answer.headers["Content-Disposition"], answer.headers["Content-Language"]) == (sent, "de")


def test_address_overrules_the_stored_disposition(stored: Callable[..., Served]) -> None:
    served = stored("a.pdf", b"%PDF-1.4", ContentDisposition='inline; filename="b.pdf"')
    assert served.ask("/a.pdf?ik-attachment=true").headers["Content-Disposition"] == "attachment; filename=b.pdf"
    named = served.ask("/a.pdf?ik-attachment-filename=c.pdf").headers["Content-Disposition"]
    assert named == "attachment; filename=c.pdf"


def test_rendering_has_the_language_and_not_the_name_of_its_source(stored: Callable[..., Served]) -> None:
    served = stored("a.jpg", picture("JPEG"), ContentDisposition='attachment; filename="a.jpg"', ContentLanguage="de")
    answer = served.ask("/tr:w-40,f-webp/a.jpg")
    assert (answer.headers["Content-Language"], "Content-Disposition" in answer.headers) == ("de", False)


@pytest.mark.parametrize("kind", ["jpg", ".jpg", "JPG"])
def test_type_that_is_a_plain_suffix_is_understood(stored: Callable[..., Served], kind: str) -> None:
    assert stored("a", picture("JPEG"), ContentType=kind).ask("/a").content_type == "image/jpeg"
