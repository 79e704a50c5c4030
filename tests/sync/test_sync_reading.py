from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from s3img.assets import FileStat
from s3img.cache import SiteState, stat_of
from s3img.errors import S3ImgError
from s3img.limits import Limits
from s3img.sync import reading
from s3img.sync.reading import Reader
from s3img.sync.tree import ScopeFiles

if TYPE_CHECKING:
    from pathlib import Path

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"></svg>'


def reader(folder: Path, stats: dict[str, FileStat], known: SiteState | None = None, *, keep: bool = False) -> Reader:
    found = Reader(folder, ScopeFiles(stats), SiteState() if known is None else known, Limits(), keep=keep)
    found.finish()
    return found


@pytest.mark.parametrize("size", [len(SVG), 300_000, 5_000_000], ids=["small", "one piece", "many pieces"])
def test_reading_finds_digest_and_facts_of_a_file_of_any_size(tmp_path: Path, size: int) -> None:
    (tmp_path / "a.svg").write_bytes(data := SVG.ljust(size, b"\n"))
    files = reader(tmp_path, {"a.svg": stat_of(tmp_path / "a.svg")})
    digest = files.digest("a.svg")
    facts = files.facts("a.svg", digest)
    assert digest == hashlib.sha256(data).hexdigest()
    assert (facts.media_type, facts.width, facts.height) == ("image/svg+xml", 30, 20)


@pytest.mark.parametrize("size", [0, 10, 1000])
def test_reading_a_file_that_has_another_size_by_then_takes_all_of_it(tmp_path: Path, size: int) -> None:
    (tmp_path / "a.svg").write_bytes(SVG)
    files = reader(tmp_path, {"a.svg": FileStat(size, 1, 1)})
    digest = files.digest("a.svg")
    assert digest == hashlib.sha256(SVG).hexdigest()
    assert files.facts("a.svg", digest).width == 30


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_reading_names_the_file_that_is_no_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    files = reader(tmp_path, {"a.png": stat_of(tmp_path / "a.png")})
    with pytest.raises(S3ImgError, match=r"a\.png"):
        files.facts("a.png", files.digest("a.png"))


def test_reading_a_file_that_is_gone_is_an_error_that_names_it(tmp_path: Path) -> None:
    files = reader(tmp_path, {"gone.png": FileStat(5, 1, 1)})
    with pytest.raises(S3ImgError, match=r"gone\.png"):
        files.digest("gone.png")


def test_reading_trusts_a_known_stat(tmp_path: Path) -> None:
    stat = FileStat(5, 1, 1)
    files = reader(tmp_path, {"a.png": stat}, SiteState(digests={"a.png": (stat, "d" * 64)}))
    assert files.digest("a.png") == "d" * 64


@pytest.mark.parametrize(("changed", "remembered"), [(1, ["a.svg"]), (1 << 62, [])], ids=["long ago", "just now"])
def test_reading_remembers_only_what_a_stat_proves(tmp_path: Path, changed: int, remembered: list[str]) -> None:
    (tmp_path / "a.svg").write_bytes(SVG)
    known = SiteState()
    reader(tmp_path, {"a.svg": FileStat(len(SVG), 1, changed)}, known)
    assert [*known.digests] == remembered


def test_reading_keeps_contents_on_request_while_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "KEPT", 2 * len(SVG))
    stats = {name: FileStat(len(SVG), 1, 1) for name in ("a.svg", "b.svg", "c.svg")}
    for name in stats:
        (tmp_path / name).write_bytes(SVG)
    assert [*reader(tmp_path, stats, keep=True).contents.values()] == [SVG, SVG]
    assert reader(tmp_path, stats).contents == {}


@pytest.mark.parametrize("stat", [FileStat(len(SVG), 1, 1 << 62), FileStat(10, 1, 1)], ids=["young", "other size"])
def test_reading_keeps_no_content_that_a_stat_does_not_prove(tmp_path: Path, stat: FileStat) -> None:
    (tmp_path / "a.svg").write_bytes(SVG)
    assert reader(tmp_path, {"a.svg": stat}, keep=True).contents == {}
