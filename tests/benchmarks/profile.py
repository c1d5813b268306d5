"""python -m benchmarks.profile DIR: where the time goes, by torch's and Python's profilers."""

from __future__ import annotations

import cProfile
import pstats
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity
from torch.profiler import profile as torch_profile

from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float
from bench.metrics.mi.settings import MISettings
from bench.metrics.mi.smi_noisy import smi_noisy
from bench.report.formats import markdown
from benchmarks import loops
from defenses.cutout import Cutout

SHOWN = 8  # operations
Shares = list[tuple[str, float]]


def of_operations(work: Callable[[], object]) -> Shares:
    """Shares of the processor's time, each operation without those that it calls."""
    work()
    with torch_profile(activities=[ProfilerActivity.CPU]) as seen:
        work()
    events = seen.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    return largest([(event.key, event.self_cpu_time_total / total) for event in events])


def of_functions(work: Callable[[], object]) -> Shares:
    """The same of Python's functions."""
    work()
    profiler = cProfile.Profile()
    profiler.runcall(work)
    found = pstats.Stats(profiler)
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, object]] = found.stats  # type: ignore[attr-defined]
    total = sum(own[2] for own in stats.values())
    return largest([(name, own[2] / total) for (_, _, name), own in stats.items()])


def largest(shares: Shares) -> Shares:
    return sorted(shares, key=lambda own: -own[1])[:SHOWN]


def sign_steps() -> None:
    data, net = loops.images(512), frozen(loops.net_of("small", "fp32"))
    x = to_float(data.images)

    def objective(z: Tensor) -> Tensor:
        return F.cross_entropy(net(z), data.labels, reduction="sum")

    pgd(objective, x, torch.zeros_like(x), eps=8 / 255, step=1 / 255, steps=10)


def dependence() -> None:
    clean, noise = np.random.default_rng(0).standard_normal((2, 5000, 128))
    smi_noisy(clean, clean + noise, 0, MISettings())


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    lines = ["# Where the time goes", "", "Of one thread, by `tox -e bench`: percent of its own time."]
    parts = (
        ("training the small net, fp32, batch 64", of_operations, loops.ours("small", "fp32", 64, 60)),
        ("the same under Cutout", of_operations, loops.ours("small", "fp32", 64, 60, Cutout())),
        ("sign steps on the small net, fp32, batch 512", of_operations, sign_steps),
        ("MI at 5,000 images, 500 slices, with null and interval", of_functions, dependence),
    )
    for what, shares_of, work in parts:
        shares = [[f"`{name}`", f"{100 * share:.0f}"] for name, share in shares_of(work)]
        lines += ["", markdown(pd.DataFrame(shares, columns=[what, "%"]), "lr")]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "profile.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
