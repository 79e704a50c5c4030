"""Rewrite the image references of real pages: MB/s of s3img beside compiled rewriters and tree parsers.

    python -m venv .venv-bench && .venv-bench/bin/pip install . -r benchmarks/rewrite-requirements.txt
    .venv-bench/bin/python benchmarks/rewrite.py [--rounds 7] [--megabytes 2] [--by-page] [--cache DIR]

The whole job: find the references, decode them, call a function for each, put its answer in place. Each rewrites all
pages of a corpus, then comes the next, round after round and each time in another order; a page counts with the
fastest CPU time of each, a corpus with the sum of its pages. With ``--by-page`` they take turns page by page, so that
each finds the caches of the processor as another left them. Pages come from Debian's documentation packages
(``apt-get download``; nothing is installed) and from a site that mkdocs-material builds of the texts which the
installed packages describe themselves with.
"""

from __future__ import annotations

import argparse
import html
import math
import platform
import random
import subprocess
import sys
import tempfile
import warnings
from importlib import metadata
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

import lolhtml
import lxml.html
import turbohtml
import turbohtml.rewrite
from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
from selectolax.lexbor import LexborHTMLParser

from s3img.rewrite import find_references, rewrite
from s3img.rewrite.srcset import spans

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES = {
    "Python (Sphinx)": ("python3.11-doc", "**/python3.11/html/**/*.html"),
    "GIMP (DocBook)": ("gimp-help-en", "**/*.html"),
    "Debian Handbook (Publican)": ("debian-handbook", "**/en-US/*.html"),
    "OpenJDK (Javadoc)": ("openjdk-17-doc", "**/*.html"),
    "Eigen (Doxygen)": ("libeigen3-doc", "**/*.html"),
}
MATERIAL = "packages (mkdocs-material)"
ICONS = ("icon", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon")
METAS = ("og:image", "og:image:url", "twitter:image", "image")
SELECTED = {
    "img": ("src", "srcset"),
    "source": ("srcset",),
    "video": ("poster",),
    'input[type="image"]': ("src",),
    **{f'link[rel~="{icon}"]': ("href",) for icon in ICONS},
    **{f'meta[{name}="{value}"]': ("content",) for name in ("property", "name") for value in METAS},
    '[style*="url("]': ("style",),
}
BARS = {
    "lol-html": 1.3,
    "tokens alone (C)": 0.33,
    "selectolax": 2.5,
    "lxml": 5.0,
    "BeautifulSoup (lxml)": 50.0,
    "BeautifulSoup (html.parser)": 50.0,
}
SLOW = tuple(name for name in BARS if name.startswith("Beautiful"))


def moved(url: str) -> str:
    return f"https://img.example.com/{url}"


def moved_value(name: str, value: str) -> str:
    """Move all URLs of a decoded attribute value."""
    if name == "style":
        return rewrite(value, "text/css", lambda found: moved(found.url))
    if name not in ("srcset", "imagesrcset"):
        return moved(value.strip())
    parts, at = list[str](), 0
    for start, end, _ in spans(value):
        parts += value[at:start], moved(value[start:end])
        at = end
    return "".join((*parts, value[at:]))


def s3img(page: bytes) -> bytes:
    return rewrite(page, "text/html", lambda found: moved(found.url))


class Handler:
    """Moves attributes of an element that a streaming rewriter shows."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def element(self, element: lolhtml.Element) -> None:  # values come and go as they are written in the page
        for name in self.names:
            value = element.get_attribute(name)
            if value:
                element.set_attribute(name, html.escape(moved_value(name, html.unescape(value))))

    def __call__(self, element: turbohtml.rewrite.Element) -> None:
        for name in self.names:
            value = element.get(name)
            if value:
                element.set_attribute(name, moved_value(name, value))


HANDLERS = [(selector, Handler(names)) for selector, names in SELECTED.items()]


def by_lolhtml(page: bytes) -> bytes:
    out: list[bytes] = []
    rewriter = lolhtml.HTMLRewriter(out.append)
    for selector, handler in HANDLERS:
        rewriter.on(selector, handler)
    rewriter.write(page)
    rewriter.end()
    return b"".join(out)


def by_turbohtml(page: bytes) -> bytes:
    return turbohtml.rewrite.rewrite(page.decode("utf-8", "replace"), elements=HANDLERS).encode()


def tokens_alone(page: bytes) -> bytes:
    """Only split a page into tags and text, by a tokenizer in C: nothing is looked for, nothing written."""
    for _ in turbohtml.tokenize(page.decode("utf-8", "replace"), resolve_references=False, capture_attributes=False):
        pass
    return page


def by_selectolax(page: bytes) -> bytes:
    tree = LexborHTMLParser(page)
    for selector, names in SELECTED.items():
        for node in tree.css(selector):
            for name in names:
                value = node.attributes.get(name)
                if value:
                    node.attrs[name] = moved_value(name, value)
    return (tree.html or "").encode()


def move_all(elements: object, get: Callable[..., str | None], put: Callable[..., object]) -> None:
    for element, names in elements:  # type: ignore[attr-defined]  # lxml has no types
        for name in names:
            value = get(element, name)
            if value:
                put(element, name, moved_value(name, value))


XPATHS = {
    "//img": ("src", "srcset"),
    "//source": ("srcset",),
    "//video": ("poster",),
    "//input[@type='image']": ("src",),
    "//link[contains(@rel, 'icon')]": ("href",),
    "//meta[contains(concat(@property, @name), 'image')]": ("content",),
    "//*[contains(@style, 'url(')]": ("style",),
}


def by_lxml(page: bytes) -> bytes:
    tree = lxml.html.fromstring(page)
    found = [(element, names) for path, names in XPATHS.items() for element in tree.xpath(path)]
    move_all(found, lambda element, name: element.get(name), lambda element, name, new: element.set(name, new))
    return lxml.html.tostring(tree)


def by_soup(parser: str) -> Callable[[bytes], bytes]:
    def run(page: bytes) -> bytes:
        soup = BeautifulSoup(page, parser)
        found = [(element, names) for selector, names in SELECTED.items() for element in soup.select(selector)]
        move_all(
            found, lambda element, name: element.get(name), lambda element, name, new: element.__setitem__(name, new)
        )
        return soup.encode()

    return run


RUNNERS: dict[str, Callable[[bytes], bytes]] = {
    "s3img": s3img,
    "lol-html": by_lolhtml,
    "turbohtml": by_turbohtml,
    "tokens alone (C)": tokens_alone,
    "selectolax": by_selectolax,
    "lxml": by_lxml,
    "BeautifulSoup (lxml)": by_soup("lxml"),
    "BeautifulSoup (html.parser)": by_soup("html.parser"),
}


def unpacked(package: str, cache: Path) -> Path:
    """Return the folder with the files of a Debian package."""
    folder = cache / package
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", "-q", package], cwd=cache, check=True, capture_output=True)
        (archive,) = cache.glob(f"{package}_*.deb")
        subprocess.run(["dpkg", "-x", archive, folder], check=True)
    return folder


def built(cache: Path) -> Path:
    """Return a site that mkdocs-material built."""
    folder = cache / "material"
    if not (folder / "site").exists():
        (folder / "docs").mkdir(parents=True, exist_ok=True)
        for package in metadata.distributions():
            if "markdown" in (package.metadata["Description-Content-Type"] or ""):
                (folder / "docs" / f"{package.metadata['Name']}.md").write_text(package.metadata.get_payload())  # type: ignore[attr-defined] # an email.message.Message
        (folder / "mkdocs.yml").write_text("site_name: packages\ntheme: material\n")
        subprocess.run([sys.executable, "-m", "mkdocs", "build", "-q"], cwd=folder, check=True, capture_output=True)
    return folder / "site"


def sample(files: list[Path], size: float) -> list[bytes]:
    """Return about that many megabytes of pages, always the same ones."""
    random.Random(1).shuffle(files)
    pages: list[bytes] = []
    while files and sum(map(len, pages)) < size * 1e6:
        pages.append(files.pop().read_bytes())
    return pages


def cpu(run: Callable[[bytes], bytes], page: bytes) -> float:
    start = process_time()
    run(page)
    return process_time() - start


def measure(pages: list[bytes], rounds: int, *, by_page: bool) -> dict[str, float]:
    """Return the MB/s of everybody over some pages, the slow ones over every eighth page."""
    numbered = list(enumerate(pages))
    fastest: dict[tuple[str, int], float] = {}
    for turn in [[page] for page in numbered] if by_page else [numbered]:
        for _ in range(rounds):
            for name in random.sample(list(RUNNERS), len(RUNNERS)):  # the caches are not always the same one's
                for number, page in turn:
                    if name not in SLOW or number % 8 == 0:
                        seconds = cpu(RUNNERS[name], page)
                        fastest[name, number] = min(seconds, fastest.get((name, number), seconds))
    speed = {}
    for name in RUNNERS:
        own = [(number, seconds) for (runner, number), seconds in fastest.items() if runner == name]
        speed[name] = sum(len(pages[number]) for number, _ in own) / 1e6 / sum(seconds for _, seconds in own)
    return speed


def row(*cells: object) -> None:
    print("|", " | ".join(map(str, cells)), "|", flush=True)


def versions() -> str:
    names = ("python-lolhtml", "turbohtml", "selectolax", "lxml", "beautifulsoup4", "mkdocs-material")
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--megabytes", type=float, default=2.0, help="sample of each corpus")
    parser.add_argument("--by-page", action="store_true", help="take turns page by page instead of corpus by corpus")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "s3img-benchmark-pages")
    options = parser.parse_args()
    warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)  # XHTML pages, as served
    corpora = {
        name: sorted(unpacked(package, options.cache).glob(pattern)) for name, (package, pattern) in PACKAGES.items()
    }
    corpora[MATERIAL] = sorted(built(options.cache).glob("**/*.html"))
    manual = [file.read_bytes() for file in corpora["Python (Sphinx)"] if file.is_file()]

    row("pages", "refs/MB", *RUNNERS)
    row(*["---"] * (len(RUNNERS) + 2))
    ratios: dict[str, list[float]] = {name: [] for name in RUNNERS}
    for name, files in corpora.items():
        pages = sample([file for file in files if file.is_file()], options.megabytes)
        references = sum(len(find_references(page)) for page in pages) / sum(map(len, pages)) * 1e6
        speed = measure(pages, options.rounds, by_page=options.by_page)
        row(name, f"{references:.0f}", *(f"{value:.0f}" if value >= 10 else f"{value:.1f}" for value in speed.values()))
        for peer in RUNNERS:
            ratios[peer].append(speed["s3img"] / speed[peer])
    means = {peer: math.exp(sum(map(math.log, values)) / len(values)) for peer, values in ratios.items()}
    row("**s3img is faster by** (geometric mean)", "", "", *(f"**{means[peer]:.2f}**" for peer in list(RUNNERS)[1:]))
    row("at least", "", "", *(BARS.get(peer, "") for peer in list(RUNNERS)[1:]))

    seconds = min(sum(cpu(s3img, page) for page in manual) for _ in range(3))
    print(
        f"\nPython's manual: {len(manual)} pages, {sum(map(len, manual)) / 1e6:.1f} MB in {seconds:.2f} s of CPU time."
    )
    print(f"CPython {platform.python_version()}, {platform.machine()}; {versions()}.")


if __name__ == "__main__":
    main()
