"""DiT, the diffusion transformer (Peebles and Xie 2023, arXiv:2212.09748)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, Self

from pydantic import Field, model_validator

from gentoolkit.api import BackboneConfig, Component, DataSpec, Labels, Problem, hookimpl


class DiTConfig(BackboneConfig):
    """A transformer over patches, modulated by time and condition (adaLN-Zero)."""

    patch_size: int = Field(default=2, ge=1)
    """Side length of the square patches; it must divide the height and the width."""
    hidden_size: int = Field(default=256, ge=4)
    """Width of the tokens; must be even and divisible by `num_heads`."""
    depth: int = Field(default=6, ge=1, le=1000)
    """Number of blocks."""
    num_heads: int = Field(default=8, ge=1)
    """Number of attention heads, each hidden_size / num_heads wide."""
    mlp_ratio: int = Field(default=4, ge=1)
    """Width of the hidden MLP layer divided by `hidden_size`."""
    time_scale: float = Field(default=1.0, gt=0)
    """Factor applied to t before it is embedded. 1000 resolves small differences of t."""
    position: Literal["normal", "sincos"] = "normal"
    """Initialization of the trained position embedding: N(0, 0.02²), or sines and cosines of the row and the column.

    With "sincos" each token has a distinct position from the first step (Peebles and Xie 2023, arXiv:2212.09748, Sec.
    3.2, where the embedding is not trained).
    """

    @model_validator(mode="after")
    def _widths(self) -> Self:
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} is not divisible by num_heads {self.num_heads}")
        if self.hidden_size % 2:
            raise ValueError(f"hidden_size {self.hidden_size} is odd; the time embedding requires an even number")
        if self.position == "sincos" and (self.hidden_size % 4 or self.hidden_size < 8):
            raise ValueError(
                f"hidden_size {self.hidden_size} can't be used with position sincos, which requires 8, 12, 16, ..."
            )
        return self

    def offers(self) -> Iterable[str]:
        """Offer subsets of tokens, a second time, and derivatives in forward mode."""
        return ("tokens", "second_time", "forward_derivatives")

    def check(self, spec: DataSpec) -> Iterator[Problem]:
        """Yield a problem unless the data has shape (C, H, W) and the patch size divides H and W."""
        if len(spec.shape) != 3:
            yield Problem(None, f"dit takes samples of shape (channels, height, width), but the data is {spec.shape}")
        elif any(side % self.patch_size for side in spec.shape[1:]):
            height, width = spec.shape[1:]
            common = [p for p in range(1, min(height, width) + 1) if height % p == width % p == 0]
            yield Problem(
                "patch_size",
                f"patch_size {self.patch_size} does not divide the {height} x {width} image; "
                f"choose one of {', '.join(map(str, common))}",
            )


@hookimpl
def gentoolkit_components() -> Iterator[Component]:
    """Declare the backbone."""
    yield Component(
        "dit",
        DiTConfig,
        f"{__name__}.network:DiT",
        tiny={"hidden_size": 16, "depth": 2, "num_heads": 2},
        tiny_spec=DataSpec((2, 4, 6), Labels(3, droppable=True), (-1.0, 1.0)),
    )
