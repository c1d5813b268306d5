"""Sign steps: MI-UE's against cross-entropy's, and how many images each method perturbs in a second."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.core.method import Lab
from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float
from bench.core.types import Augmentation
from bench.experiment.overrides import change
from bench.experiment.registry import catalog
from benchmarks import loops
from benchmarks.figures import Figures, timed
from methods.miue import MIUE

EPS = 8 / 255
ONCE = ("surrogate.epochs", "max_rounds", "max_passes", "restarts")  # 1 of it, in methods that have it
PERTURBING = [plugin.name for plugin in catalog("methods").choose("all") if not plugin.control]


def test_miue_step_against_cross_entropy(figures: Figures) -> None:
    torch.set_num_threads(1)
    batch = 512 if figures.full else 8
    data, net, miue = loops.images(batch), frozen(loops.net_of("resnet18", "bf16")), MIUE()
    x, delta = to_float(data.images), torch.zeros(data.images.shape)
    same = data.labels[:, None] == data.labels

    def similarity(z: Tensor) -> Tensor:
        return miue.objective(net.features(z), same)

    def cross_entropy(z: Tensor) -> Tensor:
        return F.cross_entropy(net(z), data.labels, reduction="sum")

    def steps(objective: object) -> None:
        pgd(objective, x, delta, eps=EPS, step=EPS / 10, steps=1)  # type: ignore[arg-type]

    ratio = figures.ratio(lambda: steps(cross_entropy), lambda: steps(similarity))
    what = f"seconds of a sign step, mi-ue / cross-entropy, resnet18 bf16, batch {batch}"
    figures.add(what, ratio, "x", "<= 1.15")


@pytest.mark.parametrize("name", PERTURBING)
def test_image_steps_per_second(name: str, figures: Figures) -> None:
    """From the time of a crafting with three times the steps less that of one."""
    torch.set_num_threads(1)
    value, n, few = catalog("methods").get(name).value, 512 if figures.full else 40, 6 if figures.full else 1
    for path in ONCE:
        if path.partition(".")[0] in {f.name for f in fields(value)}:
            value = change(value, path, 1, name)
    clean = loops.images(n)
    lab = Lab(10, Augmentation(), clean, lambda seed: loops.net_of("resnet18-slim", "bf16"), 0)

    def craft(steps: int) -> None:
        replace(value, steps=steps).craft(clean, lab)

    craft(1)
    seconds = figures.seconds(lambda: craft(3 * few)) - timed(lambda: craft(few))
    figures.add(f"{name}, sign steps, resnet18-slim bf16", 2 * few * n / max(seconds, 1e-9), "images/s")
