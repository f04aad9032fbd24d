"""The exponential moving average of the weights: its decay at each step."""

from __future__ import annotations

from functools import cache

import numpy as np

from gentoolkit.settings import EmaSettings


def decay(ema: EmaSettings, step: int) -> float:
    """Return the weight of the previous average at a step, counted from 1.

    For a power function, it is beta(t) = (1 - 1/t)^(gamma + 1) (Karras et al. 2024, arXiv:2312.02696, Eq. 121 ff.). At
    the first step this is 0, so the initial weights do not count.
    """
    if ema.decay is not None:
        return ema.decay
    assert ema.sigma_rel is not None
    return float((1 - 1 / step) ** (exponent(ema.sigma_rel) + 1))


@cache
def exponent(sigma_rel: float) -> float:
    """Return the exponent gamma of the power function with a relative width.

    The averaging weight of step s in 1, ..., t is proportional to s^gamma. The standard deviation of s is sigma_rel t
    with sigma_rel² = (gamma + 1) / ((gamma + 2)² (gamma + 3)), so gamma is the largest root of a cubic polynomial.

    Args:
        sigma_rel: The relative width, in (0, 0.28]; uniform weights have 12^(-1/2) = 0.289.
    """
    inverse = sigma_rel**-2
    return float(np.roots([1, 7, 16 - inverse, 12 - inverse]).real.max())
