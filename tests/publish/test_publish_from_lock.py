"""Images out of git: the site lacks them, the lock names them, and pages come out as if they were there."""

from __future__ import annotations

import io
import re
import shutil
from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from PIL import Image
from publishing import Publisher, fetch
from sites import SVG, Site, animation, drawing, photo

from s3img import Images
from s3img.cli import main
from s3img.errors import LockError
from s3img.lock import Lock, read_lock, write_lock

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

CAT = photo(640, 420)


def _moving_png() -> bytes:
    frames = [Image.new("RGB", (400, 300), color) for color in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], duration=100)
    return buffer.getvalue()


IMAGES = {
    "img/cat.jpg": CAT,
    "img/drawing.png": drawing(600, 400),
    "img/plain.webp": photo(500, 300, format="WEBP"),
    "a.svg": SVG,
    "img/moving.gif": animation(400, 300),
    "img/moving.png": _moving_png(),
    "img/small.gif": animation(40, 30),
}


class Project:
    """A folder of sources with its lock, and the sites that are built of it."""

    def __init__(self, folder: Path, bucket: TestBucket) -> None:
        self.folder = folder
        self.bucket = bucket
        self.lock = folder / "s3img.lock"
        for path, data in IMAGES.items():
            file = folder / "docs" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        publisher = self.publisher("sync")
        images = Images(publisher.config, environ=publisher.environ)
        assert images.sync(folder / "docs", lock=self.lock).exit_code == 0

    def publisher(self, cache: str, **settings: object) -> Publisher:
        """Return a machine with a cache of its own."""
        return Publisher(self.bucket, str(self.folder / "caches" / cache), **{"formats": ("avif", "webp"), **settings})

    def site(self, name: str, *, with_images: bool) -> Site:
        """Build the site."""
        site = Site(self.folder / name)
        shutil.rmtree(site.root, ignore_errors=True)
        for path, data in IMAGES.items() if with_images else ():
            site.add(path, data)
        body = "".join(f'<a href="{path}"><img src="{path}" alt=""></a>' for path in IMAGES)
        words = '<img src="img/cat.jpg" alt="" width="200"><img src="img/drawing.png" alt="" data-s3img="w-100,ar-1-1">'
        site.page("index.html", body + words)
        site.add("theme.css", "body { background: url(a.svg) }")
        return site


@pytest.fixture
def project(tmp_path: Path, seaweedfs_bucket: TestBucket, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, seaweedfs_bucket)


def pages(site: Site) -> dict[str, bytes]:
    return {path: data for path, data in site.snapshot().items() if path.endswith((".html", ".css"))}


def test_pages_are_those_that_the_images_on_disk_give(project: Project) -> None:
    """First from the lock alone, with nothing but originals in the bucket."""
    absent = project.site("absent", with_images=False)
    publish = project.publisher("a")
    result = publish(absent)
    assert (result.problems, result.exit_code, result.pages_changed) == ((), 0, 2)
    present = project.site("present", with_images=True)
    project.publisher("b")(present)
    assert pages(absent) == pages(present)
    for url in publish.urls(absent):
        assert fetch(url)[0]


def test_each_original_is_fetched_at_most_once(project: Project) -> None:
    result = project.publisher("a")(project.site("absent", with_images=False))
    assert result.requests["get"] == len(IMAGES)
    publish = project.publisher("a")
    assert publish(project.site("absent", with_images=False)).requests == {"list": 1}


def test_variants_in_the_bucket_are_used(project: Project) -> None:
    """On a machine without a cache, only what shows that a format loses is rendered again."""
    present = project.site("present", with_images=True)
    first = project.publisher("a")(present)
    absent = project.site("absent", with_images=False)
    result = project.publisher("b")(absent)
    assert (result.uploaded, result.dropped) == (0, first.dropped)
    assert 0 < result.rendered < first.dropped
    assert pages(absent) == pages(present)


def test_placeholders_are_those_of_the_images_on_disk(project: Project) -> None:
    rules = [{"match": "**", "placeholder": "color"}]
    present = project.site("present", with_images=True)
    project.publisher("a", rules=rules)(present)
    absent = project.site("absent", with_images=False)
    assert project.publisher("b", rules=rules)(absent).problems == ()
    assert pages(absent) == pages(present)
    assert "background-color" in absent.text("index.html")


def test_without_credentials_images_come_from_their_public_address(project: Project) -> None:
    """A fork's pull request: the site shows its own images, as if they had been there."""
    absent, present = project.site("absent", with_images=False), project.site("present", with_images=True)
    for cache, site in {"a": absent, "b": present}.items():
        result = Images(project.publisher(cache).config, environ={}).publish(site.root, lock=project.lock)
        assert [(problem.code, problem.severity) for problem in result.problems] == [("no-credentials", "note")]
        assert (result.exit_code, result.target) == (0, "")
    assert absent.snapshot() == present.snapshot()


def test_image_that_is_not_public_is_a_problem_that_says_so(project: Project) -> None:
    config = structs.replace(project.publisher("a").config, public_url=f"{project.bucket.public_url}/elsewhere")
    absent = project.site("absent", with_images=False)
    result = Images(config, environ={}).publish(absent.root, lock=project.lock)
    found = [problem for problem in result.problems if problem.code == "unreachable"]
    assert {problem.page for problem in found} == set(IMAGES)
    assert all("elsewhere/" in problem.message and "HTTP 404" in problem.message for problem in found)
    assert 'src="img/cat.jpg"' in absent.text("index.html")


def test_second_run_sends_nothing(project: Project) -> None:
    absent = project.site("absent", with_images=False)
    project.publisher("a")(absent)
    before = absent.snapshot()
    assert project.publisher("a")(absent).requests == {"list": 1}  # of the references of the site
    assert absent.snapshot() == before


def test_lock_may_lie_elsewhere(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder / "docs")
    absent = project.site("absent", with_images=False)
    assert {problem.code for problem in project.publisher("a")(absent).problems} == {"missing"}
    assert project.publisher("a")(absent, lock=project.lock).problems == ()


def test_command_takes_a_lock(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.folder / "docs")
    publish, absent = project.publisher("a"), project.site("absent", with_images=False)
    config = publish.config
    arguments = ["publish", str(absent.root), "--lock", str(project.lock), "--bucket", config.bucket]
    arguments += ["--endpoint-url", config.endpoint_url, "--public-url", config.public_url]
    for name, value in {**publish.environ, "S3IMG_CACHE_DIR": config.cache_dir, "S3IMG_FORMATS": "webp"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 0
    assert config.base_url in absent.text("index.html")


def test_named_lock_that_is_not_there_is_an_error(project: Project) -> None:
    with pytest.raises(LockError, match=r"other\.lock: does not exist"):
        project.publisher("a")(project.site("absent", with_images=False), lock="other.lock")


def test_lock_in_conflict_changes_nothing(project: Project) -> None:
    project.lock.write_text(project.lock.read_text() + "<<<<<<< ours\n")
    absent = project.site("absent", with_images=False)
    before = absent.snapshot()
    with pytest.raises(LockError, match="merge conflict"):
        project.publisher("a")(absent)
    assert absent.snapshot() == before


def test_several_lines_that_may_be_meant_are_named(project: Project) -> None:
    lock = read_lock(project.lock)
    twin = lock.entries["docs/img/cat.jpg"]
    entry = structs.replace(twin, path="blog/img/cat.jpg")
    write_lock(project.lock, lock.updated([entry]))
    absent = project.site("absent", with_images=False)
    problems = project.publisher("a")(absent).problems
    assert {problem.code for problem in problems} == {"ambiguous"}
    assert "s3img.lock has several such: blog/img/cat.jpg, docs/img/cat.jpg" in problems[0].message
    assert 'src="img/cat.jpg"' in absent.text("index.html")


def test_same_path_wins_over_longer_ones(project: Project) -> None:
    lock = read_lock(project.lock)
    twin = lock.entries["docs/img/drawing.png"]
    entry = structs.replace(twin, path="img/cat.jpg")
    write_lock(project.lock, lock.updated([entry]))
    absent = project.site("absent", with_images=False)
    assert project.publisher("a")(absent).problems == ()
    assert 'width="600" height="400"' in absent.text("index.html")


def test_part_of_a_name_is_not_its_end(project: Project) -> None:
    site = Site(project.folder / "absent")
    site.page("index.html", '<img src="at.jpg" alt=""><img src="cat.jpg" alt="">')
    (problem,) = project.publisher("a")(site).problems
    assert (problem.code, "'at.jpg' does not exist" in problem.message) == ("missing", True)


@pytest.mark.parametrize("fault", ["gone", "replaced"])
def test_image_that_cannot_be_had_stays_and_is_named(project: Project, fault: str) -> None:
    publish = project.publisher("a")
    key = read_lock(project.lock).entries["docs/img/cat.jpg"].key
    if fault == "gone":
        publish.open().delete([key])
    else:
        publish.open().put(key, b"another", media_type="image/jpeg")
    absent = project.site("absent", with_images=False)
    result = publish(absent)
    (problem,) = result.problems
    assert (problem.page, problem.code, problem.severity) == ("img/cat.jpg", "unreachable", "warning")
    assert key in problem.message
    assert '<a href="img/cat.jpg"><img src="img/cat.jpg" alt=""></a>' in absent.text("index.html")
    assert set(re.findall('<img src="(img/[^"]*)"', absent.text("index.html"))) == {"img/cat.jpg"}


def test_image_that_cannot_be_had_is_an_error_where_missing_ones_are(project: Project) -> None:
    publish = project.publisher("a", missing="error")
    publish.open().delete([read_lock(project.lock).entries["docs/img/cat.jpg"].key])
    assert publish(project.site("absent", with_images=False)).exit_code == 1


def test_dry_run_fetches_nothing(project: Project) -> None:
    absent = project.site("absent", with_images=False)
    before = absent.snapshot()
    result = project.publisher("a")(absent, dry_run=True)
    assert (result.images, result.requests, absent.snapshot()) == (len(IMAGES), {"list": 1}, before)
    assert not (project.folder / "caches/a").exists()


def test_remove_local_leaves_what_was_never_there(project: Project) -> None:
    publish = project.publisher("a", remove_local=True)
    assert publish(project.site("absent", with_images=False)).removed == 0


def test_empty_lock_names_nothing(project: Project) -> None:
    write_lock(project.lock, Lock())
    assert {p.code for p in project.publisher("a")(project.site("absent", with_images=False)).problems} == {"missing"}
