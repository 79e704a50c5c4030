"""The recipes for clusters: their tasks do all parts of a run, each once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from s3img.cli.bulk_render import render_command

from .conftest import PHOTO

EXAMPLES = Path(__file__).parents[2] / "examples" / "bulk"
PARTS = 2


def script(name: str) -> str:
    """Return the command line of a recipe, for two parts in place of 32."""
    if name.endswith(".yaml"):
        job = yaml.safe_load((EXAMPLES / name).read_text())["spec"]
        assert job["completionMode"] == "Indexed"
        line = job["template"]["spec"]["containers"][0]["command"][2]
        assert f"/{job['completions']}" in line
        return str(line).replace(f"/{job['completions']}", f"/{PARTS}")
    return (EXAMPLES / name).read_text()


@pytest.mark.parametrize(
    ("name", "first", "variables"),
    [
        ("slurm.sh", 1, {"SLURM_ARRAY_TASK_ID": "{}", "SLURM_ARRAY_TASK_COUNT": str(PARTS)}),
        ("aws_batch.sh", 0, {"AWS_BATCH_JOB_ARRAY_INDEX": "{}", "PARTS": str(PARTS)}),
        ("kubernetes.yaml", 0, {"JOB_COMPLETION_INDEX": "{}"}),
    ],
)
def test_parts_of_a_recipe_are_all_parts(name: str, first: int, variables: dict[str, str]) -> None:
    """The shell works out the options, and the command takes them."""
    line = "s3img() { printf '%s\\n' \"$@\"; }\n" + script(name)
    parts = []
    for part in range(first, first + PARTS):
        own = {variable: value.format(part) for variable, value in variables.items()}
        printed = subprocess.run(["sh", "-c", line], check=True, env=os.environ | own, capture_output=True, text=True)
        command, *options = printed.stdout.split()
        assert command == "render"
        with render_command.make_context(command, options) as context:
            parts.append(str(context.params["part"]))
            assert context.params["variants"]
    assert parts == [f"{number}/{PARTS}" for number in range(1, PARTS + 1)]


@pytest.mark.nightly
def test_ray_renders_in_parts(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "cat.jpg").write_bytes(PHOTO)
    settings = {"S3IMG_BUCKET": (tmp_path / "pictures").as_uri(), "S3IMG_WIDTHS": "40", "S3IMG_FORMATS": "webp"}
    command = [sys.executable, str(EXAMPLES / "on_ray.py"), str(PARTS)]
    printed = subprocess.run(command, env=os.environ | settings, check=True, capture_output=True, text=True).stdout
    assert sorted(re.findall(r"(\d+) rendered", printed)) == ["0", "2"]


@pytest.mark.nightly
def test_spark_renders_in_parts(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "cat.jpg").write_bytes(PHOTO)
    settings = {"S3IMG_BUCKET": (tmp_path / "pictures").as_uri(), "S3IMG_WIDTHS": "40", "S3IMG_FORMATS": "webp"}
    command = [sys.executable, str(EXAMPLES / "on_spark.py"), str(PARTS)]
    printed = subprocess.run(command, env=os.environ | settings, check=True, capture_output=True, text=True).stdout
    assert sorted(re.findall(r"(\d+) rendered", printed)) == ["0", "2"]
