"""What `markup = "auto"` costs: the example site in three themes, published with it and with `markup = "picture"`.

Variants come from the cache, so what differs is that style sheets and scripts are read and selectors are matched.
Processor time of this process, the two in turn, the smallest of three rounds: ``python benchmarks/markup.py``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Literal

from s3img import Config, Images

EXAMPLE = Path(__file__).parents[1] / "examples" / "mkdocs_site"
THEMES = ("mkdocs", "readthedocs", "material")
ROUNDS = 3
COPIES = 20  # of each page, so that what is done once for a site does not count for more than it does elsewhere


def build(theme: str, folder: Path) -> Path:
    """Build the example under a theme, and multiply its pages."""
    project = Path(shutil.copytree(EXAMPLE, folder / f"{theme}-source"))
    settings = (project / "mkdocs.yml").read_text()
    start, end = settings.index("theme:"), settings.index("extra_css:")
    (project / "mkdocs.yml").write_text(f"{settings[:start]}theme: {theme}\n{settings[end:]}")
    site = folder / theme
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", str(project / "mkdocs.yml"), "-d", str(site)]
    subprocess.run(command, check=True)
    for page in list(site.rglob("*.html")):
        for number in range(COPIES - 1):
            shutil.copy(page, page.with_stem(f"{page.stem}-{number}"))
    return site


def publish(site: Path, folder: Path, markup: Literal["picture", "auto"]) -> tuple[float, int, int]:
    """Publish a copy; return seconds of processor time, pages, and how many pictures got a wrapper."""
    copy = Path(shutil.copytree(site, folder / "copy"))
    images = Images(Config(cache_dir=str(folder / "cache"), widths=(320, 640), formats=("webp",), markup=markup))
    start = time.process_time()
    result = images.publish(copy)
    seconds = time.process_time() - start
    wrapped = sum(page.read_text().count('<picture class="s3img') for page in copy.rglob("*.html"))
    shutil.rmtree(copy)
    return seconds, result.pages, wrapped


def main() -> None:
    """Print a table row for each theme."""
    print('| theme | pages | `<picture>` with "picture" | with "auto" | ms a page, "picture" | "auto" |')
    print("| --- | --- | --- | --- | --- | --- |")
    for theme in THEMES:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            site = build(theme, folder)
            publish(site, folder, "picture")  # fills the cache
            rounds = [(publish(site, folder, "picture"), publish(site, folder, "auto")) for _ in range(ROUNDS)]
        pages = rounds[0][0][1]
        plain, auto = (1000 * min(one[way][0] for one in rounds) / pages for way in (0, 1))
        wrapped = [rounds[0][way][2] for way in (0, 1)]
        print(f"| {theme} | {pages} | {wrapped[0]} | {wrapped[1]} | {plain:.1f} | {auto:.1f} |")


if __name__ == "__main__":
    main()
