"""The recipe sections `train`, `sample` and `evaluate` as frozen, strict models. Importing this does not load torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(ge=1, le=2**40)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Precision = Literal["auto", "fp32", "bf16"]


class Strict(BaseModel):
    """A frozen model with strict types: "1" and true are not numbers. Rejects infinite values and unknown fields."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class TrainSettings(Strict):
    """How the model is trained. One step is one optimizer step."""

    epochs: Count | None = None
    """Passes over the training data. Set either this or `steps`."""
    steps: Count | None = None
    """Optimizer steps. Set either this or `epochs`."""
    batch_size: Count = 64
    """Samples per optimizer step, summed over all micro-batches. An incomplete last batch of an epoch is dropped."""
    accumulation: Count = 1
    """Micro-batches per optimizer step. More need less memory; only rounding and dropout masks change."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon` uses Muon for the backbone's weight matrices and AdamW for everything else (Jordan et al. 2024)."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate of AdamW."""
    matrix_learning_rate: float = Field(default=0.02, gt=0)
    """Peak learning rate of Muon. Ignored with `adamw`."""
    matrix_momentum: float = Field(default=0.95, ge=0, lt=1)
    """Momentum of Muon (Jordan et al. 2024). Lower values suit short runs, where old gradients go stale quickly.

    Ignored with `adamw`.
    """
    matrix_iterations: int = Field(default=5, ge=1, lt=100)
    """Newton-Schulz iterations per Muon step (Jordan et al. 2024). Fewer are faster but less accurate.

    With fewer iterations the update is further from orthogonal. Ignored with `adamw`.
    """
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Decay rates of AdamW's first and second moments."""
    weight_decay: float = Field(default=1e-4, ge=0)
    """Decoupled weight decay, used by both AdamW and Muon."""
    schedule: Literal["constant", "cosine", "linear"] = "cosine"
    """How the learning rates decay from their peaks. `cosine` and `linear` end at 0."""
    schedule_unit: Literal["step", "epoch"] = "step"
    """Whether the learning rates are updated every step or only once per epoch."""
    warmup_steps: int = Field(default=0, ge=0)
    """Steps of linear learning-rate warm-up."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Maximum global norm of the gradients; larger gradients are scaled down. null disables clipping."""
    ema_decay: float | None = Field(default=None, gt=0, lt=1)
    """Decay per step of the exponential moving average (EMA) of the weights. null disables it.

    With an EMA, validation, sampling and evaluation use the averaged weights.
    """
    condition_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Probability of training a sample without its condition. Classifier-free guidance requires a value above 0."""
    precision: Precision = "auto"
    """`bf16` trains with autocast. `auto` chooses bf16 if the processor has bf16 instructions and fp32 otherwise.

    The losses of a DiT in bf16 stay within 3 % of those in fp32 at every step (`tests/plugins/test_dit_precision.py`).
    """
    checkpoint_every: Count | None = None
    """Steps between checkpoints. By default, ten checkpoints are saved over the run. The last step is always saved."""
    keep_checkpoints: int = Field(default=2, ge=2)
    """Number of checkpoints to keep. An old checkpoint is deleted only after a newer one has been verified."""
    validate_every: Count | None = None
    """Steps between validations. By default, validation runs only after the last step."""
    log_every: Count = 1
    """Steps between "step" records in `metrics.jsonl`."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("set exactly one of 'epochs' and 'steps'")
        if self.batch_size % self.accumulation:
            raise ValueError(f"batch_size {self.batch_size} is not divisible by accumulation {self.accumulation}")
        if self.steps is not None and self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps is {self.warmup_steps}, but training has only {self.steps} steps; lower it")
        return self


class SampleSettings(Strict):
    """Which samples are drawn from the trained model, for the pictures and for `samples/`."""

    per_class: Count = 8
    """Samples per class, or in total if the data has no classes."""
    classes: tuple[Annotated[int, Field(ge=0)], ...] | None = Field(default=None, min_length=1)
    """The classes to sample. By default, all."""
    seed: Seed | None = None
    """Seed of the noise. By default, the recipe's `seed`."""
    batch_size: Count = 64
    """Samples that are generated or evaluated at once. Limits memory use; changes results only by rounding."""
    precision: Precision = "auto"
    """Precision of sampling; see `train.precision`."""


class EvaluateSettings(Strict):
    """How the trained model is evaluated on held-out samples."""

    per_class: int = Field(default=32, ge=2, le=2**40)
    """Generated samples per class for the per-class metrics.

    Twice as many held-out samples are needed: half are compared with the generated ones, and the two halves with each
    other for the floor. Classes with fewer are excluded from the per-class metrics, and the report says so.
    """
    samples: Annotated[int, Field(ge=2, le=2**40)] | None = None
    """Generated samples for the pooled metrics, with the class proportions of the held-out data.

    By default, `per_class` times the number of classes, but at most half of the held-out samples.
    """
    resamples: int = Field(default=12, ge=0, le=10_000)
    """Random half-samples used to estimate the standard deviation of each metric; 0 disables it."""
    validation_samples: Count = 400
    """Held-out samples for the validation loss. Each has its own fixed time and fixed noise."""
