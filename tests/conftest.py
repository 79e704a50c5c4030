"""Fixtures of all tests; servers and browsers live in ``tests/support``."""

from __future__ import annotations

import gc
import inspect
import itertools
import os
import signal
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator

# No deadline: a busy machine is no fault of the code.
settings.register_profile("s3img", deadline=None, max_examples=30)
settings.register_profile("nightly", deadline=None, max_examples=500)  # --hypothesis-profile nightly
settings.load_profile("s3img")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell script that starts pytest in the background has SIGINT ignored, and programs that tests start inherit that:
    # none of them could be interrupted. A handler is not inherited, so they begin with the system's default.
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["chromium", "python_docs", "s3_servers", "sites", "static_server"]


TESTS = Path(__file__).parent

STORES = frozenset({"moto_server", "seaweedfs", "rclone", "external", "limited"})
"""Fixtures that start a real store; a test that asks for one of them is marked ``s3``."""

SERVERS = frozenset({"moto", "seaweedfs", "rclone", "external"})
"""Names of stores as parameters have them, also of their fixtures: ``moto``, ``moto_bucket``."""

STARTERS = frozenset(
    {
        "subprocess",
        "runpytest_subprocess",
        "multiprocessing",
        "ProcessPoolExecutor",
        "fork",
        "make_server",
        "ThreadingHTTPServer",
        "HTTPServer",
    }
)
"""Names that a test has to use to start a process or a server; one that uses them, itself or through a helper, is marked."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Run one process more than there are cores: tests of stores, browsers and programs wait for others a third of the time."""
    return len(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep 15,000 tests and all modules out of collections of garbage, which would look through them again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by what their fixtures start, so that the fast subset needs no list of files; leave out nightly ones."""
    from s3_servers import LANES  # not above: pytest rewrites the assertions of plugins that nobody has imported

    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        parameters = getattr(item, "callspec", None)
        # Fixtures ask for a server by name while the test runs, which their parameter tells before.
        lanes = [value for value in parameters.params.values() if isinstance(value, str)] if parameters else []
        names = {lane.removesuffix("_bucket") for lane in lanes}
        if fixtures & STORES or names & (STORES | SERVERS | set(LANES)):
            item.add_marker("s3")
        if "chromium" in fixtures:
            item.add_marker("browser")
        if isinstance(item, pytest.Function):
            module = vars(item.module)
            if any(_starts_a_process(module[name]) for name in {item.function.__name__, *fixtures} & module.keys()):
                item.add_marker("process")
        if any(item.get_closest_marker(name) for name in ("browser", "process", "s3")):
            # Other programs decide when their part is done. One more try; the end of the output names who needed it.
            item.add_marker(pytest.mark.flaky(reruns=1))
    if hasattr(config, "workerinput"):
        # Of several processes, each takes the next file of the list: those that take longest must not come last.
        slow = {
            item.path for item in items if any(item.get_closest_marker(name) for name in ("browser", "process", "s3"))
        }
        items.sort(key=lambda item: item.path not in slow)
    # Not `-m "not nightly"` in addopts: the expression of a command line would replace it, and
    # `-m "not browser"` would run them.
    if "nightly" not in config.option.markexpr and not any("::" in argument for argument in config.args):
        nightly = {item for item in items if item.get_closest_marker("nightly")}
        config.hook.pytest_deselected(items=nightly)
        items[:] = [item for item in items if item not in nightly]


_known: dict[int, bool] = {}


def _starts_a_process(thing: object) -> bool:
    """Tell whether a function or class of the tests uses a name of `STARTERS`, or something that does."""
    if id(thing) not in _known:
        _known[id(thing)] = False  # for those that use each other
        _known[id(thing)] = _uses_a_starter(thing)
    return _known[id(thing)]


def _uses_a_starter(thing: object) -> bool:
    kind = type(thing)  # lazy objects of Flask and Django must not be asked for anything, not even their class
    if issubclass(kind, type):
        members = vars(cast("type", thing))
        return any(map(_starts_a_process, members.values()))
    if kind is not FunctionType and kind.__module__ != "_pytest.fixtures":
        return False
    function: Any = inspect.unwrap(cast("Any", thing))
    code = function.__code__
    if not Path(code.co_filename).is_relative_to(TESTS):
        return False
    names = {name for part in (code, *filter(inspect.iscode, code.co_consts)) for name in part.co_names}
    known = function.__globals__
    return bool(names & STARTERS) or any(_starts_a_process(known[name]) for name in names if name in known)


SECRETS = ("s3img-test-secret-key", "stubsecretkey")
"""The secret keys of ``s3_servers`` and ``stub_store``."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test whose captured output or log records hold a test server's secret key."""
    report = yield
    leaks = [title for title, text in report.sections if any(secret in text for secret in SECRETS)]
    if leaks and report.passed and report.when == "teardown":  # which has the sections of the whole test
        report.outcome, report.longrepr = "failed", f"{item.nodeid}: a secret key is in: {', '.join(leaks)}"
    return report


_homes = itertools.count()


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the developer's own settings, credentials and cache out of every test."""
    for name in list(os.environ):
        if name == "CI" or name.startswith(("AWS_", "S3IMG_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    # A name only: whoever writes there makes the folder, and 12,000 folders that nobody needs take a minute.
    empty = tmp_path_factory.getbasetemp() / "homes" / str(next(_homes))
    monkeypatch.setenv("HOME", str(empty))
    monkeypatch.setenv("XDG_CACHE_HOME", str(empty / "cache"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(empty / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(empty / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def cache_dir(tmp_path: Path) -> str:
    """Return a cache folder that starts empty."""
    return str(tmp_path / "cache")
