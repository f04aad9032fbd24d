"""A weighting: min-SNR (Hang et al. 2023, arXiv:2303.09556, Sec. 3.4), for the error of the denoised sample."""

from pydantic import Field

from gentoolkit.api import Component, WeightingConfig, hookimpl


class MinSNRConfig(WeightingConfig):
    """The signal-to-noise ratio alpha² / sigma², but at most gamma."""

    gamma: float = Field(default=5.0, gt=0)


class MinSNR:
    """w = min(alpha² / sigma², gamma)."""

    def __init__(self, config):
        self.gamma = config.gamma

    def weight(self, t, path):
        return (path.alpha(t) / path.sigma(t)).square().clamp(max=self.gamma)


@hookimpl
def gentoolkit_components():
    yield Component("min_snr", MinSNRConfig, f"{__name__}:MinSNR")
