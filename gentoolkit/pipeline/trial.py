"""A trial of all components on a few samples before training, to find their errors within seconds."""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gentoolkit.configs import Config
from gentoolkit.devices import Placement
from gentoolkit.errors import PluginError, UsageError
from gentoolkit.evaluation import in_parts, prepared
from gentoolkit.fields import Field
from gentoolkit.pipeline.blame import blame
from gentoolkit.pipeline.evaluate import held_out_groups
from gentoolkit.pipeline.memory import Kept, needs_of_gradients, needs_of_large_samples, require_memory
from gentoolkit.pipeline.metrics import MetricBuilder
from gentoolkit.pipeline.parts import Parts
from gentoolkit.pipeline.pictures import draw_samples
from gentoolkit.pipeline.threads import Operations
from gentoolkit.protocols import Batch, Dataset, LossRecord, Metric, TrainingContext
from gentoolkit.randomness import BatchGenerator, forked
from gentoolkit.registry import build
from gentoolkit.safefiles import SafePath
from gentoolkit.sampling import Samples, generate
from gentoolkit.training import check_batch, check_record, coupled, expect

STAGE = "trial batch"
COUNT = 2
#: Number of samples that a metric is first tried with.
FEW = 16
#: Number of field evaluations after which the trial of a sampler without `with_num_steps` ends.
MAX_EVALUATIONS = 16


class Trial:
    """Calls each component of a model on a few samples, before the run's directory is created.

    Raises:
        PluginError: A component raises an exception, modifies its inputs, or returns a wrong type, shape or dtype.
    """

    def __init__(self, model: Parts, placement: Placement) -> None:
        self.model, self.recipe, self.placement = model, model.recipe, placement
        self._metrics = MetricBuilder(model)
        self.operations = 0.0  # per sample and training step

    def data(self) -> None:
        """Check the size and the first samples of both splits."""
        spec = self.recipe.data_spec
        with blame(self.recipe, STAGE, self.recipe.dataset):
            for name in ("train", "held_out"):
                split = self.model.splits[name]
                if not (count := min(len(split), COUNT)):
                    continue  # too few samples are reported as a UsageError elsewhere
                check_batch(batch := split.batch(np.arange(count)), spec, count)
                for part in ("x1", "condition", "x0"):
                    value = getattr(batch, part)
                    if value is not None and not value.isfinite().all():
                        raise PluginError(f"{part} of the first {name} samples is not finite", kind="dataset")
                low, high = spec.value_range or (-math.inf, math.inf)
                if batch.x1.min() < low or batch.x1.max() > high:
                    got = f"{batch.x1.min():.4g} to {batch.x1.max():.4g}"
                    message = f"values of the first {name} samples are {got}; the spec declares {low:g} to {high:g}"
                    raise PluginError(message, kind="dataset")

    def memory(self) -> None:
        """Raise OutOfSpaceError if the samples are so large that even the trial does not fit into memory."""
        if batch := self._batch(COUNT):
            require_memory(needs_of_large_samples(self.model, batch, self.placement.precision), self.model.device)

    def parts(self) -> None:
        """Try the codec, the source and all parts that follow, and draw a picture."""
        with forked(self.recipe.seed, "trial"), kept_buffers(self.model.modules()):
            self.codec()
            self.pairs()
            batch = self._batch(COUNT)
            self.backbone(batch)
            self.objective(batch)
            samples = self.sampler(batch)
            for part in self.recipe.metrics:
                self.metric(part)
            for observer in self.recipe.observers:
                self.observer(observer)
            with blame(self.recipe, STAGE), tempfile.TemporaryDirectory() as folder:
                draw_samples(self.model, samples, SafePath(Path(folder), ("trial.png",)))

    def codec(self) -> None:
        """Check that the codec encodes and decodes the first training samples."""
        encoder, part = self.model.encoder, self.recipe.codec
        if encoder is None or part is None:
            return
        with blame(self.recipe, STAGE, self.recipe.dataset):
            train = self.model.splits["train"]
            x1 = train.batch(np.arange(min(COUNT, len(train)))).x1.to(self.model.device)
        with blame(self.recipe, STAGE, part), self.unchanged(part, x1=x1):
            z = encoder.encode(x1)
            with self.unchanged(part, z=z):
                for name, value in {"encode(...)": z, "decode(...)": encoder.decode(z)}.items():
                    if not value.isfinite().all():
                        raise PluginError(f"{name} of the first train samples is not finite", kind="codec")

    def pairs(self) -> None:
        """Check x0 of the first rows, and the coupling of a few pairs."""
        recipe, model = self.recipe, self.model
        with blame(recipe, STAGE, recipe.source):
            if not model.x0(recipe.seed, np.arange(COUNT)).isfinite().all():
                raise PluginError("x0 of the first rows is not finite", kind="source")
        if model.coupling is not None and (batch := self._batch(FEW)):
            with blame(recipe, STAGE, recipe.coupling), self.unchanged(recipe.coupling, **vars(batch)):
                coupled(model.coupling, batch)

    @torch.no_grad()
    def backbone(self, batch: Batch) -> None:
        """Check the network's output in eval mode."""
        part, t = self.recipe.backbone, self._times(batch)
        network = self.model.backbone.eval()
        with blame(self.recipe, STAGE, part), self.unchanged(part, x_t=batch.x1, t=t, condition=batch.condition):
            output = network(batch.x1, t, batch.condition)
            expect("backbone", "output", output, (tuple(batch.x1.shape), torch.float32))

    def objective(self, batch: Batch) -> None:
        """Check the losses and their gradients, in train mode and in the precision of training. Nothing is trained."""
        recipe, model = self.recipe, self.model
        modules = model.modules()
        trained = [parameter for parameter in modules.parameters() if parameter.requires_grad]
        with blame(recipe, STAGE, recipe.objective), self.unchanged(recipe.objective, **vars(batch)):
            if not trained:
                raise PluginError("it has no parameters to train", kind="backbone")
            modules.train()
            record, kept = self._loss(batch)
            check_record(record, len(batch))
            record.loss.mean().backward()
            if all(parameter.grad is None for parameter in trained):
                raise PluginError("the loss has no gradient with respect to any parameter", kind="objective")
            for parameter in trained:
                parameter.grad = None
            more = self._batch(2 * COUNT)
            if len(more) > len(batch):
                # Take the difference, since casts of the weights are kept only once.
                each = (self._loss(more)[1] - kept) / (len(more) - len(batch))
                require_memory(needs_of_gradients(recipe, each), model.device)

    def _loss(self, batch: Batch) -> tuple[LossRecord, int]:
        """Return the objective's record and the bytes kept for the backward pass."""
        recipe, model = self.recipe, self.model
        # The average starts as a copy of the weights.
        teacher = model.backbone if recipe.train.ema else None
        generator = BatchGenerator(recipe.seed, "trial", 0, len(batch), device=model.device)
        context = TrainingContext(generator, ema_backbone=teacher)
        kept, operations = Kept(model.modules()), Operations()
        with kept, operations, self.placement.autocast():
            record = model.objective.loss(model.backbone, batch, context)
        self.operations = 3 * operations.count / len(batch)  # forward, and twice as many backward
        return record, kept.bytes

    def _batch(self, count: int) -> Batch:
        """Return the first pairs of the training split, as they are drawn."""
        train = self.model.encoded("train")
        rows = np.arange(min(count, len(train)))
        with blame(self.recipe, STAGE, self.recipe.dataset):
            batch = train.batch(rows)
        with blame(self.recipe, STAGE, self.recipe.source):
            x0 = self.model.x0(self.recipe.seed, rows) if batch.x0 is None else batch.x0
        return Batch(batch.x1, batch.condition, x0).map(lambda part: part.to(self.model.device))

    @torch.no_grad()
    def sampler(self, batch: Batch) -> Samples:
        """Check the field, and draw two samples with their trajectories in a few steps."""
        recipe, x1 = self.recipe, batch.x1
        with blame(recipe, STAGE, recipe.objective):
            field = self.model.sampled_field()
            if not isinstance(field, Field):
                message = f"field(...) returned a {type(field).__name__}, expected a gentoolkit.fields.Field"
                raise PluginError(message, kind="objective")
            velocity = field.velocity(x1, self._times(batch), batch.condition)
            expect("objective", "the field's velocity", velocity, (tuple(x1.shape), torch.float32))
        assert batch.x0 is not None
        x0 = batch.x0.cpu()
        condition = None if batch.condition is None else batch.condition.cpu()
        part = recipe.sampler
        with blame(recipe, STAGE, part), self.unchanged(part, x0=x0, condition=condition):
            sampler, bounded = self.model.sampler, field
            if hasattr(sampler, "with_num_steps"):
                sampler = sampler.with_num_steps(COUNT)
            else:
                bounded = replace(field, predict=ends_after(MAX_EVALUATIONS, field))
            try:
                samples = generate(
                    bounded,
                    sampler,
                    x0,
                    condition,
                    seed=recipe.seed,
                    device=self.model.device,
                    trajectory=True,
                )
            except Enough:
                samples = Samples(x0, condition)
        encoder = self.model.encoder
        with blame(recipe, STAGE, recipe.codec):
            return samples if encoder is None else encoder.decoded(samples, COUNT)

    def metric(self, part: Config) -> None:
        """Compare held-out samples with each other: a few, or as many as in the evaluation if the metric needs more."""
        held_out = self.model.splits["held_out"]
        most = min(sum(map(len, held_out_groups(self.model).pooled)), len(held_out) // 2)
        with blame(self.recipe, STAGE, part):
            metric = self._metrics(part)
            for count in dict.fromkeys((min(FEW, most), most)):
                try:
                    self._compare(part, metric, held_out, count)
                except PluginError:
                    raise
                except Exception:
                    if count == most:
                        raise
                else:
                    break

    def _compare(self, part: Config, metric: Metric, held_out: Dataset, count: int) -> None:
        both = held_out.batch(np.arange(2 * count))
        with self.unchanged(part, **vars(both)):
            real, other = prepared(metric, in_parts(both, self.recipe.sample.batch_size)).chunk(2)
        with self.unchanged(part, real=real, other=other):
            try:
                value = metric.value(real, other)
            except ValueError as error:  # too few samples
                raise UsageError(str(error), kind="metric") from error
        for name, number in {"value(...)": value, "optimum": metric.optimum}.items():
            if not isinstance(number, (int, float)):
                raise PluginError(f"{name} is a {type(number).__name__}, expected a float", kind="metric")

    def observer(self, part: Config) -> None:
        """Build an observer for a folder that is then deleted, to find out whether what it needs is installed."""
        with blame(self.recipe, STAGE, part), tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
            build(part, directory=Path(folder))

    def _times(self, batch: Batch) -> Tensor:
        return torch.full((len(batch),), 0.5, device=self.model.device)

    @contextmanager
    def unchanged(self, part: Config, **given: Tensor | None) -> Iterator[None]:
        """Raise PluginError if a component modifies one of its input tensors in the block."""
        before = {name: tensor.clone() for name, tensor in given.items() if tensor is not None}
        yield
        for name, tensor in given.items():
            if tensor is not None and not torch.equal(tensor, before[name]):
                raise PluginError(f"it modifies its input {name} in place", kind=part.kind)


class Enough(BaseException):
    """Raised by the field to end the trial of a sampler."""


def ends_after(count: int, field: Field) -> Callable[[Tensor, Tensor, Tensor | None], Tensor]:
    """Return the field's function, which raises `Enough` after `count` evaluations."""
    left = iter(range(count))

    def predict(x: Tensor, t: Tensor, condition: Tensor | None) -> Tensor:
        if next(left, None) is None:
            raise Enough
        return field.predict(x, t, condition)

    return predict


@contextmanager
def kept_buffers(module: nn.Module) -> Iterator[None]:
    """Restore the buffers after the block, so that the trial does not change running averages."""
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    yield
    with torch.no_grad():
        for name, buffer in module.named_buffers():
            buffer.copy_(before[name])
