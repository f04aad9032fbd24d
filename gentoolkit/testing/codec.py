"""Contracts for codecs: encoding and decoding, and what is estimated from the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from gentoolkit.configs import CodecConfig
from gentoolkit.protocols import FittedCodec
from gentoolkit.testing.contracts import Case, contract, does_not_apply, require
from gentoolkit.testing.measures import global_randomness_kept, largest_difference

#: Number of samples to encode, and to fit to.
COUNT, FIT_COUNT = 64, 900
#: Largest relative difference that float32 rounding explains: some 80 units of 2^-23.
ROUNDING = 1e-5


def _data(case: Case, count: int, draw: int = 0) -> Tensor:
    """Return correlated samples, (count, *D), whose elements have different means and deviations of size 1."""
    x = case.normal(count, *case.spec.shape, draw=draw).flatten(1).double()
    scale, mean = torch.linspace(1, 2, x.shape[1]).double(), torch.linspace(-1, 3, x.shape[1]).double()
    x = scale * x + 0.5 * x.roll(1, 1) + mean
    return x.float().reshape(count, *case.spec.shape)


def _fitted(case: Case, sizes: tuple[int, ...] = (300, 300, 300)) -> Any:
    codec = case.build()
    if isinstance(codec, FittedCodec):
        codec.fit(_data(case, FIT_COUNT).split(list(sizes)))
    return codec.eval() if isinstance(codec, nn.Module) else codec


def _calls(case: Case, codec: Any) -> dict[str, tuple[Callable[[Tensor], Tensor], Tensor]]:
    x = _data(case, COUNT, 1)
    return {"encode": (codec.encode, x), "decode": (codec.decode, codec.encode(x))}


def observe(case: Case, codec: Any) -> dict[str, Tensor]:
    """Return what must be equal for two equal codecs."""
    return {"z": codec.encode(_data(case, COUNT)).detach()}


@contract("codec.spec")
def spec(case: Case) -> None:
    """`encode` returns finite float32 numbers of the shape of `config.spec(spec)`, and `decode` those of the data.

    Encoded values lie in the range that the encoded spec declares, if it declares one.

    Power: any such fault in 64 samples, or in a single one.
    """
    codec, encoded = _fitted(case), cast("CodecConfig", case.config).spec(case.spec)
    for count in (1, COUNT):
        z = codec.encode(_data(case, count, 1))
        for name, value, of in (("encode", z, encoded), ("decode", codec.decode(z), case.spec)):
            got, expected = (tuple(value.shape), value.dtype), ((count, *of.shape), torch.float32)
            require(got == expected, f"{name} of {count} samples returns {got}; expected {expected}")
            require(value.isfinite().all(), f"{name} returns numbers that are not finite")
        low, high = encoded.value_range or (-torch.inf, torch.inf)
        found = f"encoded values range from {z.min():.4g} to {z.max():.4g}"
        require(low <= z.min() and z.max() <= high, f"{found}; its spec declares {low:g} to {high:g}")


@contract("codec.inverse", skips={"lossy"})
def inverse(case: Case) -> None:
    """`decode(encode(x))` is x, up to rounding. Skipped for codecs with the trait "lossy".

    An error of 1e-5 of the largest |x| (at least 1) is allowed. In a well-conditioned linear map, float32 rounding
    makes errors of a few 1e-7.

    Power: a relative error of 1e-4 in any element of 64 samples.
    """
    codec, x = _fitted(case), _data(case, COUNT, 1)
    difference = largest_difference(codec.decode(codec.encode(x)), x)
    require(difference <= ROUNDING, f"decode(encode(x)) differs from x by {difference:.1e}; expected {ROUNDING:.0e}")


@contract("codec.rows")
def rows(case: Case) -> None:
    """A sample is encoded and decoded in the same way alone and in any batch; no generator is used, no input modified.

    Power: a relative difference of 1e-5 in 64 samples, in reverse order and in parts of 7; any draw from the global
    generators of torch, numpy and Python; any changed element of an input.
    """
    codec = _fitted(case)
    for name, (call, given) in _calls(case, codec).items():
        before = given.clone()
        with global_randomness_kept():
            whole = call(given)
            others = {
                "again": call(given),
                "in reverse order": call(given.flip(0)).flip(0),
                "in parts of 7": torch.cat([call(part) for part in given.split(7)]),
            }
        require(torch.equal(given, before), f"{name} modifies its input")
        for how, other in others.items():
            difference = largest_difference(other, whole)
            require(difference <= ROUNDING, f"{name} differs by {difference:.1e} when samples are passed {how}")


@contract("codec.state")
def state(case: Case) -> None:
    """The state dict of a fitted codec, loaded into a new one, makes an equal codec, as when a run is resumed.

    Power: any bit of 64 encoded or decoded samples; a codec with `fit` that is not an `nn.Module`.
    """
    first = _fitted(case)
    module = isinstance(first, nn.Module)
    require(module or not isinstance(first, FittedCodec), "it has a method fit, but it is not a torch.nn.Module")
    second = case.build()
    if module:
        second.load_state_dict(first.state_dict())
        second.eval()
    for name, (call, given) in _calls(case, first).items():
        other = getattr(second, name)(given)
        require(torch.equal(other, call(given)), f"{name} differs after the state is loaded into another codec")


@contract("codec.fit")
def fit(case: Case) -> None:
    """`fit` has an effect, uses all samples, and its result does not depend on how they are split into chunks.

    Power: 100 consecutive samples of 900 without effect, even if they are ten times as large; a relative difference of
    1e-4 between other chunks.
    """
    if not isinstance(case.build(), FittedCodec):
        does_not_apply("the codec has no method fit")
    x = _data(case, COUNT, 1)
    fitted = _fitted(case).encode(x)
    require(not torch.equal(fitted, case.build().encode(x)), "fit has no effect on encode")
    with global_randomness_kept():
        for sizes in ((FIT_COUNT,), (1, FIT_COUNT - 1), (100,) * 9):
            difference = largest_difference(_fitted(case, sizes).encode(x), fitted)
            message = f"encoded samples change by {difference:.1e} if fit receives chunks of {sizes}"
            require(difference <= 10 * ROUNDING, message)
    for start in range(0, FIT_COUNT, 100):
        codec, data = case.build(), _data(case, FIT_COUNT)
        data[start : start + 100] *= 10
        codec.fit(data.split(100))
        used = largest_difference(codec.eval().encode(x), fitted) > 1e-6
        message = (
            f"fit does not use samples {start} to {start + 99} of {FIT_COUNT}: ten times larger, they change nothing"
        )
        require(used, message)
