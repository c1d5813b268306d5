"""A GPU: a replayed step against the launched one, and what several workers on one GPU make together.

Alone on a machine that has one: `pytest tests/benchmarks/test_gpu.py --benchmark-enable --benchmark-only`,
with tests/ on the path. What workers reach depends on whether CUDA's multi-process service is running.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from bench.core import replay
from bench.core.train import Streams, fit
from bench.core.types import Augmentation, Recipe
from bench.machine import set_up
from bench.nets import build
from bench.registry import catalog
from benchmarks import loops
from benchmarks.figures import Figures
from benchmarks.remote import Remote

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")]
GPU = torch.device("cuda")
BATCH, STEPS = 128, 37
WORKERS = 12


def epochs(n: int, net: str, defense: str, eager: bool = False) -> list[float]:
    """Images per second of each epoch after the first, which sets up and records; in bf16."""
    set_up(GPU, 1)
    data, recipe = loops.images(BATCH * STEPS).to(GPU), Recipe(epochs=1 + n, batch=BATCH, lr=0.01)
    model = build(net, channels=3, classes=10, size=32, precision="bf16", seed=0, device=GPU)
    chosen, ends = catalog("defenses").get(defense).value, []
    before, replay.EAGER = replay.EAGER, 10**9 if eager else replay.EAGER
    fit(
        model,
        data,
        recipe,
        Streams.of(0, 0, GPU),
        Augmentation(),
        defense=chosen,
        measure=lambda net, epoch: ends.append(time.perf_counter()),
    )
    replay.EAGER = before
    return [len(data) / (end - start) for start, end in pairwise(ends)]


@pytest.mark.parametrize("defense", ["none", "at-8"])
@pytest.mark.parametrize("net", ["resnet18-slim-s2", "resnet18-slim", "resnet18"])
def test_a_replayed_step(net: str, defense: str, figures: Figures) -> None:
    found: dict[bool, list[float]] = {True: [], False: []}

    def once() -> None:
        for eager in found:
            found[eager] += epochs(3, net, defense, eager)

    figures.seconds(once, rounds=1)
    launched, replayed = (statistics.median(found[eager]) for eager in (True, False))
    figures.add(f"replayed, {net}, {defense}, bf16, batch {BATCH}", replayed, "images/s")
    figures.add(f"replayed / launched one by one, {net}, {defense}", replayed / launched, "x")


@pytest.fixture
def crowd() -> Callable[[int, str, str], float]:
    def together(n: int, net: str, defense: str) -> float:
        """Images per second of all workers, each epoch's slowest left in."""
        remotes = [Remote() for _ in range(WORKERS)]
        for _ in range(2):  # the first round makes all processes ready, so that they compute at one time
            for remote in remotes:
                remote.send(1, epochs, n, net, defense)
            found = [remote.get() for remote in remotes]
        for remote in remotes:
            remote.close()
        return sum(map(statistics.median, found))

    return together


@pytest.mark.parametrize(("defense", "n"), [("none", 30), ("at-8", 6)])
@pytest.mark.parametrize("net", ["resnet18-slim-s2", "resnet18-slim"])
def test_workers_on_one_gpu(
    net: str, defense: str, n: int, figures: Figures, crowd: Callable[[int, str, str], float]
) -> None:
    rates: list[float] = []
    figures.seconds(lambda: rates.append(crowd(n, net, defense)), rounds=1)
    figures.add(f"{WORKERS} workers together, {net}, {defense}, bf16, batch {BATCH}", rates[-1], "images/s")
