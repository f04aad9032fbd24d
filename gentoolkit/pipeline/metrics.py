"""The metrics of a recipe as objects, which share their features."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from gentoolkit.configs import Config, FeaturesConfig, configs_in, to_data
from gentoolkit.pipeline.parts import Parts
from gentoolkit.protocols import Features, Metric
from gentoolkit.records import FeaturesUsed
from gentoolkit.registry import build, entry_of


class Remembered:
    """Features that are computed once for each tensor."""

    def __init__(self, features: Features) -> None:
        self.features = features
        self._rows: dict[int, tuple[Tensor, Tensor]] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """Return the features of x, (N, F), which are those of an earlier call if x is the same tensor."""
        if id(x) not in self._rows:
            self._rows[id(x)] = x, self.features(x)
        return self._rows[id(x)][1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.features, name)


class MetricBuilder:
    """Builds the metrics of a model's recipe. Metrics with equal features share one object.

    Attributes:
        features: The features that were built, by their recipe data as JSON.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.features: dict[str, Remembered] = {}

    def __call__(self, config: Config) -> Metric:
        """Return the metric."""
        parts = self._parts
        return build(
            config, self._shared, spec=parts.recipe.data_spec, seed=parts.recipe.seed, train=parts.splits["train"]
        )

    def _shared(self, config: Config, make: Callable[[], Any]) -> Any:
        if not isinstance(config, FeaturesConfig):
            return make()
        if (key := _key(config)) not in self.features:
            self.features[key] = Remembered(make())
        return self.features[key]

    def used(self, config: Config) -> FeaturesUsed | None:
        """Return what is recorded of a metric's features, or None if it has none."""
        for _, part in configs_in(config):
            if isinstance(part, FeaturesConfig):
                features, entry = self.features[_key(part)].features, entry_of(part)
                package = f"{entry.distribution} {entry.version}"
                digest = hashlib.sha256(json.dumps([package, _key(part)]).encode())
                state = features.state_dict() if isinstance(features, nn.Module) else {}
                for name, value in state.items():
                    digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
                    digest.update(value.detach().cpu().contiguous().numpy().tobytes())
                return FeaturesUsed(
                    config=to_data(part),
                    package=package,
                    sha256=digest.hexdigest(),
                    preprocessing=features.preprocessing,
                )
        return None

    def all(self) -> dict[str, Metric]:
        """Return the metrics by name: that of the component, with those of its features. Repeated ones are numbered."""
        configs = self._parts.recipe.metrics
        names = list(map(metric_name, configs))
        unique = [name if names.count(name) == 1 else f"{name} {i + 1}" for i, name in enumerate(names)]
        return {name: self(config) for name, config in zip(unique, configs, strict=True)}


def metric_name(config: Config) -> str:
    """Return the name of a metric in results, e.g. "frechet_distance-pca" for one with features in a slot."""
    parts = [
        entry_of(part).name for _, part in configs_in(config) if part is config or isinstance(part, FeaturesConfig)
    ]
    return "-".join(parts)


def _key(config: Config) -> str:
    return json.dumps(to_data(config), sort_keys=True)
