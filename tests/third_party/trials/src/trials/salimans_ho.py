"""A prediction: v = alpha x0 - sigma x1 (Salimans and Ho 2022, arXiv:2202.00512, Sec. 4, App. D)."""

from gentoolkit.api import Component, PredictionConfig, hookimpl
from gentoolkit.fields import Prediction


class SalimansHoConfig(PredictionConfig):
    """The network predicts v; x1 = (alpha x_t - sigma v) / (alpha² + sigma²)."""


class SalimansHo(Prediction):
    quantity = "denoised"

    def __init__(self, config):
        pass

    def domain(self, path):
        return 0.0, 0.999

    def skip(self, t, path):
        return path.alpha(t) / (path.alpha(t) ** 2 + path.sigma(t) ** 2)

    def scale(self, t, path):
        return -path.sigma(t) / (path.alpha(t) ** 2 + path.sigma(t) ** 2)


@hookimpl
def gentoolkit_components():
    yield Component("salimans_ho", SalimansHoConfig, f"{__name__}:SalimansHo")
