"""Plain scripts and peers draw from torch's global generator: each test here has a copy of it."""

import pytest
import torch


@pytest.fixture(autouse=True)
def own_global_rng():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
