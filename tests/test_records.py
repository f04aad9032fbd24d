"""The records of a run: written in order, hashed as they are written, cut back to what a checkpoint counted on."""

import hashlib
import warnings

import pytest

from gentoolkit.records import Damage, MetricsLog, cut_back, parse_row, read_rows, row_line
from gentoolkit.rundir import RunDir
from gentoolkit.safefiles import SafePath


def step(number):
    return {"step": number, "loss": 1 / number}


@pytest.fixture
def file(tmp_path):
    return SafePath(tmp_path) / "metrics.jsonl"


@pytest.fixture
def mark(file):
    """Rows of steps 1 to 6 with a checkpoint after the fourth; what the checkpoint remembers."""
    with file.writing() as descriptor:
        log = MetricsLog(descriptor)
        for number in range(1, 5):
            log("step", step(number))
        mark = log.mark()
        log("step", step(5))
        log("step", step(6))
    return mark


def cut(file, mark):
    return cut_back(file, 4, mark["metrics_size"], mark["metrics_sha256"], range(1, 5))


def steps(file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [row["step"] for row in read_rows(file)]


def lines(file):
    return file.path.read_bytes().splitlines(keepends=True)


def test_the_mark_is_of_all_that_is_in_the_file(file, mark):
    data = b"".join(lines(file)[:4])
    assert mark == {"metrics_size": len(data), "metrics_sha256": hashlib.sha256(data).hexdigest()}
    with file.writing() as descriptor:  # opened again, as by a resumed run
        log = MetricsLog(descriptor)
        log("step", step(7))
        data = file.path.read_bytes()
        assert log.mark() == {"metrics_size": len(data), "metrics_sha256": hashlib.sha256(data).hexdigest()}


def test_an_undamaged_file_is_cut_back_to_the_byte(file, mark):
    assert cut(file, mark) is None
    assert steps(file) == [1, 2, 3, 4]
    assert file.path.stat().st_size == mark["metrics_size"]


def remove(*numbers):
    return lambda rows: [row for number, row in enumerate(rows, 1) if number not in numbers]


def replace(number, line):
    return lambda rows: [*rows[: number - 1], line, *rows[number:]]


@pytest.mark.parametrize(
    ("change", "missing", "unreadable", "kept"),
    [
        (remove(2), [(2, 2)], [], [1, 3, 4]),
        (remove(1, 2, 4), [(1, 2), (4, 4)], [], [3]),
        (remove(3, 4, 5, 6), [(3, 4)], [], [1, 2]),
        (remove(1, 2, 3, 4, 5, 6), [(1, 4)], [], []),
        (replace(3, b"{]\n"), [(3, 3)], [3], [1, 2, 4]),
        (replace(3, b'{"event": "step", "step": "3"}\n'), [(3, 3)], [3], [1, 2, 4]),
        (replace(4, b'{"event": "st'), [(4, 4)], [4], [1, 2, 3]),  # swallows the rest of its line: row 5
        (replace(3, row_line("step", {"step": 3, "loss": 7.0})), [], [], [1, 2, 3, 4]),
        (lambda rows: [*rows[:3], rows[3][:-9]], [(4, 4)], [4], [1, 2, 3]),
    ],
)
def test_damage_is_named_and_rows_of_later_steps_go(file, mark, change, missing, unreadable, kept):
    file.write(b"".join(change(lines(file))))
    damage = cut(file, mark)
    assert damage == Damage(4, tuple(missing), tuple(unreadable))
    assert steps(file) == kept
    assert not lines(file) or lines(file)[-1].endswith(b"\n")


def test_a_missing_file_is_damage(file, mark):
    file.remove()
    assert cut(file, mark) == Damage(4, ((1, 4),), ())


def test_the_message_names_steps_and_lines():
    assert "the records of steps 1 to 3, 7 are missing; unreadable lines: 4, 9" in str(
        Damage(8, ((1, 3), (7, 7)), (4, 9))
    )
    assert "the content has changed" in str(Damage(8, (), ()))
    many = Damage(99, tuple((n, n) for n in range(1, 99, 2)), ())
    assert "37, 39 and 29 more are missing" in str(many)
    assert len(many.to_dict()["missing"]) == 20


def test_events_of_plugins_are_kept_as_they_are():
    assert parse_row(b'{"event": "mine", "step": "three"}') == {"event": "mine", "step": "three"}


def test_a_torn_last_line_is_no_fault(tmp_path):
    run = RunDir.create(tmp_path, "a")
    run.append("step", step(1))
    with run.metrics.open("a") as opened:
        opened.write('{"event": "st')
    assert [row["step"] for row in run.records()] == [1]


def test_other_unreadable_lines_are_counted(tmp_path):
    run = RunDir.create(tmp_path, "a")
    run.metrics.write_text('{"event": "step"}\n[]\n')
    run.append("step", step(1))
    with pytest.warns(UserWarning, match=r"skipped 2 unreadable lines in .*metrics\.jsonl"):
        assert [row["step"] for row in run.records()] == [1]
