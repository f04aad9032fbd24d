"""Flow matching and diffusion: regression along a path from noise to data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

from pydantic import Field

from gentoolkit.api import (
    Component,
    Need,
    ObjectiveConfig,
    PathConfig,
    PredictionConfig,
    TimesConfig,
    WeightingConfig,
    hookimpl,
    slot,
)

Tokens = Annotated[int, Field(ge=1)]


class FlowMatchingConfig(ObjectiveConfig):
    """The network learns to predict the velocity, the data or the noise of a path by least squares.

    Flow matching (Lipman et al. 2023, arXiv:2210.02747, Eq. 9) with the defaults. Other choices give DDPM (Ho et al.
    2020, arXiv:2006.11239, Eq. 14: cosine path, noise prediction, error of the noise) and EDM (Karras et al. 2022,
    arXiv:2206.00364, Table 1: prediction edm, logit-normal times, error of the output).
    """

    path: PathConfig = slot("linear")
    """The path from x0 to x1."""
    times: TimesConfig = slot("uniform")
    """The distribution of the times at which the network is trained."""
    stratified: bool = False
    """Whether to spread the times of a batch evenly: same expectation, lower variance (arXiv:2107.00630)."""
    prediction: PredictionConfig = slot("velocity")
    """What the network predicts."""
    error: Literal["velocity", "denoised", "noise", "output"] = "velocity"
    """Whose squared error the weighting multiplies. `output` is the network's output, before any preconditioning."""
    weighting: WeightingConfig = slot("constant")
    """The weight of each time. It does not change the minimizer."""
    tokens: Tokens | Annotated[tuple[Tokens, ...], Field(min_length=1)] | None = None
    """Number of tokens of each sample to train on, chosen at random in every step; all by default (arXiv:2306.09305).

    The cost of a step is proportional to it. During training the network attends only to these tokens; during sampling,
    to all. Several numbers divide the run into equal parts, so that it can start with few tokens and cheap steps
    (arXiv:2108.06084).
    """

    def needs(self) -> Iterable[Need]:
        """Require a backbone that computes subsets of tokens if `tokens` is set."""
        return () if self.tokens is None else (Need("backbone", "tokens", "tokens"),)


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the objective."""
    yield Component("flow_matching", FlowMatchingConfig, f"{__name__}.objective:FlowMatching")
