from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from sites import photo

from s3img.lock import read_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from s3img.testing import Store

    Maker = Callable[..., Flask]


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=["s3img", *arguments])
    return result.exit_code, result.output


def test_sync_knows_the_static_folders(make_app: Maker, project: Path, store: Store) -> None:
    make_app()
    lock = read_lock(project / "s3img.lock")
    assert list(lock.entries) == [
        "admin/static/crown.png",
        "static/cat.jpg",
        "static/img/my dog.jpg",
        "static/logo.svg",
    ]
    assert lock.keys() <= set(store.keys())


def test_sync_of_named_folders_takes_only_those(make_app: Maker, project: Path) -> None:
    run(make_app(sync=False), "sync", str(project / "admin"))
    assert list(read_lock(project / "s3img.lock").entries) == ["admin/static/crown.png"]


def test_plan_says_what_is_to_be_done(make_app: Maker, project: Path) -> None:
    app = make_app()
    (project / "static/new.jpg").write_bytes(photo(60, 40, seed=9))
    code, output = run(app, "plan", "--exit-code")
    assert code == 1
    assert json.loads(output)["lock_added"] == ["static/new.jpg"]


def test_check_exits_as_on_its_own(make_app: Maker, project: Path) -> None:
    app = make_app()
    assert run(app, "check")[0] == 0
    shutil.copy(project / "static/cat.jpg", project / "static/copy.jpg")
    code, output = run(app, "check")
    assert code == 1
    assert "static/copy.jpg" in output


def test_errors_are_explained_not_raised(make_app: Maker, project: Path) -> None:
    app = make_app()
    (project / "s3img.lock").write_text("no lock\n")
    code, output = run(app, "check")
    assert code == 3
    assert "is not a lock" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("name", ["demo", "init", "markdown", "publish"])
def test_commands_of_sites_are_left_out(make_app: Maker, name: str) -> None:
    code, output = run(make_app(sync=False), name)
    assert code == 2
    assert "No such command" in output


def test_help_lists_the_commands(make_app: Maker) -> None:
    code, output = run(make_app(sync=False), "--help")
    assert code == 0
    for name in ("sync", "plan", "apply", "check", "doctor", "gc", "ls", "upload"):
        assert f"  {name} " in output


def test_options_win_over_app_config(make_app: Maker, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    code, output = run(make_app(sync=False), "sync", "--bucket", other.as_uri())
    assert code == 0, output
    assert (other / "static").is_dir()


def test_gc_keeps_what_the_apps_lock_names(make_app: Maker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = make_app()
    monkeypatch.chdir(tmp_path)  # no lock here
    code, output = run(app, "gc", "--json")
    assert code == 0
    assert json.loads(output)["live"] > 0


def test_upload_follows_the_apps_policy(make_app: Maker, project: Path, store: Store) -> None:
    app = make_app(sync=False, upload_template="u/{{stem}}.{{ext}}", uploads={"max_side": 100, "conflict": "rename"})
    for _ in range(2):
        code, output = run(app, "upload", "--json", str(project / "static/cat.jpg"))
        assert (code, json.loads(output)["width"]) == (0, 100)
    assert store.keys() == ["u/cat-2.jpg", "u/cat.jpg"]
    assert run(app, "upload", "--conflict", "error", str(project / "static/cat.jpg"))[0] == 1
