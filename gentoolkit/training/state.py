"""The training state: everything that training changes and a checkpoint contains."""

from __future__ import annotations

from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, TypeVar, cast

import torch
from pydantic import Field, TypeAdapter
from torch import Tensor, nn

from gentoolkit.errors import NoCheckpointError, NonFiniteError, UsageError, listing
from gentoolkit.protocols import Codec, Objective, Optimizer
from gentoolkit.settings import TrainSettings
from gentoolkit.training.averages import decay
from gentoolkit.training.checkpoints import Checkpoint
from gentoolkit.training.optimizers import ScheduledOptimizer, trained_parameters

NUM_TIME_BINS = 10
_T = TypeVar("_T")
_Bins = Annotated[list[_T], Field(min_length=NUM_TIME_BINS, max_length=NUM_TIME_BINS)]
CURE = (
    "lower the learning rate in train.optimizer, set train.clip_norm, or use train.precision=fp32; "
    "check that the data is finite"
)


@dataclass
class EpochTotals:
    """Sums over the current epoch, in float64: the loss, and the velocity error by time."""

    steps: Annotated[int, Field(ge=0)] = 0
    loss: float = 0.0
    error_by_t: _Bins[float] = field(default_factory=lambda: [0.0] * NUM_TIME_BINS)
    count_by_t: _Bins[int] = field(default_factory=lambda: [0] * NUM_TIME_BINS)

    def add(self, loss: float, error_by_t: list[float], count_by_t: list[int]) -> None:
        """Add one step: its mean loss, and the sums and counts of its velocity errors in ten equal bins of time."""
        self.steps += 1
        self.loss += loss
        self.error_by_t = [a + b for a, b in zip(self.error_by_t, error_by_t, strict=True)]
        self.count_by_t = [a + b for a, b in zip(self.count_by_t, count_by_t, strict=True)]

    def means(self) -> dict[str, Any]:
        """Return the epoch's mean loss, and its mean velocity error per time bin (None for bins without samples)."""
        pairs = zip(self.error_by_t, self.count_by_t, strict=True)
        by_t = [total / n if n else None for total, n in pairs]
        return {"loss": self.loss / self.steps, "velocity_error_by_t": by_t}


def sums_by_time(velocity_error: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Return sums and counts of the velocity errors in ten equal bins of time, (S, 10), for S steps, (S, B) float64.

    The sum of a step is computed in the order of its samples and does not depend on the other steps.
    """
    bins = (t * NUM_TIME_BINS).long().clamp(0, NUM_TIME_BINS - 1)
    bins += NUM_TIME_BINS * torch.arange(len(t))[:, None]
    shape = len(t), NUM_TIME_BINS
    sums = torch.bincount(bins.flatten(), velocity_error.flatten(), len(t) * NUM_TIME_BINS)
    counts = torch.bincount(bins.flatten(), minlength=len(t) * NUM_TIME_BINS)
    return sums.view(shape), counts.view(shape)


class TrainingState:
    """Weights, averaged weights, optimizer and the current step.

    Args:
        backbone: The backbone.
        objective: The objective.
        settings: The recipe's `train` section.
        optimizer: Builds the optimizer from its keyword argument `parameters`.
        matrix_dtype: The dtype of the optimizer's matrix products.

    Attributes:
        weights: The backbone, and the objective if it is a module.
        codec: The codec if it is a module, which is saved but not trained, or None.
        ema: A copy of `weights` with the exponential moving averages, or None.
        step: Number of optimizer steps taken.
        totals: Sums over the current epoch.
    """

    def __init__(
        self,
        backbone: nn.Module,
        objective: Objective,
        settings: TrainSettings,
        optimizer: Callable[..., Optimizer],
        matrix_dtype: torch.dtype = torch.float32,
        codec: Codec | None = None,
    ) -> None:
        parts = {"backbone": backbone} | ({"objective": objective} if isinstance(objective, nn.Module) else {})
        self.weights = nn.ModuleDict(parts)
        self.codec = codec if isinstance(codec, nn.Module) else None
        self.objective = objective
        self.settings = settings
        self.ema = deepcopy(self.weights).eval().requires_grad_(False) if settings.ema else None
        trained = trained_parameters(self.weights, matrix_dtype)
        self.parameters = [part.parameter for part in trained]
        self.optimizer = ScheduledOptimizer(optimizer(parameters=trained), trained)
        # Collected once, since walking through the modules in every step costs as much as the averaging.
        self._averages: list[Tensor] = [] if self.ema is None else [*self.ema.parameters()]
        self._averaged: list[Tensor] = [*self.weights.parameters()]
        self._has_buffers = any(True for _ in self.weights.buffers())
        self.step = 0
        self.totals = EpochTotals()

    @property
    def backbone(self) -> nn.Module:
        """Return the backbone being trained."""
        return self.weights["backbone"]

    def averaged(self) -> tuple[nn.Module, Objective]:
        """Return the backbone and objective to sample from, with averaged weights if there are any."""
        if self.ema is None:
            return self.backbone, self.objective
        averaged = dict(self.ema.items())
        return averaged["backbone"], cast("Objective", averaged.get("objective", self.objective))

    @torch.no_grad()
    def update_ema(self) -> None:
        """Update the averages after a step: ema <- decay · ema + (1 - decay) · weights. Buffers are copied."""
        if self.ema is None or self.settings.ema is None:
            return
        torch._foreach_lerp_(self._averages, self._averaged, 1 - decay(self.settings.ema, self.step + 1))
        if self._has_buffers:  # looked up each time, since a module may replace a buffer
            for average, value in zip(self.ema.buffers(), self.weights.buffers(), strict=True):
                average.copy_(value)

    def checkpoint(self, extra: dict[str, Any]) -> Checkpoint:
        """Return the state as a checkpoint. `extra` is added to its numbers."""
        optimizer_tensors, optimizer_numbers = self.optimizer.state()
        tensors = {"weights": dict(self.weights.state_dict()), "optimizer": optimizer_tensors}
        if self.ema is not None:
            tensors["ema"] = dict(self.ema.state_dict())
        if self.codec is not None:
            tensors["codec"] = dict(self.codec.state_dict())
        numbers = {"optimizer": optimizer_numbers, "totals": vars(self.totals).copy(), **extra}
        return Checkpoint(self.step, tensors, numbers)

    def require_finite(self) -> None:
        """Raise NonFiniteError if a weight is not finite or a buffer contains NaN, so that neither is ever saved.

        Buffers may be infinite, as attention masks are.
        """
        sound = {name: parameter.isfinite().all() for name, parameter in self.weights.named_parameters()}
        for name, buffer in self.weights.named_buffers():
            if buffer.is_floating_point():
                sound[name] = ~buffer.isnan().any()
        for name, is_sound in zip(sound, torch.stack([*sound.values()]).tolist(), strict=True):
            if not is_sound:
                kind = name.partition(".")[0]  # "backbone" or "objective"
                raise NonFiniteError(f"after step {self.step}, {name} is not finite; {CURE}", kind=kind)

    def restore(self, checkpoint: Checkpoint, anew: Collection[str] = ()) -> None:
        """Restore the state from a checkpoint.

        Args:
            checkpoint: A checkpoint of this backbone and objective.
            anew: Parts to reset: "optimizer" to ignore its saved state, "ema" to start the averages from the weights if
                the checkpoint has none.

        Raises:
            UsageError: The weights do not match this backbone and objective.
            NoCheckpointError: The checkpoint is incomplete or contains invalid values.
        """
        needed = {"weights", "optimizer"} | ({"ema"} if self.ema is not None else set())
        if missing := needed - {*anew} - checkpoint.tensors.keys():
            raise NoCheckpointError(f"the checkpoint at step {checkpoint.step} has no tensors for {listing(missing)}")
        load_weights(self.weights, checkpoint.tensors["weights"])
        if self.ema is not None:
            load_weights(self.ema, checkpoint.tensors.get("ema") or checkpoint.tensors["weights"])
        numbers = checkpoint.number("optimizer", TypeAdapter(dict[str, Any]).validate_python)
        if "optimizer" not in anew:
            self.optimizer.restore(checkpoint.tensors["optimizer"], numbers)
        self.totals = checkpoint.number("totals", _read_totals)
        self.step = checkpoint.step


def _read_totals(value: Any) -> EpochTotals:
    if set(value) != {entry.name for entry in fields(EpochTotals)}:
        raise ValueError(f"it has the wrong fields: {listing(value)}")
    totals: EpochTotals = TypeAdapter(EpochTotals).validate_python(value)
    return totals


def load_weights(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Load a state dict.

    Raises:
        UsageError: Names, shapes or dtypes differ, because the code or the config has changed since training. The
            message lists the differences, one per line.
    """
    own, given = ({name: _look(tensor) for name, tensor in named.items()} for named in (module.state_dict(), tensors))
    differ = [
        f"  {name}: {given.get(name, 'missing')} -> {own.get(name, 'missing')}"
        for name in {**given, **own}
        if given.get(name) != own.get(name)
    ]
    if differ:
        head = "the weights in the checkpoint do not match this network (checkpoint -> network):"
        raise UsageError("\n".join([head, *differ]))
    module.load_state_dict(tensors)


def _look(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
