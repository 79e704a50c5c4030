"""Each tutorial's commands work in order, in a clean environment, and what comes out is right in a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from s3_servers import free_ports
from sites import photo
from tutorials import as_script, read_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from chromium import PageOpener
    from s3_servers import S3Server

ROOT = Path(__file__).parents[2]
START = ROOT / "docs" / "start"
TUTORIALS = sorted(START.glob("*.md"))
SITES = {"mkdocs": "my-docs/site", "eleventy": "my-blog/_site"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    return folder


def environ_of(folder: Path, wheels: Path) -> dict[str, str]:
    """Return the environment of a clean machine: no settings, and the package from here until its first release."""
    kept = ("PATH", "HOME", "LANG", "NODE_PATH", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE")
    environ = {name: value for name, value in os.environ.items() if name in kept or name.startswith(("PIP_", "npm_"))}
    own = {"PIP_FIND_LINKS": str(wheels), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    return environ | own


def follow(page: Path, folder: Path, wheels: Path, server: S3Server) -> str:
    """Do what the tutorial says in an empty folder; return what was printed."""
    if page.stem == "eleventy" and shutil.which("npm") is None:
        pytest.skip("needs npm")
    client = server.client()
    if "my-images" not in {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket="my-images")
        everyone = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::my-images/*",
        }
        client.put_bucket_policy(
            Bucket="my-images", Policy=json.dumps({"Version": "2012-10-17", "Statement": [everyone]})
        )
    replacements = {
        "https://s3.example.com": server.endpoint_url,
        "https://img.example.com": f"{server.endpoint_url}/my-images",
        "YOUR-KEY": server.access_key,
        "YOUR-SECRET": server.secret_key,
    }
    # Another run's application at the page's own port would answer in place of ours, and may have lost its folder.
    script = as_script(read_steps(page), replacements | {"5050": str(free_ports(1)[0])})
    return typed(script, folder, environ_of(folder, wheels))


def typed(script: str, folder: Path, environ: dict[str, str]) -> str:
    """Run a script of commands and return what it prints; what it starts in the background ends with it."""
    output, errors = folder / "typed.out", folder / "typed.err"
    with (
        output.open("w") as out,
        errors.open("w") as err,
        # A group of its own: Flask's reloader starts a second process, which a signal to the first would leave running.
        subprocess.Popen(
            ["bash"], stdin=subprocess.PIPE, stdout=out, stderr=err, cwd=folder, env=environ, start_new_session=True
        ) as shell,
    ):
        try:
            shell.communicate(script.encode(), timeout=280)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, output.read_text()[-3000:] + errors.read_text()[-3000:]
    return output.read_text()


@pytest.mark.nightly
@pytest.mark.browser
@pytest.mark.process
@pytest.mark.parametrize("name", SITES)
def test_tutorial_ends_with_a_site_that_shows_its_picture(
    name: str, tmp_path: Path, wheels: Path, moto_server: S3Server, serve: Callable[..., str], open_page: PageOpener
) -> None:
    output = follow(START / f"{name}.md", tmp_path, wheels, moto_server)
    assert f"{moto_server.endpoint_url}/my-images/" in output
    page = open_page(serve(tmp_path / SITES[name]) + "index.html")
    [shown] = [image for image in page.images if image.alt == "A picture"]
    assert shown.current_src.startswith(f"{moto_server.endpoint_url}/my-images/")
    assert shown.natural_width > 0
    assert page.broken_images == ()  # the theme's fonts and scripts are at other hosts, which tests don't reach


@pytest.mark.nightly
@pytest.mark.process
def test_flask_tutorial_takes_a_photograph_and_refuses_a_text(
    tmp_path: Path, wheels: Path, moto_server: S3Server
) -> None:
    output = follow(START / "flask.md", tmp_path, wheels, moto_server)
    assert output.count("302\n") == 2
    assert "<picture" in output
    assert "“app.py” can't be used" in output  # what is told to who sent a text instead of a picture
    assert f"{moto_server.endpoint_url}/my-images/app/" in output


@pytest.mark.nightly
@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "picture", "page"),
    [
        ("guides/pelican", "content/images/cat.jpg", "output/cats.html"),
        ("zensical", "docs/cat.jpg", "site/index.html"),
    ],
)
def test_page_of_a_generator_ends_with_a_published_site(
    name: str, picture: str, page: str, tmp_path: Path, wheels: Path
) -> None:
    (tmp_path / picture).parent.mkdir(parents=True)
    (tmp_path / picture).write_bytes(photo(1200, 800))
    if name == "zensical":
        (tmp_path / "docs/index.md").write_text("# Cats\n\n![A cat](cat.jpg)\n")
    script = as_script(read_steps(ROOT / "docs" / f"{name}.md"), {})
    script = "python3 -m venv .venv; . .venv/bin/activate\n" + script
    typed(script, tmp_path, environ_of(tmp_path, wheels))
    html = (tmp_path / page).read_text()
    [shown] = re.findall(r'<img[^>]*alt="A cat"[^>]*>', html)
    assert "srcset=" in shown
    [name, *_] = re.findall(r'assets/_s3img/([^" ]+)', shown)
    assert (tmp_path / page.partition("/")[0] / "assets/_s3img" / name).is_file()


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_tutorial_has_steps_that_a_shell_can_read(page: Path) -> None:
    steps = read_steps(page)
    assert len([step for step in steps if not step.path]) >= 4
    assert len([step for step in steps if step.path]) >= 2
    checked = subprocess.run(
        ["bash", "-n"], input=as_script(steps, {}), capture_output=True, text=True, check=False, timeout=60
    )
    assert checked.stderr == ""


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_tutorial_begins_without_a_bucket_or_says_so(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.search(r"^You need .*Python 3\.11", text, re.MULTILINE), (
        "what has to be there is said before the first step"
    )
