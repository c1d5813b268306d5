"""How fast this device trains a net: from a few timed steps of the one training loop."""

from __future__ import annotations

import time
from dataclasses import replace

import torch

from bench.core.train import Streams, fit
from bench.experiment.cell import Bench

WARM_UP, STEPS = 5, 20  # steps that are not timed, the recording of cuda_graphs.py among them, and that are


def images_per_second(bench: Bench, net: str) -> float:
    """Of undefended training in this process, in the victim's batches, whatever the recipe's length."""
    victim, data, device = bench.setting.victim, bench.data, bench.device
    rows = torch.arange((WARM_UP + STEPS) * victim.batch, device=device) % len(data.train)
    done, ends = 0, []

    def tick(share: float, what: str) -> None:
        nonlocal done
        done += 1
        if done in (WARM_UP, WARM_UP + STEPS):
            if device.type == "cuda":  # steps are queued there, not done
                torch.cuda.synchronize(device)
            ends.append(time.perf_counter())

    once, streams = replace(victim, epochs=1), Streams.of(0, 0, device)
    fit(bench.build(net, 0), data.train.take(rows), once, streams, data.augmentation, tick=tick)
    started, ended = ends
    return STEPS * victim.batch / (ended - started)
