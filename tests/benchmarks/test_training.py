"""The training loop against the bare step and against the usual loop, and what its curve costs."""

from __future__ import annotations

import statistics

import pytest
import torch

from bench.core.train import accuracy
from bench.experiment.settings import PROFILES
from benchmarks import loops
from benchmarks.figures import Figures, timed
from benchmarks.remote import Remote

SIZES = {"small": ("fp32", 64, 60), "resnet18-slim": ("bf16", 128, 12), "resnet18": ("bf16", 128, 3)}
NEW = {  # nets of other families
    "conv5": ("fp32", 64, 20),
    "vgg-slim": ("bf16", 128, 6),
    "densenet-slim": ("bf16", 64, 3),
    "mobilenet-slim": ("bf16", 128, 4),
    "efficientnet_b0-tv": ("bf16", 64, 2),
    "vit-slim": ("bf16", 128, 6),
    "vit-tiny": ("bf16", 64, 3),
}
BARS = {"resnet18": ("2.3", "2.5"), "resnet18-slim": ("1.6", "1.9")}


def size_of(net: str, full: bool) -> tuple[str, int, int]:
    """Precision, batch and steps."""
    precision, batch, steps = (SIZES | NEW)[net]
    return (precision, batch, steps) if full else (precision, 2, 1)


@pytest.mark.parametrize("net", [*SIZES, *NEW])
def test_fit_against_the_bare_step(net: str, figures: Figures) -> None:
    torch.set_num_threads(1)
    precision, batch, steps = size_of(net, figures.full)
    bare = loops.bare(net, precision, batch)
    ours = loops.ours(net, precision, batch, steps)
    ratio = figures.ratio(ours, lambda: bare(steps), rounds=15)  # of five the median moved by a tenth
    figures.add(
        f"images per second, fit / bare step, {net} {precision}",
        ratio,
        "x",
        f">= {0.95 if net in NEW else 0.9}",
    )


@pytest.mark.parametrize("net", [*SIZES, *NEW])
def test_share_of_the_matmul_peak(net: str, figures: Figures) -> None:
    """How long products of as many operations take, against a bare step.

    Above 1 where a convolution gets by with fewer than are counted, as Winograd's does.
    """
    torch.set_num_threads(1)
    precision, batch, _ = size_of(net, figures.full)
    bare = loops.bare(net, precision, batch)
    flops = loops.flops_of(lambda: bare(1))
    ratio = figures.ratio(lambda: bare(1), loops.matmul(flops, precision))
    figures.add(f"share of the matmul peak, a bare step, {net} {precision}", ratio)


@pytest.mark.parametrize("net", BARS)
def test_against_the_usual_loop(net: str, figures: Figures, remotes: tuple[Remote, Remote]) -> None:
    """In turn: the usual loop with two threads, ours with two, ours in two processes of one."""
    precision, batch, steps = size_of(net, figures.full)
    found: list[tuple[float, float, float]] = []

    def once() -> None:
        first, second = remotes
        theirs = first.call(2, loops.reference_rate, net, batch, steps)
        one = first.call(2, loops.our_rate, net, precision, batch, steps)
        for remote in remotes:
            remote.send(1, loops.our_rate, net, precision, batch, steps)
        found.append((theirs, one, first.get() + second.get()))

    figures.seconds(once, rounds=3)
    counted = found[1:] or found  # the first warms up
    theirs, one, two = (statistics.median(column) for column in zip(*counted, strict=True))
    figures.add(f"usual loop, fp32, 2 threads, {net}", theirs, "images/s")
    for what, rate, bar in (("one process", one, BARS[net][0]), ("two workers", two, BARS[net][1])):
        figures.add(f"ours / usual loop, {what}, {net} {precision}", rate / theirs, "x", f">= {bar}")


def test_share_of_the_learning_curve(figures: Figures) -> None:
    """What measuring the curve adds to training, with the points and epochs of cifar-cpu."""
    torch.set_num_threads(1)
    setting = PROFILES["cifar-cpu"].setting
    full, epochs, points = figures.full, setting.victim.epochs, setting.points
    batch, steps = (64, 40) if full else (2, 1)
    looked_at = loops.images(1500 if full else 8)  # validation and test images of a point
    net = loops.net_of(setting.net, "bf16")
    train = timed(loops.ours(setting.net, "bf16", batch, steps)) / (batch * steps) * 9500 * epochs
    once = figures.seconds(lambda: accuracy(net, looked_at))
    figures.add("learning curve / training, cifar-cpu, 9,500 images", once * points / train)
