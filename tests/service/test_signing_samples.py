"""The samples of docs/signing.md sign as Python does, in the languages that are installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from s3img.cli import group
from s3img.config import Config
from s3img.errors import ConfigError
from s3img.images import Images
from s3img.signing import Signer

TEXT = (Path(__file__).parent.parent.parent / "docs/signing.md").read_text()
VECTORS: list[tuple[str, str, str, int, str]] = [
    ("/tr:w-300,h-300/cat.jpg", "k1", "secret", 0, ""),
    ("/img/a%20b.jpg?tr=w-300", "k1", "secret", 1_900_000_000, "web"),
    ("/%C3%A9%2Fx.jpg?v=1&tr=w-300,h-bh", "k-2", "s e+c/r=e t", 1_900_000_000, ""),
]
RUN = {  # program, file, command, the end of the file, one call
    "js": ("node", "sample.js", ["node", "sample.js"], "{}", "console.log(sign({}));\n"),
    "go": ("go", "sample.go", ["go", "run", "sample.go"], "func main() {{\n{}}}\n", "fmt.Println(sign({}))\n"),
    "php": ("php", "sample.php", ["php", "sample.php"], "{}", 'echo sign({}), "\\n";\n'),
    "ruby": ("ruby", "sample.rb", ["ruby", "sample.rb"], "{}", "puts sign({})\n"),
}


def expected(vector: tuple[str, str, str, int, str]) -> str:
    address, key_id, secret, expires, endpoint = vector
    return Signer.of({key_id: secret}, audience=endpoint).sign(address, expires=expires or None)


@pytest.mark.parametrize(
    "language",
    [pytest.param(one, marks=pytest.mark.nightly if one == "go" else []) for one in RUN],  # compiles for long
)
def test_sample_signs_as_python_does(language: str, tmp_path: Path) -> None:
    program, name, command, call, line = RUN[language]
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    (sample,) = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    calls = [json.dumps(vector)[1:-1] for vector in VECTORS]
    (tmp_path / name).write_text(sample + call.format("".join(line.format(one) for one in calls)))
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected(vector) for vector in VECTORS]


def test_table_has_the_signatures_of_its_rows() -> None:
    for vector in VECTORS[:2]:
        assert f"`{expected(vector)}`" in TEXT


def test_command_and_images_sign_alike(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("S3IMG_SIGNING_KEYS", "k1:secret")
    done: Any = CliRunner().invoke(group, ["sign", "/tr:w-300/cat.jpg"])
    signed = Signer.of("k1:secret").sign("/tr:w-300/cat.jpg")
    assert (done.exit_code, done.output.strip()) == (0, signed)
    config = Config(signing_keys="k1:secret", service_url="https://img.example.com/")
    assert Images(config).sign("/tr:w-300/cat.jpg") == f"https://img.example.com{signed}"


def test_signing_without_keys_names_the_setting() -> None:
    with pytest.raises(ConfigError, match="S3IMG_SIGNING_KEYS"):
        Images(Config()).sign("/cat.jpg")
