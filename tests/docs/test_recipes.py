"""The CI files that the documents show do what the documents say: their steps are run, with a store and a site."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from s3_servers import new_bucket
from sites import photo
from workflows import Machine, file_of

if TYPE_CHECKING:
    from s3_servers import S3Server, TestBucket

DOCS = Path(__file__).parents[2] / "docs"
GITHUB = DOCS / "github-actions.md"
GITLAB = DOCS / "gitlab-ci.md"
CLOUDFLARE = DOCS / "cloudflare-pages.md"
SETTINGS = 'widths = [160]\nformats = ["webp"]\n'

# A site generator whose only work is to copy the page and the picture: it is not what is tried here.
GENERATOR = '#!/bin/sh\nfor last; do :; done\n[ "$last" = @11ty/eleventy ] && last=_site\ncp -r docs "$last"\n'


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine with a checkout: a page and its picture in ``docs``, the same picture in ``static``."""
    checkout, programs = tmp_path / "checkout", tmp_path / "bin"
    for folder in (programs, checkout / "docs", checkout / "static"):
        folder.mkdir(parents=True)
    for name in ("mkdocs", "npx"):
        (programs / name).write_text(GENERATOR)
        (programs / name).chmod(0o755)
    (programs / "pip").symlink_to("/bin/true")  # s3img is there
    (programs / "s3img").symlink_to(shutil.which("s3img", path=Path(sys.executable).parent) or pytest.skip("no s3img"))
    (checkout / "docs/index.html").write_text('<!doctype html><title>T</title><img src="cat.jpg" alt="A cat">')
    for folder in ("docs", "static"):
        (checkout / folder / "cat.jpg").write_bytes(photo(400, 300))
    (checkout / "s3img.toml").write_text(SETTINGS)
    return Machine(checkout, programs)


@pytest.fixture
def bucket(machine: Machine, moto_server: S3Server) -> TestBucket:
    """A bucket in the settings of the checkout; whoever takes the role gets its key."""
    found = new_bucket(moto_server)
    lines = {"bucket": found.address, "endpoint_url": moto_server.endpoint_url, "public_url": found.public_url}
    (machine.folder / "s3img.toml").write_text(SETTINGS + "".join(f'{name} = "{lines[name]}"\n' for name in lines))
    machine.role = {"AWS_ACCESS_KEY_ID": moto_server.access_key, "AWS_SECRET_ACCESS_KEY": moto_server.secret_key}
    return found


def page_of(machine: Machine) -> str:
    [site] = machine.uploaded or [machine.folder / "site"]
    return (site / "index.html").read_text()


def test_pages_workflow_deploys_pictures_inside_the_site_and_keeps_the_cache(machine: Machine) -> None:
    recipe = file_of(GITHUB, ".github/workflows/pages.yml")
    assert machine.github(recipe, event="push") == 0, machine.printed
    assert '<source type="image/webp" srcset="assets/_s3img/cat.' in page_of(machine)
    assert "2 rendered" in machine.printed
    shutil.rmtree(machine.folder / "site")  # the next run has a new checkout, and what actions/cache kept
    machine.printed, machine.uploaded = "", []
    assert machine.github(recipe, event="push") == 0, machine.printed
    assert "0 rendered" in machine.printed
    assert "assets/_s3img/cat." in page_of(machine)


def test_bucket_workflow_uploads_with_a_role(machine: Machine, bucket: TestBucket) -> None:
    recipe = file_of(GITHUB, ".github/workflows/site.yml")
    assert machine.github(recipe, event="push", S3IMG_ROLE="arn:aws:iam::1:role/s3img") == 0, machine.printed
    assert f'src="{bucket.public_url}/cat.' in page_of(machine)
    assert any(listed.key.endswith(".webp") for listed in bucket.bucket.list())


@pytest.mark.nightly
def test_bucket_workflow_fails_on_main_without_its_role(machine: Machine, bucket: TestBucket) -> None:
    machine.has_role = False
    recipe = file_of(GITHUB, ".github/workflows/site.yml")
    assert machine.github(recipe, event="push", S3IMG_ROLE="arn:aws:iam::1:role/s3img") == 4
    assert [*bucket.bucket.list()] == []


def test_bucket_workflow_passes_for_a_fork_with_pictures_inside_the_site(machine: Machine, bucket: TestBucket) -> None:
    assert machine.github(file_of(GITHUB, ".github/workflows/site.yml"), event="pull_request") == 0, machine.printed
    assert "images stay inside the site" in machine.printed
    assert "assets/_s3img/cat." in page_of(machine)
    assert [*bucket.bucket.list()] == []


def test_check_is_a_gate_for_pictures_that_are_not_in_the_lock(machine: Machine, bucket: TestBucket) -> None:
    recipe = file_of(GITHUB, ".github/workflows/check.yml")
    assert machine.shell("s3img sync static", **machine.role) == 0, machine.printed
    (machine.folder / "static/cat.jpg").unlink()  # out of git
    assert machine.github(recipe, event="pull_request") == 0, machine.printed
    (machine.folder / "static/new.jpg").write_bytes(photo(40, 30))
    assert machine.github(recipe, event="pull_request") == 1
    assert "static/new.jpg" in machine.printed


@pytest.mark.nightly
def test_gitlab_pages_has_pictures_inside_the_site(machine: Machine) -> None:
    recipe = file_of(GITLAB, ".gitlab-ci.yml", heading="GitLab Pages, without a bucket")
    assert machine.gitlab(recipe, "pages") == 0, machine.printed
    assert "assets/_s3img/cat." in page_of(machine)
    assert [*(machine.folder / ".cache/s3img").rglob("*")]


@pytest.mark.nightly
def test_gitlab_job_with_a_key_uploads_and_a_merge_request_does_not(machine: Machine, bucket: TestBucket) -> None:
    recipe = file_of(GITLAB, ".gitlab-ci.yml", heading="A bucket with a stored key")
    assert machine.gitlab(recipe, "preview") == 0, machine.printed
    assert "assets/_s3img/cat." in page_of(machine)
    shutil.rmtree(machine.folder / "public")
    assert machine.gitlab(recipe, "pages") == 4
    shutil.rmtree(machine.folder / "public")
    machine.uploaded = []
    key = {"S3IMG_ACCESS_KEY_ID": bucket.server.access_key, "S3IMG_SECRET_ACCESS_KEY": bucket.server.secret_key}
    assert machine.gitlab(recipe, "pages", **key) == 0, machine.printed
    assert f'src="{bucket.public_url}/cat.' in page_of(machine)


@pytest.mark.nightly
def test_gitlab_job_takes_a_role_by_its_token(machine: Machine, bucket: TestBucket) -> None:
    recipe = file_of(GITLAB, ".gitlab-ci.yml", heading="A bucket on AWS, without a stored key")
    recipe = recipe.replace("/tmp/aws-token", str(machine.folder / "token")).replace("ACCOUNT", "123456789012")
    sts = {"AWS_ENDPOINT_URL_STS": bucket.server.endpoint_url, "AWS_DEFAULT_REGION": "us-east-1"}
    assert machine.gitlab(recipe, "pages", **sts) == 0, machine.printed
    assert f'src="{bucket.public_url}/cat.' in page_of(machine)


@pytest.mark.nightly
@pytest.mark.parametrize(("branch", "code"), [("main", 4), ("feature", 0)])
def test_cloudflare_build_command_needs_its_secrets_in_production(
    machine: Machine, bucket: TestBucket, branch: str, code: int
) -> None:
    text = CLOUDFLARE.read_text("utf-8")
    command = text.partition("```sh\n")[2].partition("\n```")[0]
    plain = text.partition("| Build command | `")[2].partition("`")[0]
    assert command.startswith(plain)
    assert machine.shell(command, CF_PAGES_BRANCH=branch) == code, machine.printed
    assert [*bucket.bucket.list()] == []
