"""Folders and their lock against real stores: nothing is sent twice, nothing is named before it is there."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sites import SVG, photo

from s3img import Config, Images, transfer
from s3img.cache import Cache
from s3img.errors import AssetError, BucketError, ConfigError, CredentialsError, LockError
from s3img.lock import Lock, LockEntry, read_lock, write_lock
from s3img.sync.state import SyncState
from s3img.sync.tree import Scope
from s3img.transfer import delivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3_servers import TestBucket

    from s3img.buckets import Bucket
    from s3img.sync.outcome import PullResult, SyncResult


class Project:
    """A folder ``static`` of images beside its lock, and a bucket."""

    def __init__(self, store: TestBucket, root: Path, cache_dir: str, **settings: Any) -> None:
        self.store = store
        self.root = root
        self.lock_path = root / "s3img.lock"
        self.environ = {
            "S3IMG_ACCESS_KEY_ID": store.server.access_key,
            "S3IMG_SECRET_ACCESS_KEY": store.server.secret_key,
        }
        values: dict[str, Any] = {"bucket": f"{store.address}/app", "endpoint_url": store.server.endpoint_url}
        values |= {"region": "us-east-1", "cache_dir": cache_dir, "workers": 4}
        self.config = Config(**{**values, **settings})

    @property
    def images(self) -> Images:
        return Images(self.config, environ=self.environ)

    @property
    def lock(self) -> Lock:
        return read_lock(self.lock_path)

    @property
    def bucket(self) -> Bucket:
        return self.images.open_bucket()

    def stored(self) -> dict[str, int]:
        return {info.key: info.size for info in self.bucket.list()}

    def add(self, path: str, content: bytes) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def sync(self, *where: str, **options: Any) -> SyncResult:
        places = [self.root / place for place in where or ("static",)]
        return self.images.sync(*places, lock=self.lock_path, **options)

    def pull(self, **options: Any) -> PullResult:
        return self.images.pull(lock=self.lock_path, **options)

    def codes(self, *where: str, **options: Any) -> list[tuple[str, str]]:
        result = self.images.check(*(self.root / place for place in where), lock=self.lock_path, **options)
        assert result.exit_code == int(bool(result.findings))
        return [(finding.path, finding.code) for finding in result.findings]


def picture(seed: int) -> bytes:
    return photo(40, 30, seed=seed)


def _filled(store: TestBucket, tmp_path: Path, cache_dir: str) -> Project:
    made = Project(store, tmp_path / "project", cache_dir)
    made.add("static/img/a cät.jpg", picture(1))
    made.add("static/img/dog.png", photo(30, 20, format="PNG"))
    made.add("static/logo.svg", SVG)
    made.add("static/app.js", b"not an image")
    made.add("static/.hidden/cat.jpg", picture(1))
    _settle()
    return made


def _settle() -> None:
    """Let files grow older than a file system's clock can tell apart, as they are wherever it matters."""
    time.sleep(0.06)


@pytest.fixture(params=["moto_bucket", "seaweedfs_bucket"])
def project(request: pytest.FixtureRequest, tmp_path: Path, cache_dir: str) -> Project:
    return _filled(request.getfixturevalue(request.param), tmp_path, cache_dir)


@pytest.fixture
def strict(seaweedfs_bucket: TestBucket, tmp_path: Path, cache_dir: str) -> Project:
    return _filled(seaweedfs_bucket, tmp_path, cache_dir)


def test_first_sync_puts_every_image_and_writes_the_lock(project: Project) -> None:
    result = project.sync()
    assert (result.exit_code, result.uploaded, result.requests) == (0, 3, {"list": 1, "put": 3})
    assert list(project.lock.entries) == ["static/img/a cät.jpg", "static/img/dog.png", "static/logo.svg"]
    assert {entry.key: entry.size for entry in project.lock} == project.stored()
    svg = project.lock.get("static/logo.svg")
    assert svg is not None
    assert (svg.media_type, svg.width, svg.height, svg.size) == ("image/svg+xml", 120, 80, len(SVG))
    assert project.bucket.get(svg.key) == SVG


def test_second_sync_sends_nothing_and_leaves_the_lock_alone(project: Project) -> None:
    project.sync()
    before = project.lock_path.stat()
    result = project.sync()
    assert (result.requests, result.uploaded, result.verified) == ({}, 0, "cache")
    assert project.lock_path.stat() == before


def test_fresh_checkout_uploads_nothing(project: Project, tmp_path: Path) -> None:
    project.sync()
    for file in (project.root / "static").rglob("*.*"):
        os.utime(file, (1, 1))
    other = Project(project.store, project.root, str(tmp_path / "another cache"))
    result = other.sync()
    assert (result.requests, result.lock_changed) == ({"list": 1}, False)


def test_touched_files_send_nothing(project: Project) -> None:
    project.sync()
    for file in (project.root / "static").rglob("*.*"):
        os.utime(file)
    assert project.sync().requests == {}


def test_changed_file_is_one_put(project: Project) -> None:
    project.sync()
    old = project.lock
    project.add("static/img/a cät.jpg", picture(2))
    assert project.sync().requests == {"put": 1}
    assert {entry.path for entry in project.lock if entry != old.get(entry.path)} == {"static/img/a cät.jpg"}


def test_sync_after_a_fresh_checkout_puts_nothing(strict: Project) -> None:
    strict.sync()
    before = strict.lock_path.read_bytes()
    shutil.rmtree(strict.config.cache_dir)
    for file in (strict.root / "static").rglob("*.*"):
        os.utime(file)
    result = strict.sync()
    assert (result.uploaded, result.lock_changed, result.exit_code) == (0, False, 0)
    assert result.requests.keys() == {"list"}
    assert strict.lock_path.read_bytes() == before


@pytest.mark.parametrize("how", ["verify", "CI", "old"])
def test_removed_object_is_healed_by_a_listing(strict: Project, how: str) -> None:
    strict.sync()
    key = next(iter(strict.lock.keys()))
    strict.bucket.delete([key])
    assert strict.sync().uploaded == 0
    strict.environ |= {"CI": "true"} if how == "CI" else {}
    if how == "old":
        _age_state(strict, 86_401)
    result = strict.sync(verify=how == "verify")
    assert (result.requests, result.verified) == ({"list": 1, "put": 1}, "list")
    assert key in strict.stored()


def _age_state(project: Project, seconds: float) -> None:
    state_file = project.images._project(project.lock_path).state_file
    state = state_file.load()
    state.listed -= seconds
    state_file.save(state)


def test_listing_is_believed_for_a_day() -> None:
    state = SyncState(listed=1e9)
    assert [age for age in (-1, 0, 86_399, 86_400) if state.is_fresh(1e9 + age)] == [0, 86_399]


def test_what_is_sent_is_written_down_meanwhile(strict: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "JOURNAL_SECONDS", 0.0)
    known: list[int] = []

    def look(stage: str, done: int, total: int) -> None:
        known.append(len(strict.images._project(strict.lock_path).state_file.load().objects))

    strict.sync(progress=look)
    assert known == [1, 2, 3]


def test_line_that_others_added_is_looked_up_not_sent_again(strict: Project, tmp_path: Path) -> None:
    strict.sync()
    colleague = Project(strict.store, strict.root, str(tmp_path / "another cache"))
    strict.add("static/new.jpg", picture(9))
    colleague.sync()
    assert strict.sync().requests == {"list": 1}


def test_folders_in_turn_need_one_listing(strict: Project) -> None:
    strict.add("media/cow.jpg", picture(5))
    strict.sync("static")
    assert strict.sync("media").requests == {"put": 1}
    assert (strict.sync("static").requests, strict.sync("media").requests) == ({}, {})
    assert len(strict.lock) == 4


def test_key_that_nothing_names_any_more_is_not_believed(strict: Project) -> None:
    """Another machine's clean-up may have removed it meanwhile."""
    strict.sync()
    old = (strict.root / "static/logo.svg").read_bytes()
    key = strict.lock.entries["static/logo.svg"].key
    strict.add("static/logo.svg", SVG.replace(b"teal", b"red"))
    strict.sync()
    strict.bucket.delete([key])
    strict.add("static/logo.svg", old)
    strict.sync()
    assert key in strict.stored()


def test_failed_upload_keeps_the_line_it_had(strict: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    strict.sync()
    old = strict.lock
    strict.add("static/img/dog.png", photo(30, 20, seed=4, format="PNG"))
    new = strict.add("static/new.jpg", picture(9))
    strict.add("static/good.jpg", picture(10))
    _after_planning(monkeypatch, lambda: [f.write_bytes(b"x") for f in (new, strict.root / "static/img/dog.png")])
    result = strict.sync()
    assert (result.exit_code, result.uploaded, len(result.failed)) == (1, 1, 2)
    assert any("changed between planning and upload" in str(problem) for problem in result.problems)
    assert set(strict.lock.entries) == {*old.entries, "static/good.jpg"}
    assert strict.lock.get("static/img/dog.png") == old.get("static/img/dog.png")
    assert strict.lock.keys() <= strict.stored().keys()


def test_refused_upload_exits_4_and_leaves_the_lock_alone(strict: Project) -> None:
    strict.sync()
    before = strict.lock_path.read_bytes()
    strict.add("static/new.jpg", picture(9))
    strict.environ["S3IMG_SECRET_ACCESS_KEY"] = "wrong" * 8
    result = strict.sync()
    assert (result.exit_code, result.uploaded, len(result.failed)) == (4, 0, 1)
    assert "wrong" * 8 not in str(result.problems)
    assert strict.lock_path.read_bytes() == before


def _after_planning(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Act between planning and upload, as an editor that saves at that moment would."""
    planned = delivery.run_uploads

    def run(*arguments: Any, **options: Any) -> transfer.UploadResult:
        act()
        return planned(*arguments, **options)

    monkeypatch.setattr(delivery, "run_uploads", run)


def test_edit_of_the_same_size_between_planning_and_upload_is_noticed(
    strict: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = strict.root / "static/logo.svg"
    _after_planning(monkeypatch, lambda: file.write_bytes(SVG.replace(b"teal", b"blue")))
    result = strict.sync()
    assert (result.exit_code, result.uploaded, len(result.failed)) == (1, 2, 1)
    assert "static/logo.svg" not in strict.lock
    monkeypatch.undo()
    assert strict.sync().exit_code == 0
    assert strict.lock.keys() <= strict.stored().keys()


def test_image_that_is_none_is_a_finding(strict: Project) -> None:
    strict.add("static/bad.jpg", b"")
    result = strict.sync()
    assert (result.exit_code, result.uploaded) == (1, 3)
    assert [(p.path, p.code) for p in result.problems] == [("static/bad.jpg", "bad-image")]


def test_image_off_disk_keeps_its_line_until_pruned(strict: Project) -> None:
    strict.sync()
    (strict.root / "static/logo.svg").unlink()
    assert (strict.sync().kept, "static/logo.svg" in strict.lock) == (1, True)
    result = strict.sync(prune=True)
    assert (result.lock_changed, "static/logo.svg" in strict.lock) == (True, False)


def test_prune_leaves_other_folders_alone(strict: Project) -> None:
    file = strict.add("media/cow.jpg", picture(5))
    strict.sync("static", "media")
    file.unlink()
    strict.sync("static", prune=True)
    assert "media/cow.jpg" in strict.lock


def test_settled_project_notices_what_else_changed(strict: Project) -> None:
    strict.sync()
    text = strict.lock_path.read_bytes()
    assert (strict.sync().lock_changed, strict.sync(dry_run=True).dry_run) == (False, True)
    strict.lock_path.write_bytes(text.replace(b" 120x80 ", b" 121x80 "))
    assert (strict.sync().lock_changed, strict.lock_path.read_bytes()) == (True, text)
    strict.lock_path.unlink()
    assert (strict.sync().lock_changed, strict.lock_path.read_bytes()) == (True, text)
    other = Project(strict.store, strict.root, strict.config.cache_dir, key_template="{{hash}}.{{ext}}")
    assert other.sync().uploaded == 3


def test_first_image_of_an_empty_folder_is_found(strict: Project) -> None:
    (strict.root / "empty").mkdir()
    assert (strict.sync("empty").images, strict.lock_path.exists()) == (0, False)
    strict.add("empty/cat.jpg", picture(1))
    assert strict.sync("empty").uploaded == 1


def test_dry_run_writes_nothing(strict: Project, cache_dir: str) -> None:
    result = strict.sync(dry_run=True)
    assert (result.uploaded, result.lock_changed, result.requests) == (3, True, {"list": 1})
    assert (strict.stored(), strict.lock_path.exists(), Path(cache_dir).exists()) == ({}, False, False)


def test_single_file_and_push_of_what_the_lock_names(strict: Project) -> None:
    strict.sync("static/logo.svg")
    assert list(strict.lock.entries) == ["static/logo.svg"]
    strict.add("static/logo.svg", SVG.replace(b"teal", b"red"))
    assert strict.sync(listed_only=True).uploaded == 1
    assert list(strict.lock.entries) == ["static/logo.svg"]


@pytest.mark.parametrize("place", ["static/app.js", "static/.hidden/cat.jpg", "static/nowhere.jpg", "../other.jpg"])
def test_place_that_is_no_image_is_an_error(strict: Project, place: str) -> None:
    strict.add("../other.jpg", picture(1))
    with pytest.raises(AssetError, match=place.rpartition("/")[2]):
        strict.sync(place)


def test_conflict_in_the_lock_stops_before_any_request(strict: Project) -> None:
    strict.sync()
    text = strict.lock_path.read_text().splitlines(keepends=True)
    strict.lock_path.write_text("".join([text[0], "<<<<<<< HEAD\n", text[1], "=======\n", ">>>>>>> other\n"]))
    with pytest.raises(LockError, match=r"s3img\.lock:2: a merge conflict"):
        strict.sync()


def test_no_bucket_and_no_credentials_are_errors(strict: Project) -> None:
    strict.environ.clear()
    with pytest.raises(CredentialsError, match="No credentials"):
        strict.sync()
    with pytest.raises(ConfigError, match="bucket: is needed"):
        Images().sync(strict.root)


def test_bucket_and_cache_inside_the_project_are_not_its_images(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(picture(1))
    config = Config(bucket=(tmp_path / "store").as_uri(), cache_dir=str(tmp_path / "cache"))
    variant = Cache.at(config.cache_dir).variant("ab" * 32, "webp")
    variant.parent.mkdir(parents=True)
    variant.write_bytes(picture(1))
    for _ in range(2):
        assert Images(config, environ={}).sync(tmp_path, lock=tmp_path / "s3img.lock").images == 1


def test_plan_says_what_a_sync_does_and_apply_does_it(strict: Project) -> None:
    plan = strict.images.plan(strict.root / "static", lock=strict.lock_path)
    assert [upload.path for upload in plan.uploads] == list(plan.lock_added)
    assert (len(plan.uploads), plan.is_empty, strict.stored()) == (3, False, {})
    result = strict.images.apply(plan, lock=strict.lock_path)
    assert (result.uploaded, result.requests["list"]) == (3, 1)
    assert {upload.key: upload.bytes for upload in plan.uploads} == strict.stored()
    assert strict.images.plan(strict.root / "static", lock=strict.lock_path).is_empty


@pytest.mark.parametrize("change", ["edited", "added", "removed", "target"])
def test_apply_refuses_when_the_tree_changed(strict: Project, change: str) -> None:
    strict.sync("static/logo.svg")
    plan = strict.images.plan(strict.root / "static", lock=strict.lock_path)
    match change:
        case "edited":
            strict.add("static/img/a cät.jpg", picture(3))
        case "added":
            strict.add("static/new.jpg", picture(3))
        case "removed":
            (strict.root / "static/logo.svg").unlink()
        case "target":
            strict = Project(strict.store, strict.root, strict.config.cache_dir, bucket=f"{strict.store.address}/x")
    before = strict.stored()
    with pytest.raises(AssetError, match="Make a new plan"):
        strict.images.apply(plan, lock=strict.lock_path)
    assert strict.stored() == before


def test_check_names_every_difference(strict: Project) -> None:
    strict.sync()
    assert strict.codes() == []
    strict.add("static/new.jpg", picture(7))
    strict.add("static/bad.jpg", b"x")
    strict.add("static/img/dog.png", photo(30, 20, seed=4, format="PNG"))
    (strict.root / "static/logo.svg").unlink()
    assert strict.codes() == [
        ("static/bad.jpg", "bad-image"),
        ("static/img/dog.png", "changed"),
        ("static/logo.svg", "missing"),
        ("static/new.jpg", "not-in-lock"),
    ]
    assert ("static/logo.svg", "missing") not in strict.codes(allow_missing=True)
    assert strict.codes("static/new.jpg") == [("static/new.jpg", "not-in-lock")]


def test_check_finds_keys_of_other_settings(strict: Project) -> None:
    strict.sync()
    other = Project(strict.store, strict.root, strict.config.cache_dir, key_template="{{hash}}.{{ext}}")
    assert {code for _, code in other.codes()} == {"stale"}


def test_check_without_a_lock_is_an_error(strict: Project) -> None:
    with pytest.raises(LockError, match="does not exist"):
        strict.codes()


def test_pull_restores_what_is_not_on_disk(project: Project) -> None:
    project.sync()
    before = {file: file.read_bytes() for file in (project.root / "static").rglob("*.*") if file.is_file()}
    for path in project.lock.entries:
        (project.root / path).unlink()
    result = project.pull()
    assert (result.exit_code, len(result.restored), result.requests) == (0, 3, {"get": 3})
    assert {file: file.read_bytes() for file in before} == before
    assert (project.pull().requests, project.pull().present) == ({}, 3)
    assert project.codes() == []


def test_pull_keeps_an_edited_image_unless_told(strict: Project) -> None:
    strict.sync()
    file = strict.add("static/logo.svg", b"<svg/>")
    result = strict.pull()
    assert (result.exit_code, [f.code for f in result.findings], file.read_bytes()) == (1, ["changed"], b"<svg/>")
    assert (strict.pull(overwrite=True).restored, file.read_bytes()) == (("static/logo.svg",), SVG)


def test_pull_refuses_bytes_that_are_not_those_of_the_lock(strict: Project) -> None:
    strict.sync()
    key = strict.lock.entries["static/logo.svg"].key
    strict.bucket.put(key, b"other bytes", media_type="image/svg+xml")
    (strict.root / "static/logo.svg").unlink()
    result = strict.pull()
    assert (result.exit_code, result.restored) == (5, ())
    assert "is not the image of the lock" in str(result.findings[0])
    assert not (strict.root / "static/logo.svg").exists()


@pytest.mark.parametrize(
    "path", ["../out.jpg", "/tmp/s3img-out.jpg", ".git/hooks/x.png", "run.sh", "link/out.jpg", "a\0.png"]
)
def test_pull_writes_nowhere_else(strict: Project, path: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (strict.root / "link").symlink_to(tmp_path / "elsewhere")
    strict.sync()
    line = strict.lock.entries["static/logo.svg"]
    write_lock(
        strict.lock_path, strict.lock.updated([LockEntry(path, line.sha256, line.size, 1, 1, "image/png", line.key)])
    )
    before = sorted(tmp_path.rglob("*"))
    result = strict.pull()
    assert (result.exit_code, [f.code for f in result.findings], result.requests) == (1, ["bad-path"], {})
    assert sorted(tmp_path.rglob("*")) == before


def test_two_syncs_at_once_leave_one_whole_lock(strict: Project, tmp_path: Path) -> None:
    for number in range(20):
        strict.add(f"static/{number}.jpg", picture(number))
    other = Project(strict.store, strict.root, str(tmp_path / "another cache"))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda project: project.sync(), [strict, other])
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert strict.lock.keys() == strict.stored().keys()
    assert len(strict.lock) == 23


def test_killed_sync_names_nothing_that_is_not_there_and_the_next_completes(strict: Project) -> None:
    rng = random.Random(7)
    kills = images = 0
    while kills < 2:  # those that were too fast to be killed do not count
        for number in range(images, images + 40):
            strict.add(f"static/{number}.jpg", picture(number))
        images += 40
        kills += _run_and_kill(strict, rng.randrange(20))
        stored = strict.stored()
        lock = read_lock(strict.lock_path, missing_ok=True)
        assert {entry.key: entry.size for entry in lock}.items() <= stored.items()
    result = strict.sync()
    assert result.exit_code == 0
    assert {entry.key: entry.size for entry in strict.lock} == strict.stored()
    assert len(strict.lock) == images + 3


def _run_and_kill(project: Project, objects: int) -> bool:
    """Kill a sync when it has put more objects than this; return whether it was still running."""
    config = project.config
    environ = {**os.environ, **project.environ, "S3IMG_REGION": "us-east-1", "S3IMG_CACHE_DIR": config.cache_dir}
    command = [sys.executable, "-m", "s3img", "sync", "static", "--bucket", config.bucket]
    command += ["--endpoint-url", config.endpoint_url, "--workers", "2"]
    before = len(project.stored())
    process = subprocess.Popen(command, env=environ, cwd=project.root, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(project.stored()) <= before + objects and process.poll() is None:
        pass  # counting is a request to the store: a pause between two of them would miss a fast sync
    process.send_signal(signal.SIGKILL)
    return process.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize("touched", [False, True])
def test_nothing_to_do_imports_neither_boto3_nor_pillow(strict: Project, *, touched: bool) -> None:
    strict.sync()
    if touched:
        os.utime(strict.root / "static/logo.svg")
    check = (
        "import sys, pathlib\nfrom s3img import Config, Images\nimport msgspec\n"
        f"config = msgspec.json.decode({config_json(strict)!r}, type=Config)\n"
        f"result = Images(config).sync({str(strict.root / 'static')!r}, lock=pathlib.Path({str(strict.lock_path)!r}))\n"
        "print(result.requests, sorted({'boto3', 'botocore', 'PIL', 'rich', 'urllib3', 'ssl'} & set(sys.modules)))"
    )
    environ = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout == "{} []\n"


def config_json(project: Project) -> bytes:
    import msgspec

    return msgspec.json.encode(project.config)


def test_name_that_is_no_utf8_is_a_finding(strict: Project) -> None:
    (strict.root / "static" / os.fsdecode(b"caf\xe9.jpg")).write_bytes(picture(1))
    result = strict.sync()
    assert (result.exit_code, result.uploaded, [p.code for p in result.problems]) == (1, 3, ["bad-name"])


def test_name_that_is_no_utf8_does_not_stop_later_syncs(strict: Project) -> None:
    strict.sync()
    file = strict.root / "static" / os.fsdecode(b"caf\xe9.jpg")
    file.write_bytes(picture(1))
    _settle()
    for _ in range(2):
        result = strict.sync()
        assert (result.exit_code, result.present, [p.code for p in result.problems]) == (1, 3, ["bad-name"])
    file.unlink()
    assert strict.sync().exit_code == 0


def test_finding_names_its_file_once(strict: Project) -> None:
    strict.add("static/bad.jpg", b"x")
    (finding,) = strict.sync().problems
    assert str(finding).startswith("static/bad.jpg: is left out: The file is ")
    assert str(strict.root) not in str(finding)


def test_apply_names_an_edited_image(strict: Project) -> None:
    plan = strict.images.plan(strict.root / "static", lock=strict.lock_path)
    strict.add("static/img/a cät.jpg", picture(3))
    with pytest.raises(AssetError, match=r"'static/img/a cät\.jpg' for one"):
        strict.images.apply(plan, lock=strict.lock_path)


@pytest.mark.parametrize("command", ["sync", "pull"])
def test_place_that_does_not_exist_is_an_error(strict: Project, command: str) -> None:
    strict.sync()
    with pytest.raises(AssetError, match=r"nothing.*Check the name"):
        getattr(strict.images, command)(strict.root / "nothing", lock=strict.lock_path)


def test_pull_goes_on_where_one_image_is_in_the_way(strict: Project) -> None:
    strict.sync()
    for path in strict.lock.entries:
        (strict.root / path).unlink()
    (strict.root / "static/logo.svg").mkdir()
    result = strict.pull()
    assert (result.exit_code, len(result.restored)) == (1, 2)
    assert [str(finding) for finding in result.findings] == ["static/logo.svg: can't be read: Is a directory."]


def test_lock_as_a_merge_leaves_it_is_put_in_order(strict: Project) -> None:
    strict.sync()
    text = strict.lock_path.read_text()
    head, *lines = text.splitlines(keepends=True)
    strict.lock_path.write_text("".join([head, *reversed(lines), lines[0]]))
    result = strict.sync()
    assert (result.exit_code, result.uploaded, result.lock_changed, strict.lock_path.read_text()) == (0, 0, True, text)
    assert not strict.sync().lock_changed


@pytest.mark.parametrize("command", ["sync", "pull"])
@pytest.mark.parametrize("change", ["", "static/logo.svg"])
def test_what_killed_runs_left_behind_goes_also_where_nothing_is_to_do(
    strict: Project, command: str, change: str
) -> None:
    strict.sync()
    where = "" if command == "sync" else "static/"  # beside the lock, or beside the images
    old, young = (strict.add(f"{where}.s3img-{name}.tmp", b"half") for name in ("old", "young"))
    os.utime(old, (time.time() - 4000,) * 2)
    if change:
        (strict.root / change).unlink()
    getattr(strict, command)()
    assert (old.exists(), young.exists()) == (False, True)


def test_failures_of_one_cause_are_one_finding(strict: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from s3img.buckets.s3.s3_bucket import S3Bucket

    def failing(self: Any, key: str, *arguments: Any, **options: Any) -> Any:
        raise BucketError(f"no place for {key!r}: " + ("too odd." if key.endswith("svg") else "the store is down."))

    monkeypatch.setattr(S3Bucket, "put", failing)
    result = strict.sync()
    found = [re.sub(r"'.*'", "KEY", str(finding)) for finding in result.problems]
    down, odd = "no place for KEY: the store is down. The same goes for 1 more.", "no place for KEY: too odd."
    assert (len(result.failed), found) == (3, [down, odd])


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ((), {"static/img/a.png", "e.png"}),
        (("static",), {"static/img/a.png"}),
        (("static/img", "docs"), {"static/img/a.png"}),
        ((".hidden/img",), {".hidden/img/d.png"}),
    ],
)
def test_scope_finds_images_that_are_neither_hidden_nor_our_own(
    tmp_path: Path, where: tuple[str, ...], found: set[str]
) -> None:
    for name in ("static/img/a.png", "static/b.txt", "docs/.c.png", ".hidden/img/d.png", "e.png", "store/f.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    scope = Scope.of(tmp_path, [tmp_path / place for place in where], without=[tmp_path / "store"])
    assert scope.files().images.keys() == found


def test_apply_refuses_another_endpoint(strict: Project) -> None:
    plan = strict.images.plan(lock=strict.lock_path)
    elsewhere = msgspec.structs.replace(plan, endpoint_url="https://s3.example.com")
    with pytest.raises(AssetError, match=r"is for \S+ at https://s3\.example\.com, the settings name"):
        strict.images.apply(elsewhere, lock=strict.lock_path)


def test_a_sync_ends_at_its_deadline_and_the_next_one_goes_on(strict: Project) -> None:
    hurried = Project(strict.store, strict.root, strict.config.cache_dir, deadline=1e-9)
    result = hurried.sync()
    assert (result.exit_code, result.uploaded, len(result.failed), strict.stored()) == (5, 0, 3, {})
    assert "the time for this run is over" in result.problems[0].message
    assert not hurried.lock_path.exists()
    assert (strict.sync().uploaded, strict.sync().present) == (3, 3)
