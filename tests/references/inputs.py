"""The inputs of the reference values: the same numbers for make.py, which computes them, and for the tests."""

import zlib

import numpy as np

#: Name -> numbers of real and of generated samples, and of dimensions.
CASES = {"plane": (60, 60, 2), "many": (200, 200, 5), "high": (90, 90, 24)}


def sets(name):
    """Return real and generated samples, (N, D) float64: correlated normal numbers, and others that are shifted."""
    n, m, dims = CASES[name]
    draw = np.random.Generator(np.random.Philox(zlib.crc32(name.encode())))
    mix = draw.standard_normal((dims, dims)) / np.sqrt(dims)
    real, other = draw.standard_normal((n, dims)) @ mix, draw.standard_normal((m, dims)) @ mix
    return real, 1.2 * other + 0.3


def images(side, count=2):
    """Return colored images, (count, 3, side, side) uint8: noise on top of a gradient."""
    draw = np.random.Generator(np.random.Philox(side))
    smooth = np.linspace(0, 200, side)[:, None] * np.linspace(0.2, 1, 3)[:, None, None]
    return (smooth + draw.uniform(0, 55, (count, 3, side, side))).astype(np.uint8)


def weights(name, shape):
    """Return the random weights of a layer, float32, that keep the size of activations."""
    draw = np.random.Generator(np.random.Philox(zlib.crc32(name.encode())))
    if len(shape) > 1:
        return (draw.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))).astype(np.float32)
    spread = {"running_mean": (-0.1, 0.1), "bias": (-0.1, 0.1), "running_var": (0.8, 1.2), "weight": (0.8, 1.2)}
    return draw.uniform(*spread[name.rpartition(".")[2]], shape).astype(np.float32)
