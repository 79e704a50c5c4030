"""Images that the lock does not know yet: put by a thread while pages keep their own."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sites import photo
from wsgi_apps import app_of, send

from s3img import Config, Images
from s3img.lock import read_lock
from s3img.middleware import RewriteMiddleware
from s3img.middleware.wsgi import BackgroundSync

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = b'<html><head></head><img src="/static/new.jpg" alt="">'


@pytest.fixture
def config(tmp_path: Path, cache_dir: str) -> Config:
    return Config(
        bucket=(tmp_path / "store").as_uri(), public_url="https://img.example.com", cache_dir=cache_dir, widths=(100,)
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "app" / "static").mkdir(parents=True)
    (tmp_path / "app" / "static" / "new.jpg").write_bytes(photo(60, 40))
    return tmp_path / "app"


@pytest.fixture
def wrap(root: Path, config: Config) -> Any:
    made: list[RewriteMiddleware] = []

    def wrapped(app: Callable[..., Any], images: Images | None = None, **options: Any) -> RewriteMiddleware:
        images = images or Images(config, environ={})
        found = RewriteMiddleware(app, images, lock=root / "s3img.lock", upload_missing="background", **options)
        made.append(found)
        return found

    yield wrapped
    for middleware in made:
        middleware.close()


def test_page_points_at_the_bucket_once_the_image_is_there(wrap: Any, root: Path) -> None:
    app = wrap(app_of(PAGE))
    assert send(app).body == PAGE
    app.background.join()
    assert list(read_lock(root / "s3img.lock").entries) == ["static/new.jpg"]
    assert b'src="https://img.example.com/static/new.' in send(app).body


@pytest.mark.parametrize(
    "name", ["none.jpg", "../secret.jpg", "%2e%2e/secret.jpg", "script.py", ".hidden.jpg", "a%00.jpg"]
)
def test_only_images_of_the_folder_are_taken(wrap: Any, root: Path, name: str) -> None:
    (root / "secret.jpg").write_bytes(photo(60, 40))
    (root / "static" / ".hidden.jpg").write_bytes(photo(60, 40))
    (root.parent / "secret.jpg").write_bytes(photo(60, 40))
    app = wrap(app_of(f'<img src="/static/{name}" alt="">'.encode()))
    send(app)
    app.background.join()
    assert not (root / "s3img.lock").exists()


def test_thread_starts_with_the_first_image(wrap: Any) -> None:
    before = _background_threads()
    send(wrap(app_of(b"<p>none")))
    assert _background_threads() == before
    send(wrap(app_of(PAGE)))
    assert len(_background_threads() - before) == 1


def _background_threads() -> set[threading.Thread]:
    """Return the threads of middleware; other tests' threads end when they like."""
    return {thread for thread in threading.enumerate() if thread.name == "s3img-background"}


class Slow(Images):
    """Images whose sync waits until it may go on, and notes what it was given."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, environ={})
        self.may_go = threading.Event()
        self.synced: list[list[str]] = []

    def sync(self, *where: Any, **options: Any) -> Any:
        self.may_go.wait(30)
        self.synced.append([place.name for place in where])
        return super().sync(*where, **options)


def _offer_and_wait(background: BackgroundSync, path: str) -> None:
    """Offer an image and wait until the thread has taken it, and waits itself."""
    background.offer(path)
    deadline = time.monotonic() + 10
    while background._queue.qsize() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)


def test_queue_is_bounded_and_what_was_left_out_comes_later(root: Path, config: Config) -> None:
    for number in range(8):
        (root / f"static/{number}.jpg").write_bytes(photo(60, 40, seed=number))
    images = Slow(config)
    background = BackgroundSync(images, root / "s3img.lock", queue_size=3)
    _offer_and_wait(background, "static/0.jpg")
    for number in range(1, 8):
        background.offer(f"static/{number}.jpg")
    images.may_go.set()
    background.join()
    assert sum(map(len, images.synced)) == 4
    for number in range(8):
        background.offer(f"static/{number}.jpg")
        background.join()
    assert len(read_lock(root / "s3img.lock")) == 8
    background.close()


def test_image_is_offered_once_until_it_changes(root: Path, config: Config) -> None:
    images = Slow(config)
    images.may_go.set()
    background = BackgroundSync(images, root / "s3img.lock", queue_size=10)
    for _ in range(3):
        background.offer("static/new.jpg")
        background.join()
    os.utime(root / "static/new.jpg", (1, 1))
    background.offer("static/new.jpg")
    background.join()
    assert images.synced == [["new.jpg"], ["new.jpg"]]
    background.close()


def test_failure_is_said_once_without_secrets(
    wrap: Any, root: Path, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Config(bucket="s3://my-images", endpoint_url="http://127.0.0.1:9", region="x", cache_dir=config.cache_dir)
    secrets = {"S3IMG_ACCESS_KEY_ID": "AKIAVERYSECRET", "S3IMG_SECRET_ACCESS_KEY": "a-very-secret-key"}
    app = wrap(app_of(PAGE), Images(broken, environ=secrets))
    app.background._images.sync = _raise  # type: ignore[method-assign]
    for _ in range(3):
        assert send(app).body == PAGE
        app.background.join()
        os.utime(root / "static/new.jpg")
        app._known = None
    assert len(caplog.records) == 1
    assert "SECRET" not in caplog.text.upper().replace("S3IMG_SECRET", "")


def _raise(*places: Any, **options: Any) -> None:
    from s3img.errors import AccessDenied

    raise AccessDenied("my-images: not allowed to put.")


def test_end_does_not_wait_for_what_was_not_begun(root: Path, config: Config) -> None:
    for number in range(8):
        (root / f"static/{number}.jpg").write_bytes(photo(60, 40, seed=number))
    images = Slow(config)
    background = BackgroundSync(images, root / "s3img.lock", queue_size=100)
    _offer_and_wait(background, "static/new.jpg")
    for number in range(8):
        background.offer(f"static/{number}.jpg")
    images.may_go.set()
    background.close()
    assert images.synced == [["new.jpg"]]
    background.offer("static/0.jpg")
    assert background._queue.qsize() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_forked_process_has_a_thread_of_its_own(root: Path, config: Config) -> None:
    images = Images(config, environ={})
    background = BackgroundSync(images, root / "s3img.lock", queue_size=10)
    background.offer("static/new.jpg")
    background.join()
    (root / "static/other.jpg").write_bytes(photo(60, 40, seed=5))
    child = os.fork()
    if child == 0:
        background.offer("static/other.jpg")
        background.join()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert sorted(read_lock(root / "s3img.lock").entries) == ["static/new.jpg", "static/other.jpg"]
    background.close()


def test_processes_do_not_lose_each_others_lines(root: Path, config: Config) -> None:
    """Two workers sync different images at the same time."""
    for number in range(20):
        (root / f"static/{number}.jpg").write_bytes(photo(60, 40, seed=number))
    workers = [BackgroundSync(Images(config, environ={}), root / "s3img.lock", queue_size=100) for _ in range(2)]
    for number in range(20):
        workers[number % 2].offer(f"static/{number}.jpg")
    for worker in workers:
        worker.join()
        worker.close()
    assert len(read_lock(root / "s3img.lock")) == 20
