"""Plans of pages wait in a file, and what they have in common stays in memory once."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest
from sites import photo

from s3img.cache import Cache
from s3img.config import Config
from s3img.errors import FileUnwritable
from s3img.pictures.choices import Image
from s3img.publish.files import SiteFiles
from s3img.publish.site_survey import SiteSurvey, Surveyor

if TYPE_CHECKING:
    from pathlib import Path

    from sites import Site


def survey(site: Site, cache_dir: str) -> SiteSurvey:
    config = Config(widths=(160,), formats=("webp",), bucket="file:///b", public_url="https://img.example.com")
    return Surveyor(SiteFiles(site.root, config, Cache.at(cache_dir)), config).run()


def test_plan_of_a_page_is_found_by_its_path_with_its_own_tags(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", photo(320, 200))
    site.page("a.html", '<img src="cat.jpg" alt="first">')
    site.page("b/c.html", '<p><img src="../cat.jpg" alt="second">')
    plans = survey(site, cache_dir).plans
    assert list(plans) == ["a.html", "b/c.html"]
    found = {path: choice for path in plans for choice in plans[path].choices.values() if isinstance(choice, Image)}
    assert {path: image.author["alt"] for path, image in found.items()} == {"a.html": "first", "b/c.html": "second"}
    assert found["a.html"].variants is found["b/c.html"].variants
    assert found["a.html"].asset is found["b/c.html"].asset
    with pytest.raises(KeyError):
        plans["b.html"]


def test_picture_of_several_pages_is_one_choice_of_the_survey(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", photo(320, 200))
    for name in ("a.html", "b.html"):
        site.page(name, '<img src="cat.jpg"><a href="cat.jpg">whole</a>')
    found = survey(site, cache_dir)
    assert len(found.plans) == 2
    assert sorted(type(choice).__name__ for choice in found.choices()) == ["Image", "Link"]


def test_folder_for_temporary_files_that_is_gone_is_named(
    site: Site, cache_dir: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add("cat.jpg", photo(320, 200))
    site.page("a.html", '<img src="cat.jpg">')
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(FileUnwritable, match="gone"):
        survey(site, cache_dir)
