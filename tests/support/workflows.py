"""Run the steps of CI files that the documents show: GitHub's workflows and GitLab's jobs, as far as a shell can."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

FENCE = re.compile(
    r'^(?P<indent> *)```\w+ title="(?P<title>[^"]+)"\n(?P<body>.*?)^(?P=indent)```$', re.MULTILINE | re.DOTALL
)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def file_of(page: Path, title: str, *, heading: str = "") -> str:
    """Return the text of the file ``title`` that a page shows, after ``heading``."""
    text = page.read_text("utf-8")
    text = text[text.index(f"# {heading}\n") :] if heading else text
    found = next(fence for fence in FENCE.finditer(text) if fence["title"] == title)
    return "".join(line.removeprefix(found["indent"]) for line in found["body"].splitlines(keepends=True))


@dataclass
class Machine:
    """A machine that runs CI jobs in ``folder``, with the programs in ``programs`` before all others."""

    folder: Path
    programs: Path
    environ: dict[str, str] = field(default_factory=dict)
    has_role: bool = True
    """Whether AWS gives out a role; what it then gives is ``role``."""
    role: dict[str, str] = field(default_factory=dict)
    uploaded: list[Path] = field(default_factory=list)
    printed: str = ""

    def github(self, text: str, *, event: str, **variables: str) -> int:
        """Run the only job of a workflow; return the exit code of the step that failed, or 0."""
        workflow = yaml.safe_load(text)
        assert event in workflow[True], f"the workflow does not run for {event}"  # YAML 1.1 reads `on` as true
        [job] = workflow["jobs"].values()
        names = {"github": {"event_name": event, "run_id": "7"}, "vars": variables}
        environ = {**self.environ, **job.get("env", {})}
        for step in job["steps"]:
            if not _value(f"${{{{ {step.get('if', 'true')} }}}}", names):
                continue
            if "uses" in step:
                given = {name: _value(str(value), names) for name, value in step.get("with", {}).items()}
                environ |= self._use(step["uses"], given, workflow["permissions"])
                continue
            values = {name: str(_value(str(value), names)) for name, value in step.get("env", {}).items()}
            if code := self._shell(step["run"], {**environ, **values}):
                return code
        return 0

    def gitlab(self, text: str, job_name: str, **variables: str) -> int:
        """Run a job of ``.gitlab-ci.yml``; return the exit code of the line that failed, or 0."""
        pipeline = yaml.safe_load(text)
        job = pipeline[job_name]
        given = {**pipeline.get("variables", {}), **job.get("variables", {}), **variables}
        given |= dict.fromkeys(job.get("id_tokens", {}), "a token")
        for line in job["script"]:
            if code := self._shell(line, {**self.environ, **given}):
                return code
        self.uploaded += [self.folder / path for path in job.get("artifacts", {}).get("paths", [])]
        return 0

    def shell(self, text: str, **variables: str) -> int:
        """Run a command as a build machine does; return its exit code."""
        return self._shell(text, {**self.environ, **variables})

    def _shell(self, text: str, environ: dict[str, str]) -> int:
        path = f"{self.programs}{os.pathsep}{os.environ['PATH']}"
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("S3IMG_", "AWS_"))}
        home = {"HOME": str(self.folder), "AWS_EC2_METADATA_DISABLED": "true"}
        command = ["bash", "-e", "-o", "pipefail", "-c", text]
        environ = {**plain, **home, "PATH": path, **environ}
        done = subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False, timeout=120
        )
        self.printed += done.stdout + done.stderr
        return done.returncode

    def _use(self, action: str, given: dict[str, str], permissions: dict[str, str]) -> dict[str, str]:
        """Do what an action does that a recipe uses; return the variables that it sets."""
        name, _, version = action.partition("@")
        assert version, f"{action} names no version"
        if name == "actions/upload-pages-artifact":
            self.uploaded.append(self.folder / given["path"])
        elif name == "aws-actions/configure-aws-credentials":
            assert permissions["id-token"] == "write"
            assert given["role-to-assume"]
            return self.role if self.has_role else {}
        else:
            assert name in {"actions/checkout", "actions/setup-python", "actions/cache", "actions/deploy-pages"}
        return {}


def _value(text: str, names: dict[str, Any]) -> Any:
    """Return a value in which ``${{ … }}`` is worked out, as far as the recipes need GitHub's language."""

    def work_out(expression: str) -> Any:
        python = expression.replace("&&", " and ").replace("||", " or ").replace("true", "True")
        python = re.sub(r"\b(github|vars)\.(\w+)", r"\1['\2']", python)
        return eval(python, {"__builtins__": {}}, names)

    whole = re.fullmatch(r"\$\{\{ (.*) \}\}", text)
    if whole and "${{" not in whole[1]:
        return work_out(whole[1])
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: str(work_out(found[1])), text)
