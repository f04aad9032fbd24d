"""torch's optimizers without what they import for torch's compiler."""

from __future__ import annotations

import inspect
from typing import TypeVar

import torch

Kind = TypeVar("Kind", bound=type[torch.optim.Optimizer])


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
