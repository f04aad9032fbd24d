"""The optimizer of a run, whose learning rates follow the schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gentoolkit.errors import NoCheckpointError, PluginError, last_line
from gentoolkit.protocols import Optimizer, TrainedParameter
from gentoolkit.states import flattened, load_exactly, rebuilt


def trained_parameters(weights: nn.ModuleDict, matrix_dtype: torch.dtype) -> tuple[TrainedParameter, ...]:
    """Return the parameters that are trained, with what the backbone says of them."""
    declared: Mapping[str, int] = getattr(weights["backbone"], "matrix_blocks", dict)()
    blocks = {f"backbone.{name}": count for name, count in declared.items()}
    return tuple(
        TrainedParameter(name, parameter, blocks.get(name, 0), matrix_dtype)
        for name, parameter in weights.named_parameters()
        if parameter.requires_grad
    )


class ScheduledOptimizer:
    """An optimizer whose learning rates are fractions of their initial values, and its state for checkpoints.

    Raises:
        PluginError: The optimizer's groups do not contain each parameter exactly once, or a group has no learning rate.
    """

    def __init__(self, optimizer: Optimizer, parameters: Sequence[TrainedParameter]) -> None:
        self.optimizer, self.names = optimizer, [parameter.name for parameter in parameters]
        held = sorted(id(parameter) for group in optimizer.param_groups for parameter in group["params"])
        if held != sorted(id(part.parameter) for part in parameters):
            raise PluginError("its param_groups do not contain each parameter exactly once", kind="optimizer")
        if not all(isinstance(group.get("lr"), float | int) for group in optimizer.param_groups):
            raise PluginError('a group in its param_groups has no number "lr"', kind="optimizer")
        self.initial = self._settings()
        self.peaks = [group["lr"] for group in optimizer.param_groups]

    def _settings(self) -> list[dict[str, Any]]:
        """Return the values of each group other than the parameters."""
        return [{key: group[key] for key in group if key != "params"} for group in self.optimizer.param_groups]

    def step(self, rate: float) -> None:
        """Update the weights, with `rate` times the peak learning rates."""
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = rate * peak
        self.optimizer.step()

    def learning_rates(self, rate: float) -> dict[str, float]:
        """Return `rate` times the peaks, for the log: `learning_rate`, and `learning_rate_1`, ... for more groups."""
        return {
            f"learning_rate_{index}" if index else "learning_rate": rate * peak for index, peak in enumerate(self.peaks)
        }

    def state(self) -> tuple[dict[str, Tensor], Any]:
        """Return the state needed to resume, as tensors and JSON data."""
        tensors, numbers = flattened(self.optimizer.state_dict())
        return tensors, {"parameters": self.names, "settings": flattened(self.initial)[1], "state": numbers}

    def restore(self, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
        """Restore the state returned by `state`. A setting that has been changed since keeps its new value.

        Raises:
            NoCheckpointError: The state does not belong to this optimizer and these parameters.
            PluginError: The optimizer does not restore its state.
        """
        try:
            state, settings = rebuilt(tensors, numbers["state"]), rebuilt({}, numbers["settings"])
            if numbers["parameters"] != self.names:
                raise ValueError("it belongs to other parameters, or to the same in another order")
            load_exactly(self.optimizer, state)
            changed = [_changed(now, then) for now, then in zip(self.initial, settings, strict=True)]
        except PluginError:
            raise
        except Exception as error:  # load_state_dict may raise anything
            raise NoCheckpointError(f"the optimizer's state can't be restored: {last_line(error)}") from error
        for group, values in zip(self.optimizer.param_groups, changed, strict=True):
            group.update(values)


def _changed(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in now.items() if key not in then or repr(then[key]) != repr(value)}
