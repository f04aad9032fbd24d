"""Saboteur of any.no_torch: a declaration that imports torch."""

import torch

from testing_parts.configs import StepsConfig


class EagerConfig(StepsConfig):
    device: str = torch.device("cpu").type
