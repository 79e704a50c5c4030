"""A built site compared with the lock, without any request."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sites import SVG, Site, photo

from s3img import Config, Images
from s3img.cli import main
from s3img.lock import read_lock
from s3img.publish.page_check import check_pages

if TYPE_CHECKING:
    from pathlib import Path

CAT = photo(400, 260)


class Project:
    """A folder of sources with its lock, and a site that is built of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = Config(
            bucket=(folder / "store").as_uri(),
            public_url="https://i.example.com/docs",
            cache_dir=str(folder / "cache"),
            widths=(160,),
            formats=("webp",),
        )
        for name, data in {"img/cat.jpg": CAT, "a.svg": SVG}.items():
            (folder / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "docs" / name).write_bytes(data)
        Images(self.config).sync(folder / "docs", lock=folder / "s3img.lock")
        self.site = Site(folder / "site")
        self.site.add("img/cat.jpg", CAT)
        self.site.add("a.svg", SVG)

    def findings(self, body: str = "") -> list[str]:
        """Return what is found in the site, with a page of this body."""
        if body:
            self.site.page("index.html", body)
        lock = read_lock(self.folder / "s3img.lock")
        return [f"{found.place} {found.code}" for found in check_pages(self.site.root, lock, self.config)[0]]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        '<img src="img/cat.jpg"><a href="img/cat.jpg">x</a>',
        '<a href="other.html">no image</a><img src="https://example.com/x.jpg"><img src="data:image/gif;base64,R0">',
        '<img src="{{ image }}">',
        '<img src="https://i.example.com/docs-of-others/x.jpg">',
    ],
)
def test_page_without_findings(project: Project, body: str) -> None:
    assert project.findings(body) == []


def test_published_site_has_no_findings(project: Project) -> None:
    project.site.page("index.html", '<img src="img/cat.jpg"><img src="a.svg">')
    Images(project.config).publish(project.site.root)
    assert "https://i.example.com/docs/img/cat." in project.site.text("index.html")
    assert project.findings() == []


def test_image_out_of_git_is_known_by_the_lock(project: Project) -> None:
    (project.site.root / "img/cat.jpg").unlink()
    assert project.findings('<img src="img/cat.jpg">') == []


def test_key_of_the_lock_is_known(project: Project) -> None:
    key = read_lock(project.folder / "s3img.lock").entries["docs/img/cat.jpg"].key
    assert project.findings(f'<img src="https://i.example.com/docs/{key}?x#y">') == []


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        ('<img src="img/dog.jpg">', "index.html:3:17 missing"),
        ('<img src="new.jpg">', "index.html:3:17 not-in-lock"),
        ('<img srcset="img/cat.jpg 1x, new.jpg 2x">', "index.html:3:36 not-in-lock"),
        ('<p><img src="https://i.example.com/docs/img/cat.00000000.jpg">', "index.html:3:20 unknown-key"),
    ],
)
def test_what_the_lock_does_not_name_is_found(project: Project, body: str, finding: str) -> None:
    project.site.add("new.jpg", photo(40, 30, seed=9))
    assert project.findings(body) == [finding]


def test_changed_image_is_found(project: Project) -> None:
    project.site.add("img/cat.jpg", photo(40, 30, seed=9))
    assert project.findings('<img src="img/cat.jpg">') == ["index.html:3:17 changed"]


def test_image_under_another_name_is_known_by_its_bytes(project: Project) -> None:
    project.site.add("assets/cat.1f2e.jpg", CAT)
    assert project.findings('<img src="assets/cat.1f2e.jpg">') == []


def test_style_sheet_is_checked(project: Project) -> None:
    project.site.add("theme.css", "a { background: url(a.svg) }\nb { background: url(gone.svg) }")
    assert project.findings() == ["theme.css:2:21 missing"]


def test_command_names_page_line_and_column(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.site.page("index.html", '<img src="gone.jpg">')

    def check(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            main(["check", "docs", "--pages", "site", *arguments])
        return int(stopped.value.code or 0), capsys.readouterr().out

    hint = "add the file or remove the reference."
    assert check() == (1, f"index.html:3:17: image 'gone.jpg' is neither here nor in the lock: {hint}\n")
    found: list[dict[str, Any]] = json.loads(check("--json")[1])["findings"]
    assert [(f["path"], f["code"]) for f in found] == [("index.html:3:17", "missing")]
    project.site.page("index.html", "")
    assert check()[0] == 0


def test_pages_are_checked_without_a_lock_where_the_project_has_none(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.folder / "s3img.lock").unlink()
    project.site.page("index.html", '<img src="img/cat.jpg"><img src="a.svg">')
    Images(project.config).publish(project.site.root)
    (project.folder / "s3img.toml").write_text(
        f'bucket = "{project.config.bucket}"\npublic_url = "{project.config.public_url}"\n'
    )
    with pytest.raises(SystemExit, match="0"):
        main(["check", "--pages", "site"])
    assert re.fullmatch(r"\d+ images checked in site, without a lock, 0 findings\.\n", capsys.readouterr().err)
    project.site.page(
        "late.html",
        '<img src="no.jpg"><img src="bad.png"><img src="https://i.example.com/docs/no.jpg"><img src="a.svg">',
    )
    project.site.add("bad.png", b"nothing")
    with pytest.raises(SystemExit, match="1"):
        main(["check", "--pages", "site"])
    found = capsys.readouterr().out
    assert "late.html:3:17: image 'no.jpg' is not in the site" in found
    assert re.search(r"late\.html:3:35: .*bad\.png", found)
    assert "this site was not published with such a key" in found
    assert found.count("\n") == 3


def test_variant_that_was_deleted_from_the_site_is_found_without_a_lock(project: Project) -> None:
    project.site.page("index.html", '<img src="img/cat.jpg">')
    plain = msgspec.structs.replace(project.config, bucket="", public_url="")
    Images(plain).publish(project.site.root)
    [variant, *_] = (project.site.root / "assets/_s3img/img").glob("*.webp")
    assert Images(plain).check(lock=None, pages=project.site.root).findings == ()
    variant.unlink()
    assert "missing" in {found.code for found in Images(plain).check(lock=None, pages=project.site.root).findings}


@pytest.mark.parametrize("arguments", [["docs", "--pages", "site"], ["--pages", "site", "--lock", "s3img.lock"], []])
def test_lock_that_is_named_or_needed_has_to_be_there(project: Project, arguments: list[str]) -> None:
    (project.folder / "s3img.lock").unlink()
    with pytest.raises(SystemExit, match="3"):
        main(["check", *arguments])


def test_pages_are_checked_with_the_address_of_the_generator_s_file(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.folder / "s3img.lock").unlink()
    (project.folder / "mkdocs.yml").write_text("site_url: https://example.com/docs/\nplugins: [s3img]\n")
    project.site.page("404.html", '<img src="/docs/img/cat.jpg">')
    with pytest.raises(SystemExit, match="0"):
        main(["check", "--pages", "site"])
    assert "1 image checked" in capsys.readouterr().err
