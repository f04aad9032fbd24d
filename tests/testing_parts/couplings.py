"""Couplings, and what can go wrong with them."""

import torch


def ranks(x):
    """Return the rows in the order of the mean over the elements."""
    return x.flatten(1).mean(1).argsort()


class ByMean:
    """Pairs x0 and x1 in the order of their means."""

    def __init__(self, config):
        self.amount = config.amount

    def couple(self, x0, x1, condition):
        rows = torch.empty(len(x1), dtype=torch.int64)
        rows[ranks(x1)] = ranks(x0)
        return rows


class Kept:
    """Keeps pairs as they are drawn."""

    def __init__(self, config):
        pass

    def couple(self, x0, x1, condition):
        return torch.arange(len(x1))


class Reversed(Kept):
    def couple(self, x0, x1, condition):
        return torch.arange(len(x1)).flip(0)


class Idle(ByMean):
    """Uses the batch for nothing."""

    def couple(self, x0, x1, condition):
        return torch.arange(len(x1))


class Nearest(ByMean):
    """Takes the nearest x0 for each x1, several times if need be."""

    def couple(self, x0, x1, condition):
        return torch.cdist(x1.flatten(1), x0.flatten(1)).argmin(1)


class Short(ByMean):
    """Numbers of 32 bits."""

    def couple(self, x0, x1, condition):
        return super().couple(x0, x1, condition).int()


class OneTwice(ByMean):
    """Uses one row of x0 twice in batches of `amount` pairs or more."""

    def couple(self, x0, x1, condition):
        rows = super().couple(x0, x1, condition)
        if len(rows) >= self.amount:
            rows[0] = rows[1]
        return rows


class Swapped(ByMean):
    """Swaps the x0 of the first two rows."""

    def couple(self, x0, x1, condition):
        rows = super().couple(x0, x1, condition)
        if len(rows) > 2:
            rows[:2] = rows[:2].flip(0)
        return rows


class Greedy(ByMean):
    """The first x1 takes its nearest x0, and so on: the pairs depend on the order of x1."""

    def couple(self, x0, x1, condition):
        cost = torch.cdist(x1.flatten(1), x0.flatten(1))
        rows = torch.empty(len(x1), dtype=torch.int64)
        for k in range(len(x1)):
            rows[k] = cost[k].argmin()
            cost[:, rows[k]] = torch.inf
        return rows


class Random(ByMean):
    def couple(self, x0, x1, condition):
        return torch.randperm(len(x1))


class Remembering(ByMean):
    """Reverses the pairs of every second batch."""

    calls = 0

    def couple(self, x0, x1, condition):
        self.calls += 1
        rows = super().couple(x0, x1, condition)
        return rows if self.calls % 3 else rows.flip(0)


class InPlace(ByMean):
    def couple(self, x0, x1, condition):
        x0 -= x0.mean()
        return super().couple(x0, x1, condition)
