"""What the five kinds of component promise, and the small records that pass between them.

The words, once and for all:

    B       batch size; `*S` the shape of one sample, e.g. (C, H, W)
    x0      (B, *S) a draw from the source: noise, unless the data comes in pairs
    x1      (B, *S) a data sample
    t       (B,)    float, 0 at x0 and 1 at x1
    x_t     (B, *S) the point on the path at time t; on the linear path x_t = (1 - t) x0 + t x1
    v       (B, *S) the velocity d x_t / dt; on the linear path v = x1 - x0
    condition       class labels (B,) int64, vectors (B, D) float, or None

Nothing here imports torch at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from gentoolkit.paths import Field
    from gentoolkit.randomness import BatchGenerator

#: `(x_t, t, condition) -> output`: a backbone, or anything that can be called like one.
BackboneFunction = Callable[..., "Tensor"]


@dataclass(frozen=True)
class Batch:
    """Samples as a dataset hands them out.

    Attributes:
        x1: Data, (B, *S) float32.
        condition: Labels (B,) int64, vectors (B, D) float32, or None.
        x0: The other end of each pair, (B, *S), only where the data comes in pairs.
    """

    x1: Tensor
    condition: Tensor | None = None
    x0: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x1)

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with every tensor of it changed, e.g. moved to a device."""
        return Batch(*(None if part is None else change(part) for part in (self.x1, self.condition, self.x0)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class LossRecord:
    """What an objective says of a batch.

    Attributes:
        loss: What is minimized, per sample, (B,), attached to the graph; its mean is the training loss.
        t: The time at which each sample was taken, (B,).
        velocity_error: Mean squared error of the velocity per dimension, (B,), without any weighting. It compares
            objectives of different parametrization and weighting on the same path: the velocity, and so its error,
            is another one on another path. The log shows it by time, and the contracts compare it with the closed
            form. None means that it is `loss`.
    """

    loss: Tensor
    t: Tensor
    velocity_error: Tensor | None = None


@dataclass(frozen=True)
class TrainingContext:
    """What an objective may know of the training around it.

    Attributes:
        generator: The only randomness that an objective may use; it draws for the whole global batch and hands
            out this process's rows.
        step: The optimizer step, from 0.
        total_steps: The number of optimizer steps of the whole run.
        ema_backbone: The backbone with averaged weights, for objectives that need a teacher; None without EMA.
    """

    generator: BatchGenerator
    step: int = 0
    total_steps: int = 1
    ema_backbone: nn.Module | None = None


@runtime_checkable
class Dataset(Protocol):
    """Map-style data, built by `factory(config, split, seed)` with split "train" or "held_out"."""

    def __len__(self) -> int:
        """Return the number of samples in this split."""
        ...

    def batch(self, indices: np.ndarray) -> Batch:
        """Return the samples at `indices` (int64, any order), as CPU tensors; equal indices give equal samples."""
        ...


@runtime_checkable
class KnownPosterior(Protocol):
    """What else a dataset offers whose distribution is known in closed form: the best prediction from a noisy sample.

    The evaluation makes a field of it (`gentoolkit.evaluation.exact`), whose validation loss is the smallest there is.
    """

    def denoised(self, x_t: Tensor, alpha: Tensor, sigma: Tensor, condition: Tensor | None) -> Tensor:
        """Return E[x1 | alpha x1 + sigma x0 = x_t, condition] for x0 ~ N(0, I), on the CPU.

        Args:
            x_t: (B, *S) float64.
            alpha: (B,) float64, in [0, 1].
            sigma: (B,) float64, above 0.
            condition: As in a batch.

        Returns:
            (B, *S) float64.
        """
        ...


@runtime_checkable
class Backbone(Protocol):
    """An `nn.Module`, built by `factory(config, spec)`."""

    def forward(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the network's output, (B, *S), for x_t (B, *S), t (B,) and the condition."""
        ...

    def matrix_blocks(self) -> Mapping[str, int]:
        """Name the weights that a matrix optimizer (Muon) may take.

        Returns:
            Parameter name -> into how many equal blocks of rows it splits: 3 for a joint qkv weight, else 1.
        """
        ...


@runtime_checkable
class TokenBackbone(Protocol):
    """What else a backbone offers that can compute some of a sample's tokens only, for objectives that train so."""

    def patches(self, x: Tensor) -> Tensor:
        """Return the elements of x, (B, *S), by the token that predicts them: (B, N, P), each element once."""
        ...

    def __call__(self, x_t: Tensor, t: Tensor, condition: Tensor | None = None, tokens: Tensor | None = None) -> Tensor:
        """Return the network's output; for `tokens`, (B, K) indices below N, as patches of these alone: (B, K, P)."""
        ...


@runtime_checkable
class Objective(Protocol):
    """What is learned, built by `factory(config)`; it may be an `nn.Module` with parameters of its own."""

    def loss(self, backbone: BackboneFunction, batch: Batch, context: TrainingContext) -> LossRecord:
        """Return the per-sample losses of a batch; all randomness comes from `context.generator`."""
        ...

    def field(self, backbone: BackboneFunction) -> Field:
        """Return the velocity field that a trained backbone stands for: all that a sampler sees."""
        ...

    def output_for(self, velocity: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """Return the backbone output that `field` would turn into `velocity`, (B, *S): the inverse of `field`."""
        ...


@runtime_checkable
class Sampler(Protocol):
    """A solver of dx/dt = field(x, t, condition) from t = 0 to 1, built by `factory(config)`.

    Attributes:
        order: Declared order of convergence; None where it has none (stochastic, adaptive).
        times: The times at which the field is evaluated, in order; None where they are not known beforehand.
        nfe: Field evaluations per sample; None where it is not fixed. Guidance doubles what this costs.
        tolerance: The error that an adaptive sampler promises to stay below (absolute, for states of size 1);
            None for others.
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
        noise: Callable[[int], Tensor] | None = None,
        on_step: Callable[[float, Tensor], None] | None = None,
    ) -> Tensor:
        """Carry x0 (B, *S) to t = 1.

        Args:
            field: The velocity field.
            x0: Where to start, (B, *S); its dtype is the one that is computed in. Not modified.
            condition: Passed to the field as it is.
            noise: `noise(k)` gives the k-th standard normal draw, (B, *S), keyed by sample; for stochastic samplers.
            on_step: Called with (t, x) at the start and after every step; t is 0.0 first and 1.0 last.

        Returns:
            The samples at t = 1, (B, *S).
        """
        ...


@runtime_checkable
class Metric(Protocol):
    """A number that compares generated with real samples, built by `factory(config)`; one object per comparison.

    Attributes:
        optimum: The value for two equal distributions as the number of samples grows.
        sees: The differences under which the value moves away from the optimum the more, the larger they are:
            any of "shift" (of the mean), "scale" (of the deviation from the mean).
        invariances: What leaves the value as it is: "permutation" (always) and any of "shift", "scale".
    """

    optimum: float
    sees: frozenset[str]
    invariances: frozenset[str]

    def spread(self, num_samples: int, num_dims: int) -> float:
        """Return the bound on |value - optimum| for two sets of `num_samples` standard normal vectors."""
        ...

    def update(self, real: Tensor, generated: Tensor) -> None:
        """Take in more samples: (N, *S) and (M, *S); either may be empty."""
        ...

    def compute(self) -> float:
        """Return the value for all samples taken in so far."""
        ...
