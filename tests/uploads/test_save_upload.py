from __future__ import annotations

import hashlib
import itertools
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any

import hostile_tasks
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sites import animation, photo

from s3img import Config
from s3img.buckets import open_bucket
from s3img.errors import (
    AccessDenied,
    BucketError,
    ConfigError,
    ImageError,
    ImageTooLarge,
    KeyTaken,
    S3ImgError,
    UnsupportedImage,
)
from s3img.imaging import probe
from s3img.keys import visible_name
from s3img.limits import Limits
from s3img.uploads import Uploaded, Uploader, UploadPolicy
from s3img.uploads.save import UploadedVariant, _KeyTakenMeanwhile
from s3img.uploads.template import AUTHORS_TEMPLATE

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

    from s3img.buckets import Bucket

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><script>alert(1)</script></svg>'


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return open_bucket((tmp_path / "bucket").as_uri())


def uploader(bucket: Bucket, template: str = "u/{{stem}}.{{ext}}", **policy: Any) -> Uploader:
    config = Config(bucket=bucket.name, public_url="https://img.example.com", widths=(32, 64))
    return Uploader(bucket, config, template=template, policy=UploadPolicy(**policy))


def keys(bucket: Bucket) -> list[str]:
    return sorted(info.key for info in bucket.list())


def with_exif(*, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8825)[1] = "N"
    return photo(120, 80, exif=exif)


def test_save_tells_what_was_stored(bucket: Bucket) -> None:
    saved = uploader(bucket).save(BytesIO(photo(120, 80)), filename="C:\\pictures\\My cat.jpeg")
    assert (saved.url, saved.key) == ("https://img.example.com/u/My%20cat.jpg", "u/My cat.jpg")
    assert (saved.width, saved.height, saved.media_type) == (120, 80, "image/jpeg")
    assert saved.bytes == len(bucket.get(saved.key))
    assert saved.filename == "My cat.jpeg"


def test_save_believes_bytes_not_names(bucket: Bucket) -> None:
    saved = uploader(bucket).save(photo(60, 40, format="PNG"), filename="cat.jpg")
    assert (saved.key, saved.media_type) == ("u/cat.png", "image/png")


@pytest.mark.parametrize("metadata", ["strip", "reencode"])
def test_save_takes_location_out(bucket: Bucket, metadata: Any) -> None:
    saved = uploader(bucket, metadata=metadata).save(with_exif(), filename="a.jpg")
    stored = bucket.get(saved.key)
    assert not Image.open(BytesIO(stored)).getexif()
    assert b"Exif" not in stored


def test_save_strips_without_touching_pixels(bucket: Bucket) -> None:
    source = with_exif()
    saved = uploader(bucket).save(source, filename="a.jpg")
    assert Image.open(BytesIO(bucket.get(saved.key))).tobytes() == Image.open(BytesIO(source)).tobytes()


def test_save_turns_a_picture_upright(bucket: Bucket) -> None:
    saved = uploader(bucket).save(with_exif(orientation=6), filename="a.jpg")
    assert (saved.width, saved.height) == (80, 120)
    assert probe(bucket.get(saved.key)).orientation == 1


def test_save_keeps_the_bytes_where_asked(bucket: Bucket) -> None:
    source = with_exif(orientation=6)
    saved = uploader(bucket, metadata="keep").save(source, filename="a.jpg")
    assert bucket.get(saved.key) == source


def test_save_scales_down_to_the_longest_side(bucket: Bucket) -> None:
    saved = uploader(bucket, max_side=60, metadata="keep").save(photo(120, 80), filename="a.jpg")
    assert (saved.width, saved.height) == (60, 40)


def test_save_keeps_an_animation_moving(bucket: Bucket) -> None:
    saved = uploader(bucket).save(animation(40, 30), filename="a.gif")
    assert probe(bucket.get(saved.key)).frames == 4


def damaged() -> bytes:
    data = photo(120, 80)
    return data[: len(data) // 2]


def bomb() -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))

    header = struct.pack(">LLBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "policy", "error", "words"),
    [
        (b"", {}, ImageError, "empty"),
        (b"<html>", {}, UnsupportedImage, "not an image|no image"),
        (damaged(), {}, ImageError, "truncated"),
        (bomb(), {}, ImageTooLarge, "50000"),
        (SVG, {}, UnsupportedImage, "SVG.*Send one of"),
        (photo(120, 80), {"max_bytes": 100}, ImageTooLarge, "100 bytes"),
        (photo(120, 80), {"max_pixels": 100}, ImageTooLarge, "px"),
        (photo(120, 80), {"formats": frozenset({"png"})}, UnsupportedImage, "JPEG.*png"),
    ],
    ids=["empty", "html", "truncated", "bomb", "svg", "bytes", "pixels", "format"],
)
def test_save_refuses_and_stores_nothing(
    bucket: Bucket, data: bytes, policy: Any, error: type[S3ImgError], words: str
) -> None:
    with pytest.raises(error, match=words):
        uploader(bucket, **policy).save(data, filename="a.jpg")
    assert keys(bucket) == []


def test_save_reads_no_more_than_it_needs(bucket: Bucket) -> None:
    stream = BytesIO(bytes(10_000))
    with pytest.raises(ImageTooLarge):
        uploader(bucket, max_bytes=1000).save(stream)
    assert stream.tell() == 1001


def test_the_same_picture_is_stored_once(bucket: Bucket) -> None:
    first = uploader(bucket).save(photo(60, 40), filename="a.jpg")
    second = uploader(bucket).save(photo(60, 40), filename="a.jpg")
    assert not first.existed
    assert second.existed
    assert second.key == first.key


@pytest.mark.parametrize("conflict", ["skip-identical", "error"])
def test_another_picture_never_replaces_one(bucket: Bucket, conflict: Any) -> None:
    first = uploader(bucket).save(photo(60, 40), filename="a.jpg")
    stored = bucket.get(first.key)
    with pytest.raises(KeyTaken, match="taken") as caught:
        uploader(bucket, conflict=conflict).save(photo(60, 40, seed=2), filename="a.jpg")
    assert caught.value.key == first.key
    assert bucket.get(first.key) == stored


def test_error_refuses_even_the_same_picture(bucket: Bucket) -> None:
    uploader(bucket).save(photo(60, 40), filename="a.jpg")
    with pytest.raises(KeyTaken):
        uploader(bucket, conflict="error").save(photo(60, 40), filename="a.jpg")


def test_rename_finds_the_next_free_name(bucket: Bucket) -> None:
    saved = [uploader(bucket, conflict="rename").save(photo(60, 40), filename="a.jpg").key for _ in range(3)]
    assert saved == ["u/a.jpg", "u/a-2.jpg", "u/a-3.jpg"]


def test_save_puts_variants_that_pay(bucket: Bucket) -> None:
    saved = uploader(bucket, variants=True).save(photo(120, 80), filename="a.jpg")
    assert {variant.media_type for variant in saved.variants} == {"image/jpeg", "image/webp", "image/avif"}
    assert keys(bucket) == sorted([saved.key, *(variant.key for variant in saved.variants)])
    assert all(variant.bytes < saved.bytes for variant in saved.variants)


class FailingBucket:
    """A bucket whose n-th put fails, as that of a key without the right to write would."""

    def __init__(self, bucket: Bucket, number: int) -> None:
        self._bucket = bucket
        self._puts = itertools.count(1)
        self._number = number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bucket, name)

    def put(self, *arguments: Any, **named: Any) -> None:
        if next(self._puts) == self._number:
            raise AccessDenied("denied", action="put", bucket=self._bucket.name)
        self._bucket.put(*arguments, **named)


@pytest.mark.parametrize("number", [1, 3, 7])
def test_a_failed_put_leaves_nothing_behind(bucket: Bucket, number: int) -> None:
    failing: Any = FailingBucket(bucket, number)
    with pytest.raises(BucketError):
        uploader(failing, variants=True).save(photo(120, 80), filename="a.jpg")
    assert keys(bucket) == []


def test_folder_fills_the_template(bucket: Bucket) -> None:
    saved = uploader(bucket, "{{dir}}/{{hash:8}}.{{ext}}").save(photo(60, 40), folder="albums/2026/")
    assert saved.key.startswith("albums/2026/")


def test_default_template_never_collides(bucket: Bucket) -> None:
    many = Uploader(bucket, Config(bucket=bucket.name, public_url="https://img.example.com"))
    assert len({many.save(photo(60, 40)).key for _ in range(5)}) == 5


@pytest.mark.parametrize(
    "policy", [{"formats": frozenset({"heic"})}, {"max_bytes": 0}, {"conflict": "ask"}, {"metadata": "some"}]
)
def test_policy_explains_its_fault(policy: Any) -> None:
    with pytest.raises(ConfigError, match=next(iter(policy))):
        UploadPolicy(**policy)


def test_save_into_a_store(seaweedfs_bucket: TestBucket) -> None:
    saved: Uploaded = uploader(seaweedfs_bucket.bucket, variants=True).save(photo(120, 80), filename="a b#1.jpg")
    info = seaweedfs_bucket.bucket.head(saved.key)
    assert info is not None
    assert info.metadata == {"s3img": "upload", "sha256": saved.sha256}
    assert uploader(seaweedfs_bucket.bucket).save(photo(120, 80), filename="a b#1.jpg").existed


class Trickle:
    """Gives some bytes at a time and can't seek, as a socket does."""

    def __init__(self, data: bytes) -> None:
        self._data = BytesIO(data)

    def read(self, amount: int) -> bytes:
        return self._data.read(min(amount, 100))


class Broken(Trickle):
    def read(self, amount: int) -> bytes:
        raise OSError("the sender has gone")


def test_save_reads_streams_that_give_little(bucket: Bucket) -> None:
    source: Any = Trickle(photo(120, 80))
    assert uploader(bucket).save(source, filename="a.jpg").width == 120


@pytest.mark.parametrize("source", [Broken(b""), StringIO("text")])
def test_save_explains_streams_that_fail(bucket: Bucket, source: Any) -> None:
    with pytest.raises(S3ImgError, match=r"ended early|stream of text"):
        uploader(bucket).save(source)
    assert keys(bucket) == []


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
def test_what_follows_a_picture_is_cut_off(bucket: Bucket, kind: str) -> None:
    saved = uploader(bucket).save(photo(60, 40, format=kind) + b"PK\x03\x04<script>EVIL</script>")
    stored = bucket.get(saved.key)
    assert b"EVIL" not in stored
    Image.open(BytesIO(stored)).load()


def test_comments_are_taken_out(bucket: Bucket) -> None:
    source = BytesIO()
    Image.new("P", (60, 40)).save(source, "GIF", comment=b"<script>EVIL")
    for data in (source.getvalue(), photo(60, 40, comment=b"<script>EVIL")):
        assert b"EVIL" not in bucket.get(uploader(bucket, "{{ulid}}.{{ext}}").save(data).key)


def test_an_animation_that_ends_early_is_refused(bucket: Bucket) -> None:
    data = animation(40, 30)
    for length in range(len(data) // 2, len(data), 7):
        with pytest.raises(ImageError):
            uploader(bucket).save(data[:length])
    assert keys(bucket) == []


@pytest.mark.parametrize("mode", ["CMYK", "I;16"])
def test_unusual_pixels_are_stored_as_they_are(bucket: Bucket, mode: str) -> None:
    source = BytesIO()
    image = Image.new(mode, (40, 30), 40_000 if mode == "I;16" else (10, 200, 30, 40))
    image.save(source, "PNG" if mode == "I;16" else "JPEG")
    stored = Image.open(BytesIO(bucket.get(uploader(bucket).save(source.getvalue()).key)))
    assert (stored.mode, stored.tobytes()) == (mode, Image.open(source).tobytes())


@pytest.mark.parametrize(
    ("filename", "key"),
    [
        ("../../etc/passwd", "u/passwd"),
        ("..", "u/image"),
        (".", "u/image"),
        ("   ", "u/image"),
        ("", "u/image"),
        (".htaccess", "u/htaccess"),
        ("\\\\server\\share\\x", "u/x"),
        ("a/b/..", "u/image"),
        ("a\0b\nc", "u/a-b-c"),
        (". .htaccess", "u/htaccess"),
        (". . .s3img", "u/s3img"),
        ("\0 .\t.env", "u/env"),
        ("\u200b.\u202e.profile", "u/profile"),
        ("\u2024\uff0e\u2026x", "u/x"),
        (".\u00a0.\u3000", "u/image"),
    ],
)
def test_names_of_senders_make_plain_keys(bucket: Bucket, filename: str, key: str) -> None:
    assert uploader(bucket, "u/{{filename}}").save(photo(20, 20), filename=filename).key == key


@given(st.text(max_size=20))
def test_cleaning_a_name_again_changes_nothing(name: str) -> None:
    once = visible_name(name)
    assert visible_name(once) == once
    assert not once.startswith(".")


@pytest.mark.parametrize("template", [".s3img/{{ulid}}", "a/.S3IMG/{{ulid}}", ".s3img./{{ulid}}", "{{dir}}/.s3img"])
def test_no_template_leads_into_the_folder_of_s3img(bucket: Bucket, template: str) -> None:
    with pytest.raises(ConfigError, match="own folder"):
        uploader(bucket, template)


def test_no_name_makes_a_key_in_the_folder_of_s3img(bucket: Bucket) -> None:
    with pytest.raises(ConfigError, match="own: choose another"):
        uploader(bucket, ".{{filename}}/{{ulid}}").save(photo(20, 20), filename="s3img")
    assert list(bucket.list()) == []


def test_the_same_picture_has_one_address_under_the_template_of_authors(bucket: Bucket) -> None:
    first, second = (uploader(bucket, AUTHORS_TEMPLATE).save(photo(20, 20), filename=name) for name in ("a.jpg", "b"))
    assert first.url == second.url
    assert (first.existed, second.existed) == (False, True)


def test_variants_are_shown_as_a_picture(bucket: Bucket) -> None:
    saved = uploader(bucket, variants=True).save(photo(120, 80), filename='a "b".jpg')
    html = str(saved.picture('a "b"'))
    assert html.startswith("<picture")
    assert 'alt="a &quot;b&quot;"' in html
    shown = {url.split()[0] for part in html.split('"') if "https://" in part for url in part.split(", ")}
    assert shown <= {saved.url, *(variant.url for variant in saved.variants)}
    assert saved.url in shown
    assert '<source type="image/' in html  # AVIF or WebP, whichever this Pillow makes smaller


@pytest.mark.parametrize(
    ("data", "policy", "words"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", {}, "is a HEIC picture and can't be used. Please choose"),
        (b"hello", {"formats": {"png"}}, "in one of these formats: PNG."),
        (photo(60, 40), {"max_bytes": 100}, "of at most 0.1 kB"),
        (photo(60, 40), {"max_pixels": 1_000}, "of at most 0.001 megapixels"),
        (photo(60, 40)[:-200], {}, "is damaged or incomplete"),
        (b"", {}, "is damaged or incomplete"),
    ],
)
def test_a_visitor_is_told_what_is_accepted(bucket: Bucket, data: bytes, policy: Any, words: str) -> None:
    with pytest.raises(ImageError) as caught:
        uploader(bucket, **policy).save(data, filename="me.heic")
    assert caught.value.visitor.startswith("\u201cme.heic\u201d ")
    assert words in caught.value.visitor
    assert "limit" not in caught.value.visitor


def test_a_visitor_is_told_nothing_of_the_bucket(bucket: Bucket) -> None:
    uploader(bucket, "u").save(photo(20, 20))
    with pytest.raises(KeyTaken) as caught:
        uploader(bucket, "u").save(photo(30, 20))
    assert bucket.name not in caught.value.visitor
    failing: Any = FailingBucket(bucket, 1)
    with pytest.raises(BucketError) as failed:
        uploader(failing, "v/{{ulid}}").save(photo(20, 20))
    assert bucket.name not in failed.value.visitor
    assert failed.value.visitor == "The file could not be saved. Please try again later."


@pytest.mark.parametrize("folder", ["..", "../x", "a/../../b", "./a", ".hidden", "a/.s3img"])
def test_folders_have_no_steps(bucket: Bucket, folder: str) -> None:
    with pytest.raises(ConfigError, match="folder"):
        uploader(bucket, "{{dir}}/{{ulid}}.{{ext}}").save(photo(20, 20), folder=folder)


@pytest.mark.parametrize(("conflict", "stored"), [("rename", 8), ("error", 1), ("skip-identical", 1)])
def test_uploads_at_the_same_moment_never_replace_each_other(bucket: Bucket, conflict: Any, stored: int) -> None:
    start = threading.Barrier(8)

    def save(seed: int) -> tuple[str, str]:
        start.wait()
        try:
            saved = uploader(bucket, conflict=conflict).save(photo(60, 40, seed=seed), filename="a.jpg")
        except KeyTaken:
            return "", ""
        return saved.key, saved.sha256

    with ThreadPoolExecutor(8) as pool:
        done = {key: digest for key, digest in pool.map(save, range(8)) if key}
    assert len(done) == stored
    assert {key: hashlib.sha256(bucket.get(key)).hexdigest() for key in keys(bucket)} == done


class Overtaken:
    """A bucket in which another process is faster: it puts an object after the key was found to be free."""

    def __init__(self, bucket: Bucket, data: bytes, *, times: int = 1) -> None:
        self._bucket, self._data, self._times = bucket, data, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bucket, name)

    def put(self, key: str, source: bytes, **more: Any) -> None:
        if self._times and more.get("only_new"):
            self._times -= 1
            self._bucket.put(key, self._data, media_type="image/jpeg")
        self._bucket.put(key, source, **more)


@pytest.mark.parametrize("conflict", ["error", "skip-identical", "rename"])
def test_upload_of_another_process_in_the_same_instant_stays(bucket: Bucket, conflict: Any) -> None:
    faster: Any = Overtaken(bucket, b"another picture", times=3)
    save = uploader(faster, conflict=conflict).save
    if conflict == "rename":
        assert save(photo(60, 40), filename="a.jpg").key == "u/a-4.jpg"
        assert [bucket.get(f"u/a{n}.jpg") for n in ("", "-2", "-3")] == [b"another picture"] * 3
        return
    with pytest.raises(KeyTaken):
        save(photo(60, 40), filename="a.jpg")
    assert bucket.get("u/a.jpg") == b"another picture"


def test_put_that_meets_itself_is_stored(bucket: Bucket) -> None:
    """As where the answer to it was lost, and it was sent again."""
    clean = uploader(bucket, "x/{{stem}}.{{ext}}").save(photo(60, 40), filename="a.jpg")
    twice: Any = Overtaken(bucket, bucket.get(clean.key))
    saved = uploader(twice, conflict="error").save(photo(60, 40), filename="a.jpg")
    assert (saved.key, bucket.get("u/a.jpg")) == ("u/a.jpg", bucket.get(clean.key))


def test_store_without_conditions_takes_uploads(bucket: Bucket) -> None:
    class Unconditional(Overtaken):
        def put(self, key: str, source: bytes, **more: Any) -> None:
            if more.pop("only_new", False):
                raise BucketError("A header is not implemented.", code="NotImplemented")
            self._bucket.put(key, source, **more)

    plain: Any = Unconditional(bucket, b"")
    assert bucket.get(uploader(plain).save(photo(60, 40), filename="a.jpg").key)


@pytest.mark.parametrize(("taken", "template"), [("u", "u/{{stem}}.{{ext}}"), ("u/a.jpg/b", "u/{{stem}}.{{ext}}")])
def test_clash_of_file_and_folder_is_a_conflict(bucket: Bucket, taken: str, template: str) -> None:
    bucket.put(taken, b"x", media_type="text/plain")
    with pytest.raises(KeyTaken) as caught:
        uploader(bucket, template).save(photo(60, 40), filename="a.jpg")
    assert caught.value.status == 409
    assert bucket.get(taken) == b"x"


def test_processes_never_replace_each_other_in_a_store(seaweedfs_bucket: TestBucket) -> None:
    """Without the locks of one process, as from several."""
    start = threading.Barrier(4)

    def save(seed: int) -> str:
        config = Config(bucket=seaweedfs_bucket.address, public_url="https://img.example.com")
        saver = Uploader(
            seaweedfs_bucket.bucket, config, template="u/{{stem}}.{{ext}}", policy=UploadPolicy(conflict="rename")
        )
        data = photo(60, 40, seed=seed)
        start.wait()
        clean = saver._cleaned(data, "a.jpg")
        while True:
            with suppress(_KeyTakenMeanwhile):
                return saver._store("u/a.jpg", clean, hashlib.sha256(clean.data).hexdigest(), "a.jpg").key

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(save, range(4)))) == 4


def test_format_that_is_no_smaller_than_a_plainer_one_is_not_shown() -> None:
    def variant(kind: str, width: int, size: int) -> UploadedVariant:
        key = f"a.w-{width}.{kind}"
        return UploadedVariant(
            url=f"/{key}", key=key, width=width, height=width, media_type=f"image/{kind}", bytes=size
        )

    saved = Uploaded(
        url="/a.jpg",
        key="a.jpg",
        width=900,
        height=900,
        media_type="image/jpeg",
        bytes=900,
        sha256="",
        filename="a.jpg",
        variants=(
            variant("avif", 300, 90),
            variant("avif", 600, 250),
            variant("webp", 300, 100),
            variant("webp", 600, 240),
            variant("jpeg", 300, 200),
            variant("jpeg", 600, 400),
        ),
    )
    html = str(saved.picture(""))
    assert "image/webp" in html
    assert "avif" not in html  # its widest is larger than WebP's, which would come after it


def test_a_failure_leaves_the_variants_of_the_first_upload(bucket: Bucket) -> None:
    picture = photo(120, 80)
    uploader(bucket, variants=True).save(picture, filename="a.jpg")
    before = keys(bucket)
    bucket.delete([before[0]])
    failing: Any = FailingBucket(bucket, 1)
    with pytest.raises(BucketError):
        uploader(failing, variants=True).save(picture, filename="a.jpg")
    assert keys(bucket) == before[1:]


@pytest.mark.slow
def test_decoder_that_hangs_ends_with_its_upload(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3img.uploads.save.tasks.clean", hostile_tasks.hang_as_task)
    config = Config(bucket=bucket.name, limits=Limits(isolate=True, seconds=0.1))
    with pytest.raises(ImageTooLarge, match=r"limits\.seconds") as caught:
        Uploader(bucket, config).save(photo(20, 10), filename="cat.jpg")
    assert "takes too long to read" in caught.value.visitor
    assert not keys(bucket)
