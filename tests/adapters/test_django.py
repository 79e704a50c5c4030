"""The Django app in a real project, whose ``manage.py`` runs in processes: settings of Django can't be taken back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sites import photo

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """
from pathlib import Path
BASE_DIR = Path(__file__).parent
SECRET_KEY, USE_TZ, ROOT_URLCONF, ALLOWED_HOSTS = "for tests", True, "pages", ["*"]
INSTALLED_APPS = ["django.contrib.staticfiles", "s3img.adapters.django", "pets"]
STATIC_URL, STATIC_ROOT = "/static/", BASE_DIR / "collected"
STATICFILES_DIRS = [BASE_DIR / "static", ("brand", BASE_DIR / "logos")]
STORAGES = {"staticfiles": {"BACKEND": "s3img.adapters.django.staticfiles.LockedStaticFilesStorage"}}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
S3IMG = {
    "bucket": (BASE_DIR / "bucket").as_uri(), "public_url": "https://img.example.com/", "cache_dir": str(BASE_DIR / "cache"),
    "widths": [40], "formats": ["webp"], "variants": True, "service_url": "https://img.example.com/t",
}
"""
PROBE = """
import json, logging, sys
import django
from django.conf import settings
from django.test import override_settings
django.setup()
from django.core import checks
from django.template import Template, Context
from django.templatetags.static import static

logging.disable()

def attempt(action):
    try:
        return str(action())
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def render(text):
    return attempt(lambda: Template("{% load s3img %}" + text).render(Context({"evil": '"><script>'})))

def check(**overrides):
    with override_settings(**overrides):
        return [f"{found.id} {found.msg}" for found in checks.run_checks(tags=["staticfiles"]) if "s3img" in found.id]

found = {"static": {name: attempt(lambda: static(name)) for name in sys.argv[1].split()}}
found["tags"] = {text: render(text) for text in json.loads(sys.argv[2])}
with override_settings(DEBUG=True):
    found["debug"] = {text: render(text) for text in json.loads(sys.argv[2])}
plain = dict(settings.S3IMG)
(settings.BASE_DIR / "broken.lock").write_text("not a lock")
found["checks"] = {
    "good": check(),
    "missing": check(S3IMG_LOCK="nowhere.lock"),
    "broken": check(S3IMG_LOCK="broken.lock"),
    "public_url": check(S3IMG={**plain, "public_url": ""}),
    "bucket": check(S3IMG={}),
    "wrong": check(S3IMG={"colour": "red"}),
    "text": check(S3IMG="s3://pics"),
    "number": check(S3IMG={5: "red"}),
    "lock": check(S3IMG_LOCK=5),
    "zero byte": check(S3IMG_LOCK="a\\0b"),
    "base": check(BASE_DIR=None),
}
with override_settings(S3IMG={}):
    found["no bucket"] = static("cat.jpg")
print(json.dumps(found))
"""
NAMES = "cat.jpg brand/logo.png pets/dog.jpg style.css new.jpg cat.jpg#a ../cat.jpg shared.jpg gone.jpg"
TAGS = [
    "{% s3img_url 'cat.jpg' %}",
    "{% s3img_url 'cat.jpg' 'w-30' %}",
    "{% s3img_url 'cat.jpg' 'w-x' %}",
    "{% s3img_url 'new.jpg' %}",
    "{% s3img_picture 'cat.jpg' alt='A cat' sizes='50vw' class='hero' widths='40' data_id=7 %}",
    "{% s3img_picture 'cat.jpg' alt=evil title=evil %}",
    "{% s3img_picture 'new.jpg' alt=evil loading='eager' sizes='50vw' %}",
    "{% s3img_picture 'cat.jpg' %}",
    "{% s3img_styles nonce='abc' %}",
    "{% s3img_picture 'cat.jpg' alt='' widths='40, wide' %}",
    "{% s3img_picture 'cat.jpg' alt='' sizes=5 loading=6 %}",
    "{% s3img_url None %}",
    "{% s3img_picture 5 alt='' %}",
]


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "project_settings", "PYTHONPATH": str(project)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=project, env=environ, capture_output=True, text=True, check=False
    )


def manage(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(project, "-m", "django", *arguments)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("django")
    (folder / "project_settings.py").write_text(SETTINGS)
    (folder / "pages.py").write_text("urlpatterns = []\n")
    pictures = (
        "static/cat.jpg",
        "logos/logo.png",
        "pets/static/pets/dog.jpg",
        "pets/static/shared.jpg",
        "static/gone.jpg",
    )
    for number, path in enumerate(pictures):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(photo(80, 60, seed=number, format="PNG" if path.endswith("png") else "JPEG"))
    (folder / "pets/__init__.py").touch()
    (folder / "static/style.css").write_text("body { background: url(cat.jpg) }")
    (folder / "collected").mkdir()
    return folder


@pytest.fixture(scope="module")
def synced(project: Path) -> str:
    done = manage(project, "s3img", "sync")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def probed(project: Path, synced: str) -> dict[str, Any]:
    (project / "static/new.jpg").write_bytes(photo(80, 60, seed=9))
    (project / "static/shared.jpg").write_bytes(photo(80, 60, seed=10))  # Django finds it before that of the app
    (project / "static/gone.jpg").unlink()
    collected = manage(project, "collectstatic", "--no-input")
    assert collected.returncode == 0, collected.stderr
    done = run(project, "-c", PROBE, NAMES, json.dumps(TAGS))
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_sync_puts_the_static_folders_and_writes_the_lock(project: Path, synced: str) -> None:
    assert synced.startswith("Synced 5 images")
    paths = re.findall(r"(?:static|logos|pets)/[\w/]+\.\w+(?=\s)", (project / "s3img.lock").read_text())
    assert {"static/cat.jpg", "logos/logo.png", "pets/static/pets/dog.jpg"} <= set(paths)
    assert list((project / "bucket/pets/static/pets").glob("dog.*.jpg"))


def test_storage_gives_public_addresses_of_images_in_the_lock(probed: dict[str, Any]) -> None:
    static = probed["static"]
    assert re.fullmatch(r"https://img\.example\.com/static/cat\.[0-9a-f]{8}\.jpg", static["cat.jpg"])
    assert static["brand/logo.png"].startswith("https://img.example.com/logos/logo.")
    assert static["pets/dog.jpg"].startswith("https://img.example.com/pets/static/pets/dog.")
    assert static["gone.jpg"].startswith("https://img.example.com/static/gone.")  # in the lock, not on disk


def test_storage_leaves_everything_else_to_django(probed: dict[str, Any]) -> None:
    static = probed["static"]
    assert re.fullmatch(r"/static/style\.[0-9a-f]{12}\.css", static["style.css"])
    assert re.fullmatch(r"/static/new\.[0-9a-f]{12}\.jpg", static["new.jpg"])
    assert re.fullmatch(r"/static/cat\.[0-9a-f]{12}\.jpg#a", static["cat.jpg#a"])
    assert static["../cat.jpg"].startswith("ValueError: Missing staticfiles manifest entry")
    assert probed["no bucket"].startswith("/static/cat.")


def test_image_that_django_finds_first_is_not_taken_for_another(probed: dict[str, Any]) -> None:
    assert probed["static"]["shared.jpg"].startswith("/static/shared.")


def test_tags_write_addresses_and_pictures(probed: dict[str, Any]) -> None:
    tags = list(probed["tags"].values())
    assert tags[0] == probed["static"]["cat.jpg"]
    assert tags[1].startswith("https://img.example.com/t/tr:w-30/static/cat.")
    assert "TransformError" in tags[2]
    assert tags[4].startswith('<picture class="s3img"><source type="image/webp"')
    assert all(
        text in tags[4] for text in ('alt="A cat"', 'sizes="50vw"', 'class="hero"', 'data-id="7"', 'height="60"')
    )
    assert tags[8].startswith('<style nonce="abc">picture.s3img{display:contents}')


def test_tags_escape_what_templates_give(probed: dict[str, Any]) -> None:
    for text in (TAGS[5], TAGS[6]):
        assert "<script" not in probed["tags"][text]
        assert "&gt;&lt;script&gt;" in probed["tags"][text]


def test_picture_without_alt_is_an_error(probed: dict[str, Any]) -> None:
    assert re.match("TemplateSyntaxError.*'alt'", probed["tags"][TAGS[7]])


def test_width_that_is_no_number_is_named(probed: dict[str, Any]) -> None:
    assert re.match("ConfigError: .*widths: .*'wide'", probed["tags"][TAGS[9]])


def test_template_may_give_what_is_not_a_text(probed: dict[str, Any]) -> None:
    picture = probed["debug"]["{% s3img_picture 'cat.jpg' alt='' sizes=5 loading=6 %}"]
    assert 'sizes="5" alt="" width="80" height="60" loading="6"' in picture
    assert probed["debug"]["{% s3img_url None %}"].startswith("AssetError: 'None' is not in the lock.")
    assert probed["debug"]["{% s3img_picture 5 alt='' %}"].startswith("AssetError: '5' is not in the lock.")


def test_image_outside_the_lock_is_local_in_production_and_an_error_while_debugging(probed: dict[str, Any]) -> None:
    assert re.match(r'<img src="/static/new\.\w+\.jpg" alt="\S*&gt;" loading="eager">', probed["tags"][TAGS[6]])
    assert probed["tags"][TAGS[3]].startswith("/static/new.")
    assert probed["debug"][TAGS[3]].startswith("AssetError: 'new.jpg' is not in the lock.")


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("missing", r"s3img\.W002 .*nowhere\.lock does not exist"),
        ("broken", r"s3img\.E003 .*broken\.lock:1: is not a lock"),
        ("public_url", r"s3img\.E002 public_url is not set"),
        ("bucket", r"s3img\.W001 No bucket is set"),
        ("text", r"s3img\.E001 .*S3IMG\['…'\]: the settings are a table of names and values, not str"),
        ("number", r"s3img\.E001 .*S3IMG\['5'\]: the name of a setting is a text"),
        ("lock", r"s3img\.E001 .*S3IMG_LOCK: 5 is not a path"),
        ("zero byte", r"s3img\.E001 .*S3IMG_LOCK: 'a\\x00b' is not a path"),
        ("base", r"s3img\.E001 .*BASE_DIR: None is not a path"),
        ("wrong", r"s3img\.E001 .*S3IMG\['colour'\]: unknown setting"),
    ],
)
def test_check_names_what_is_wrong(probed: dict[str, Any], case: str, expected: str) -> None:
    assert probed["checks"]["good"] == []
    assert len(probed["checks"][case]) == 1
    assert re.match(expected, probed["checks"][case][0])


def test_check_command_names_images_that_differ(project: Path, probed: dict[str, Any]) -> None:
    found = manage(project, "s3img", "check")
    assert found.returncode == 1
    assert re.search(r"static/new\.jpg: ", found.stdout)
    assert "static/gone.jpg" not in manage(project, "s3img", "check", "--allow-missing").stdout


def test_command_explains_a_wrong_setting(project: Path) -> None:
    text = SETTINGS.replace('"widths": [40]', '"colour": "red"')
    (project / "wrong_settings.py").write_text(text)
    found = manage(project, "s3img", "--settings=wrong_settings", "check")
    assert (found.returncode, found.stdout) == (3, "")
    assert "S3IMG['colour']: unknown setting" in found.stderr
    assert "Traceback" not in found.stderr


def test_command_explains_a_lock_that_is_no_path(project: Path) -> None:
    (project / "number_settings.py").write_text(f"{SETTINGS}S3IMG_LOCK = 5\n")
    found = manage(project, "s3img", "--settings=number_settings", "check")
    assert (found.returncode, found.stderr.strip()) == (3, "The settings can't be used:\n  S3IMG_LOCK: 5 is not a path")


def test_command_has_what_an_application_needs(project: Path, synced: str) -> None:
    url = manage(project, "s3img", "url", "static/cat.jpg")
    assert url.stdout.startswith("https://img.example.com/static/cat.")
    assert manage(project, "s3img", "publish", ".").returncode == 2  # for built sites


@pytest.mark.parametrize("words", [("--help",), ("-h",)])
def test_help_lists_the_commands(project: Path, words: tuple[str, ...]) -> None:
    found = manage(project, "s3img", *words).stdout
    assert "Usage: manage.py s3img" in found
    assert "write s3img.lock" in found
