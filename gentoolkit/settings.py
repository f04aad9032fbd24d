"""The recipe sections `train`, `sample` and `evaluate` as frozen, strict models. Importing this does not load torch."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from gentoolkit.configs import OptimizerConfig, ScheduleConfig, slot
from gentoolkit.strict import Count, Precision, Seed, Strict


class EmaSettings(Strict):
    """The exponential moving average (EMA) of the weights. Set exactly one of the two fields."""

    decay: float | None = Field(default=None, gt=0, lt=1)
    """Constant decay per step. The average then covers about the last 1 / (1 - decay) steps."""
    sigma_rel: float | None = Field(default=None, gt=0, le=0.28)
    """Width of the averaged interval, as a fraction of the steps so far, so that it grows with the run.

    The averaging weights are a power function of the step, whose standard deviation is `sigma_rel` times the number of
    steps so far (Karras et al. 2024, arXiv:2312.02696, Eq. 121 ff.). Typical values are 0.05 to 0.15.
    """

    @model_validator(mode="after")
    def _one_profile(self) -> Self:
        if (self.decay is None) == (self.sigma_rel is None):
            raise ValueError("set exactly one of 'decay' and 'sigma_rel'")
        return self


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
    optimizer: OptimizerConfig = slot("adamw")
    """How the weights are updated, with the peak learning rates."""
    schedule: ScheduleConfig = slot("cosine")
    """The learning rate over the run as a fraction of its peak, including the warm-up."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Maximum global norm of the gradients; larger gradients are scaled down. null disables clipping."""
    ema: EmaSettings | None = None
    """The moving average of the weights. If there is one, validation, sampling and evaluation use it."""
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
        return self


class SampleSettings(Strict):
    """Which samples are drawn from the trained model, for the pictures and for `samples/`."""

    per_class: Count = 8
    """Samples per class, or in total if there are no classes. Conditions that are arrays come from held-out samples."""
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
    allow_fewer: bool = False
    """Whether to use fewer samples if the held-out data has no more. Otherwise, that is an error."""
    resamples: int = Field(default=12, ge=0, le=10_000)
    """Random half-samples used to estimate the standard deviation of each metric; 0 disables it."""
    validation_samples: Count = 400
    """Held-out samples for the validation loss. Each has its own fixed time and fixed noise."""
