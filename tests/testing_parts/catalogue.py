"""`GOOD`: components that keep every contract. `SABOTEURS`: for every contract, components that break it."""

from dataclasses import replace
from typing import NamedTuple

from gentoolkit.api import Array, Component, DataSpec, Labels
from gentoolkit.registry import Entry
from testing_parts.configs import (
    BlobsConfig,
    ClaimsConfig,
    ClockConfig,
    CubeConfig,
    CurveConfig,
    FlatConfig,
    FractionConfig,
    GuideConfig,
    ImpossibleConfig,
    KeptConfig,
    LabelingConfig,
    MeanConfig,
    MlpConfig,
    NoiseConfig,
    PairingConfig,
    PlainConfig,
    QuantityConfig,
    QuietConfig,
    RateConfig,
    RoundedConfig,
    ScaleConfig,
    SpacingConfig,
    StepsConfig,
    TokensConfig,
    ToleranceConfig,
    TwoTimesConfig,
    VectorConfig,
    WeightConfig,
)
from testing_parts.eager_config import EagerConfig

IMAGES = DataSpec((1, 2, 2), Labels(3))


def component(factory, config, spec=None, traits=(), tiny=None, **failures):
    name = factory.replace(".", "-").replace(":", "-").lower()
    failures = {key.replace("__", "."): reason for key, reason in failures.items()}
    return Component(name, config, f"testing_parts.{factory}", tiny or {}, spec, frozenset(traits), failures)


def graded(factory, config, amount, spec=None, traits=()):
    return component(factory, config, spec, traits, {"amount": amount})


def entry(component):
    return Entry(f"parts/{component.name}", component, "parts", "1.0")


def sampler(name, *traits, config=StepsConfig, module="samplers", tiny=None, **failures):
    return component(f"{module}:{name}", config, None, traits, tiny, **failures)


def broken_sampler(name, *traits, config=StepsConfig, tiny=None):
    return sampler(name, *traits, config=config, module="broken_samplers", tiny=tiny)


def adaptive(name, module="samplers"):
    joint = "one step size for the whole batch"
    return sampler(name, "adaptive", config=ToleranceConfig, module=module, sampler__batch_independence=joint)


def backbone(name, spec=IMAGES, config=MlpConfig):
    return component(f"backbones:{name}", config, spec)


def two_times(name, amount=0.0):
    return component(f"backbones:{name}", TwoTimesConfig, IMAGES, tiny={"amount": amount})


def token_backbone(name):
    return backbone(name, config=TokensConfig)


def objective(name, spec=None, amount=0.0):
    return component(f"objectives:{name}", PlainConfig, spec, (), {"amount": amount})


def source(name, config=NoiseConfig, *traits, amount=0.0):
    return component(f"sources:{name}", config, None, traits, {"amount": amount})


def coupling(name, config=PairingConfig, spec=None, tiny=None):
    return component(f"couplings:{name}", config, spec, (), tiny)


def codec(name, config=ScaleConfig, *traits, amount=0.0):
    return component(f"codecs:{name}", config, None, traits, {"amount": amount})


def path(name, amount=0.0):
    return component(f"schedules_of_time:{name}", CurveConfig, tiny={"amount": amount})


def times(name, amount=0.0):
    return component(f"schedules_of_time:{name}", ClockConfig, tiny={"amount": amount})


def weighting(name, amount=0.0):
    return component(f"schedules_of_time:{name}", WeightConfig, tiny={"amount": amount})


def prediction(name, amount=0.0):
    return component(f"around_samplers:{name}", QuantityConfig, tiny={"amount": amount})


def grid(name, amount=0.0):
    return component(f"around_samplers:{name}", SpacingConfig, tiny={"amount": amount})


def guidance(name, amount=0.0, config=GuideConfig):
    return component(f"around_samplers:{name}", config, tiny={"amount": amount})


def optimizer(name, amount=0.0):
    return component(f"optimizers:{name}", RateConfig, tiny={"amount": amount})


def schedule(name, amount=0.0, config=FractionConfig):
    return component(f"schedules:{name}", config, tiny={"amount": amount})


def dataset(name):
    return component(f"datasets:{name}", BlobsConfig)


def metric(name, *traits, amount=0.0):
    return component(f"metrics:{name}", MeanConfig, None, traits, {"amount": amount})


def features(name, config=VectorConfig, amount=0.0):
    return component(f"features:{name}", config, tiny={"amount": amount})


def observer(name):
    return component(f"observers:{name}", QuietConfig)


GOOD = [
    sampler("Euler"),
    sampler("Heun"),
    sampler("RungeKutta4"),
    adaptive("HeunEuler"),
    sampler("EulerMaruyama", "stochastic"),
    backbone("Mlp"),
    backbone("Mlp", DataSpec((3,), Array((2,), droppable=True))),
    backbone("Mlp", DataSpec((3,))),
    backbone("Mlp", DataSpec((3,), Array((2, 2), droppable=True))),
    token_backbone("Tokenwise"),
    backbone("TwoTimes", config=TwoTimesConfig),
    objective("Velocity"),
    objective("Denoised"),
    objective("Curved", DataSpec((5,), Array((3,)))),
    objective("Weighted"),
    dataset("Blobs"),
    dataset("Twins"),
    metric("MeanDistance"),
    metric("DeviationRatio"),
    metric("LabelShare", "absolute"),
    features("Flat"),
    features("Scaled"),
    features("Sign", LabelingConfig),
    path("Straight"),
    path("Curved"),
    times("Even"),
    times("Squared"),
    weighting("One"),
    weighting("SignalToNoise"),
    prediction("Velocity"),
    prediction("Denoised"),
    prediction("Halved"),
    grid("Even"),
    grid("Bent", 1.0),
    guidance("ScaledGuidance"),
    observer("Silent"),
    observer("Best"),
    observer("Diary"),
    observer("Scratch"),
    source("Noise"),
    source("Cube", CubeConfig),
    source("Few", CubeConfig, "finite"),
    coupling("ByMean"),
    coupling("ByMean", spec=DataSpec((3,), Array((2,)))),
    coupling("Kept", KeptConfig),
    codec("Scale"),
    codec("Mean"),
    codec("Rounded", ScaleConfig, "lossy"),
    optimizer("Momentum"),
    schedule("Flat"),
    schedule("Cycles"),
]


class Saboteur(NamedTuple):
    contract: str
    component: Component
    message: str


SABOTEURS = [
    Saboteur("any.config_round_trip", sampler("Euler", config=RoundedConfig), "0.2"),
    Saboteur("any.factory", broken_sampler("Unfinished"), "is missing with_num_steps"),
    Saboteur("any.factory", broken_sampler("Missing"), "has no attribute 'Missing'"),
    Saboteur("any.factory", backbone("NoModule"), "must be a torch.nn.Module"),
    Saboteur("any.build", broken_sampler("NumpySeeded"), "global generator of numpy was used"),
    Saboteur("any.build", broken_sampler("Unlike"), "differ in samples"),
    Saboteur("any.no_torch", sampler("Euler", config=EagerConfig), "eager_config imports torch"),
    Saboteur("any.expected_failures", sampler("Euler", sampler__ordre="?"), "['sampler.ordre'] are not contracts"),
    Saboteur("any.expected_failures", sampler("Euler", sampler__order=" "), "['sampler.order'] have no reason"),
    Saboteur("backbone.shape", backbone("Squeezing"), "batch size 1: the output is (1, 2, 2)"),
    Saboteur("backbone.shape", backbone("Doubling"), "torch.float64"),
    Saboteur("backbone.batch_independence", backbone("BatchNormed"), "in training mode, d output[0] / d x_t"),
    Saboteur("backbone.batch_independence", backbone("FirstTime"), "in eval mode, d output[1] / d t"),
    Saboteur("backbone.gradients", backbone("DeadLayer"), "zero for x.weight, x.bias, t.weight, t.bias, c.weight"),
    Saboteur("backbone.gradients", backbone("Idle"), "zero for unused"),
    Saboteur("backbone.shape", backbone("PoleAtEnd"), "batch size 33: the output is not finite"),
    Saboteur("backbone.gradients", backbone("BiasBeforeNorm"), "Is this a bias before a normalization layer"),
    Saboteur("backbone.gradients", backbone("Fixed"), "in training mode the gradient is zero for x.weight"),
    Saboteur("backbone.time", backbone("Timeless"), "between t = 0.0000 and t = 0.0078"),
    Saboteur("backbone.time", backbone("DeafForTheLast"), "for the condition 2"),
    Saboteur("backbone.elements", backbone("FaintPixel"), "at t = 0, element [2] of x_t"),
    Saboteur("backbone.elements", backbone("LatePixel"), "at t = 0.9375, element [0] of x_t"),
    Saboteur("backbone.elements", backbone("FaintEntry", DataSpec((3,), Array((3,)))), "element [2] of the condition"),
    Saboteur("backbone.elements", backbone("StillOutput"), "element [0] of the output, which does not depend on x_t"),
    Saboteur("backbone.condition", backbone("LateBlind"), "at t = 0.9375 the output changes"),
    Saboteur("backbone.condition", backbone("FewLabels", DataSpec((3,), Labels(40))), "the conditions 20 and 21"),
    Saboteur("backbone.condition", backbone("Blind"), "between the conditions 0 and 1"),
    Saboteur("backbone.null_condition", backbone("NoNull"), "between the conditions 2 and 3"),
    Saboteur("backbone.null_condition", backbone("NoNullRow"), "IndexError: index out of range"),
    Saboteur("backbone.state_dict", backbone("LostFrequencies"), "loaded into another network"),
    Saboteur("backbone.float64", backbone("SingleTime"), "the gradient with respect to t is"),
    Saboteur("backbone.float64", backbone("AlwaysSingle"), "weights and inputs is torch.float32"),
    Saboteur("backbone.deepcopy", backbone("SharedCopy"), "shares parameters"),
    Saboteur("backbone.inputs_kept", backbone("Overwriting"), "t is modified"),
    Saboteur("backbone.eval_repeatable", backbone("AlwaysDropping"), "global generator of torch was used"),
    Saboteur("backbone.compile", backbone("Branching"), "can't be traced as one graph"),
    Saboteur("backbone.compile", backbone("ElsewhenCompiled"), "compiled network's output"),
    Saboteur("backbone.matrix_blocks", backbone("BiasBlocks"), "expected two axes"),
    Saboteur("backbone.matrix_blocks", backbone("NoBlocks"), "no method matrix_blocks()"),
    Saboteur("backbone.matrix_blocks", backbone("ThreeBlocks"), "has 16 rows, which can't be split into 3"),
    Saboteur("backbone.matrix_blocks", backbone("GhostBlocks"), "which is not a parameter"),
    Saboteur("backbone.tokens", token_backbone("SortedTokens"), "all tokens in another order, the output differs"),
    Saboteur("backbone.tokens", token_backbone("TokensAsWhole"), "the output for tokens has shape (3, "),
    Saboteur(
        "backbone.tokens", token_backbone("OverlappingPatches"), "does not contain each element of x exactly once"
    ),
    Saboteur("backbone.second_time", two_times("IgnoresSecondTime"), "does not depend on the second time"),
    Saboteur("backbone.second_time", two_times("SharesSecondTime"), "depends on the second time of others"),
    Saboteur("backbone.forward_derivatives", two_times("WrongDerivative", 0.01), "the difference quotient"),
    Saboteur("objective.record", objective("Scalar"), "expected (16,)"),
    Saboteur("objective.record", objective("Thousands"), "expected 0 to 1"),
    Saboteur("objective.record", objective("Detached"), "detached"),
    Saboteur("objective.gradient", objective("SlowClock"), "at the known optimal velocity is not zero"),
    Saboteur("objective.gradient", objective("FastClock"), "at the known optimal velocity is not zero"),
    Saboteur("objective.gradient", objective("FastDenoised"), "at the known optimal velocity is not zero"),
    Saboteur("objective.gradient", objective("DataWeighted"), "at the known optimal velocity is not zero"),
    Saboteur("objective.closed_form", objective("Summed"), "is 3.9988 times"),
    Saboteur("objective.closed_form", objective("WeightedError"), "times the closed form; z-scores"),
    Saboteur("objective.closed_form", objective("Forgetful"), "set LossRecord.velocity_error"),
    Saboteur("objective.time_direction", objective("Backwards"), "t probably runs from data to noise"),
    Saboteur("objective.time_direction", objective("LoudNoise"), "x_t differs from alpha(t) x1 + sigma(t) x0 by up to"),
    Saboteur("objective.time_direction", objective("SlowClock"), "x_t differs from alpha(t) x1 + sigma(t) x0 by up to"),
    Saboteur("objective.time_direction", objective("OwnNoise"), "expected the x0, x1 of the batch"),
    Saboteur("objective.field", objective("WrongSign"), "from the velocity passed to `output_for`"),
    Saboteur("objective.field", objective("Negative"), "`output_for`; it is its negative"),
    Saboteur("objective.field", objective("PoleAtStart"), "differs by nan"),
    Saboteur("objective.field", objective("ZeroStart"), "(from t = 0 to 0)"),
    Saboteur("objective.field", objective("ClampedField", amount=0.02), "(from t = 0.9805 to 1)"),
    Saboteur("objective.field", objective("ClampedDenoised", amount=0.02), "to 0.9999)"),
    Saboteur("objective.one_point", objective("SlowClock"), "the error of the velocity that leads to the only x1"),
    Saboteur("objective.one_point", objective("Sorted"), "leads to the only x1"),
    Saboteur("objective.one_point", objective("Summed"), "has 4 times the expected error"),
    Saboteur("objective.coverage", objective("NoLateTimes", amount=0.1), "1/16 of the times number 15 (counted from 0"),
    Saboteur("objective.coverage", objective("NoLateGradient"), "1/16 of the times number 15 (counted from 0"),
    Saboteur("objective.coverage", objective("FaintClass"), "class number 1 (counted from 0"),
    Saboteur("objective.coverage", objective("FaintElement"), "flattened output number 3 (counted from 0"),
    Saboteur("objective.coverage", objective("LastLeftOut"), "place in the batch number 255 (counted from 0"),
    Saboteur("objective.condition", objective("Unconditional"), "the loss passes the condition None"),
    Saboteur("objective.condition", objective("UnconditionalField"), "the field passes the condition"),
    Saboteur("objective.randomness", objective("TorchNoise"), "global generator of torch was used"),
    Saboteur("objective.randomness", objective("NumpyTimes"), "global generator of numpy was used"),
    Saboteur("objective.randomness", objective("FixedDraws"), "the losses for different generators are equal"),
    Saboteur("objective.parameters", objective("DetachedWeight"), "not finite for slope"),
    Saboteur("source.draw", source("Double"), "torch.float64"),
    Saboteur("source.draw", source("Infinite"), "x0 is not finite"),
    Saboteur("source.rows", source("Sequential"), "rows drawn shuffled differ from those drawn in order"),
    Saboteur("source.rows", source("Centered"), "differ from those drawn in order"),
    Saboteur("source.rows", source("Global"), "differ from those drawn in order"),
    Saboteur("source.processes", source("Process"), "in a fresh interpreter"),
    Saboteur("source.keys", source("OneSeed", amount=1.0), "512 of 512 rows are the same for another seed"),
    Saboteur("source.keys", source("OneSeed", CubeConfig, "finite", amount=1.0), "expected at most 256"),
    Saboteur("source.keys", source("OnePurpose"), "512 of 512 rows are the same for another purpose"),
    Saboteur("source.keys", source("ShortNumbers"), "are the same for another upper half of the number"),
    Saboteur("source.distinct", source("Repeating", amount=77_777), "1 of 100000 rows repeat another row"),
    Saboteur("source.distinct", source("Few"), "of 100000 rows repeat another row"),
    Saboteur("source.gaussian", source("Cube"), "not N(0, I); z-scores"),
    Saboteur("source.gaussian", source("Loud", amount=0.1), "not N(0, I); z-scores"),
    Saboteur("coupling.permutation", coupling("Nearest"), "rows of x0 are not used; expected a permutation"),
    Saboteur("coupling.permutation", coupling("Short"), "torch.int32"),
    Saboteur("coupling.order", coupling("Swapped"), "of 256 pairs change with the order of x1"),
    Saboteur("coupling.order", coupling("Greedy"), "pairs change with the order of x1"),
    Saboteur("coupling.repeatable", coupling("Random"), "global generator of torch was used"),
    Saboteur("coupling.repeatable", coupling("Remembering"), "pairs change when a batch is coupled again"),
    Saboteur("coupling.inputs_kept", coupling("InPlace"), "x0 is modified"),
    Saboteur("coupling.unused", coupling("Reversed", KeptConfig), "pairs are changed, but uses_batch is False"),
    Saboteur("coupling.unused", coupling("Idle"), "declare `uses_batch = False`"),
    Saboteur("codec.spec", codec("Flat"), "encode of 1 samples returns ((1, 4), torch.float32)"),
    Saboteur("codec.spec", codec("Double"), "torch.float64"),
    Saboteur("codec.spec", codec("Logarithm"), "encode returns numbers that are not finite"),
    Saboteur("codec.spec", codec("Flat", FlatConfig), "its spec declares -1 to 1"),
    Saboteur("codec.inverse", codec("Off", amount=0.01), "decode(encode(x)) differs from x by"),
    Saboteur("codec.inverse", codec("Rounded"), "decode(encode(x)) differs from x by"),
    Saboteur("codec.rows", codec("BatchScaled", amount=0.1), "when samples are passed in parts of 7"),
    Saboteur("codec.rows", codec("Noisy"), "global generator of torch was used"),
    Saboteur("codec.rows", codec("InPlace"), "encode modifies its input"),
    Saboteur("codec.state", codec("Forgetful"), "differs after the state is loaded"),
    Saboteur("codec.state", codec("Plain"), "it is not a torch.nn.Module"),
    Saboteur("codec.fit", codec("FirstChunk"), "if fit receives chunks of"),
    Saboteur("codec.fit", codec("MeanOfMeans"), "if fit receives chunks of (1, 899)"),
    Saboteur("codec.fit", codec("LastLeftOut"), "fit does not use samples 800 to 899 of 900"),
    Saboteur("codec.fit", codec("Unfitted"), "fit has no effect on encode"),
    Saboteur("path.coefficients", path("Scalar"), "d_alpha of t ((257, 1, 1), torch.float32) is ((), torch.float32)"),
    Saboteur("path.coefficients", path("Single"), "alpha of t ((257, 1, 1), torch.float64) is"),
    Saboteur("path.coefficients", path("BatchScaled"), "alpha changes by"),
    Saboteur("path.ends", path("EndsEarly", 0.01), "sigma at t = 0 and 1 is [1.0, 0.01"),
    Saboteur("path.ends", path("Backwards"), "alpha at t = 0 and 1 is [1.0, 0.0]"),
    Saboteur("path.derivatives", path("WrongSlope", 0.01), "but the derivative of alpha is 1.08594"),
    Saboteur("path.derivatives", path("Backwards"), "but the derivative of alpha is -1"),
    Saboteur("path.monotone", path("Power"), "alpha sigma' - sigma alpha' is -0 at t = 0"),
    Saboteur("times.quantile", times("BeyondOne", 0.5), "expected 0 to 1"),
    Saboteur("times.quantile", times("Falling"), "quantile(0) = 1, but quantile(0.0002441) = 0.999756"),
    Saboteur("times.rows", times("Sorted"), "the times change with the order of u"),
    Saboteur("times.rows", times("Jittered"), "global generator of torch was used"),
    Saboteur("times.coverage", times("Steps", 0.125), "has more than 1/4096 of the probability"),
    Saboteur("weighting.weight", weighting("Negative", 0.5), "the weight at t = [0.00390625] is [-0.49609375]"),
    Saboteur("weighting.weight", weighting("Flat"), "the weights for t ((255,), torch.float32) are ((1,)"),
    Saboteur("weighting.rows", weighting("Normalized"), "with the other times of a batch"),
    Saboteur("weighting.coverage", weighting("Late", 0.2), "sixteenths [0, 1, 2] of the times"),
    Saboteur("prediction.domain", prediction("NarrowDomain"), "the domain is [0.0, 0.5]"),
    Saboteur("prediction.domain", prediction("Unnamed"), "quantity is 'x1'"),
    Saboteur("prediction.coefficients", prediction("NoScaleAtEnd"), "scale is 0.0e+00 at t = 1"),
    Saboteur("prediction.coefficients", prediction("InfiniteTime"), "time is not finite at t = [0.0]"),
    Saboteur("prediction.coefficients", prediction("BatchScale"), "scale changes by"),
    Saboteur("prediction.field", prediction("WrongInverse"), "the field's velocity differs"),
    Saboteur("grid.times", grid("OneShort"), "times(1) has 1 times; expected 2"),
    Saboteur("grid.times", grid("EndsEarly", 1e-9), "runs from 0.0 to 0.999999999; expected 0 to 1"),
    Saboteur("grid.times", grid("Falling"), "runs from 1.0 to 0.0; expected 0 to 1"),
    Saboteur("grid.times", grid("ListOfTimes"), "times(1) is a list"),
    Saboteur("grid.times", grid("RandomTimes"), "global generator of python was used"),
    Saboteur("grid.refinement", grid("LongFirst"), "the longest step is 0.5 with 10 steps and 0.5 with 1,000"),
    Saboteur("guidance.field", guidance("Forgetful"), "has the domain (0.0, 1.0)"),
    Saboteur("guidance.field", guidance("DrawsNoise"), "global generator of torch was used"),
    Saboteur("guidance.rows", guidance("Rescaled"), "when it is guided alone"),
    Saboteur("guidance.agreement", guidance("Amplifying", 0.5), "does not depend on the condition is changed by"),
    Saboteur("guidance.quantity", guidance("AsVelocity"), "predicts the denoised, the velocity differs"),
    Saboteur("guidance.quantity", guidance("TimeOfQuantity", 0.1), "predicts the denoised, the velocity differs"),
    Saboteur("guidance.unconditional", guidance("AlwaysGuides"), "field of unconditional data is changed"),
    Saboteur("guidance.keeps", guidance("Claims", config=ClaimsConfig), "a guided flow map can't jump, but keeps()"),
    Saboteur("optimizer.groups", optimizer("Forgets"), "contains the parameter objective.log_weight 0 times"),
    Saboteur("optimizer.groups", optimizer("Rateless"), "of the groups are [None]; expected numbers above 0"),
    Saboteur("optimizer.descent", optimizer("Upwards"), "in 20 steps with torch.float32; expected a decrease"),
    Saboteur("optimizer.descent", optimizer("MatricesOnly"), "the distance of backbone.first.bias from the minimum"),
    Saboteur("optimizer.descent", optimizer("Single"), "changes from torch.float64 to torch.float32"),
    Saboteur("optimizer.gradients", optimizer("Drifts"), "changes although its gradient is None"),
    Saboteur("optimizer.zero_rate", optimizer("OwnRate"), "with a learning rate of 0, backbone.first.weight, "),
    Saboteur("optimizer.randomness", optimizer("Noisy"), "global generator of torch was used"),
    Saboteur("optimizer.state", optimizer("Unsaved"), "in a run that is resumed after step 1"),
    Saboteur("optimizer.state", optimizer("NotLoaded"), "load_state_dict does not restore the tensor"),
    Saboteur("optimizer.order", optimizer("FirstFaster", 0.1), "when the parameters are given in reverse order"),
    Saboteur("schedule.fraction", schedule("Above", 0.1), "fraction(0, 1, 1) is 1.1; expected 0 to 1"),
    Saboteur("schedule.fraction", schedule("Whole"), "is a int; expected a float"),
    Saboteur("schedule.fraction", schedule("Flat", config=ImpossibleConfig), "refuses every run of up to 10000 steps"),
    Saboteur("schedule.repeatable", schedule("Counting"), "after other calls"),
    Saboteur("schedule.warmup", schedule("Stumbles", 0.1), "falls from 0.5 to 0.4 after step 1"),
    Saboteur("schedule.warmup", schedule("Low", 0.5), "the largest fraction in 1000 steps is 0.5"),
    Saboteur("schedule.coverage", schedule("Stops"), "the fraction is 0 at 8999 of 10000 steps, first at step 1000"),
    Saboteur("sampler.constant_field", broken_sampler("ShortSteps"), "dx/dt = c"),
    Saboteur("sampler.constant_field", broken_sampler("SinglePrecisionSteps"), "dx/dt = c"),
    Saboteur("sampler.order", broken_sampler("StaleHeun"), "measured order 1.0"),
    Saboteur("sampler.order", broken_sampler("NoOrder"), "order is None"),
    Saboteur("sampler.times", broken_sampler("LateEuler"), "evaluated at [0.25, 0.5, 0.75, 1.0]"),
    Saboteur("sampler.times", broken_sampler("Backwards"), "evaluated at [1.0, 0.75, 0.5, 0.25]"),
    Saboteur("sampler.domain", broken_sampler("BeyondDomain"), "t ranges from 0.0 to 0.75 for the domain"),
    Saboteur("sampler.domain", broken_sampler("NotDenoised"), "the result is off by"),
    Saboteur("sampler.nfe", broken_sampler("OneMoreLook"), "5 evaluations; declared 4"),
    Saboteur("sampler.num_steps", broken_sampler("FixedSteps"), "with_num_steps(9) takes 4 steps"),
    Saboteur("sampler.num_steps", broken_sampler("ChangesItself", tiny={"num_steps": 3}), "called on"),
    Saboteur("sampler.on_step", broken_sampler("OneBuffer"), "modified afterwards"),
    Saboteur("sampler.on_step", broken_sampler("SilentEnd"), "expected increasing times from 0.0 to 1.0"),
    Saboteur("sampler.state", broken_sampler("OverwritesStart"), "x0 is modified"),
    Saboteur("sampler.state", broken_sampler("AlwaysSingle"), "the result is (5, 2, 3) torch.float32"),
    Saboteur("sampler.condition", broken_sampler("Unconditional"), "receives the condition None"),
    Saboteur("sampler.batch_independence", broken_sampler("Centered"), "when it is sampled alone"),
    Saboteur(
        "sampler.batch_independence",
        replace(adaptive("HeunEuler"), expected_failures={}),
        "choose one step size",
    ),
    Saboteur("sampler.repeatable", broken_sampler("Jittered"), "global generator of torch was used"),
    Saboteur("sampler.repeatable", sampler("EulerMaruyama"), "'NoneType' object is not callable"),
    Saboteur("sampler.tolerance", adaptive("Careless", "broken_samplers"), "declared tolerance 1.0e-03"),
    Saboteur("sampler.tolerance", adaptive("NoTolerance", "broken_samplers"), "tolerance is None"),
    Saboteur("sampler.noise", broken_sampler("GlobalNoise", "stochastic"), "global generator of torch was used"),
    Saboteur("sampler.noise", broken_sampler("NoNoise", "stochastic"), "different noise produces equal samples"),
    Saboteur("sampler.terminal_moments", broken_sampler("NoNoise", "stochastic"), "terminal variance"),
    Saboteur("sampler.terminal_moments", broken_sampler("OneDraw", "stochastic"), "terminal "),
    Saboteur("sampler.terminal_moments", broken_sampler("LostRoot", "stochastic"), "terminal variance"),
    Saboteur("sampler.terminal_moments", broken_sampler("Shouting", "stochastic"), "terminal variance"),
    Saboteur("dataset.spec", dataset("Loud"), "the spec declares -8.0 to 8.0"),
    Saboteur("dataset.spec", dataset("ThirdLabel"), "labels range from 1 to 2; the spec declares 0 to 1"),
    Saboteur("dataset.spec", dataset("ShortLabels"), "torch.int32"),
    Saboteur("dataset.access_order", dataset("Streaming"), "differ from those read in order"),
    Saboteur("dataset.access_order", dataset("Lumped"), "when it is read alone"),
    Saboteur("dataset.processes", dataset("OwnProcess"), "differ in a fresh interpreter"),
    Saboteur("dataset.workers", dataset("OwnWorker"), "differ with 2 worker processes"),
    Saboteur("dataset.shards", dataset("LostShard"), "2 shards together do not contain exactly"),
    Saboteur("dataset.splits", dataset("SameSplit"), "24 of 24 held-out samples are also training samples"),
    Saboteur("dataset.splits", dataset("OneShared"), "1 of 24 held-out samples are also training samples"),
    Saboteur("dataset.no_network", dataset("PhoneHome"), "127.0.0.1"),
    Saboteur("metric.optimum", metric("WrongOptimum"), "the mean distance from the optimum 0 is"),
    Saboteur("metric.optimum", metric("Offset", amount=1.0), "although the distributions are equal"),
    Saboteur("metric.permutation", metric("Paired"), "with the order of the samples"),
    Saboteur("metric.monotone", metric("Boastful"), "scale up"),
    Saboteur("metric.monotone", metric("Saturating"), "shift up"),
    Saboteur("metric.monotone", metric("Loud"), "is not above"),
    Saboteur("metric.invariances", metric("Unmoved"), "shift up changes the value"),
    Saboteur("metric.invariances", metric("Contradictory"), "['shift'] are in both `sees` and `invariances`"),
    Saboteur("metric.elements", metric("EverySecond"), "shift of element 1 alone"),
    Saboteur("metric.elements", metric("NarrowRatio"), "scale of element 3 alone"),
    Saboteur("metric.samples", metric("FirstHalf"), "the generated samples 128, 129, ..."),
    Saboteur("metric.samples", metric("OddReal"), "the real samples 0, 8, ..."),
    Saboteur("metric.rows", metric("Centered", amount=0.1), "when samples are prepared in parts of 7"),
    Saboteur("metric.rows", metric("InPlace"), "prepare modifies its input"),
    Saboteur("metric.rows", metric("RowsInPlace"), "value modifies its input"),
    Saboteur("metric.rows", metric("Noisy"), "global generator of torch was used"),
    Saboteur("metric.rows", metric("Counting"), "when it is computed again"),
    Saboteur("metric.rows", metric("Extra"), "prepare returns 65 rows for 64 samples"),
    Saboteur("metric.absolute", metric("RelativeShare", "absolute"), "with the real samples"),
    Saboteur("features.rows", features("BatchScaled", amount=0.1), "when samples are passed in parts of 7"),
    Saboteur("features.rows", features("Noisy"), "global generator of torch was used"),
    Saboteur("features.rows", features("InPlace"), "the input is modified"),
    Saboteur("features.rows", features("Unflattened"), "expected (64, F)"),
    Saboteur("features.rows", features("Infinite"), "not finite"),
    Saboteur("features.distinct", features("Signs"), "64 different samples have only"),
    Saboteur("features.state", features("Hidden"), "their state dicts are equal"),
    Saboteur("features.state", features("NoModule"), "it is not a torch.nn.Module"),
    Saboteur("features.classes", features("Sign"), "does not offer 'classes'"),
    Saboteur("features.classes", features("Flat", LabelingConfig), "offers 'classes'"),
    Saboteur("features.classes", features("ManyClasses", LabelingConfig), "labels are 1 to 2; expected 0 to 1"),
    Saboteur("features.classes", features("FloatClasses", LabelingConfig), "torch.float32"),
    Saboteur("observer.events", observer("Unprepared"), "step raises KeyError: 'accuracy'"),
    Saboteur("observer.events", observer("Quits"), "failed raises SystemExit: 2"),
    Saboteur("observer.events", observer("OnlyFromStart"), "step raises AssertionError"),
    Saboteur("observer.events", observer("Loud"), "step: it prints 'hello"),
    Saboteur("observer.events", observer("LoudElsewhere"), "finished: it prints 'hello"),
    Saboteur("observer.events", observer("Censor"), "validation changes its arguments"),
    Saboteur("observer.events", observer("Gambler"), "step: the global generator of python was used"),
    Saboteur("observer.events", observer("NumpyGambler"), "started: the global generator of numpy was used"),
    Saboteur("observer.events", observer("TorchGambler"), "close: the global generator of torch was used"),
    Saboteur("observer.directory", observer("Eager"), "building it makes log.csv"),
    Saboteur("observer.directory", observer("Elsewhere"), "latest.txt, outside of the run's directory"),
    Saboteur("observer.directory", observer("Here"), "observer-latest.txt, outside of the run's directory"),
    Saboteur("observer.directory", observer("Tidy"), "scratch, outside of the run's directory"),
    Saboteur("observer.state", observer("BestOfAll"), "best.txt is not written in every one"),
    Saboteur("observer.state", observer("LowestOfAll"), "best.txt depends on a run that was observed before"),
]
