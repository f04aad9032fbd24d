"""Optimal transport between the x0 and the x1 of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from gentoolkit.api import UsageError

from . import OptimalTransportConfig

try:
    from scipy.optimize import linear_sum_assignment
except ImportError:  # the extra is not installed
    linear_sum_assignment = None


class OptimalTransport:
    """The permutation p with the smallest sum of |x0_p(i) - x1_i|² (Tong et al. 2023, arXiv:2302.00482, Eq. 3).

    Raises:
        UsageError: scipy is not installed.
    """

    def __init__(self, config: OptimalTransportConfig) -> None:
        if linear_sum_assignment is None:
            raise UsageError("it requires scipy, which is not installed: pip install 'gentoolkit[ot]'", kind="coupling")

    def couple(self, x0: Tensor, x1: Tensor, condition: Tensor | None) -> Tensor:
        """Return the row of x0 for each row of x1, (B,)."""
        start, end = (x.flatten(1).cpu().double() for x in (x0, x1))
        # |x0 - x1|² = |x0|² + |x1|² - 2 x0·x1, and the sum of the squares is the same for every permutation.
        _, rows = linear_sum_assignment((end @ start.T).numpy(), maximize=True)
        return torch.from_numpy(rows).to(x1.device)
