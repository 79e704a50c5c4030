from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner
from PIL import Image
from sites import photo

from s3img.cli import group, main

if TYPE_CHECKING:
    from sites import Site

ROOT = Path(__file__).parents[2]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    shown = capsys.readouterr()
    return int(stopped.value.code or 0), shown.out, shown.err


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    (tmp_path / "cat.jpg").write_bytes(photo(600, 400))
    return tmp_path / "cat.jpg"


def test_publish_prints_one_json_object(capsys: pytest.CaptureFixture[str], site: Site, cache_dir: str) -> None:
    site.add("cat.jpg", photo(400, 300))
    site.page("index.html", '<img src="cat.jpg" alt=""><img src="dog.jpg" alt="">')
    (site.root.parent / "s3img.toml").write_text(f'cache_dir = "{cache_dir}"\nwidths = [160]\nformats = ["webp"]')
    config = str(site.root.parent / "s3img.toml")
    code, out, err = run(capsys, "publish", str(site.root), "--json", "--config", config)
    result = json.loads(out)
    assert (code, err, result["schema"], result["pages_changed"]) == (0, "", "s3img.publish/1", 1)
    assert result["problems"][0]["code"] == "missing"


def test_publish_reports_to_people(
    capsys: pytest.CaptureFixture[str], site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3IMG_WIDTHS", "160")
    monkeypatch.setenv("S3IMG_FORMATS", "webp")
    site.add("cat.jpg", photo(400, 300))
    site.page("index.html", '<img src="cat.jpg" alt=""><img src="dog.jpg" alt="">')
    code, out, err = run(capsys, "publish", str(site.root))
    assert code == 0
    assert out.startswith("Published 1 image, 2 variants inside the site (2 rendered, 2 put, 0 present, 0 dropped).")
    assert "webp" in out
    assert err.startswith("warning: index.html:3:")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["publish"], 2, "Missing argument"),
        (["publish", "nowhere"], 1, "nowhere: is not a folder"),
        (["publish", ".", "--bucket", "b"], 3, "--bucket: 'b' is not a bucket address"),
        (["publish", ".", "--missing", "shout"], 2, "shout"),
        (["publish", ".", "--config", "nothere.toml"], 3, "nothere.toml: can't be read"),
        (["size", "1000x500", "wdith-3"], 2, "Did you mean"),
        (["size", "1000", "w-3"], 2, "write px as 1000x500"),
        (["transform", "nothere.jpg", "out.webp"], 1, "nothere.jpg"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_failure_is_one_message_and_its_code(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    found, out, err = run(capsys, *arguments)
    assert (found, out) == (code, "")
    assert words in err
    assert "Traceback" not in err


def test_size_prints_the_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "size", "1000x500", "w-300,h-200,c-at_max")[:2] == (0, "300x150\n")


def test_size_as_json_names_the_canonical_transform(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "size", "1000x500", "h-200,w-300", "--json")
    assert json.loads(out) == {"schema": "s3img.size/1", "transform": "w-300,h-200", "width": 300, "height": 200}


def test_transform_writes_the_format_of_the_name(capsys: pytest.CaptureFixture[str], cat: Path) -> None:
    code, out, _ = run(capsys, "transform", str(cat), str(cat.parent / "out.webp"), "--tr", "w-120,h-80", "--json")
    assert (code, json.loads(out)["media_type"]) == (0, "image/webp")
    with Image.open(cat.parent / "out.webp") as image:
        assert (image.format, image.size) == ("WEBP", (120, 80))


def test_transform_refuses_a_name_that_lies(capsys: pytest.CaptureFixture[str], cat: Path) -> None:
    code, _, err = run(capsys, "transform", str(cat), str(cat.parent / "out.png"), "--tr", "w-120,f-webp")
    assert (code, (cat.parent / "out.png").exists()) == (1, False)
    assert "would hold image/webp" in err


def test_layers_are_files_beside_the_picture_or_keys_of_the_bucket(
    capsys: pytest.CaptureFixture[str], cat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out.png"

    def pixel(name: str) -> tuple[int, str, object]:
        transform = f"w-60,h-40,l-image,i-{name},w-60,h-40,l-end,f-png"
        code, _, err = run(capsys, "transform", str(cat), str(out), "--tr", transform)
        return code, err, None if code else Image.open(out).convert("RGB").getpixel((30, 20))

    (cat.parent / "brand").mkdir()
    Image.new("RGB", (9, 9), "red").save(cat.parent / "brand/logo.png")
    assert pixel("brand@@logo.png") == (0, "", (255, 0, 0))
    code, err, _ = pixel("far.png")
    assert (code, "layer 'far.png': there is no file" in err, "name the bucket" in err) == (1, True, True)
    (tmp_path / "bucket").mkdir()
    Image.new("RGB", (9, 9), "blue").save(tmp_path / "bucket/far.png")
    monkeypatch.setenv("S3IMG_BUCKET", (tmp_path / "bucket").as_uri())
    assert pixel("far.png") == (0, "", (0, 0, 255))
    code, err, _ = pixel("nowhere.png")
    assert (code, "has no such key" in err) == (1, True)


def test_clean_up_spares_what_presets_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bucket/brand").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(tmp_path / "bucket/brand/logo.png")
    settings = "bucket = '{}'\n[presets]\nb = 'l-image,i-brand@@logo.png,l-end'\n".format(
        (tmp_path / "bucket").as_uri()
    )
    (tmp_path / "s3img.toml").write_text(settings)
    _, out, _ = run(capsys, "gc", "--json")
    found = json.loads(out)
    assert (found["objects"], found["live"], found["refused"][:24]) == (1, 1, "nothing refers to this b")


def test_probe_prints_facts_and_faults(capsys: pytest.CaptureFixture[str], cat: Path) -> None:
    (cat.parent / "bad.jpg").write_bytes(b"")
    code, out, err = run(capsys, "probe", str(cat), str(cat.parent / "bad.jpg"))
    assert (code, out) == (1, f"{cat}: image/jpeg, 600x400\n")
    assert "bad.jpg" in err


@pytest.mark.parametrize("name", group.list_commands(click.Context(group)))
def test_command_is_documented_and_has_help(name: str) -> None:
    assert f"s3img {name}" in (ROOT / "docs/cli.md").read_text()
    shown = CliRunner().invoke(group, [name, "--help"])
    assert shown.exit_code == 0
    assert all("  " in line for line in shown.output.splitlines() if line.strip().startswith("--"))


def test_overview_tells_each_command_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = CliRunner().invoke(group, ["--help"]).output.splitlines()
    for name in group.list_commands(click.Context(group)):
        [line] = [line for line in lines if line.startswith(f"  {name} ")]
        assert len(line) <= 80
        assert "..." not in line


@pytest.mark.parametrize(
    "statement",
    [
        "import s3img",
        "from s3img.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from s3img.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass",
        "from s3img.cli import main\ntry: main(['size', '10x10', 'w-5'])\nexcept SystemExit: pass",
    ],
)
def test_quick_commands_load_no_heavy_library(statement: str) -> None:
    check = f"{statement}\nimport sys\nprint(sorted({{'boto3', 'botocore', 'PIL', 'rich', 'flask', 'werkzeug'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_publish_with_nothing_to_do_loads_no_heavy_library(site: Site, cache_dir: str) -> None:
    from s3img import Config, Images

    site.add("cat.jpg", photo(400, 300))
    site.page("index.html", '<img src="cat.jpg" alt="">')
    config = Config(widths=(160,), formats=("webp",), cache_dir=cache_dir)
    Images(config).publish(site.root)
    check = (
        "import sys\nfrom s3img import Config, Images\n"
        f"Images(Config(widths=(160,), formats=('webp',), cache_dir={cache_dir!r})).publish({str(site.root)!r})\n"
        "print(sorted({'boto3', 'PIL', 'rich', 's3img.rewrite', 's3img.transfer'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
