"""Checks of the batch and the loss record, cheap enough for every training step."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.api import Array, DataSpec, Labels
from gentoolkit.errors import PluginError
from gentoolkit.protocols import Batch, LossRecord


def check_batch(batch: object, spec: DataSpec, count: int) -> None:
    """Check that types, shapes, dtypes and the range of labels match the spec. Takes microseconds.

    Raises:
        PluginError: The batch does not match the spec.
    """
    if not isinstance(batch, Batch):
        raise PluginError(f"batch(...) returned a {type(batch).__name__}, expected a Batch", kind="dataset")
    shape = (count, *spec.shape)
    match spec.condition:
        case Labels():
            condition: Expected = (count,), torch.int64
        case Array(size):
            condition = (count, *size), torch.float32
        case None:
            condition = None
    expect("dataset", "x1", batch.x1, (shape, torch.float32))
    expect("dataset", "condition", batch.condition, condition)
    expect("dataset", "x0", batch.x0, (shape, torch.float32) if spec.paired else None)
    if isinstance(spec.condition, Labels) and batch.condition is not None and count:
        low, high = map(int, batch.condition.aminmax())
        if low < 0 or high >= spec.condition.num_classes:
            wrong = low if low < 0 else high
            message = f"a label is {wrong}; expected 0 to {spec.condition.num_classes - 1}, according to its spec"
            raise PluginError(message, kind="dataset")


def check_coupling(rows: object, count: int) -> None:
    """Check that a coupling returned a permutation of range(count).

    Raises:
        PluginError: It did not.
    """
    expect("coupling", "couple(...)", rows, ((count,), torch.int64))
    assert isinstance(rows, Tensor)
    if not torch.equal(rows.sort().values.cpu(), torch.arange(count)):
        message = f"couple(...) is not a permutation of 0 to {count - 1}; each row of x0 must be used once"
        raise PluginError(message, kind="coupling")


def check_record(record: object, count: int) -> None:
    """Check that an objective returned losses and times for `count` samples, and that the losses have a gradient.

    Raises:
        PluginError: The record is invalid.
    """
    if not isinstance(record, LossRecord):
        raise PluginError(f"loss(...) returned a {type(record).__name__}, expected a LossRecord", kind="objective")
    for name in ("loss", "t", "velocity_error"):
        value = getattr(record, name)
        if value is not None or name != "velocity_error":
            # Under autocast, a loss may be in bf16.
            is_float = isinstance(value, Tensor) and value.is_floating_point()
            expect("objective", name, value, ((count,), value.dtype if is_float else torch.float32))
    if not record.loss.requires_grad:
        message = "the loss has no gradient; it must not be detached from the backbone's output"
        raise PluginError(message, kind="objective")


Expected = tuple[tuple[int, ...], torch.dtype] | None


def expect(kind: str, name: str, got: object, expected: Expected) -> None:
    """Check the shape and dtype of a tensor from a component of the given kind, or that it is None.

    Raises:
        PluginError: The tensor does not match.
    """
    if expected is None:
        if got is not None:
            raise PluginError(f"{name} is not None, but according to its spec there is none", kind=kind)
        return
    shape, dtype = expected
    if not isinstance(got, Tensor):
        raise PluginError(f"{name} is a {type(got).__name__}, expected a tensor {shape}", kind=kind)
    if got.shape != shape or got.dtype != dtype:
        raise PluginError(f"{name} is {tuple(got.shape)} {got.dtype}, expected {shape} {dtype}", kind=kind)
