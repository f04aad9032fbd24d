"""What can't fit into the memory is refused before it is allocated, with the numbers."""

import resource
from pathlib import Path

import numpy as np
import pytest
import torch
from test_other_data import go
from test_runs import smoke
from torch import nn

import gentoolkit as gt
from gentoolkit.errors import OutOfSpaceError, RecipeError
from gentoolkit.pipeline import memory
from gentoolkit.pipeline.model import Model
from gentoolkit.pipeline.work import Work, plan_of
from gentoolkit.protocols import TrainingContext
from gentoolkit.randomness import BatchGenerator

CPU = torch.device("cpu")
GIB = 2**30


@pytest.fixture
def four_gib(monkeypatch):
    """A machine with 4 GiB of free memory."""
    monkeypatch.setattr(memory, "available_memory", lambda device: 4 * GIB)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="Linux")
def test_the_free_memory_is_less_than_all_of_it():
    total = next(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    assert 0 < memory.available_memory(CPU) <= 1024 * total


@pytest.mark.parametrize(
    ("limit", "expected"), [("max", 3000 * 1024), (str(2**20), 2**20 - 1000 + 400), (str(2**40), 3000 * 1024)]
)
def test_a_container_has_its_own_limit(tmp_path, monkeypatch, limit, expected):
    files = {"memory.max": f"{limit}\n", "memory.current": "1000\n", "memory.stat": "anon 5\ninactive_file 400\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    3000 kB\n")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    assert memory.available_memory(CPU) == expected


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        # 10^7 noises and three times as many samples of 256 bytes.
        (
            ["train.batch_size=10000000", "train.steps=1", "train.schedule.warmup_steps=0"],
            "train.batch_size 10000000: 9.54 GiB",
        ),
        (["dataset.image_size=2048", "evaluate.per_class=40"], "evaluate.per_class 40: 7.50 GiB"),
        (["sample.per_class=10000000"], "sample.per_class 10000000: 9.54 GiB"),
        (["dataset.image_size=2048"], r"activations kept for the backward pass: \d\d\.\d\d GiB"),
        (
            ["dataset.image_size=2048", "sample.precision=fp32"],
            r"sample.batch_size 64, one tensor inside the network: 8.00 GiB",
        ),
        (["backbone.hidden_size=20000"], "parameters built so far"),
    ],
)
def test_what_cannot_fit_is_refused_before_it_is_allocated(four_gib, tmp_path, overrides, words):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(OutOfSpaceError, match=words) as caught:
        gt.run(smoke(*overrides), tmp_path / "runs")
    assert "4.00 GiB available on cpu" in str(caught.value)
    assert caught.value.exit_code == 5
    assert not (tmp_path / "runs").exists()
    # In units of 1,024 bytes on Linux: the 2048 x 2048 patterns in float64 and a few batches of two, no more.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 * 2**20


@pytest.mark.parametrize("override", ["backbone.depth=1000000", "sampler.num_steps=1000000000"])
def test_counts_beyond_all_sense_are_refused_in_the_recipe(override):
    with pytest.raises(RecipeError, match="less than or equal to 1000"):
        smoke(override)


def test_a_third_party_s_network_is_refused_while_it_grows(four_gib, plugins, parts, tmp_path, monkeypatch):
    whole, made = parts.Perceptron.__init__, []

    def deep(self, config, spec, needs):
        whole(self, config, spec, needs)
        while True:  # 16 MiB a layer, so that without a limit this ends by the memory of the machine
            made.append(nn.Linear(2048, 2048, bias=False))

    monkeypatch.setattr(parts.Perceptron, "__init__", deep)
    with pytest.raises(
        OutOfSpaceError, match=r"^backbone 'points/perceptron' .*, building: not enough memory: 4.00 GiB"
    ):
        go(plugins, tmp_path / "runs")
    # With the gradient and two moments, 64 MiB a layer; the last one was counted, then refused.
    assert len(made) in (63, 64)


def test_the_batch_is_measured_where_samples_are_small(plugins, parts, tmp_path, monkeypatch):
    """A network that keeps 4 MiB for each sample, and 4 MiB for itself."""
    whole = parts.Perceptron.forward
    table = torch.ones(2**20)

    def forward(self, x, t, c=None):
        wide = whole(self, x, t, c).sum(1, keepdim=True) * table
        return whole(self, x, t, c) + wide.square().mean(1, keepdim=True)

    monkeypatch.setattr(parts.Perceptron, "forward", forward)
    monkeypatch.setattr(memory, "available_memory", lambda device: 60 * 2**20)
    with pytest.raises(OutOfSpaceError, match=r"train.batch_size 16, activations kept for the backward pass: 0.06 GiB"):
        go(plugins, tmp_path / "runs", "none", "euler", 0.0, "train.precision=fp32")
    monkeypatch.setattr(memory, "available_memory", lambda device: 80 * 2**20)
    Work.prepare(gt.load_recipe(Path(__file__).parents[2] / "recipes" / "smoke.yaml"))


def test_what_is_found_without_data_is_what_is_kept():
    model = Model.build(smoke("objective.tokens=null", "train.precision=fp32"))
    ((_, batch),) = model.pairs().of_step(plan_of(model.recipe, 64), 0, CPU)
    batch = batch.map(lambda part: part[:2])
    kept = memory.Kept(model.modules())
    with kept:
        model.objective.loss(model.backbone, batch, TrainingContext(BatchGenerator(0, "trial", 0, 2)))
    # Attention keeps q, k, v and its output by itself, and a little else where there is no data: 1 of some 20 tensors.
    assert memory.kept_by_training(model, batch) == pytest.approx(kept.bytes, rel=0.1)


def test_a_part_that_looks_at_values_is_not_estimated(plugins, parts):
    model = Model.build(smoke())
    whole = model.backbone.forward
    model.backbone.forward = lambda *arguments: whole(*arguments) * float(arguments[0].sum())
    batch = model.splits["train"].batch(np.arange(2))
    assert memory.kept_by_training(model, batch) == memory.largest_in_sampling(model, batch) == 0
