"""Pages that a script renders again are left alone, with one warning; pages that only speak of such generators are not."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import pytest
from sites import photo

from s3img import Config, Images
from s3img.publish.generators import generator_of

if TYPE_CHECKING:
    from pathlib import Path

    from sites import Site

MARKED = {
    "Docusaurus": '<div id="__docusaurus"><p>x</p></div>',
    "VitePress": '<div id="app"></div><script>window.__VP_HASH_MAP__=JSON.parse("{}")</script>',
    "VuePress": '<meta name="generator" content="VuePress 2.0.0">',
    "Rspress": "<meta content='Rspress v1.0' name=generator>",
    "Gatsby": '<div id="___gatsby"><div></div></div>',
    "Next.js": '<script>self.__next_f.push([1,"x"])</script>',
    "Nuxt": "<div id=__nuxt></div>",
    "SvelteKit": "<script>\n\t{\n\t\t__sveltekit_1a2b3c = { base: '' };</script>",
    "Astro (islands)": '<astro-island uid="Z1" client="load"></astro-island>',
    "React Router": "<script>window.__remixContext = {};</script>",
    "Angular": '<script id="ng-state" type="application/json">{}</script>',
    "Qwik": '<html q:container="paused">',
    "Vue": '<div id="app" data-server-rendered="true">',
    "React": '<div data-reactroot="">',
    "Gridsome": '<meta name="generator" content="Gridsome v0.7">',
}
SCRIPT = '<script type="module" src="/app.js"></script>'


@pytest.mark.parametrize("name", MARKED)
def test_generator_is_found_by_its_marks(name: str) -> None:
    found = generator_of(f"<!doctype html><body>{MARKED[name]}{SCRIPT}".encode())
    assert found is not None
    assert found.name == name


def test_old_next_pages_are_found() -> None:
    found = generator_of(b'<div id="__next"></div><script id="__NEXT_DATA__" type="application/json">{}</script>')
    assert found
    assert found.name == "Next.js"


@pytest.mark.parametrize("name", MARKED)
def test_text_about_a_generator_is_no_mark(name: str) -> None:
    page = f"<!doctype html><body><pre><code>{html.escape(MARKED[name], quote=False)}</code></pre>{SCRIPT}"
    assert generator_of(page.encode()) is None


@pytest.mark.parametrize("name", ["Docusaurus", "Nuxt", "Gatsby", "Vue"])
def test_page_without_scripts_is_as_it_is_sent(name: str) -> None:
    assert generator_of(MARKED[name].encode()) is None


def test_generators_that_send_finished_pages_are_published() -> None:
    for name in ("Hugo 0.120", "Jekyll v4.3", "Eleventy v3", "mkdocs-1.6", "Sphinx 8", "Astro v4.0", "Hexo 7"):
        assert generator_of(f'<meta name="generator" content="{name}">{SCRIPT}'.encode()) is None


def test_pages_that_are_rendered_again_stay_and_are_named_once(site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", photo(640, 420))
    for name in ("a.html", "b.html"):
        site.page(name, f'<div id="__docusaurus"><img src="cat.jpg" alt=""></div>{SCRIPT}')
    site.page("plain.html", '<img src="cat.jpg" alt="">')
    before = site.text("a.html")
    for _ in range(2):
        result = Images(Config(cache_dir=cache_dir, widths=(320,), formats=("webp",))).publish(site.root)
        (problem,) = result.problems
        assert (problem.code, problem.severity) == ("rendered-again", "warning")
        assert "2 pages, a.html first, are rendered again in the browser by Docusaurus" in problem.message
    assert site.text("a.html") == before
    assert "<picture" in site.text("plain.html")
    assert result.exit_code == 0


def test_remove_local_is_refused_where_scripts_ask_for_the_files(site: Site, cache_dir: str, tmp_path: Path) -> None:
    site.add("cat.jpg", photo(640, 420))
    site.page("index.html", f'<div id="__nuxt"><img src="cat.jpg" alt=""></div>{SCRIPT}')
    site.page("plain.html", '<img src="cat.jpg" alt="">')
    before = site.snapshot()
    config = Config(
        bucket=(tmp_path / "b").as_uri(),
        public_url="https://i.example",
        check_public=False,
        remove_local=True,
        cache_dir=cache_dir,
    )
    result = Images(config).publish(site.root)
    assert {problem.code for problem in result.problems} == {"rendered-again", "remove-local-refused"}
    assert result.exit_code == 1
    assert site.snapshot() == before
