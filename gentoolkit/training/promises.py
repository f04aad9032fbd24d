"""What training relies on in every step: the batch is what the spec says, and the loss is one number per sample."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.api import DataSpec, Labels, Vectors
from gentoolkit.errors import PluginError
from gentoolkit.protocols import Batch, LossRecord


def check_batch(batch: object, spec: DataSpec, count: int) -> None:
    """Compare types, shapes, dtypes and the range of the labels with the spec; microseconds, so that every step can.

    Raises:
        PluginError: Something differs.
    """
    if not isinstance(batch, Batch):
        raise PluginError(f"batch(...) returned a {type(batch).__name__}, expected a Batch", kind="dataset")
    shape = (count, *spec.shape)
    match spec.condition:
        case Labels():
            condition: Expected = (count,), torch.int64
        case Vectors(dim):
            condition = (count, dim), torch.float32
        case None:
            condition = None
    expect("dataset", "x1", batch.x1, (shape, torch.float32))
    expect("dataset", "condition", batch.condition, condition)
    expect("dataset", "x0", batch.x0, (shape, torch.float32) if spec.paired else None)
    if isinstance(spec.condition, Labels) and batch.condition is not None and count:
        low, high = map(int, batch.condition.aminmax())
        if low < 0 or high >= spec.condition.num_classes:
            wrong = low if low < 0 else high
            message = f"a label is {wrong}; expected 0 to {spec.condition.num_classes - 1}, as its spec says"
            raise PluginError(message, kind="dataset")


def check_record(record: object, count: int) -> None:
    """Check that an objective returned losses and times of `count` samples, and that the losses have a gradient.

    Raises:
        PluginError: It did not.
    """
    if not isinstance(record, LossRecord):
        raise PluginError(f"loss(...) returned a {type(record).__name__}, expected a LossRecord", kind="objective")
    for name in ("loss", "t", "velocity_error"):
        value = getattr(record, name)
        if value is not None or name != "velocity_error":
            # Under autocast a loss may come in bf16.
            is_float = isinstance(value, Tensor) and value.is_floating_point()
            expect("objective", name, value, ((count,), value.dtype if is_float else torch.float32))
    if not record.loss.requires_grad:
        message = "the loss has no gradient: it is detached from the backbone's output"
        raise PluginError(message, kind="objective")


Expected = tuple[tuple[int, ...], torch.dtype] | None


def expect(kind: str, name: str, got: object, expected: Expected) -> None:
    """Compare what a component of a kind gives under a name with its shape and dtype, or None for nothing.

    Raises:
        PluginError: They differ.
    """
    if expected is None:
        if got is not None:
            raise PluginError(f"{name} is given, but its spec says that there is none", kind=kind)
        return
    shape, dtype = expected
    if not isinstance(got, Tensor):
        raise PluginError(f"{name} is a {type(got).__name__}, expected a tensor {shape}", kind=kind)
    if got.shape != shape or got.dtype != dtype:
        raise PluginError(f"{name} is {tuple(got.shape)} {got.dtype}, expected {shape} {dtype}", kind=kind)
