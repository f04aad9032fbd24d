"""Couplings: which x0 is paired with which x1."""

from __future__ import annotations

from collections.abc import Iterator

from gentoolkit.api import Component, CouplingConfig, hookimpl


class IndependentConfig(CouplingConfig):
    """Pairs as they are drawn, independently of each other. Micro-batches need only their own rows."""

    uses_batch = False


class OptimalTransportConfig(CouplingConfig):
    """Pairs with the smallest sum of squared distances over the batch (Tong et al. 2023, arXiv:2302.00482, Sec. 3.2.2).

    Uses the exact assignment. Its time grows with the third power of the batch size, its memory with the second (8
    bytes for each pair of rows). Requires `gentoolkit[ot]`.
    """


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the couplings."""
    yield Component("independent", IndependentConfig, f"{__name__}.independent:Independent")
    yield Component("optimal_transport", OptimalTransportConfig, f"{__name__}.transport:OptimalTransport")
