"""A GPU: a replayed step against the launched one, and what several workers on one GPU make together.

Alone on a machine that has one: `pytest tests/benchmarks/test_gpu.py --benchmark-enable --benchmark-only`,
with tests/ on the path. What workers reach depends on whether CUDA's multi-process service is running.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch

from bench.core import cuda_graphs
from bench.core.train import Streams, fit
from bench.core.types import Augmentation, Recipe
from bench.experiment.device import set_up
from bench.experiment.registry import catalog
from bench.nets import build
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
    before, cuda_graphs.EAGER = cuda_graphs.EAGER, 10**9 if eager else cuda_graphs.EAGER
    fit(
        model,
        data,
        recipe,
        Streams.of(0, 0, GPU),
        Augmentation(),
        defense=chosen,
        measure=lambda net, epoch: ends.append(time.perf_counter()),
    )
    cuda_graphs.EAGER = before
    return [len(data) / (end - start) for start, end in pairwise(ends)]


@pytest.mark.parametrize("defense", ["none", "at-8"])
@pytest.mark.parametrize("net", ["resnet18-slim", "resnet18"])
def test_a_replayed_step(net: str, defense: str, figures: Figures) -> None:
    found: dict[bool, list[float]] = {True: [], False: []}

    def once() -> None:
        for eager in found:
            found[eager] += epochs(3, net, defense, eager)

    figures.seconds(once, rounds=1)
    launched, replayed = (statistics.median(found[eager]) for eager in (True, False))
    figures.add(f"replayed, {net}, {defense}, bf16, batch {BATCH}", replayed, "images/s")
    figures.add(f"replayed / launched one by one, {net}, {defense}", replayed / launched, "x")


@pytest.fixture(scope="module")
def crowd() -> Iterator[list[Remote]]:
    remotes = [Remote() for _ in range(WORKERS)]
    yield remotes
    for remote in remotes:
        remote.close()


@pytest.mark.parametrize(("defense", "n"), [("none", 30), ("at-8", 6)])
def test_workers_on_one_gpu(defense: str, n: int, figures: Figures, crowd: list[Remote]) -> None:
    rates: list[float] = []

    def together() -> None:
        for remote in crowd:
            remote.send(1, epochs, n, "resnet18-slim", defense)
        rates.append(sum(statistics.median(remote.get()) for remote in crowd))

    figures.seconds(together, rounds=1)  # what warms up makes all processes ready, so that they meet
    what = f"{WORKERS} workers together, resnet18-slim, {defense}, bf16, batch {BATCH}"
    figures.add(what, rates[-1], "images/s")
