"""How time and memory grow with the number of images."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
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
from benchmarks.figures import Figures, timed


def test_time(figures: Figures) -> None:
    """The exponent of a power law fitted to an epoch's seconds."""
    torch.set_num_threads(1)
    counts = (1_000, 3_000, 10_000, 50_000) if figures.full else (4, 8)
    seconds: list[float] = []

    def epochs() -> None:
        seconds[:] = [timed(loops.ours("small", "fp32", 50, max(n // 50, 1))) for n in counts]

    figures.seconds(epochs, rounds=2)
    exponent = float(np.polyfit(np.log(counts), np.log(seconds), 1)[0])
    what = f"exponent of an epoch's seconds, {counts[0]:,} to {counts[-1]:,} images"
    figures.add(what, exponent, "", "<= 1.05")


def peak_mb(n: int, folder: Path, workers: int) -> float:
    """Of a worker that trains and measures victims on n images, with one static defense."""
    data, few = loops.images(n), loops.images(100)
    names, augmentation = tuple("abcdefghij"), Augmentation()
    true = digest((data, few, few), names, augmentation)
    dataset = Dataset("grown", true, data, few, few, names, augmentation)
    setting = Setting(victim=Recipe(epochs=1, batch=64), points=1, mi=MISettings(images=100, slices=4))
    context = RunContext(dataset, setting, "quick", loops.CPU, folder / "cache", {})
    methods, defenses = [catalog("methods").get("random")], [catalog("defenses").get("iss-bdr2")]
    progress, rows = Progress(Console(quiet=True)), folder / "rows"
    rows.mkdir(parents=True)
    for _ in range(2):  # rows of processes that did not craft
        for path in rows.glob("*.json"):
            path.unlink()
        grid.run(
            context,
            grid.cells(context, methods, defenses),
            rows,
            progress,
            partial(Pool, workers=workers, plugins=None),
            None,
        )
    (row,) = load_all(rows)
    return row.train_peak_mb or 0.0


def test_memory(figures: Figures, tmp_path: Path) -> None:
    few, many = (1_000, 50_000) if figures.full else (128, 256)
    peaks: list[float] = []

    def both() -> None:
        peaks[:] = [peak_mb(n, tmp_path / str(n), 2 if figures.full else 1) for n in (few, many)]

    figures.benchmark.pedantic(both, rounds=1)
    data = (many - few) * 3 * 32 * 32 / 2**20  # net and batch are in both peaks
    what = f"memory of a victim's worker, {many:,} images less {few:,} / the images"
    figures.add(what, (peaks[1] - peaks[0]) / data, "x", "<= 2")
