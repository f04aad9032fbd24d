"""Exact optimal transport by POT, and the classifier two-sample test by scikit-learn."""

from __future__ import annotations

import warnings

import numpy as np
from torch import Tensor

from gentoolkit.api import DataSpec, MetricConfig
from gentoolkit.protocols import Dataset

from . import C2stConfig
from .samples import OnSamples, distances, imported, need, sorted_rows


class Wasserstein2(OnSamples):
    """sqrt(min over plans of E|x - y|²) between real and generated samples, not squared, by a linear program.

    Peyré and Cuturi 2019, "Computational Optimal Transport", arXiv:1803.00567, Eq. 2.11. The time grows as the cube
    of the number of samples.
    """

    optimum = 0.0
    sees = frozenset({"shift", "scale"})

    def __init__(self, config: MetricConfig, spec: DataSpec, seed: int, train: Dataset) -> None:
        self.ot = imported("ot", "POT")

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the distance. ValueError: There are no samples, or the solver did not finish."""
        need(1, real, other)
        cost = distances(real, other).square().numpy()
        squared, log = self.ot.emd2([], [], cost, numItermax=10_000_000, log=True)
        if log["warning"]:
            raise ValueError(f"the optimal plan was not found: {log['warning']}")
        return float(np.sqrt(squared))


class C2st(OnSamples):
    """The accuracy with which a classifier tells real from generated samples, on samples that it was not trained on.

    Lopez-Paz and Oquab 2017, arXiv:1610.06545, Sec. 3, with the classifier of Lueckmann et al. 2021, arXiv:2101.04653,
    Sec. 3.2: two hidden layers of 10 D units, five folds, and samples scaled by the mean and the standard deviation of
    the real ones. Rows are sorted first, so that the folds do not depend on their order.
    """

    optimum = 0.5
    sees = frozenset({"shift", "scale"})

    def __init__(self, config: C2stConfig, spec: DataSpec, seed: int, train: Dataset) -> None:
        self.folds, self.max_iterations, self.seed = config.folds, config.max_iterations, seed % 2**32
        self.networks = imported("sklearn.neural_network", "scikit-learn")
        self.selection = imported("sklearn.model_selection", "scikit-learn")
        self.unfinished = imported("sklearn.exceptions", "scikit-learn").ConvergenceWarning

    def value(self, real: Tensor, other: Tensor) -> float:
        """Return the mean accuracy of the folds. ValueError: There are fewer samples than folds."""
        need(self.folds, real, other)
        mean, std = real.mean(0), real.std(0)
        std[std == 0] = 1.0
        sides = [sorted_rows((rows - mean) / std).numpy() for rows in (real, other)]
        units = 10 * real.shape[1]
        classifier = self.networks.MLPClassifier(
            (units, units), activation="relu", solver="adam", max_iter=self.max_iterations, random_state=self.seed
        )
        folds = self.selection.KFold(self.folds, shuffle=True, random_state=self.seed)
        labels = np.repeat([0, 1], [len(rows) for rows in sides])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", self.unfinished)
            scores = self.selection.cross_val_score(classifier, np.concatenate(sides), labels, cv=folds)
        return float(scores.mean())
