"""One bad file never ends a run: what nobody foresaw is a problem that names it, and the rest is published."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sites import Site, photo

from s3img import Config, Images, imaging
from s3img.publish import library, site_survey
from s3img.publish.page_writer import PageWriter
from s3img.sync import reading

if TYPE_CHECKING:
    from s3img.publish.result import PublishResult


@pytest.fixture
def pages(site: Site) -> Site:
    for number, name in enumerate(("bad", "good")):
        site.add(f"{name}.jpg", photo(64, 48, seed=number))
        site.page(f"{name}.html", f'<img src="{name}.jpg" alt="">')
    return site


def publish(site: Site, cache_dir: str) -> PublishResult:
    return Images(Config(cache_dir=cache_dir, formats=("webp",), widths=(32,))).publish(site.root)


def failing(function: Any, is_bad: Any) -> Any:
    """Return the function, which raises what nobody foresaw where its arguments are bad."""

    def call(*arguments: Any, **options: Any) -> Any:
        if is_bad(*arguments):
            raise ZeroDivisionError("by the sender")
        return function(*arguments, **options)

    return call


def patch(monkeypatch: pytest.MonkeyPatch, site: Site, place: str) -> None:
    bad = photo(64, 48, seed=0)
    if place == "probe":
        monkeypatch.setattr(
            library, "read_facts", failing(library.read_facts, lambda source: Path(source).name == "bad.jpg")
        )
    elif place == "render":
        monkeypatch.setattr(
            imaging, "render_job", failing(imaging.render_job, lambda data, *_: data == bad), raising=False
        )
    elif place == "read":
        page = site.root.joinpath("bad.html").read_bytes()
        finder = failing(site_survey.find_references, lambda data, *_: data == page)
        monkeypatch.setattr(site_survey, "find_references", finder)
    else:
        writer = failing(PageWriter.rewrite, lambda _writer, _path, data, *_: b"bad" in data)
        monkeypatch.setattr(PageWriter, "rewrite", writer)


@pytest.mark.parametrize("place", ["probe", "render", "read", "rewrite"])
def test_unforeseen_exception_is_a_problem_of_its_file(
    place: str, pages: Site, cache_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pages.text("bad.html")
    patch(monkeypatch, pages, place)
    result = publish(pages, cache_dir)
    (problem,) = result.problems
    assert problem.page in {"bad.jpg", "bad.html"}
    assert (
        "met an unexpected ZeroDivisionError: by the sender. This is a fault of s3img: please report" in problem.message
    )
    assert (result.exit_code, result.pages_changed, pages.text("bad.html")) == (1, 1, before)
    assert "<picture" in pages.text("good.html")
    monkeypatch.undo()
    assert (publish(pages, cache_dir).exit_code, "<picture" in pages.text("bad.html")) == (0, True)


def test_unforeseen_exception_in_a_sync_is_a_finding_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bad", "good"):
        (tmp_path / f"{name}.jpg").write_bytes(photo(64, 48, seed=len(name)))
    bad = (tmp_path / "bad.jpg").read_bytes()
    of = failing(reading.read_facts, lambda source: source == bad or source == tmp_path / "bad.jpg")
    monkeypatch.setattr(reading, "read_facts", of)
    images = Images(Config(bucket=(tmp_path / "bucket").as_uri(), cache_dir=str(tmp_path / "cache")))
    result = images.sync(lock=tmp_path / "s3img.lock")
    (finding,) = result.problems
    assert (finding.path, result.uploaded, result.exit_code) == ("bad.jpg", 1, 1)
    assert "it met an unexpected ZeroDivisionError" in finding.message


def test_page_that_cant_be_replaced_is_named_and_the_rest_goes_on(
    pages: Site, cache_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = os.replace

    def refuse(source: str, target: Any) -> Any:
        if os.fspath(target).endswith("bad.html"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return replace(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    result = publish(pages, cache_dir)
    (problem,) = result.problems
    assert (problem.page, problem.code, result.exit_code, result.pages_changed) == ("bad.html", "unwritten", 5, 1)


def test_full_disk_is_told_once_and_is_exit_code_5(
    pages: Site, cache_dir: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, target: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    result = publish(pages, cache_dir)
    (problem,) = result.problems
    assert (problem.code, result.exit_code, result.pages_changed) == ("cache", 5, 0)
    assert "The cache can't be written: No space left on device" in problem.message
