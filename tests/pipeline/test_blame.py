"""Whatever a part raises, wherever in a run, ends it with an error that names the part, its package and the stage."""

import pytest
from test_other_data import go

import gentoolkit as gt
from gentoolkit.errors import OutOfSpaceError, PluginError, UsageError
from gentoolkit.pipeline.work import Work


def fail_at(monkeypatch, owner, name, error, when=lambda *arguments, **named: True):
    """Make a method raise from the first call on for which `when` is true."""
    whole = getattr(owner, name)

    def method(self, *arguments, **named):
        if when(*arguments, **named):
            raise error
        return whole(self, *arguments, **named)

    monkeypatch.setattr(owner, name, method)


def in_step(number):
    return lambda backbone, batch, context: len(batch) == 16 and context.step == number - 1


@pytest.mark.parametrize("kind", [LookupError, SystemExit, GeneratorExit])
@pytest.mark.parametrize("stage", ["building", "training step 3", "sampling", "evaluating", "drawing"])
def test_any_exception_names_the_part_and_the_stage(plugins, parts, tmp_path, monkeypatch, stage, kind):
    from gentoolkit_flow_matching.objective import FlowMatching
    from gentoolkit_metrics.distances import SlicedWasserstein

    whole_trial, error = Work.prepare, kind(0)

    def prepared(*arguments, **named):
        """The trial comes first: what fails in a later stage only, fails after it."""
        work = whole_trial(*arguments, **named)
        if stage == "sampling":
            fail_at(monkeypatch, parts.Noisy, "sample", error)
        if stage == "evaluating":
            fail_at(monkeypatch, SlicedWasserstein, "value", error)
        if stage == "drawing":
            fail_at(monkeypatch, parts.Points, "batch", error, lambda indices: len(indices) == 100)
        return work

    monkeypatch.setattr(Work, "prepare", prepared)
    if stage == "building":
        fail_at(monkeypatch, parts.Perceptron, "__init__", error)
    if stage.startswith("training"):
        fail_at(monkeypatch, FlowMatching, "loss", error, in_step(3))
    named = {
        "building": "backbone 'points/perceptron' of points 1.0",
        "training step 3": "objective 'flow_matching' of gentoolkit",
        "sampling": "sampler 'points/noisy' of points 1.0",
        "evaluating": "metric 'sliced_wasserstein' of gentoolkit",
        "drawing": "dataset 'points/points' of points 1.0",
    }[stage]
    with pytest.raises(PluginError) as caught:
        go(plugins, tmp_path, "none", "points/noisy", 0.0)
    assert str(caught.value).startswith(named)
    assert f", {stage}: {type(error).__name__}" in str(caught.value)
    assert caught.value.__cause__ is error
    assert caught.value.exit_code == 1
    if stage != "building":
        log = (tmp_path / "step-1" / "log.txt").read_text()
        assert "Traceback" in log
        assert log.splitlines()[-1].startswith(kind.__name__)


def test_the_line_in_the_plugin_is_named(plugins, parts, tmp_path, monkeypatch):
    fail_at(monkeypatch, parts.torch, "tanh", ArithmeticError("flat"))
    with pytest.raises(PluginError, match=r"ArithmeticError: flat \(pipeline/point_parts.py:\d+\)$"):
        go(plugins, tmp_path)


def test_a_backbone_is_named_although_the_objective_calls_it(plugins, parts, tmp_path, monkeypatch):
    fail_at(monkeypatch, parts.Perceptron, "forward", KeyError("weight"), lambda x, *rest: len(x) == 16)
    with pytest.raises(PluginError, match=r"^backbone 'points/perceptron' of points 1.0, training step 1: KeyError"):
        go(plugins, tmp_path)


def test_what_a_part_raises_for_the_user_stays_as_it_is(plugins, parts, tmp_path, monkeypatch):
    fail_at(monkeypatch, parts.Points, "__init__", UsageError("no folder 'x'; download it first"))
    with pytest.raises(UsageError, match=r"^no folder 'x'; download it first$"):
        go(plugins, tmp_path)


@pytest.mark.parametrize("kind", [MemoryError, lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_a_part_that_runs_out_of_memory_is_named_too(plugins, parts, tmp_path, monkeypatch, kind):
    fail_at(monkeypatch, parts.Perceptron, "forward", kind(), lambda x, *rest: len(x) == 16)
    with pytest.raises(
        OutOfSpaceError, match=r"backbone 'points/perceptron' of points 1.0, training step 1: "
    ) as caught:
        go(plugins, tmp_path)
    assert caught.value.exit_code == 5


def test_an_interruption_is_no_fault_of_a_part(plugins, parts, tmp_path, monkeypatch):
    fail_at(monkeypatch, parts.Perceptron, "forward", KeyboardInterrupt(), lambda x, *rest: len(x) == 16)
    with pytest.raises(gt.GentoolError, match="before the first checkpoint") as caught:
        go(plugins, tmp_path)
    assert caught.value.exit_code == 130
    assert parts.heard[-2][1] == "failed"


def test_a_finished_run_names_the_part_too(plugins, parts, tmp_path, monkeypatch):
    run = go(plugins, tmp_path)
    fail_at(monkeypatch, parts.Perceptron, "forward", ZeroDivisionError())
    for use, stage in ((run.sample, "sampling"), (run.evaluate, "sampling"), (run.model().validate, "validation")):
        with pytest.raises(
            PluginError, match=f"^backbone 'points/perceptron' of points 1.0, {stage}: ZeroDivisionError"
        ):
            use()
