"""The interfaces of the kinds of component, and the records that pass between them.

Notation:

    B       batch size; `*S` the shape of one sample, e.g. (C, H, W)
    x0      (B, *S) a draw from the source
    x1      (B, *S) a data sample, encoded if the recipe has a codec
    t       (B,)    float, 0 at x0 and 1 at x1
    x_t     (B, *S) the point on the path at time t; on the linear path x_t = (1 - t) x0 + t x1
    v       (B, *S) the velocity d x_t / dt; on the linear path v = x1 - x0
    condition       class labels (B,) int64, arrays (B, *D) float, or None

This module does not import torch at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor, nn

    from gentoolkit.fields import Field
    from gentoolkit.paths import Path
    from gentoolkit.randomness import BatchGenerator
    from gentoolkit.spec import Array, Labels

#: `(x_t, t, condition) -> output`: a backbone, or any callable with its signature.
BackboneFunction = Callable[..., "Tensor"]


@dataclass(frozen=True)
class Batch:
    """Samples, or pairs of samples.

    Attributes:
        x1: Data, (B, *S) float32.
        condition: Labels (B,) int64, arrays (B, *D) float32, or None.
        x0: The other end of each pair, (B, *S) float32. In a batch of a dataset, only for paired data; objectives
            always receive it.
    """

    x1: Tensor
    condition: Tensor | None = None
    x0: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x1)

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with `change` applied to each of its tensors, e.g. to move them to a device."""
        return Batch(*(None if part is None else change(part) for part in (self.x1, self.condition, self.x0)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class LossRecord:
    """The loss of a batch.

    Attributes:
        loss: Loss of each sample, (B,), attached to the graph; its mean is minimized.
        t: Time of each sample, (B,).
        velocity_error: Mean squared error of the velocity per dimension, (B,), without any weighting. Use it to compare
            objectives with different parametrizations and weightings, but only on the same path: the velocity, and
            therefore its error, depends on the path. The log shows it by time, and the contracts compare it with the
            closed form. None means that it equals `loss`.
    """

    loss: Tensor
    t: Tensor
    velocity_error: Tensor | None = None


@dataclass(frozen=True)
class TrainingContext:
    """The training state that an objective can use.

    Attributes:
        generator: The only source of randomness that an objective may use. It returns the rows of the global batch that
            belong to this process. An objective draws times from it, but never x0, which is in the batch.
        step: The optimizer step, starting at 0.
        total_steps: Number of optimizer steps in the whole run.
        ema_backbone: The backbone with averaged weights, for objectives that need a teacher; None without EMA.
    """

    generator: BatchGenerator
    step: int = 0
    total_steps: int = 1
    ema_backbone: nn.Module | None = None


@dataclass(frozen=True)
class TrainedParameter:
    """A parameter that an optimizer updates.

    Attributes:
        name: Its name in checkpoints, e.g. "backbone.blocks.0.mlp.0.weight".
        parameter: The parameter.
        blocks: If a matrix optimizer may train it, the number of equal blocks of rows, each a matrix of its own; see
            `Backbone.matrix_blocks`. Otherwise 0.
        matrix_dtype: The dtype for matrix products with it: bfloat16 only if training in bf16 on a processor with bf16
            instructions.
    """

    name: str
    parameter: nn.Parameter
    blocks: int
    matrix_dtype: torch.dtype


@runtime_checkable
class Dataset(Protocol):
    """A map-style dataset, built by `factory(config, split, seed)` with split "train" or "held_out".

    Held-out samples must be in random order, since the evaluation uses the first ones.
    """

    def __len__(self) -> int:
        """Return the number of samples in this split."""
        ...

    def batch(self, indices: np.ndarray) -> Batch:
        """Return the samples at `indices` (int64, any order) as CPU tensors; equal indices return equal samples.

        Training calls it in a background thread, one call at a time.
        """
        ...


@runtime_checkable
class KnownPosterior(Protocol):
    """Optional interface of datasets whose distribution is known in closed form.

    The evaluation turns the best prediction from a noisy sample into a field (see `gentoolkit.evaluation.exact`), whose
    validation loss is the smallest possible.
    """

    def denoised(self, x_t: Tensor, alpha: Tensor, sigma: Tensor, condition: Tensor | None) -> Tensor:
        """Return E[x1 | alpha x1 + sigma x0 = x_t, condition] for x0 ~ N(0, I), on the CPU.

        Args:
            x_t: (B, *S) float64.
            alpha: (B,) float64, in [0, 1].
            sigma: (B,) float64, above 0.
            condition: As in `Batch`.

        Returns:
            (B, *S) float64.
        """
        ...


@runtime_checkable
class Codec(Protocol):
    """A map between data and what is modeled, built by `factory(config, spec)`.

    It may be an `nn.Module`. It is not trained; checkpoints store its state dict.
    """

    def encode(self, x: Tensor) -> Tensor:
        """Return data (B, *D) encoded, (B, *S) float32. A sample does not depend on the others in the batch."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Return encoded samples (B, *S) as data, (B, *D) float32."""
        ...


@runtime_checkable
class FittedCodec(Protocol):
    """Optional interface of codecs that are `nn.Module`s and estimate buffers from the data."""

    def fit(self, chunks: Iterable[Tensor]) -> None:
        """Set the buffers from the training split. Called once, before a run's first step.

        Args:
            chunks: All samples, in chunks (B, *D) float32 on the CPU. Can be iterated several times.
        """
        ...


@runtime_checkable
class Source(Protocol):
    """A distribution of x0, built by `factory(config, spec)`."""

    def draw(self, seed: int, purpose: str, rows: np.ndarray) -> Tensor:
        """Return x0, (len(rows), *S) float32 on the CPU.

        A row depends only on the seed, the purpose and its number, so that it is the same in any batch and process;
        `gentoolkit.randomness` has keyed draws.

        Args:
            seed: The seed.
            purpose: What the draws are for; different purposes have independent draws.
            rows: Number of each row, (N,) int64, >= 0, in any order.
        """
        ...


@runtime_checkable
class Coupling(Protocol):
    """A rule that pairs the x0 of a global batch with its x1, built by `factory(config)`."""

    def couple(self, x0: Tensor, x1: Tensor, condition: Tensor | None) -> Tensor:
        """Return the row of x0 for each row of x1, (B,) int64: a permutation of range(B).

        The pairs must not depend on the order of the rows, nor on a random generator.

        Args:
            x0: (B, *S) float32.
            x1: (B, *S) float32.
            condition: The conditions of x1, as in `Batch`; none is dropped yet.
        """
        ...


@runtime_checkable
class Backbone(Protocol):
    """An `nn.Module`, built by `factory(config, spec, needs)`.

    Its config can offer further capabilities:

    "tokens": `forward` accepts `tokens`, see `TokenBackbone`.
    "second_time": if needed, `forward` accepts `second_time`, (B,), in addition to t, for two-time models (flow maps).
    "forward_derivatives": if needed, `torch.func.jvp` can differentiate it.
    """

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the network's output, (B, *S), for x_t (B, *S), t (B,) and the condition."""
        ...

    def matrix_blocks(self) -> Mapping[str, int]:
        """Return the weights that a matrix optimizer (Muon) may train.

        Returns:
            Parameter name -> number of equal blocks of rows that it consists of: 3 for a joint qkv weight, else 1.
        """
        ...


@runtime_checkable
class TokenBackbone(Protocol):
    """The interface of backbones that offer "tokens": they can compute a subset of a sample's tokens."""

    def patches(self, x: Tensor) -> Tensor:
        """Return the elements of x, (B, *S), grouped by the token that predicts them: (B, N, P), each element once."""
        ...

    def __call__(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        """Return the network's output; with `tokens`, (B, K) indices below N, only the patches of these: (B, K, P)."""
        ...


@runtime_checkable
class Objective(Protocol):
    """A training objective, built by `factory(config)`; it may be an `nn.Module` with parameters of its own."""

    def loss(self, backbone: BackboneFunction, batch: Batch, context: TrainingContext) -> LossRecord:
        """Return the per-sample losses of pairs; `batch.x0` is always given.

        All randomness, such as times, comes from `context.generator`.
        """
        ...

    def field(self, backbone: BackboneFunction) -> Field:
        """Return the field that a trained backbone represents. Samplers see nothing else of the model."""
        ...

    def output_for(self, velocity: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the backbone output that `field` would turn into `velocity`, (B, *S): the inverse of `field`."""
        ...


@runtime_checkable
class Times(Protocol):
    """A distribution of training times, built by `factory(config)`."""

    def quantile(self, u: Tensor, path: Path) -> Tensor:
        """Return the inverse of the cumulative distribution function at u, (B,) in [0, 1): times (B,) in [0, 1].

        A time depends only on its own u, so that any distribution can be stratified.
        """
        ...


@runtime_checkable
class Weighting(Protocol):
    """A weight of the loss, built by `factory(config)`."""

    def weight(self, t: Tensor, path: Path) -> Tensor:
        """Return the weights, (B,) at least 0, at times t, (B,)."""
        ...


@runtime_checkable
class Sampler(Protocol):
    """A solver of dx/dt = field.velocity(x, t, condition) from t = 0 to 1, built by `factory(config)`.

    Attributes:
        order: Declared order of convergence; None if there is none (stochastic, adaptive).
        times: The times at which the field is evaluated, in order; None if they are not known in advance.
        nfe: Field evaluations per sample; None if it is not fixed. Guidance doubles the network evaluations.
        tolerance: Upper bound on the error of an adaptive sampler (absolute, for states of size 1); None for other
            samplers.
    """

    @property
    def order(self) -> float | None: ...  # noqa: D102
    @property
    def times(self) -> tuple[float, ...] | None: ...  # noqa: D102
    @property
    def nfe(self) -> int | None: ...  # noqa: D102
    @property
    def tolerance(self) -> float | None: ...  # noqa: D102

    def with_num_steps(self, num_steps: int) -> Sampler:
        """Return the same sampler with another number of steps."""
        ...

    def sample(
        self,
        field: Field,
        x0: Tensor,
        condition: Tensor | None = None,
        noise: Callable[[float, float], Tensor] | None = None,
        on_step: Callable[[float, Tensor], None] | None = None,
    ) -> Tensor:
        """Carry x0 (B, *S) to t = 1.

        Args:
            field: The field. It must not be evaluated outside its domain.
            x0: Initial state, (B, *S), not modified. Its dtype is used for all computation.
            condition: Passed to the field unchanged.
            noise: `noise(t, s)` returns standard normal draws for the step from t to s, (B, *S), keyed by sample and
                interval; for stochastic samplers.
            on_step: Called with (t, x) at the start and after every step; t is 0.0 first and 1.0 last.

        Returns:
            The samples at t = 1, (B, *S).
        """
        ...


@runtime_checkable
class Guidance(Protocol):
    """A change of a conditional model's field, built by `factory(config)`."""

    def guide(self, field: Field, condition: Labels | Array | None) -> Field:
        """Return the changed field, on the same path and of the same type.

        Args:
            field: The field.
            condition: The conditions of the data, with `null_like`. None for unconditional data.
        """
        ...


@runtime_checkable
class Grid(Protocol):
    """The times that a sampler visits, built by `factory(config)`."""

    def times(self, num_steps: int) -> tuple[float, ...]:
        """Return `num_steps` + 1 increasing times, from exactly 0.0 to exactly 1.0."""
        ...


@runtime_checkable
class Features(Protocol):
    """A map from samples to vectors in which metrics compare them, built by `factory(config, spec, seed, train)`.

    `train` is the training split. Features that learn or load anything are `nn.Module`s with a state dict of it, whose
    hash is recorded with every value that is computed from them.

    Attributes:
        preprocessing: What happens to a sample before the features are computed, in words, for the record.
    """

    @property
    def preprocessing(self) -> str: ...  # noqa: D102

    def __call__(self, x: Tensor) -> Tensor:
        """Return the features of samples (N, *S) float32 on the CPU: (N, F), float32 or float64.

        A row depends only on its sample. The core passes at most `sample.batch_size` samples at once, and computes the
        features of the same samples once for all metrics.
        """
        ...


@runtime_checkable
class Classifier(Protocol):
    """The interface of features that offer "classes"."""

    def classes(self, x: Tensor) -> Tensor:
        """Return the most likely label of each sample (N, *S): (N,) int64."""
        ...


@runtime_checkable
class Metric(Protocol):
    """A number that compares other samples, such as generated ones, with real ones.

    Built by `factory(config, spec, seed, train)`, with the spec of the data, the recipe's seed and the training split.
    Samples are first mapped to rows, each on its own, and the value is a function of two sets of rows. Values for each
    class, for random halves and for all samples then share what is expensive. All computation is deterministic.

    Optional attribute `bias_order`: p, if the mean value for n samples on each side is known to approach its limit as
    n^-p (for instance 1.0). The core then extrapolates the value to infinitely many samples.

    Attributes:
        optimum: The value for two equal distributions as the number of samples grows.
        sees: The kinds of difference that the metric detects: the value moves further from the optimum as a shift of
            the mean ("shift") or a change of the deviation from the mean ("scale") grows.
        invariances: The changes that leave the value unchanged: "permutation" (always) and any of "shift", "scale".
    """

    optimum: float
    sees: frozenset[str]
    invariances: frozenset[str]

    def prepare(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Return the rows of samples (N, *S) with their conditions: (N, *R). A row depends only on its own sample."""
        ...

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the value for rows of real samples, (N, *R), and of others, (M, *R).

        Raises:
            ValueError: There are too few samples. The message says how many are needed. In a class, the value is then
                left out; for all samples together, the evaluation fails.
        """
        ...


@runtime_checkable
class Optimizer(Protocol):
    """A rule that updates weights by their gradients, built by `factory(config, parameters)`.

    `parameters` is a sequence of `TrainedParameter`. Every `torch.optim.Optimizer` has this interface.

    Attributes:
        param_groups: Dictionaries with "params", the parameters of the group, and "lr", its learning rate. The initial
            "lr" is the peak. Before each step, the core sets "lr" to the peak times the fraction of the schedule.
    """

    @property
    def param_groups(self) -> list[dict[str, Any]]: ...  # noqa: D102

    def step(self) -> object:
        """Update the parameters that have a gradient."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: tensors, numbers, texts and None, in dictionaries, lists and tuples.

        Its dictionaries and lists are those of the optimizer, not copies, as with torch's optimizers.
        """
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state from `state_dict`."""
        ...


@runtime_checkable
class Schedule(Protocol):
    """The learning rate over a run, as a fraction of its peak, built by `factory(config)`."""

    def fraction(self, step: int, total_steps: int, steps_per_epoch: int) -> float:
        """Return the fraction in [0, 1] for a step, counted from 0. It depends on nothing but the arguments."""
        ...
