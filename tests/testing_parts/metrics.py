"""The distance between means, the ratio of deviations, and what can go wrong with metrics."""

import math

import torch


class MeanDistance:
    """sqrt(mean over dimensions of (mean of generated - mean of real)²)."""

    optimum = 0.0
    sees = frozenset({"shift"})
    invariances = frozenset({"permutation", "scale"})

    def __init__(self, config):
        self.amount = config.amount
        self.real, self.generated = [], []

    def spread(self, num_samples, num_dims):
        # The means differ by N(0, 2 / n) in each dimension; the norm of a normal vector exceeds sqrt(D) + 6 rarely.
        return math.sqrt(2 / num_samples) * (1 + 6 / math.sqrt(num_dims))

    def update(self, real, generated):
        self.real.append(real.flatten(1).double())
        self.generated.append(generated.flatten(1).double())

    def compute(self):
        return self.distance(torch.cat(self.real), torch.cat(self.generated))

    def distance(self, real, generated):
        return (generated.mean(0) - real.mean(0)).square().mean().sqrt().item()


class DeviationRatio(MeanDistance):
    """The deviation of the generated samples from their mean over that of the real ones."""

    optimum = 1.0
    sees = frozenset({"scale"})
    invariances = frozenset({"permutation", "shift"})

    def distance(self, real, generated):
        return (generated.var(0).mean() / real.var(0).mean()).sqrt().item()


class Optimistic(MeanDistance):
    """Promises a spread that finite sets don't keep."""

    def spread(self, num_samples, num_dims):
        return 0.01 / num_samples


class WrongOptimum(DeviationRatio):
    optimum = 0.0


class NoFall(MeanDistance):
    def spread(self, num_samples, num_dims):
        return 1.0


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


class Generous(MeanDistance):
    """Declares a spread in which everything passes."""

    def spread(self, num_samples, num_dims):
        return 1e6 / num_samples


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


class LastChunk(MeanDistance):
    """Forgets all chunks but the last that is not empty."""

    def compute(self):
        real, generated = ([part for part in parts if len(part)][-1] for parts in (self.real, self.generated))
        return self.distance(real, generated)


class ChunkMeans(MeanDistance):
    """Averages the means of chunks, whatever their sizes."""

    def compute(self):
        real, generated = (
            torch.stack([part.mean(0) for part in parts if len(part)]) for parts in (self.real, self.generated)
        )
        return self.distance(real, generated)
