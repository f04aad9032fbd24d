"""Sampling with equal NFE: ours through the public API, the plain script's Euler loop, diffusers' scheduler loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from torch import Tensor

from benchmarks.peers import diffusers_dit, installed
from benchmarks.plain_script import PlainDiT, plain_sample
from benchmarks.reference import precisions, reference
from benchmarks.timing import Row, in_processes, interleaved, ratio
from gentoolkit.pipeline import Model

SECTION = "sampling"


def measure(quick: bool) -> list[Row]:
    """Return ratios of the times for one batch of images; `quick` takes a smaller batch and fewer steps."""
    batch_size, num_steps, rounds = (16, 5, 5) if quick else (64, 20, 3)
    contenders: dict[str, Callable[[], Callable[[], object]]] = {
        "plain fp32": partial(plain, batch_size, num_steps),
        **{f"ours {precision}": partial(ours, batch_size, num_steps, precision) for precision in precisions()},
        **({} if quick else peers(batch_size, num_steps)),
    }
    with in_processes(contenders) as samplings:
        times = interleaved(samplings, rounds)
    auto = f"ours {precisions()[-1]}"
    seconds = f"{batch_size} images, {num_steps} Euler steps; plain: {median(times['plain fp32']):.1f} s"
    rows = [
        ratio(SECTION, f"plain fp32 / {name}", times["plain fp32"], times[name], seconds)
        for name in times
        if name.startswith("ours")
    ]
    peer_names = [name for name in times if name.startswith("diffusers")]
    return rows + [ratio(SECTION, f"{name} / {auto}", times[name], times[auto]) for name in peer_names]


def plain(batch_size: int, num_steps: int) -> Callable[[], object]:
    """Return the plain script's sampling of one batch."""
    model, label = PlainDiT().eval(), torch.arange(batch_size) % 4
    return lambda: plain_sample(model, label, num_steps)


def ours(batch_size: int, num_steps: int, precision: str) -> Callable[[], object]:
    """Return our sampling of as many images, in chunks of whatever size the settings have by default."""
    model = Model.build(reference(f"sampler.num_steps={num_steps}", f"sample.precision={precision}"))
    return lambda: model.sample(per_class=batch_size // 4)


def peers(batch_size: int, num_steps: int) -> dict[str, Callable[[], Callable[[], object]]]:
    """Return what makes diffusers' loop, in fp32 and with the weights in bf16, as its users load them to be quick."""
    makers = installed({"diffusers": diffusers_loop})
    return {
        f"{name} {precision}": partial(make, batch_size, num_steps, precision)
        for name, make in makers.items()
        for precision in precisions()
    }


def diffusers_loop(batch_size: int, num_steps: int, precision: str) -> Callable[[], object]:
    """Return the loop of diffusers' pipelines: `set_timesteps`, then model and `step` for each timestep."""
    from diffusers import FlowMatchEulerDiscreteScheduler

    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    model, scheduler = diffusers_dit().eval().to(dtype), FlowMatchEulerDiscreteScheduler()
    label = torch.arange(batch_size) % 4

    @torch.no_grad()
    def sample() -> Tensor:
        scheduler.set_timesteps(num_steps)
        x = torch.randn(batch_size, 4, 32, 32, dtype=dtype)
        for t in scheduler.timesteps:
            velocity = model(x, timestep=t.expand(batch_size), class_labels=label).sample
            x = scheduler.step(velocity, t, x).prev_sample
        return x

    return sample
