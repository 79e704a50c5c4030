"""Variants of folders: made once, named by the lock, the same objects as those of a published site."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sites import SVG, Site, animation, drawing, photo

from s3img import Config, Images
from s3img.buckets import MARKER
from s3img.config import Quality
from s3img.errors import AssetError, BucketError
from s3img.gc.clean_up import collect
from s3img.gc.rules import Rules
from s3img.lock import Lock, LockEntry, read_lock, recipe

if TYPE_CHECKING:
    from pathlib import Path

    from s3_servers import TestBucket

    from s3img.buckets import Bucket
    from s3img.sync.outcome import SyncResult


class Project:
    """A folder ``static`` of images, its lock, and a bucket; all of it under small settings."""

    def __init__(self, store: TestBucket, root: Path, cache_dir: str, **settings: Any) -> None:
        self.root = root
        self.store = store
        self.lock_path = root / "s3img.lock"
        self.environ = {
            "S3IMG_ACCESS_KEY_ID": store.server.access_key,
            "S3IMG_SECRET_ACCESS_KEY": store.server.secret_key,
        }
        values: dict[str, Any] = {"bucket": f"{store.address}/app", "endpoint_url": store.server.endpoint_url}
        values |= {"region": "us-east-1", "cache_dir": cache_dir, "workers": 4, "variants": True}
        values |= {"widths": (160, 320), "formats": ("webp",)}
        self.config = Config(**{**values, **settings})

    def under(self, **settings: Any) -> Project:
        """Return the same project under other settings."""
        other = Project(self.store, self.root, self.config.cache_dir)
        other.config = msgspec.structs.replace(self.config, **settings)
        return other

    @property
    def images(self) -> Images:
        return Images(self.config, environ=self.environ)

    @property
    def lock(self) -> Lock:
        return read_lock(self.lock_path)

    @property
    def bucket(self) -> Bucket:
        return self.images.open_bucket()

    def stored(self) -> set[str]:
        return {info.key for info in self.bucket.list()}

    def line(self, name: str) -> LockEntry:
        return self.lock.entries[f"static/{name}"]

    def add(self, name: str, content: bytes) -> Path:
        file = self.root / "static" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def sync(self, **options: Any) -> SyncResult:
        return self.images.sync(self.root / "static", lock=self.lock_path, **options)

    def codes(self) -> list[tuple[str, str]]:
        return [(f.path, f.code) for f in self.images.check(self.root / "static", lock=self.lock_path).findings]


def variants_of(lock: Lock) -> dict[str, str]:
    return {entry.path.removeprefix("static/"): str(entry.variants).partition(":")[2] for entry in lock}


@pytest.fixture
def project(moto_bucket: TestBucket, tmp_path: Path, cache_dir: str) -> Project:
    return _filled(moto_bucket, tmp_path, cache_dir)


def _filled(store: TestBucket, tmp_path: Path, cache_dir: str) -> Project:
    made = Project(store, tmp_path / "project", cache_dir)
    made.add("cat.jpg", photo(480, 360))
    made.add("logo.svg", SVG)
    time.sleep(0.06)  # files grow older than a file system's clock can tell apart
    return made


@pytest.mark.parametrize("store", ["moto_bucket", "seaweedfs_bucket"])
def test_variants_are_put_and_named(request: pytest.FixtureRequest, store: str, tmp_path: Path, cache_dir: str) -> None:
    project = _filled(request.getfixturevalue(store), tmp_path, cache_dir)
    result = project.sync()
    assert (result.exit_code, result.rendered) == (0, 4)
    assert variants_of(project.lock) == {"cat.jpg": "webp=160,320;jpeg=160,320", "logo.svg": ""}
    assert project.stored() == project.lock.keys()
    assert result.requests == {"list": 1, "put": 6}
    assert project.line("cat.jpg").placeholder.startswith("#")


def test_variants_are_the_objects_of_a_published_site(project: Project, tmp_path: Path) -> None:
    project.add("dot.png", drawing(9, 9))
    project.add("moving.gif", animation(60, 50))
    project.sync()
    site = Site(tmp_path / "site")
    for file in (project.root / "static").iterdir():
        site.add(f"static/{file.name}", file.read_bytes())
    names = ("cat.jpg", "logo.svg", "dot.png", "moving.gif")
    site.page("index.html", "".join(f'<img src="static/{name}" alt="">' for name in names))
    published = Config(bucket=(tmp_path / "store").as_uri(), widths=(160, 320), formats=("webp",))
    Images(published, environ={}).publish(site.root)
    put = {path.relative_to(tmp_path / "store").as_posix() for path in (tmp_path / "store").rglob("*.*")}
    assert {key for key in put if ".w-" in key} == project.lock.keys() - {entry.key for entry in project.lock}
    assert len(put) > len(project.lock)


def test_nothing_to_do_costs_nothing(project: Project) -> None:
    project.sync()
    result = project.sync()
    assert (result.requests, result.rendered, result.lock_changed) == ({}, 0, False)


def test_another_machine_lists_once_and_renders_nothing(project: Project, tmp_path: Path) -> None:
    project.sync()
    result = project.under(cache_dir=str(tmp_path / "another")).sync()
    assert (result.requests, result.rendered, result.lock_changed) == ({"list": 1}, 0, False)


def test_changed_image_has_new_variants_and_no_listing(project: Project) -> None:
    project.sync()
    before = project.stored()
    project.add("cat.jpg", photo(480, 360, seed=2))
    result = project.sync()
    assert (result.requests, result.rendered) == ({"put": 5}, 4)
    assert len(project.stored() - before) == 5


def test_lost_variant_is_rendered_and_put_again(project: Project, tmp_path: Path) -> None:
    project.sync()
    lost = next(key for key in project.stored() if key.endswith("w-160.webp"))
    project.bucket.delete([lost])
    result = project.under(cache_dir=str(tmp_path / "another")).sync()
    assert (result.requests, result.rendered, lost in project.stored()) == ({"list": 1, "put": 1}, 1, True)


def test_image_whose_variants_are_larger_has_empty_variants(project: Project) -> None:
    project.add("dot.png", drawing(9, 9))
    assert project.sync().exit_code == 0
    assert variants_of(project.lock)["dot.png"] == "-"
    assert project.sync().requests == {}


def test_sync_without_variants_keeps_those_of_unchanged_images(project: Project) -> None:
    project.sync()
    plain = project.under(variants=False)
    assert (plain.sync().requests, variants_of(project.lock)["cat.jpg"]) == ({}, "webp=160,320;jpeg=160,320")
    project.add("cat.jpg", photo(480, 360, seed=2))
    assert plain.sync().requests == {"put": 1}
    assert (project.line("cat.jpg").variants, project.line("cat.jpg").placeholder) == (None, "")


@pytest.mark.parametrize(
    ("settings", "variants", "rendered"),
    [
        ({"widths": (160, 400)}, "webp=160,400;jpeg=160,400", 2),
        ({"formats": ()}, "jpeg=160,320", 0),
        ({"quality": Quality(webp=50)}, "webp=160,320;jpeg=160,320", 2),
        ({"subsampling": "4:4:4"}, "webp=160,320;jpeg=160,320", 2),
        ({"key_template": "{{hash}}.{{ext}}"}, "webp=160,320;jpeg=160,320", 0),
    ],
)
def test_other_settings_make_other_variants(
    project: Project, settings: dict[str, Any], variants: str, rendered: int
) -> None:
    project.sync()
    other = project.under(**settings)
    assert ("static/cat.jpg", "stale") in other.codes()
    assert other.sync().rendered == rendered
    assert (variants_of(other.lock)["cat.jpg"], other.codes()) == (variants, [])
    assert other.lock.keys() <= other.stored()
    assert other.line("cat.jpg").variants.recipe == recipe(other.config)  # type: ignore[union-attr]


def test_check_wants_variants_where_the_settings_do(project: Project) -> None:
    project.under(variants=False).sync()
    assert project.codes() == [("static/cat.jpg", "stale")]
    assert project.under(variants=False).codes() == []


def test_dry_run_and_plan_change_nothing(project: Project) -> None:
    result = project.sync(dry_run=True)
    assert (result.rendered, result.uploaded, project.stored(), project.lock_path.exists()) == (4, 2, set(), False)
    plan = project.images.plan(project.root / "static", lock=project.lock_path)
    assert (plan.variants, len(plan.uploads), project.stored()) == (("static/cat.jpg",), 2, set())
    assert project.images.apply(plan, lock=project.lock_path).rendered == 4
    assert project.images.plan(project.root / "static", lock=project.lock_path).is_empty


def test_plan_of_other_settings_is_refused(project: Project) -> None:
    plan = project.images.plan(project.root / "static", lock=project.lock_path)
    other = project.under(quality=Quality(webp=50))
    with pytest.raises(AssetError, match="settings have changed"):
        other.images.apply(plan, lock=project.lock_path)


def test_picture_that_can_not_be_rendered_is_put_without_variants(project: Project) -> None:
    project.add("bad.jpg", photo(480, 360, seed=4)[:9000])
    result = project.sync()
    assert (result.exit_code, [(p.path, p.code) for p in result.problems]) == (1, [("static/bad.jpg", "bad-image")])
    assert (project.line("bad.jpg").variants, project.line("cat.jpg").variants is not None) == (None, True)
    assert project.line("bad.jpg").key in project.stored()


def test_edit_while_rendering_leaves_no_variants_under_a_wrong_name(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3img.transfer.render import Renderer

    original, run = (project.root / "static/cat.jpg").read_bytes(), Renderer.run

    def edited(self: Any, *arguments: Any, **options: Any) -> None:
        project.add("cat.jpg", photo(480, 360, seed=9))
        run(self, *arguments, **options)

    monkeypatch.setattr(Renderer, "run", edited)
    result = project.sync()
    assert result.exit_code == 1
    assert "was changed meanwhile" in str(result.problems[0])
    assert project.line("cat.jpg").variants is None
    monkeypatch.undo()
    project.add("cat.jpg", original)
    assert project.sync().rendered == 4


def test_line_names_no_variants_of_which_an_object_failed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from s3img.buckets.s3.s3_bucket import S3Bucket

    put = S3Bucket.put

    def failing(self: Any, key: str, *arguments: Any, **options: Any) -> Any:
        if key.endswith("w-160.webp"):
            raise BucketError("the store is down.", code="503")
        return put(self, key, *arguments, **options)

    monkeypatch.setattr(S3Bucket, "put", failing)
    result = project.sync()
    assert (len(result.failed), project.line("cat.jpg").variants) == (1, None)
    monkeypatch.undo()
    assert project.sync().exit_code == 0
    assert variants_of(project.lock)["cat.jpg"] == "webp=160,320;jpeg=160,320"


def test_pruned_line_takes_its_variants_with_it(project: Project) -> None:
    project.sync()
    (project.root / "static/cat.jpg").unlink()
    project.sync(prune=True)
    assert project.lock.keys() == {project.line("logo.svg").key}


def test_clean_up_never_takes_what_a_lock_names(project: Project) -> None:
    project.sync()
    stray = {"stray.webp"}
    project.bucket.put("stray.webp", b"RIFF", media_type="image/webp", metadata=MARKER)
    rules = Rules(grace=timedelta(0), force=True)
    for _ in range(2):
        collect(project.bucket, kept=project.lock.keys(), rules=rules, apply=True)
    assert {key for key in project.stored() if not key.startswith(".s3img/")} == project.lock.keys()
    assert stray.isdisjoint(project.stored())


def test_marked_object_is_put_again_and_looked_at(project: Project) -> None:
    project.sync()
    rules = Rules(force=True, grace=timedelta(0))
    collect(project.bucket, kept={"something"}, rules=rules, apply=True)
    result = project.sync(verify=True)
    assert (result.exit_code, result.requests["put"], result.requests["head"]) == (0, 6, 6)
    collect(project.bucket, kept={"something"}, rules=Rules(force=True), apply=True)
    assert project.lock.keys() <= project.stored()


def test_cache_that_cannot_be_written_is_no_image_s_fault(tmp_path: Path) -> None:
    """As on a full disk: exit code 5, and the original is stored."""
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a.jpg").write_bytes(photo(400, 300))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "variants").touch()  # a file where a folder belongs
    settings: dict[str, Any] = {"bucket": (tmp_path / "bucket").as_uri(), "cache_dir": str(tmp_path / "cache")}
    config = Config(public_url="https://img.example.com", variants=True, widths=(160,), formats=("webp",), **settings)
    result = Images(config).sync(tmp_path / "static", lock=tmp_path / "s3img.lock")
    assert (result.exit_code, result.uploaded, len(result.problems)) == (5, 1, 1)
