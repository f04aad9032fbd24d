"""Two blobs in the plane, and what can go wrong with datasets."""

import os
import socket
from contextlib import suppress

import numpy as np
import torch

from gentoolkit.protocols import Batch
from gentoolkit.randomness import numpy_generator


class Blobs:
    """Sample i has label i mod 2 and lies around (2, 0) or (-2, 0); values are clipped to [-8, 8]."""

    def __init__(self, config, split, seed):
        self.config, self.split, self.seed = config, split, seed
        self.first = self.start(split)

    def start(self, split):
        return 0 if split == "train" else self.config.num_samples

    def __len__(self):
        return self.config.num_samples

    def draw(self, index):
        return numpy_generator(self.seed, "blobs", index).standard_normal(2)

    def batch(self, indices):
        absolute = self.first + np.asarray(indices)
        labels = absolute % 2
        points = np.stack([self.draw(int(i)) for i in absolute]) + np.stack([2 - 4 * labels, 0 * labels], 1)
        return Batch(torch.from_numpy(points.clip(-8, 8).astype(np.float32)), torch.from_numpy(labels))


class Loud(Blobs):
    """Leaves the range that it declares."""

    def draw(self, index):
        return 10 * super().draw(index)

    def batch(self, indices):
        batch = super().batch(indices)
        return Batch(2 * batch.x1, batch.condition)


class ThirdLabel(Blobs):
    def batch(self, indices):
        batch = super().batch(indices)
        return Batch(batch.x1, batch.condition + 1)


class ShortLabels(Blobs):
    def batch(self, indices):
        batch = super().batch(indices)
        return Batch(batch.x1, batch.condition.int())


class Streaming(Blobs):
    """Draws from one generator in the order of reading."""

    def __init__(self, config, split, seed):
        super().__init__(config, split, seed)
        self.generator = np.random.default_rng([seed, self.first])

    def draw(self, index):
        return self.generator.standard_normal(2)


class Lumped(Blobs):
    """A sample depends on the batch that it is read in."""

    def batch(self, indices):
        batch = super().batch(indices)
        return Batch((batch.x1 - batch.x1.max(0).values).clamp(-8, 8), batch.condition)


class OwnProcess(Blobs):
    """Differs from process to process."""

    def draw(self, index):
        return numpy_generator(os.getpid(), "blobs", index).standard_normal(2)


class OwnWorker(Blobs):
    """Differs from worker to worker."""

    def draw(self, index):
        worker = torch.utils.data.get_worker_info()
        return super().draw(index + 1000 * worker.id if worker else index)


class SameSplit(Blobs):
    """Holds out what it trains on."""

    def start(self, split):
        return 0


class OneShared(Blobs):
    """Holds out one training sample."""

    def start(self, split):
        return 0 if split == "train" else self.config.num_samples - 1


class NearTwins(Blobs):
    """Holds out its training samples plus `amount`."""

    def start(self, split):
        return 0

    def batch(self, indices):
        batch = super().batch(indices)
        return batch if self.split == "train" else Batch(batch.x1 + self.config.amount, batch.condition)


class SomeNearTwins(Blobs):
    """Holds out `amount` of its training samples, plus 1e-6."""

    def draw(self, index):
        twin = index - self.config.num_samples
        return super().draw(twin) + 1e-6 if 0 <= twin < self.config.amount else super().draw(index)


class LostShard(Blobs):
    """Each build has another first sample."""

    builds = 0

    def __init__(self, config, split, seed):
        super().__init__(config, split, seed)
        LostShard.builds += 1
        self.offset = 1e-3 * LostShard.builds

    def draw(self, index):
        return super().draw(index) + self.offset * (index == 0)


class Twins(Blobs):
    """Has every sample twice, which is no fault."""

    def batch(self, indices):
        return super().batch(np.asarray(indices) // 2 * 2)


class PhoneHome(Blobs):
    """Asks a server, and works without it."""

    def __init__(self, config, split, seed):
        super().__init__(config, split, seed)
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
