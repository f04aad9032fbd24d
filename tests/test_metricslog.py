"""The records of a run: written in order, hashed as they are written, cut back to what a checkpoint counted on."""

import hashlib
import math
import warnings

import pytest

from example_records import compared, evaluation, loss, metric
from gentoolkit.metricslog import MetricsLog, cut_back, damage_text, line_of, read_records, shortened
from gentoolkit.records import RECORDS, Epoch, Finished, MetricsDamaged, Resumed, Step, Validation, parse_record
from gentoolkit.rundir import RunDir
from gentoolkit.safefiles import SafePath


def step(number):
    return Step(step=number, loss=1 / number)


@pytest.fixture
def file(tmp_path):
    return SafePath(tmp_path) / "metrics.jsonl"


@pytest.fixture
def mark(file):
    """Rows of steps 1 to 6 with a checkpoint after the fourth; what the checkpoint remembers."""
    with file.writing() as descriptor:
        log = MetricsLog(descriptor)
        for number in range(1, 5):
            log.append(step(number))
        mark = log.mark()
        log.append(step(5))
        log.append(step(6))
    return mark


def cut(file, mark):
    return cut_back(file, 4, mark["metrics_size"], mark["metrics_sha256"], range(1, 5))


def damaged(step, missing, unreadable):
    return MetricsDamaged(step=step, missing=missing, unreadable=unreadable)


def steps(file):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [record.step for record in read_records(file)]


def lines(file):
    return file.path.read_bytes().splitlines(keepends=True)


def test_the_mark_is_of_all_that_is_in_the_file(file, mark):
    data = b"".join(lines(file)[:4])
    assert mark == {"metrics_size": len(data), "metrics_sha256": hashlib.sha256(data).hexdigest()}
    with file.writing() as descriptor:  # opened again, as by a resumed run
        log = MetricsLog(descriptor)
        log.append(step(7))
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
        (replace(3, line_of(Step(step=3, loss=7.0))), [], [], [1, 2, 3, 4]),
        (lambda rows: [*rows[:3], rows[3][:-9]], [(4, 4)], [4], [1, 2, 3]),
    ],
)
def test_damage_is_named_and_rows_of_later_steps_go(file, mark, change, missing, unreadable, kept):
    file.write(b"".join(change(lines(file))))
    damage = cut(file, mark)
    assert damage == damaged(4, missing, unreadable)
    assert steps(file) == kept
    assert not lines(file) or lines(file)[-1].endswith(b"\n")


def test_a_missing_file_is_damage(file, mark):
    file.remove()
    assert cut(file, mark) == damaged(4, [(1, 4)], [])


def test_the_message_names_steps_and_lines():
    text = damage_text(damaged(8, [(1, 3), (7, 7)], [4, 9]))
    assert "the records of steps 1 to 3, 7 are missing; unreadable lines: 4, 9" in text
    assert "the content has changed" in damage_text(damaged(8, [], []))
    many = damaged(99, [(n, n) for n in range(1, 99, 2)], [])
    assert "37, 39 and 29 more are missing" in damage_text(many)
    assert shortened(many).missing == many.missing[:20]


def test_events_of_plugins_are_kept_as_they_are():
    assert parse_record(b'{"event": "mine", "step": "three"}').to_dict() == {"event": "mine", "step": "three"}


RECORDED = [
    Step(step=1, loss=0.5, gradient_norm=1e300, learning_rate_1=1e-3),
    Epoch(epoch=1, step=2, loss=None, velocity_error_by_t=(0.5, None), path="linear"),
    Validation(step=2, loss=0.5, loss_by_t=(None, 1.0), path="linear"),
    evaluation(loss(0.5, (0.25, None)), (metric(compared(1.0, 0.5), compared(2.0, None), name="m"),), ("exact", "why")),
    Resumed(step=3, torch="2", changes={"device": ["cpu", "cuda"]}),
    damaged(8, [(1, 3), (7, 7)], [4, 9]),
    Finished(seconds={"train": 1.5}),
]


@pytest.mark.parametrize("record", RECORDED, ids=lambda record: record.event)
def test_what_is_read_is_what_was_recorded(record):
    assert parse_record(line_of(record)) == record


def test_every_kind_of_record_is_among_them():
    assert {record.event for record in RECORDED} == set(RECORDS)


def test_numbers_that_are_not_finite_become_null():
    record = Step(step=1, loss=math.nan, learning_rate=math.inf)
    assert b'"loss":null' in line_of(record)
    assert parse_record(line_of(record)).learning_rate is None


def test_a_torn_last_line_is_no_fault(tmp_path):
    run = RunDir.create(tmp_path, "a")
    run.append(step(1))
    with run.metrics.open("a") as opened:
        opened.write('{"event": "st')
    assert [record.step for record in run.records()] == [1]


def test_other_unreadable_lines_are_counted(tmp_path):
    run = RunDir.create(tmp_path, "a")
    run.metrics.write_text('{"event": "step"}\n[]\n')
    run.append(step(1))
    with pytest.warns(UserWarning, match=r"skipped 2 unreadable lines in .*metrics\.jsonl"):
        assert [record.step for record in run.records()] == [1]
