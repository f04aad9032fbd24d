"""Sources: the distributions that x0 is drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gentoolkit.api import Component, DatasetConfig, DataSpec, Problem, SourceConfig, hookimpl


class GaussianConfig(SourceConfig):
    """Standard normal noise, x0 ~ N(0, I)."""

    def offers(self) -> Iterable[str]:
        """Return "gaussian": closed forms for Gaussian noise hold."""
        return ("gaussian",)


class DatasetSourceConfig(SourceConfig):
    """The training samples of another dataset, drawn with replacement; their conditions are ignored.

    Its samples are not encoded by the recipe's codec, so their shape is that of encoded data.
    """

    dataset: DatasetConfig
    """The dataset that x0 is drawn from."""

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Require samples of the shape of what is modeled."""
        if (shape := self.dataset.spec().shape) != spec.shape:
            message = f"its samples have shape {shape}, but x0 needs {spec.shape}, the shape of what is modeled"
            yield Problem("dataset", message)


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the sources."""
    yield Component("gaussian", GaussianConfig, f"{__name__}.sources:Gaussian")
    yield Component(
        "dataset",
        DatasetSourceConfig,
        f"{__name__}.sources:DatasetSource",
        tiny={"dataset": {"type": "points", "num_samples": 512}},
        tiny_spec=DataSpec((2,)),
        traits=frozenset({"finite"}),
    )
