"""Learning-rate schedules, and what can go wrong with them."""


class Flat:
    """Always at the peak."""

    def __init__(self, config):
        self._amount = config.amount

    def fraction(self, step, total_steps, steps_per_epoch):
        return 1.0


class Cycles(Flat):
    """Rises from 0, and falls and rises again, to below the peak."""

    def fraction(self, step, total_steps, steps_per_epoch):
        return [0.0, 0.5, 1.0, 0.4, 0.9][step % 5] if step < 5 else [0.2, 0.8][step % 2]


class Above(Flat):
    """Exceeds the peak, by amount."""

    def fraction(self, step, total_steps, steps_per_epoch):
        return 1.0 + self._amount


class Whole(Flat):
    def fraction(self, step, total_steps, steps_per_epoch):
        return 1


class Counting(Flat):
    """Counts its calls instead of the steps."""

    calls = 0

    def fraction(self, step, total_steps, steps_per_epoch):
        self.calls += 1
        return 1 / self.calls


class Stumbles(Flat):
    """Falls by amount during its warm-up."""

    def fraction(self, step, total_steps, steps_per_epoch):
        return 1.0 if step > 3 else [0.25, 0.5, 0.5 - self._amount, 0.75][step]


class Low(Flat):
    """Stays below the peak, by amount."""

    def fraction(self, step, total_steps, steps_per_epoch):
        return 1.0 - self._amount


class Stops(Flat):
    """Written for runs of 1,000 steps."""

    def fraction(self, step, total_steps, steps_per_epoch):
        return max(0.0, 1 - step / 1000)
