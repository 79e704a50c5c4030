"""Dockerfile, compose.yaml and the GitHub Action: what a linter would ask, and the Action's script run for real."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from sites import photo
from workflows import file_of

from s3img import service
from s3img.config import Config

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ACTION = ROOT / "action.yml"
SCRIPT = ROOT / ".github" / "action.sh"


def read_yaml(path: Path) -> Any:
    return pytest.importorskip("yaml").safe_load(path.read_text())


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions, each on one line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found = (line.partition(" ") for line in text.splitlines() if line.strip())
    return [(name, " ".join(rest.split())) for name, _, rest in found]


def last(name: str) -> str:
    return [rest for one, rest in instructions() if one == name][-1]


def test_gunicorn_has_the_threads_that_the_service_needs() -> None:
    app = service.TransformService(Config(bucket="file:///x", access="open"))
    settings = runpy.run_path(str(ROOT / "examples" / "service" / "gunicorn.conf.py"))
    assert settings["threads"] == app.threads
    app.close()


def test_image_does_not_run_as_root() -> None:
    assert int(last("USER")) > 0
    assert f"--uid {last('USER')} " in last("RUN")


def test_image_copies_all_that_the_package_is_built_from() -> None:
    copied = {
        name for one, rest in instructions() if one == "COPY" and "--from" not in rest for name in rest.split()[:-1]
    }
    built = {
        "pyproject.toml",
        PROJECT["project"]["readme"],
        *PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"],
    }
    licences = PROJECT["project"]["license-files"]
    tops = {name.split("/")[0] for name in copied}
    assert {name.split("/")[0] for name in built} | {name.split("/")[0] for name in licences} <= tops
    assert [name for name in copied if not (ROOT / name).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert not tops & {name.strip("/") for name in ignored}


def test_image_starts_and_checks_what_there_is() -> None:
    assert json.loads(last("HEALTHCHECK").partition("CMD ")[2]) == ["s3img", "healthcheck"]
    program, app = json.loads(last("CMD"))
    assert program in {name.split(">")[0] for name in PROJECT["project"]["optional-dependencies"]["granian"]}
    module, _, name = app.partition(":")
    assert (module, hasattr(service, name)) == ("s3img.service", True)
    assert "libfribidi0" in last("RUN")


def test_image_is_labelled_with_the_package_s_licence() -> None:
    labels = dict(word.split("=", 1) for word in shlex.split(last("LABEL")))
    assert labels["org.opencontainers.image.licenses"] == PROJECT["project"]["license"]
    assert {"title", "description", "version", "revision"} <= {name.rpartition(".")[2] for name in labels}


def test_compose_gives_the_service_few_rights() -> None:
    one = read_yaml(ROOT / "compose.yaml")["services"]["s3img"]
    assert (one["read_only"], one["cap_drop"], one["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    assert all(port.startswith("127.0.0.1:") for port in one["ports"])
    own = {"S3IMG_ACCESS_KEY_ID", "S3IMG_SECRET_ACCESS_KEY", "S3IMG_INSECURE"}
    known = own | {f"S3IMG_{name.upper()}" for name in Config.__struct_fields__}
    assert set(one["environment"]) <= known


RECIPES = {
    "github-workflows": [("github-actions.md", f".github/workflows/{name}.yml") for name in ("pages", "site", "check")],
    "gitlab-ci": [("gitlab-ci.md", ".gitlab-ci.yml")],
}


def test_files_of_compose_and_ci_are_right_by_their_schemas(tmp_path: Path) -> None:
    pytest.importorskip("check_jsonschema")
    files = {
        "compose-spec": [ROOT / "compose.yaml"],
        "github-actions": [ACTION],
        "github-workflows": sorted((ROOT / ".github/workflows").glob("*.yml")),
        "gitlab-ci": [],
    }
    for schema, shown in RECIPES.items():
        for page, title in shown:
            file = tmp_path / f"{schema}-{Path(title).name}"
            file.write_text(file_of(ROOT / "docs" / page, title))
            files[schema].append(file)
    for schema, paths in files.items():
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def units() -> dict[str, str]:
    """Return the units that are shipped or shown, by name."""
    page = ROOT / "docs" / "systemd.md"
    shown = ("s3img-gc.service", "s3img-gc.timer")
    found = {name: file_of(page, f"/etc/systemd/system/{name}") for name in shown}
    return found | {"s3img.service": (ROOT / "examples/service/s3img.service").read_text()}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_units_are_understood_by_systemd(tmp_path: Path) -> None:
    for name, text in units().items():
        (tmp_path / name).write_text(re.sub(r"/opt/s3img/bin/\w+", "/bin/true", text))
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in units())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    about_ours = [line for line in done.stderr.splitlines() if "s3img" in line]
    assert (about_ours, done.returncode) == ([], 0)


def test_unit_runs_a_program_of_the_package() -> None:
    text = units()["s3img.service"]
    [program, app] = re.findall(r"^ExecStart=/opt/s3img/bin/(\w+) (\S+)$", text, re.MULTILINE)[0]
    assert (program, hasattr(service, app.rpartition(":")[2])) == ("granian", True)
    assert "DynamicUser=yes" in text


NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.mark.skipif(NGINX is None, reason="needs nginx")
@pytest.mark.parametrize("title", ["service.conf", "site.conf"])
def test_settings_of_nginx_are_understood(title: str, tmp_path: Path) -> None:
    text = file_of(ROOT / "docs" / "nginx.md", title).replace("/var/cache/nginx/s3img", str(tmp_path / "cache"))
    main = f"pid {tmp_path}/pid; error_log {tmp_path}/error.log; events {{}}"
    (tmp_path / "nginx.conf").write_text(f"{main} http {{ access_log off;\n{text}\n}}")
    command = [str(NGINX), "-t", "-q", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_action_pins_its_actions_by_commit() -> None:
    used = re.findall(r"uses: (\S+)( # v[\d.]+)?", ACTION.read_text())
    assert len(used) == 2
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name) and version for name, version in used)


def test_action_puts_no_input_into_a_script() -> None:
    """Text of a pull request inside ``run`` would be run."""
    steps = read_yaml(ACTION)["runs"]["steps"]
    scripts = [step["run"] for step in steps if "run" in step]
    assert scripts
    assert [script for script in scripts if "${{" in script] == []
    named = set(re.findall(r"inputs\.([\w-]+)", ACTION.read_text()))
    assert named == set(read_yaml(ACTION)["inputs"])


class Runner:
    """A GitHub runner as far as the Action's script knows one; ``s3img`` is the program, or a stand-in."""

    def __init__(self, folder: Path, s3img: str) -> None:
        self.folder = folder
        (folder / "temp").mkdir()
        self._environ = {
            **os.environ,
            "S3IMG": s3img,
            "RUNNER_TEMP": str(folder / "temp"),
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        }

    def run(self, **inputs: str) -> tuple[int, str]:
        """Run the script; return its exit code and what the step's outputs are."""
        output = self.folder / "output"
        output.write_text("")
        command = ["bash", str(SCRIPT)]
        done = subprocess.run(
            command, cwd=self.folder, env={**self._environ, **inputs}, capture_output=True, check=False
        )
        return done.returncode, output.read_text()


@pytest.fixture
def recorded(tmp_path: Path) -> Runner:
    """A runner whose s3img writes down how it was called, and has an empty plan."""
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$@" >> {tmp_path}/calls\necho >> {tmp_path}/calls\necho "{{}}"\n')
    program.chmod(0o755)
    return Runner(tmp_path, str(program))


def calls(runner: Runner) -> list[str]:
    return (runner.folder / "calls").read_text().splitlines()


def test_action_only_plans_in_a_pull_request(recorded: Runner) -> None:
    assert recorded.run(EVENT="pull_request", WHERE="a b", CONFIG="c.toml") == (0, "changed=false\n")
    assert calls(recorded) == ["plan|--config|c.toml|--exit-code|--|a|b|"]


def test_action_publishes_a_site(recorded: Runner) -> None:
    assert recorded.run(COMMAND="publish", WHERE="site") == (0, "changed=true\n")
    assert calls(recorded) == ["publish|--|site|"]


def test_action_never_runs_its_inputs(recorded: Runner) -> None:
    recorded.run(EVENT="push", WHERE="$(touch${IFS}pwned) `touch pwned` ; touch pwned")
    assert not (recorded.folder / "pwned").exists()


def test_action_refuses_another_command(recorded: Runner) -> None:
    assert recorded.run(COMMAND="gc --apply")[0] == 2
    assert not (recorded.folder / "calls").exists()


def test_action_applies_on_the_main_branch(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "s3img"
    if not program.exists():
        pytest.skip("s3img is not installed as a program")
    bucket = tmp_path / "bucket"
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a cat.jpg").write_bytes(photo(60, 40))
    (tmp_path / "s3img.toml").write_text(f'bucket = "{bucket.as_uri()}"\ncache_dir = "{tmp_path / "cache"}"\n')
    runner = Runner(tmp_path, str(program))
    assert runner.run(EVENT="push", WHERE="static") == (0, "changed=true\n")
    assert [path.name.split(".")[0] for path in bucket.glob("static/*")] == ["a cat"]
    assert '"static/a cat.jpg"' in (tmp_path / "summary").read_text()
    assert runner.run(EVENT="pull_request", WHERE="static") == (0, "changed=false\n")
    assert runner.run(EVENT="pull_request", WHERE="nope")[0] == 1
