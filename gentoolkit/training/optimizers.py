"""The optimizers: AdamW, or Muon for the backbone's matrices with AdamW for the rest."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from gentoolkit.errors import NoCheckpointError, UsageError
from gentoolkit.settings import TrainSettings
from gentoolkit.training.muon import Muon

Kind = TypeVar("Kind", bound=type[AdamW] | type[Muon])


def without_compiler(kind: Kind) -> Kind:
    """Return a subclass of an optimizer without the wrappers that import torch's compiler.

    The wrappers only keep the compiler from tracing these methods. Optimizers are never compiled here, and the import
    would delay the first step by over half a second.
    """
    names = ("add_param_group", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in names}
    step = torch.no_grad()(inspect.unwrap(kind.step))
    step.hooked = True  # skips torch's setup for hooks and profilers, which costs as much as a small update
    return type(kind.__name__, (kind,), {**methods, "step": step})  # type: ignore[return-value]


class Optimizers:
    """The optimizers of a run, used like a single one.

    Args:
        backbone: The backbone. For Muon, its `matrix_blocks()` names its matrices.
        parameters: All trained parameters by name. Those of the backbone start with "backbone.".
        settings: The recipe's `train` section.
        matrix_dtype: The dtype of Muon's iterations.

    Raises:
        UsageError: The optimizer is Muon, but the backbone names no matrices.
    """

    def __init__(
        self,
        backbone: nn.Module,
        parameters: Mapping[str, nn.Parameter],
        settings: TrainSettings,
        matrix_dtype: torch.dtype = torch.float32,
    ) -> None:
        wanted = matrix_blocks(backbone) if settings.optimizer == "muon" else {}
        rest = [parameter for name, parameter in parameters.items() if name not in wanted]
        decay = settings.weight_decay
        self.parts: dict[str, AdamW | Muon] = {}
        if rest:
            # MPS does not support fused AdamW for every dtype. Elsewhere, fused is faster.
            fused = all(parameter.device.type in ("cpu", "cuda") for parameter in rest)
            rate = settings.learning_rate
            self.parts["adamw"] = without_compiler(AdamW)(
                rest, lr=rate, betas=settings.betas, weight_decay=decay, fused=fused
            )
        if wanted:
            self.parts["muon"] = without_compiler(Muon)(
                [(parameters[name], count) for name, count in wanted.items()],
                lr=settings.matrix_learning_rate,
                momentum=settings.matrix_momentum,
                iterations=settings.matrix_iterations,
                weight_decay=decay,
                dtype=matrix_dtype,
            )
        self.peaks = {name: part.param_groups[0]["lr"] for name, part in self.parts.items()}

    def step(self, rate: float) -> None:
        """Update the weights, with `rate` times the peak learning rates."""
        for name, part in self.parts.items():
            part.param_groups[0]["lr"] = rate * self.peaks[name]
            part.step()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the state needed to resume, as tensors and numbers."""
        tensors: dict[str, Tensor] = {}
        numbers: dict[str, Any] = {}
        for name, part in self.parts.items():
            for index, values in part.state_dict()["state"].items():
                for key, value in values.items():
                    group: dict[str, Any] = tensors if isinstance(value, Tensor) else numbers
                    group[f"{name}.{index}.{key}"] = value
        return tensors, numbers

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Restore the state returned by `state`.

        Raises:
            NoCheckpointError: The state does not belong to these optimizers.
        """
        states: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in self.parts}
        for path, value in {**tensors, **numbers}.items():
            name, _, rest = path.partition(".")
            index, _, key = rest.partition(".")
            parameters = self.parts[name].param_groups[0]["params"] if name in self.parts else []
            if not (index.isascii() and index.isdecimal() and int(index) < len(parameters)):
                raise NoCheckpointError(f"the optimizer state contains {path!r}, which these optimizers do not have")
            if isinstance(value, Tensor) and value.ndim and value.shape != parameters[int(index)].shape:
                shape = tuple(parameters[int(index)].shape)
                raise NoCheckpointError(
                    f"{path!r} in the optimizer state has shape {tuple(value.shape)}, expected {shape}"
                )
            states[name].setdefault(int(index), {})[key] = value
        for name, by_index in states.items():
            # A parameter that never had a gradient has no state. All others have the same keys.
            if (any(states.values()) and not by_index) or len({frozenset(s) for s in by_index.values()}) > 1:
                raise NoCheckpointError(f"the state of the optimizer {name!r} is incomplete")
        for name, part in self.parts.items():
            part.load_state_dict({"state": states[name], "param_groups": part.state_dict()["param_groups"]})


def matrix_blocks(backbone: nn.Module) -> dict[str, int]:
    """Return the backbone's matrices, named as in the training state, with their numbers of row blocks."""
    declared: dict[str, int] = getattr(backbone, "matrix_blocks", dict)()
    if not declared:
        raise UsageError(
            f"{type(backbone).__name__} names no matrices for train.optimizer=muon; use train.optimizer=adamw"
        )
    return {f"backbone.{name}": count for name, count in declared.items()}
