"""The state of an optimizer as tensors and plain JSON data, and back, with every dtype kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor

from gentoolkit.errors import PluginError
from gentoolkit.protocols import Optimizer

#: Number of dictionaries and lists in each other; more could not be read back, see `gentoolkit.safefiles.MAX_DEPTH`.
MAX_DEPTH = 12


def flattened(state: object) -> tuple[dict[str, Tensor], Any]:
    """Return the tensors of a state by name, and its structure and all other values as JSON data.

    Args:
        state: Tensors, numbers, texts and None, in dictionaries with texts or integers as keys, lists and tuples.

    Raises:
        PluginError: The state contains anything else.
    """
    tensors: dict[str, Tensor] = {}

    def plain(value: object, path: tuple[str, ...]) -> Any:
        if len(path) > MAX_DEPTH:
            raise PluginError(f"its state is nested more than {MAX_DEPTH} levels deep", kind="optimizer")
        match value:
            case Tensor():
                name = ".".join(path)
                while name in tensors:  # keys may contain dots
                    name += "'"
                tensors[name] = value
                return {"tensor": name}
            case dict():
                return {
                    "dict": [part for key in value for part in (_key(key, path), plain(value[key], (*path, f"{key}")))]
                }
            case list() | tuple():
                items = [plain(item, (*path, str(index))) for index, item in enumerate(value)]
                return {"list" if isinstance(value, list) else "tuple": items}
            case float() if not math.isfinite(value):
                return {"float": str(value)}
            case None | bool() | int() | float() | str():
                return value
        where = f" at {'.'.join(path)!r}" if path else ""
        raise PluginError(f"its state contains a {type(value).__name__}{where}, which can't be saved", kind="optimizer")

    return tensors, plain(state, ())


def _key(key: object, path: tuple[str, ...]) -> str | int:
    if isinstance(key, str | int) and not isinstance(key, bool):
        return key
    raise PluginError(
        f"its state has the key {key!r} at {'.'.join(path)!r}; expected a text or an integer", kind="optimizer"
    )


def rebuilt(tensors: Mapping[str, Tensor], data: Any) -> Any:
    """Return the state that `flattened` was given.

    Raises:
        ValueError: A tensor is missing or left over, or the data is malformed.
    """
    left = dict(tensors)

    def made(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        ((kind, content),) = value.items()
        return makers[kind](content)

    def tensor(name: str) -> Tensor:
        if name not in left:
            raise ValueError(f"there is no tensor {name!r}")
        return left.pop(name)

    makers: dict[str, Callable[[Any], Any]] = {
        "tensor": tensor,
        "dict": lambda parts: dict(zip(parts[::2], map(made, parts[1::2]), strict=True)),
        "list": lambda items: [made(item) for item in items],
        "tuple": lambda items: tuple(made(item) for item in items),
        "float": float,
    }
    try:
        state = made(data)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{data!r:.60} is not a state: {error}") from error
    if left:
        raise ValueError(f"the tensor {next(iter(left))!r} belongs nowhere")
    return state


def load_exactly(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Call `load_state_dict`, and give tensors back the dtype that they have in `state`.

    torch's optimizers convert floating-point tensors to the dtype of their parameter.

    Args:
        optimizer: An optimizer for the same parameters as the one that `state` comes from.
        state: A state from `state_dict`.

    Raises:
        PluginError: The optimizer's state afterwards has other keys, values, dtypes or shapes than `state`.
    """
    optimizer.load_state_dict(state)
    _convert_back(optimizer.state_dict(), state)
    (now, values), (then, saved) = flattened(optimizer.state_dict()), flattened(state)
    looks = [{name: (tensor.dtype, tensor.shape) for name, tensor in found.items()} for found in (now, then)]
    if looks[0] != looks[1] or values != saved:
        differ = [name for name in {**looks[0], **looks[1]} if looks[0].get(name) != looks[1].get(name)]
        where = f"the tensor {differ[0]!r}" if differ else "a value"
        raise PluginError(f"load_state_dict does not restore {where} of its state", kind="optimizer")


def _convert_back(own: Any, saved: Any) -> None:
    items: Iterable[tuple[Any, Any]] = own.items() if isinstance(own, dict) else enumerate(own)
    for key, value in list(items):
        if isinstance(own, dict) and key not in saved:
            continue
        if isinstance(value, Tensor) and isinstance(saved[key], Tensor) and value.dtype != saved[key].dtype:
            own[key] = saved[key].to(value.device)
        elif isinstance(value, dict | list) and type(saved[key]) is type(value):
            _convert_back(value, saved[key])
