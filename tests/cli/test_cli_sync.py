"""The commands on folders: what they print, and their exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sites import photo

from s3img.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with two images and a folder as its bucket, and make it the current folder."""
    root = tmp_path / "app"
    (root / "static").mkdir(parents=True)
    for name in ("cat", "dog"):
        (root / f"static/{name}.jpg").write_bytes(photo(40, 30, seed=len(name) + ord(name[0])))
    address = (tmp_path / "store").as_uri()
    (root / "s3img.toml").write_text(f'bucket = "{address}"\ncache_dir = "../cache"\n')
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def run(app: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(list(arguments))
        shown = capsys.readouterr()
        return int(stopped.value.code or 0), shown.out, shown.err

    return command


def test_sync_writes_the_lock_and_says_so(run: Any, app: Path) -> None:
    code, out, err = run("sync", "static")
    assert (code, err) == (0, "")
    assert re.match(r"Synced 2 images to file:///.*: 2 put \([\d,]+ bytes\), 0 present; s3img.lock written.", out)
    assert (app / "s3img.lock").read_text().count("\n") == 3
    assert "0 put (0 bytes), 2 present; s3img.lock unchanged." in run("sync", "static")[1]


def test_sync_as_json_is_one_object(run: Any) -> None:
    code, out, _ = run("sync", "--json")
    result = json.loads(out)
    assert (code, result["schema"], result["uploaded"], result["lock_changed"]) == (0, "s3img.transfer/1", 2, True)


def test_dry_run_says_would(run: Any, app: Path) -> None:
    code, out, _ = run("sync", "--dry-run")
    assert (code, out.startswith("Would sync 2 images"), (app / "s3img.lock").exists()) == (0, True, False)


def test_lock_lies_beside_the_settings_file(run: Any, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(app.parent)
    assert run("sync", "app/static", "--config", "app/s3img.toml")[0] == 0
    assert "\nstatic/cat.jpg " in (app / "s3img.lock").read_text()


def test_lock_lies_where_it_is_named(run: Any, app: Path) -> None:
    assert run("sync", "--lock", "static/images.lock")[0] == 0
    assert "\ncat.jpg " in (app / "static/images.lock").read_text()


def test_plan_is_applied(run: Any, app: Path) -> None:
    code, out, _ = run("plan", "static", "--exit-code")
    assert (code, json.loads(out)["lock_added"]) == (1, ["static/cat.jpg", "static/dog.jpg"])
    (app / "plan.json").write_text(out)
    assert run("apply", "plan.json")[0] == 0
    assert run("plan", "static", "--exit-code")[0] == 0


def test_plan_without_exit_code_succeeds(run: Any) -> None:
    assert run("plan", "static")[0] == 0


def test_apply_refuses_a_changed_tree(run: Any, app: Path) -> None:
    (app / "plan.json").write_text(run("plan", "static")[1])
    (app / "static/cat.jpg").unlink()
    code, out, err = run("apply", "plan.json")
    assert (code, out) == (1, "")
    assert "The images have changed since the plan was made, 'static/cat.jpg' for one." in err


@pytest.mark.parametrize("content", ["", "{}", '{"schema": "s3img.plan/2"}'])
def test_apply_refuses_what_is_no_plan(run: Any, app: Path, content: str) -> None:
    (app / "plan.json").write_text(content)
    code, _, err = run("apply", "plan.json")
    assert (code, "plan.json: is not a plan" in err) == (1, True)


def test_check_prints_findings_and_fails(run: Any, app: Path) -> None:
    run("sync", "static")
    assert run("check", "static") == (0, "", "2 images checked against s3img.lock, 0 findings.\n")
    (app / "static/new.jpg").write_bytes(photo(40, 30, seed=99))
    code, out, err = run("check")
    assert (code, out) == (1, "static/new.jpg: is not in the lock: run s3img sync and commit the lock.\n")
    assert err == "3 images checked against s3img.lock, 1 finding.\n"
    findings = json.loads(run("check", "--json")[1])["findings"]
    assert [(finding["path"], finding["code"]) for finding in findings] == [("static/new.jpg", "not-in-lock")]


@pytest.mark.parametrize("command", ["check", "pull", "push"])
def test_command_on_a_lock_that_is_not_there_says_what_to_do(run: Any, command: str) -> None:
    code, out, err = run(command)
    assert (code, out, err) == (3, "", "Error: s3img.lock: does not exist. Write it with s3img sync.\n")


def test_conflict_names_file_and_line(run: Any, app: Path) -> None:
    run("sync")
    lock = app / "s3img.lock"
    lock.write_text(lock.read_text().replace("static/dog", "<<<<<<< HEAD\nstatic/dog"))
    for command in ("sync", "plan", "check", "pull", "push"):
        code, out, err = run(command)
        assert (code, out) == (3, "")
        assert err.startswith("Error: s3img.lock:3: a merge conflict is not resolved. Keep ")


def test_add_pull_and_push(run: Any, app: Path) -> None:
    assert run("add", "static/cat.jpg")[0] == 0
    cat = app / "static/cat.jpg"
    data = cat.read_bytes()
    cat.unlink()
    code, out, _ = run("pull", "--json")
    assert (code, json.loads(out)["restored"], cat.read_bytes()) == (0, ["static/cat.jpg"], data)
    cat.write_bytes(photo(40, 30, seed=7))
    assert (run("pull")[0], run("push")[0], run("pull")[0]) == (1, 0, 0)
    assert "dog" not in (app / "s3img.lock").read_text()


def test_ls_prints_keys_and_bytes(run: Any, app: Path) -> None:
    run("sync")
    size = (app / "static/cat.jpg").stat().st_size
    code, out, _ = run("ls", "static/c")
    assert (code, re.fullmatch(rf" *{size} static/cat\.[0-9a-f]{{8}}\.jpg\n", out) is not None) == (0, True)
    assert len(json.loads(run("ls", "--json")[1])["objects"]) == 2


def test_a_name_keeps_to_its_line(run: Any, app: Path) -> None:
    (app / "static/new\n::error::\x1b[2J\u202egpj.jpg").write_bytes(photo(40, 30, seed=5))
    run("add", "static/cat.jpg", "static/dog.jpg")
    shown = r"static/new\n::error::\x1b[2J\u202egpj.jpg: is not in the lock"
    assert run("check")[1].startswith(f"{shown}: ")
    (app.parent / "store/a\nb.png").write_bytes(b"1")
    assert run("ls", "a")[1] == rf"{1:>12} a\nb.png" + "\n"


def test_missing_bucket_is_an_error_of_the_settings(run: Any, app: Path) -> None:
    (app / "s3img.toml").write_text("")
    for command in ("sync", "plan", "ls"):
        code, _, err = run(command)
        assert (code, "bucket: is needed" in err) == (3, True)


def test_pre_commit_hook_watches_what_sync_uploads() -> None:
    from s3img.sync.tree import SUFFIXES

    text = (ROOT / ".pre-commit-hooks.yaml").read_text()
    assert "entry: s3img check\n" in text
    pattern = re.search(r"^  files: (.*)$", text, re.MULTILINE)
    assert pattern
    for name in ("s3img.lock", "web/s3img.toml", *(f"a/b.{suffix}" for suffix in SUFFIXES), "CAT.JPG"):
        assert re.search(pattern[1], name)
    assert not re.search(pattern[1], "README.md")


@pytest.mark.slow
def test_variants_are_an_option_and_a_setting(run: Any, app: Path) -> None:
    (app / "static/cat.jpg").write_bytes(photo(480, 360))
    code, out, _ = run("sync", "static", "--variants", "--json")
    assert (code, json.loads(out)["rendered"] > 0) == (0, True)
    text = (app / "s3img.lock").read_text()
    assert re.search(r"^static/cat\.jpg .* #[0-9a-f]{6} [0-9a-f]{8}:\S+$", text, re.MULTILINE)
    assert run("check", "static")[0] == 0
    with (app / "s3img.toml").open("a") as file:
        file.write("variants = true\nquality = {webp = 50}\n")
    code, out, _ = run("check", "static")
    assert (code, "has variants of other settings: run s3img sync --variants" in out) == (1, True)
    assert "variants rendered" in run("sync", "static")[1]
    assert run("sync", "static", "--no-variants", "--json")[0] == 0


@pytest.mark.parametrize("command", ["sync", "add", "push"])
def test_folder_without_images_is_named(run: Any, app: Path, command: str) -> None:
    run("sync", "static")
    (app / "empty").mkdir()
    code, out, err = run(command, "empty")
    assert code == 0
    assert "empty has no image to put." in out + err
