"""The nightly script: every command has a row, its parts find what they look for, and what it found stays closed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import click
import pytest
from fault_proxy import fault_proxy
from faults import SERVERS, FaultLoop
from forked_runs import ForkedRuns
from fuzz_readers import READERS, corpus, seeds
from fuzzing import outcome
from kills import KillLoop
from s3_servers import new_bucket
from store_commands import COMMANDS, KILLED, SILENT, Place, World
from stub_store import stub_store

from s3img.cli import group, main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from s3_servers import S3Server

NAMES = group.list_commands(click.Context(group))
QUIET = {
    "check": ["check"],
    "completion": ["completion", "bash"],
    "config": ["config", "show"],
    "large-images": ["large-images", "s3img.toml"],
    "missing-alt": ["missing-alt"],
    "probe": ["probe", "s3img.toml"],
    "sign": ["sign", "/tr:w-1/a.png"],
    "size": ["size", "3x2", "w-1"],
    "url": ["url", "a.png"],
}
"""Calls of commands that ask nothing of a store; demo makes one of its own, healthcheck asks the service."""


def test_every_command_has_a_row_or_a_reason_for_having_none() -> None:
    rows = {name.partition(" ")[0] for name in (*COMMANDS, *SERVERS)}
    assert rows | SILENT.keys() == {*NAMES}
    assert not rows & SILENT.keys()
    assert QUIET.keys() | {"demo", "healthcheck"} == SILENT.keys()
    assert {"publish", "sync", "upload", "markdown", "gc", "pull", "mv"} <= {*KILLED} <= COMMANDS.keys()


@pytest.mark.parametrize("name", QUIET)
def test_command_without_a_row_asks_nothing_of_a_store(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with stub_store() as store:
        settings = f'bucket = "s3://pictures"\nendpoint_url = "{store.endpoint_url}"\nsigning_keys = "a:b"\n'
        (tmp_path / "s3img.toml").write_text(settings)
        monkeypatch.setenv("S3IMG_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("S3IMG_SECRET_ACCESS_KEY", "b")
        with pytest.raises(SystemExit):
            main(QUIET[name])
    assert store.requests == []


@pytest.mark.parametrize("kind", READERS)
def test_inputs_that_fuzzing_kept_are_read_or_refused(kind: str) -> None:
    for data in corpus(kind):
        assert outcome(kind, data)


@pytest.mark.parametrize("kind", READERS)
def test_fuzzing_begins_with_inputs_that_are_read(kind: str) -> None:
    first = seeds()[kind][:4]
    wanted = {"refusal": ("AccessDenied",), "listing": ("read", "[2, 2]")}.get(kind, ("read",))
    assert wanted in {tuple(part.partition(":")[0] for part in outcome(kind, data))[: len(wanted)] for data in first}


@pytest.fixture(scope="module")
def runs() -> Iterator[ForkedRuns]:
    with ForkedRuns() as started:
        yield started


@pytest.fixture
def world(runs: ForkedRuns, tmp_path: Path) -> World:
    (tmp_path / "bucket").mkdir()
    return World(tmp_path, Place.of_folder(tmp_path / "bucket"), runs)


@pytest.mark.slow
def test_kills_land_only_while_a_command_works(world: World) -> None:
    world.begin()
    serving, whole = world.run(("picgo", "--port", "0"), seconds=2.0), world.run(("sync", "img"))
    assert (serving.code, serving.is_landed, whole.code, whole.is_landed) == (-9, True, 0, False)


@pytest.mark.slow
def test_killed_sync_loses_nothing_and_the_next_ends(world: World) -> None:
    loop = KillLoop(COMMANDS["sync"](world), random.Random(7))
    problems = [*loop.measure()]
    while loop.landed < 3:
        problems += loop.one()
    assert problems == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("bucket/img/*", "are shown and are not there"),
        ("project/site/page-0.html", "neither old nor new"),
    ],
)
def test_kill_loop_sees_what_is_lost(world: World, damage: str, told: str) -> None:
    command = COMMANDS["publish"](world)
    command.begin()
    world.run(("sync", "img"))
    assert [*command.lost("")] == []
    for file in world.folder.parent.glob(damage):
        file.write_text("<p>") if file.suffix == ".html" else file.unlink()
    assert any(told in problem for problem in command.lost(""))


def test_kill_loop_sees_what_is_left_behind(world: World) -> None:
    world.begin()
    (world.folder / ".s3img-0.tmp").write_bytes(b"half")
    assert [path.name for path in world.left_behind()] == [".s3img-0.tmp"]


def test_command_through_a_refusing_network_breaks_nothing(
    moto_server: S3Server, runs: ForkedRuns, tmp_path: Path
) -> None:
    with fault_proxy(moto_server.endpoint_url) as proxy:
        world = World(tmp_path, Place.of_server(new_bucket(moto_server), proxy.endpoint_url), runs)
        loop = FaultLoop("markdown", COMMANDS["markdown"](world), proxy, random.Random(7))
        figures = loop.run(1, ["denied", "answer is lost"])
    assert (figures.tries, figures.found) == (2, [])
    assert figures.injected > 0
