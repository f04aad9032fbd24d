"""The recipe's own sections as frozen, strict models. Importing this costs no torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=1, le=2**40)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Precision = Literal["auto", "fp32", "bf16"]


class Strict(BaseModel):
    """Frozen; a string is no number, true is not 1, infinities are refused, and so are unknown fields."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class TrainSettings(Strict):
    """How the weights are found. One step is one optimizer step."""

    epochs: Count | None = None
    """Passes over the training data; give this or `steps`."""
    steps: Count | None = None
    """Optimizer steps; give this or `epochs`."""
    batch_size: Count = 64
    """Samples per optimizer step, over all micro-batches. An incomplete last batch of an epoch is dropped."""
    accumulation: Count = 1
    """Micro-batches that share an optimizer step, to save memory; changes nothing but rounding and dropout masks."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon`: Muon on the backbone's matrix blocks and AdamW on the rest (Jordan et al. 2024)."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """The peak learning rate of AdamW."""
    matrix_learning_rate: float = Field(default=0.02, gt=0)
    """The peak learning rate of Muon; unused with `adamw`."""
    matrix_momentum: float = Field(default=0.95, ge=0, lt=1)
    """Muon's momentum (Jordan et al. 2024), unused with `adamw`; short runs want less, to follow no old gradients."""
    matrix_iterations: int = Field(default=5, ge=1, lt=100)
    """Newton-Schulz iterations in a step of Muon (Jordan et al. 2024), unused with `adamw`; fewer cost less, and
    leave the update further from orthogonal."""
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """AdamW's decay rates of the first and second moment."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Decoupled weight decay, of AdamW and Muon alike."""
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    """How the learning rates fall from their peak, to 0 for `cosine` and `linear`."""
    schedule_unit: Literal["step", "epoch"] = "step"
    """Whether the learning rates change with every step, or stay as they are within an epoch."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the learning rates first rise linearly."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Gradients of a larger global norm are scaled down to it; null for no clipping."""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Decay per step of the exponential moving average of the weights, which then samples; null for none."""
    condition_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Probability that a sample is trained without its condition; guidance needs some."""
    precision: Precision = "auto"
    """`bf16` is autocast; `auto` is bf16 where the processor has bf16 instructions, else fp32.

    A DiT's losses in bf16 stay within 3 % of those in fp32, step by step (`tests/plugins/test_dit_precision.py`).
    """
    checkpoint_every: Count | None = None
    """Steps between checkpoints; by default ten over the run. The last step is always saved."""
    keep_checkpoints: int = Field(default=2, ge=2)
    """How many checkpoints are kept; an older one is deleted only when a newer one verifies."""
    validate_every: Count | None = None
    """Steps between validations; by default only after the last step."""
    log_every: Count = 1
    """Steps between lines in `metrics.jsonl`."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("give exactly one of 'epochs' and 'steps'")
        if self.batch_size % self.accumulation:
            raise ValueError(f"batch_size {self.batch_size} is not divisible by accumulation {self.accumulation}")
        if self.steps is not None and self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} leaves nothing of {self.steps} steps")
        return self


class SampleSettings(Strict):
    """What is drawn from the trained model for the pictures and for `samples/`."""

    per_class: Count = 8
    """Samples for each class; in all, where the data has no classes."""
    classes: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(default=None, min_length=1)
    """Which classes; all by default."""
    seed: Seed | None = None
    """The seed of the noise; the recipe's by default."""
    batch_size: Count = 64
    """Samples that are carried at once, and measured: bounds the memory, changes no sample but by rounding."""
    guidance: float = 1.0
    """Classifier-free guidance w: v_u + w (v_c - v_u) (Ho and Salimans 2022, arXiv:2207.12598); 1 is off."""
    precision: Precision = "auto"
    """As in `train`."""


class EvaluateSettings(Strict):
    """How the trained model is evaluated, against held-out real samples."""

    per_class: int = Field(default=32, ge=2, le=2**40)
    """Generated samples for the metrics of each class, and twice as many real ones: half of them give the floor.

    A class with fewer held-out samples is left out, with a note.
    """
    samples: Annotated[int, Field(ge=2, le=2**40)] | None = None
    """Generated samples for the metrics of all classes together, each class as often as in the held-out data.

    By default `per_class` times the number of classes, or half of the held-out samples where that is less.
    """
    resamples: int = Field(default=12, ge=0, le=10_000)
    """Random halves of the samples that each metric is computed on again for its standard deviation; 0 for none."""
    validation_samples: Count = 400
    """Held-out samples for the validation loss, each at its own fixed time and with its own fixed noise."""
