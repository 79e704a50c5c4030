from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3img.assets import AssetRoot, TargetKind

if TYPE_CHECKING:
    from pathlib import Path

    from sites import Site


@pytest.mark.parametrize(
    ("url", "document", "path"),
    [
        ("cat.jpg", "index.html", "cat.jpg"),
        ("./cat.jpg", "index.html", "cat.jpg"),
        ("../cat.jpg", "guide/index.html", "cat.jpg"),
        ("../../../cat.jpg", "guide/index.html", "cat.jpg"),
        ("/cat.jpg", "guide/deep/index.html", "cat.jpg"),
        ("\\cat.jpg", "guide/index.html", "cat.jpg"),
        ("%2e%2e/cat.jpg", "guide/index.html", "cat.jpg"),
        ("cat.jpg?v=2#only-dark", "index.html", "cat.jpg"),
        ("my%20dog.png", "index.html", "my dog.png"),
        ("my dog.png", "index.html", "my dog.png"),
        ("100%25.png", "index.html", "100%.png"),
        ("a+b.png", "index.html", "a+b.png"),
        ("%C3%A9.png", "index.html", "é.png"),
        ("é.png", "index.html", "é.png"),
        ("c\nat.jpg", "index.html", "cat.jpg"),
    ],
)
def test_resolve_finds_file(site: Site, url: str, document: str, path: str) -> None:
    for name in ("cat.jpg", "my dog.png", "100%.png", "a+b.png", "é.png"):
        site.add(name, b"x")
    target = AssetRoot(site.root).resolve(url, document=document)
    assert (target.kind, target.path) == (TargetKind.FILE, path)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.jpg",
        "//example.com/cat.jpg",
        "data:image/png;base64,AA",
        "mailto:a@b",
        "#x",
        "",
        "http://[",
    ],
)
def test_resolve_leaves_external_alone(site: Site, url: str) -> None:
    site.add("cat.jpg", b"x")
    assert AssetRoot(site.root).resolve(url, document="index.html").kind is TargetKind.EXTERNAL


def test_resolve_knows_the_sites_own_address(site: Site) -> None:
    site.add("img/cat.jpg", b"x")
    root = AssetRoot(site.root, site_url="https://example.com/docs/")
    target = root.resolve("https://example.com/docs/img/cat.jpg", document="index.html")
    assert target.kind is TargetKind.FILE
    assert target.url("a b.webp") == "https://example.com/docs/a%20b.webp"


def test_resolve_takes_prefix_off_root_relative_urls(site: Site) -> None:
    site.add("img/cat.jpg", b"x")
    target = AssetRoot(site.root, site_url="https://example.com/docs/").resolve(
        "/docs/img/cat.jpg", document="404.html"
    )
    assert (target.path, target.url("x.webp")) == ("img/cat.jpg", "/docs/x.webp")


def test_resolve_above_the_prefix_is_outside(site: Site) -> None:
    root = AssetRoot(site.root, site_url="https://example.com/docs/")
    assert root.resolve("/other/cat.jpg", document="index.html").kind is TargetKind.OUTSIDE


@pytest.mark.parametrize(("base", "relative"), [("img/", "../x.webp"), ("/img/deep/", "../../x.webp")])
def test_resolve_counts_from_base(site: Site, base: str, relative: str) -> None:
    site.add("img/cat.jpg", b"x")
    site.add("img/deep/cat.jpg", b"x")
    target = AssetRoot(site.root).resolve("cat.jpg", document="index.html", base=base)
    assert (target.kind, target.url("x.webp")) == (TargetKind.FILE, relative)


def test_resolve_with_foreign_base_is_external(site: Site) -> None:
    site.add("cat.jpg", b"x")
    target = AssetRoot(site.root).resolve("cat.jpg", document="index.html", base="https://cdn.example.com/")
    assert target.kind is TargetKind.EXTERNAL


def test_resolve_link_out_of_the_tree_is_outside(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"x")
    (site.root / "cat.jpg").symlink_to(secret)
    assert AssetRoot(site.root).resolve("cat.jpg", document="index.html").kind is TargetKind.OUTSIDE


def test_resolve_follows_links_inside_the_tree(site: Site) -> None:
    site.add("1.0/cat.jpg", b"x")
    (site.root / "latest").symlink_to("1.0", target_is_directory=True)
    target = AssetRoot(site.root).resolve("latest/cat.jpg", document="index.html")
    assert (target.kind, target.path) == (TargetKind.FILE, "1.0/cat.jpg")


def test_walk_survives_loops_of_links(site: Site) -> None:
    (site.root / "a").symlink_to("b")
    (site.root / "b").symlink_to("a")
    (site.root / "loop").symlink_to(".", target_is_directory=True)
    site.add("cat.jpg", b"x")
    assert list(AssetRoot(site.root).files) == ["cat.jpg"]


def test_nearest_prefers_same_name_elsewhere(site: Site) -> None:
    site.add("img/Cat.JPG", b"x")
    assert AssetRoot(site.root).nearest("images/cat.jpg") == "img/Cat.JPG"


def test_nearest_finds_a_slip_of_the_pen(site: Site) -> None:
    site.add("img/castle.jpg", b"x")
    assert AssetRoot(site.root).nearest("img/caslte.jpg") == "img/castle.jpg"


@pytest.mark.parametrize("site_url", ["https://Example.com/docs/", "https://example.com/docs/"])
@pytest.mark.parametrize("url", ["HTTPS://EXAMPLE.com/docs/cat.jpg", "https://example.com/docs/cat.jpg"])
def test_case_of_a_host_does_not_matter(site: Site, url: str, site_url: str) -> None:
    site.add("cat.jpg", b"x")
    target = AssetRoot(site.root, site_url=site_url).resolve(url, document="index.html")
    assert (target.kind, target.path) == (TargetKind.FILE, "cat.jpg")


@pytest.mark.parametrize(
    "url", ["cat.jpg", "img/cat.jpg", "../cat.jpg", "../../cat.jpg", "../../../cat.jpg", "a..b", "no"]
)
@pytest.mark.parametrize("document", ["index.html", "guide/index.html", "guide/é +?#/index.html"])
@pytest.mark.parametrize("site_url", ["", "https://example.com/docs/"])
def test_resolve_reads_plain_urls_as_all_others(site: Site, url: str, document: str, site_url: str) -> None:
    for name in ("cat.jpg", "guide/img/cat.jpg", "guide/a..b", "guide/é +?#/cat.jpg"):
        site.add(name, b"x")
    root = AssetRoot(site.root, site_url=site_url)
    other = root.resolve("./" + url, document=document)
    assert root.resolve(url, document=document) == other
