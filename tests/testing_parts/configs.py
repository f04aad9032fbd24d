"""The configs of all test components. No torch here, as in any plugin."""

import math
from typing import Annotated

from pydantic import Field, PlainSerializer

from gentoolkit.api import (
    BackboneConfig,
    CodecConfig,
    CouplingConfig,
    DatasetConfig,
    DataSpec,
    FeaturesConfig,
    GridConfig,
    GuidanceConfig,
    Labels,
    MetricConfig,
    ObjectiveConfig,
    ObserverConfig,
    OptimizerConfig,
    PathConfig,
    PredictionConfig,
    Problem,
    SamplerConfig,
    ScheduleConfig,
    SourceConfig,
    TimesConfig,
    WeightingConfig,
)


class StepsConfig(SamplerConfig):
    num_steps: int = Field(default=4, ge=1)
    amount: float = 0.0
    """How large the fault of a graded saboteur is; so in the other configs."""


class RoundedConfig(StepsConfig):
    """Saboteur of any.config_round_trip: what it writes is not what it holds."""

    churn: Annotated[float, PlainSerializer(lambda value: round(value, 1))] = 0.25


class ToleranceConfig(SamplerConfig):
    tolerance: float = Field(default=1e-3, gt=0)


class MlpConfig(BackboneConfig):
    width: int = Field(default=16, ge=1)
    amount: float = 0.0


class TokensConfig(MlpConfig):
    def offers(self):
        return ("tokens",)


class TwoTimesConfig(MlpConfig):
    def offers(self):
        return ("second_time", "forward_derivatives")


class PlainConfig(ObjectiveConfig):
    amount: float = 0.0


class BlobsConfig(DatasetConfig):
    num_samples: int = Field(default=24, ge=1)
    amount: float = 0.0

    def spec(self):
        return DataSpec((2,), Labels(2), (-8.0, 8.0))


class MeanConfig(MetricConfig):
    amount: float = 0.0


class VectorConfig(FeaturesConfig):
    amount: float = 0.0


class LabelingConfig(VectorConfig):
    def offers(self):
        return ("classes",)


class QuietConfig(ObserverConfig):
    pass


class CurveConfig(PathConfig):
    amount: float = 0.0


class ClockConfig(TimesConfig):
    amount: float = 0.0


class WeightConfig(WeightingConfig):
    amount: float = 0.0


class QuantityConfig(PredictionConfig):
    amount: float = 0.0


class SpacingConfig(GridConfig):
    amount: float = 0.0


class GuideConfig(GuidanceConfig):
    amount: float = 0.0


class ClaimsConfig(GuideConfig):
    def keeps(self):
        return ("velocity", "flow_map")


class NoiseConfig(SourceConfig):
    amount: float = 0.0

    def offers(self):
        return ("gaussian",)


class CubeConfig(SourceConfig):
    amount: float = 0.0


class PairingConfig(CouplingConfig):
    amount: float = 0.0


class KeptConfig(CouplingConfig):
    uses_batch = False


class ScaleConfig(CodecConfig):
    amount: float = 0.0


class FlatConfig(CodecConfig):
    """Encodes samples as vectors with values from -1 to 1, it says."""

    amount: float = 0.0

    def spec(self, spec):
        return DataSpec((math.prod(spec.shape),), value_range=(-1.0, 1.0))


class RateConfig(OptimizerConfig):
    learning_rate: float = Field(default=0.01, gt=0)
    amount: float = 0.0


class FractionConfig(ScheduleConfig):
    amount: float = 0.0


class ImpossibleConfig(FractionConfig):
    """Saboteur of schedule.fraction: no run is long enough."""

    def check_length(self, total_steps):
        yield Problem(None, "too short")
