"""Two workers against one, beside what two processes that only compute gain on this machine."""

from __future__ import annotations

import statistics
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from bench.core.types import Augmentation, Dataset, Recipe
from bench.data.prepare import digest
from bench.experiment.context import RunContext
from bench.experiment.registry import catalog
from bench.experiment.settings import Setting
from bench.metrics.mi.settings import MISettings
from bench.results.rows import load_all
from bench.runner import grid
from bench.runner.backends.local import Pool
from bench.runner.progress import Progress
from benchmarks import loops
from benchmarks.figures import Figures
from benchmarks.remote import Remote

NET, PRECISION, BATCH = "small", "fp32", 64


def trained_per_second(folder: Path, workers: int, steps: int) -> float:
    """Images per second of each of two victims, added up for those that train at once."""
    data = loops.images(BATCH * steps)
    few = data.take(torch.arange(128))
    names, augmentation = tuple("abcdefghij"), Augmentation()
    true = digest((data, few, few), names, augmentation)
    dataset = Dataset("timed", true, data, few, few, names, augmentation)
    victim, mi = Recipe(epochs=2, batch=BATCH, lr=0.01), MISettings(images=100, slices=4)
    setting = Setting(victim=victim, points=1, mi=mi, precision=PRECISION, net=NET, reps=2)  # type: ignore[arg-type]
    context = RunContext(dataset, setting, "quick", loops.CPU, folder / "cache", {})
    methods, defenses = catalog("methods"), catalog("defenses")
    wanted = grid.cells(context, [methods.get("clean")], [defenses.get("none")])
    (folder / "rows").mkdir(parents=True)
    progress = Progress(Console(quiet=True))
    outcome = grid.run(
        context, wanted, folder / "rows", progress, partial(Pool, workers=workers, plugins=None), None
    )
    assert outcome.computed == len(wanted) == 2
    seconds = [row.train_seconds or 0 for row in load_all(folder / "rows")]
    return sum(victim.epochs * len(data) / s for s in seconds) / (1 if workers == 2 else 2)


def test_two_workers(figures: Figures, remotes: tuple[Remote, Remote], tmp_path: Path) -> None:
    torch.set_num_threads(1)
    steps = 400 if figures.full else 2
    counts = {"one": 1, "two": 2 if figures.full else 1}  # workers
    ceilings, gains = [], []

    def once() -> None:
        round_ = tmp_path / str(len(gains))
        asked = (1, loops.bare_rate, NET, PRECISION, BATCH, steps)
        before = remotes[0].call(*asked)
        for remote in remotes:
            remote.send(*asked)
        both = sum(remote.get() for remote in remotes)
        ceilings.append(2 * both / (before + remotes[0].call(*asked)))  # the machine may change meanwhile
        one, two = (trained_per_second(round_ / name, n, steps) for name, n in counts.items())
        gains.append(two / one)

    figures.seconds(once, rounds=5)
    ceiling, gain = statistics.median(ceilings), statistics.median(gains)
    figures.add("images per second, two bare processes / one: the machine's ceiling", ceiling, "x")
    figures.add("images per second, two workers / one", gain, "x")
    figures.add("two workers' gain / the ceiling", gain / ceiling, "x", ">= 0.95")
