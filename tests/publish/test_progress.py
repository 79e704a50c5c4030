"""Lines of a long run."""

from __future__ import annotations

from s3img.publish.result import ProgressLines


def test_long_run_says_every_ten_seconds_how_far_it_is() -> None:
    now, lines = [0.0], list[str]()
    progress = ProgressLines(lines.append, clock=lambda: now[0])
    for second in range(26):
        now[0] = second
        progress("rendering", second, 26)
    assert lines == ["Rendering: 10 of 26, about 16 s left", "Rendering: 20 of 26, about 6 s left"]


def test_time_left_counts_the_pace_of_the_stage() -> None:
    now, lines = [0.0], list[str]()
    progress = ProgressLines(lines.append, clock=lambda: now[0])
    for now[0], stage, done in ((5.0, "rendering", 4), (6.0, "uploading", 1), (16.0, "uploading", 61)):
        progress(stage, done, 600)
    now[0] = 26.0
    progress("rewriting", 300, 600)  # nothing is known of its pace
    assert lines == ["Uploading: 61 of 600, about 90 s left", "Rewriting: 300 of 600"]


def test_time_left_is_not_told_by_the_first_large_pictures() -> None:
    now, lines = [0.0], list[str]()
    progress = ProgressLines(lines.append, clock=lambda: now[0])
    for now[0], done in ((1.0, 1), (11.0, 6), (21.0, 80)):
        progress("rendering", done, 200)
    assert lines == ["Rendering: 6 of 200", "Rendering: 80 of 200, about 31 s left"]


def test_quick_run_is_silent() -> None:
    lines = list[str]()
    progress = ProgressLines(lines.append, clock=lambda: 0.0)
    progress("rendering", 1, 1)
    assert lines == []
