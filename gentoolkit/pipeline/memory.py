"""Estimates of the memory that a run needs, made before it is allocated.

They cover the batches and samples that a recipe asks for; the weights with their gradients, optimizer moments and
averages; and what a training step keeps for its backward pass, which the trial measures on a few samples. If a single
sample is large, even the trial might not fit, so the last of these is first estimated with torch's meta device, unless
a component does not support it. Other allocations of a component, such as a dataset's table, are not covered.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from gentoolkit.api import Labels
from gentoolkit.devices import Placement
from gentoolkit.errors import OutOfSpaceError
from gentoolkit.protocols import Batch, TrainingContext
from gentoolkit.randomness import BatchGenerator
from gentoolkit.recipe import Recipe

if TYPE_CHECKING:
    from gentoolkit.pipeline.parts import Parts

FLOAT = 4
#: Bytes per sample above which even the trial may not fit. Below, the meta device is not worth its cost: its first use
#: imports torch's compiler.
LARGE_SAMPLE = 2**18
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def available_memory(device: torch.device) -> int | None:
    """Return the free memory in bytes, of a CUDA device or of the process; None if the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free: list[int] = []
    try:
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        free += [1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
        limit = (CGROUP / "memory.max").read_text(encoding="ascii").strip()
        if limit != "max":
            stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
            used = int((CGROUP / "memory.current").read_text(encoding="ascii")) - int(stat["inactive_file"])
            free.append(int(limit) - used)
    except (OSError, ValueError, KeyError):
        pass  # not Linux, or no usable cgroup files
    return min(free, default=None)


def require_memory(needs: Mapping[str, float], device: torch.device) -> None:
    """Raise an error if something does not fit into the memory of a device.

    `needs` has the number of bytes by their description, which names the setting to lower.

    Raises:
        OutOfSpaceError: The message lists each need that exceeds the free memory, one per line.
    """
    free = available_memory(device)
    if free is not None and (lines := [f"  {what}: {gib(need)}" for what, need in needs.items() if need > free]):
        raise OutOfSpaceError(
            "\n".join([f"not enough memory: {gib(free)} available on {device.type}, but the recipe needs", *lines])
        )


def gib(count: float) -> str:
    """Format a number of bytes in GiB."""
    return f"{count / 2**30:,.2f} GiB"


def needs_of_data(recipe: Recipe) -> dict[str, float]:
    """Return the memory that the batches and samples of a recipe need in float32."""
    data, encoded = (FLOAT * math.prod(spec.shape) for spec in (recipe.data_spec, recipe.spec))
    sample = data if recipe.codec is None else data + encoded  # encoded samples are kept until they are decoded
    train, groups = recipe.train, recipe.spec.condition.num_classes if isinstance(recipe.spec.condition, Labels) else 1
    micro = train.batch_size // train.accumulation
    paired = train.batch_size if recipe.coupling.uses_batch else micro
    kept = len(recipe.sample.classes or range(groups)) * recipe.sample.per_class
    return {
        # Pairs exist for one micro-batch at a time, unless they are coupled over the batch; so do x_t and the output.
        f"train.batch_size {train.batch_size}": 2 * (paired + micro) * encoded + micro * (sample - encoded),
        f"sample.per_class {recipe.sample.per_class}": kept * sample,
        # Generated samples, real ones, and as many real ones for the floor.
        f"evaluate.per_class {recipe.evaluate.per_class}": 3 * groups * recipe.evaluate.per_class * sample,
    }


def copies_in_training(recipe: Recipe) -> int:
    """Return how many numbers training stores per weight: the weight, its gradient, moments and average."""
    return 2 + recipe.train.optimizer.state_per_weight + (recipe.train.ema is not None)


@contextmanager
def room_for_weights(device: torch.device, copies: int) -> Iterator[None]:
    """Raise an error as soon as a network that is being built has too many parameters for the memory.

    Raises:
        OutOfSpaceError: `copies` times the parameters registered so far do not fit.
    """
    free, total = available_memory(device), 0

    def count(module: nn.Module, name: str, parameter: Any) -> None:
        nonlocal total
        if isinstance(parameter, Tensor):
            total += parameter.numel() * parameter.element_size()
            if free is not None and copies * total > free:
                raise OutOfSpaceError(
                    f"not enough memory: {gib(free)} available on {device.type}, but the parameters built so far take "
                    f"{gib(total)}, or {gib(copies * total)} with gradients, moments and averages; make it smaller",
                    kind="backbone",
                )

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


def needs_of_gradients(recipe: Recipe, kept: float) -> dict[str, float]:
    """Return the memory that a step keeps for its backward pass, given the bytes per sample."""
    micro = recipe.train.batch_size // recipe.train.accumulation
    return {f"train.batch_size {recipe.train.batch_size}, activations kept for the backward pass": kept * micro}


def needs_of_large_samples(model: Parts, batch: Batch, precision: str) -> dict[str, float]:
    """Return the memory for the backward pass and the largest tensor of sampling, estimated on the meta device."""
    recipe, shares = model.recipe, {"fp32": 1 / len(batch), "bf16": 0.5 / len(batch)}
    if FLOAT * math.prod(recipe.spec.shape) < LARGE_SAMPLE:
        return {}
    groups = recipe.spec.condition.num_classes if isinstance(recipe.spec.condition, Labels) else 1
    drawn = min(recipe.sample.batch_size, groups * max(recipe.sample.per_class, recipe.evaluate.per_class))
    what = f"sample.batch_size {recipe.sample.batch_size}, one tensor inside the network"
    share = shares[Placement.choose(model.device, recipe.sample.precision).precision]
    largest = {what: share * drawn * largest_in_sampling(model, batch)}
    return needs_of_gradients(recipe, shares[precision] * kept_by_training(model, batch)) | largest


class Kept(torch.autograd.graph.saved_tensors_hooks):
    """Context manager that counts the bytes kept for a backward pass, without the weights themselves."""

    def __init__(self, weights: nn.Module) -> None:
        self.bytes = 0
        # Keeps the tensors alive, so that no new storage reuses an address that was counted.
        self._seen = {_storage(tensor): tensor for tensor in (*weights.parameters(), *weights.buffers())}
        super().__init__(self._count, lambda tensor: tensor)

    def _count(self, tensor: Tensor) -> Tensor:
        if _storage(tensor) not in self._seen:
            self._seen[_storage(tensor)] = tensor
            self.bytes += tensor.untyped_storage().nbytes()
        return tensor


def kept_by_training(model: Parts, batch: Batch) -> int:
    """Return the bytes that the loss of a batch keeps for its backward pass, or 0 if they cannot be estimated."""
    on_meta = _on_meta(model)
    generator = BatchGenerator(model.recipe.seed, "trial", 0, len(batch), device="meta")
    context = TrainingContext(generator, ema_backbone=on_meta.backbone if model.recipe.train.ema else None)
    kept = Kept(on_meta.modules())

    def loss() -> None:
        with kept:
            on_meta.objective.loss(on_meta.backbone, batch.map(_meta), context)

    return kept.bytes if _ran(loss) else 0


def largest_in_sampling(model: Parts, batch: Batch) -> int:
    """Return the bytes of the largest tensor in a forward pass over a batch, or 0 if they cannot be estimated."""
    network, largest = _on_meta(model).backbone, Largest()

    def forward() -> None:
        with torch.no_grad(), largest:
            network(_meta(batch.x1), torch.full((len(batch),), 0.5, device="meta"), batch.map(_meta).condition)

    return largest.bytes if _ran(forward) else 0


def _on_meta(model: Parts) -> Parts:
    """Return a copy of the model with weights on the meta device."""
    memo: dict[int, Any] = {}
    for parameter in model.modules().parameters():
        memo[id(parameter)] = nn.Parameter(_meta(parameter.detach()), parameter.requires_grad)
    memo |= {id(buffer): _meta(buffer) for buffer in model.modules().buffers()}
    backbone, objective = copy.deepcopy((model.backbone, model.objective), memo)
    return replace(model, device=torch.device("meta"), backbone=backbone, objective=objective)


def _meta(tensor: Tensor) -> Tensor:
    return tensor.to("meta")


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _ran(call: Callable[[], None]) -> bool:
    """Return whether a call succeeds on the meta device. Components may fail there because they read values."""
    try:
        with LeanAttention():
            call()
    except Exception:
        return False
    return True


class Largest(TorchDispatchMode):
    """Context manager that records the size of the largest tensor that is created."""

    def __init__(self) -> None:
        self.bytes = 0
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation."""
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor):
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return made


class LeanAttention(TorchFunctionMode):
    """Replaces attention on the meta device, which would create the attention matrix that fused kernels avoid."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the function, with an operation in place of attention that saves q, k and v and has its output shape."""
        if func is F.scaled_dot_product_attention:
            query, key, value = args[:3]
            return query * value.sum(-2, keepdim=True) * key.sum()
        return func(*args, **(kwargs or {}))
