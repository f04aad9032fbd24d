"""Progress without a terminal: plain lines, each with the time that is left."""

import pytest

from gentoolkit.cli import progress
from gentoolkit.cli.progress import Progress, time_left


@pytest.mark.parametrize(
    ("seconds", "done", "left", "expected"),
    [
        (10.0, 5, 15, "about 0:30 left"),
        (10.0, 4, 26, "about 1:05 left"),
        (10.0, 1, 400, "about 1:06:40 left"),
        (10.0, 3, 0, ""),
        (10.0, 0, 7, ""),
    ],
)
def test_time_left_is_by_the_pace_so_far(seconds, done, left, expected):
    assert time_left(seconds, done, left) == expected


def test_plain_lines_say_how_long_is_left(monkeypatch, capsys):
    clock = iter([0.0, 20.0, 20.0, 25.0, 40.0, 40.0, 50.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    shown = Progress()
    shown.start("training", 100, done=20)  # at 0 s
    shown.advance(30, "loss 0.5")  # at 20 s: 2 s each, 70 left
    shown.advance(31)  # at 25 s: too soon
    shown.advance(50)  # at 40 s: 1 s each since the last line
    shown.advance(100)  # at 50 s
    assert capsys.readouterr().err.splitlines() == [
        "training 30/100 loss 0.5 about 2:20 left",
        "training 50/100 about 0:50 left",
        "training 100/100",
    ]
