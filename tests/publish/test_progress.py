"""Lines of a long run."""

from __future__ import annotations

from s3img.publish.result import ProgressLines


def test_long_run_says_every_ten_seconds_how_far_it_is() -> None:
    now, lines = [0.0], list[str]()
    progress = ProgressLines(lines.append, clock=lambda: now[0])
    for second in range(26):
        now[0] = second
        progress("rendering", second, 26)
    assert lines == ["Rendering: 10 of 26", "Rendering: 20 of 26"]


def test_quick_run_is_silent() -> None:
    lines = list[str]()
    progress = ProgressLines(lines.append, clock=lambda: 0.0)
    progress("rendering", 1, 1)
    assert lines == []
