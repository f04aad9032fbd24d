"""The distance between means, the ratio of deviations, and what can go wrong with metrics."""

import torch


class MeanDistance:
    """sqrt(mean over dimensions of (mean of generated - mean of real)²)."""

    optimum = 0.0
    sees = frozenset({"shift"})
    invariances = frozenset({"permutation", "scale"})

    def __init__(self, config, spec, seed, train):
        self.amount = config.amount

    def prepare(self, x, condition):
        return x.flatten(1).double()

    def value(self, real, other):
        return self.distance(real, other)

    def distance(self, real, generated):
        return (generated.mean(0) - real.mean(0)).square().mean().sqrt().item()


class DeviationRatio(MeanDistance):
    """The deviation of the generated samples from their mean over that of the real ones."""

    optimum = 1.0
    sees = frozenset({"scale"})
    invariances = frozenset({"permutation", "shift"})

    def distance(self, real, generated):
        return (generated.var(0).mean() / real.var(0).mean()).sqrt().item()


class WrongOptimum(DeviationRatio):
    optimum = 0.0


class Offset(MeanDistance):
    """Has another optimum than it says."""

    def distance(self, real, generated):
        return super().distance(real, generated) + self.amount


class Paired(MeanDistance):
    """Compares the i-th generated with the i-th real sample."""

    sees = frozenset({"shift"})

    def distance(self, real, generated):
        return (generated - real).square().mean().sqrt().item()


class Boastful(MeanDistance):
    """Claims to see the deviation, too."""

    sees = frozenset({"shift", "scale"})
    invariances = frozenset({"permutation"})


class Saturating(MeanDistance):
    """Does not grow beyond one half."""

    def distance(self, real, generated):
        return min(0.5, super().distance(real, generated))


class Loud(MeanDistance):
    """Chance outweighs every shift: it depends on the first real element."""

    def distance(self, real, generated):
        return super().distance(real, generated) + 1000 * real[0, 1].item() ** 2


class EverySecond(MeanDistance):
    """Ignores every second element."""

    def distance(self, real, generated):
        return super().distance(real[:, ::2], generated[:, ::2])


class FaintElement(MeanDistance):
    """Sees one element only in `amount`."""

    def distance(self, real, generated):
        weight = torch.ones(real.shape[1], dtype=real.dtype).index_fill(0, torch.tensor(1), self.amount)
        return super().distance(weight * real, weight * generated)


class NarrowRatio(DeviationRatio):
    """Ignores the last element."""

    def distance(self, real, generated):
        return super().distance(real[:, :-1], generated[:, :-1])


class FirstHalf(MeanDistance):
    """Ignores the later generated samples."""

    def distance(self, real, generated):
        return super().distance(real, generated[: len(generated) // 2])


class OddReal(MeanDistance):
    """Ignores every second real sample."""

    def distance(self, real, generated):
        return super().distance(real[1::2], generated)


class Unmoved(DeviationRatio):
    """Claims not to see a shift, and takes deviations from zero."""

    def distance(self, real, generated):
        return (generated.square().mean() / real.square().mean()).sqrt().item()


class Contradictory(MeanDistance):
    invariances = frozenset({"permutation", "shift"})


class Centered(MeanDistance):
    """Its rows depend on the others of their batch."""

    def prepare(self, x, condition):
        return super().prepare(x, condition) * (1 + self.amount * x.mean())


class InPlace(MeanDistance):
    def prepare(self, x, condition):
        return x.mul_(2).flatten(1).double()


class RowsInPlace(MeanDistance):
    def value(self, real, other):
        return super().value(real.mul_(2), other)


class Noisy(MeanDistance):
    def prepare(self, x, condition):
        return super().prepare(x, condition) + 0 * torch.randn(())


class Counting(MeanDistance):
    """Adds the number of its calls."""

    calls = 0

    def value(self, real, other):
        self.calls += 1
        return super().value(real, other) + 1e-9 * self.calls


class Extra(MeanDistance):
    """Returns a row too many."""

    def prepare(self, x, condition):
        rows = super().prepare(x, condition)
        return torch.cat([rows, rows[:1]])


class LabelShare(MeanDistance):
    """The share of samples of class 1 whose mean is positive, and of class 0 whose mean is not."""

    optimum = 1.0
    invariances = frozenset({"permutation"})

    def prepare(self, x, condition):
        return ((x.flatten(1).mean(1) > 0) == (condition == 1)).double()[:, None]

    def value(self, real, other):
        return other.mean().item()


class RelativeShare(LabelShare):
    """Depends on the real samples, in spite of its trait."""

    def value(self, real, other):
        return other.mean().item() - real.mean().item()
