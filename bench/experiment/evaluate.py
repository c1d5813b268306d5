"""Evaluation: what victims are tested on, their learning curve, and MI of clean and published features."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.defense import Undefended
from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float
from bench.core.rng import generator, seed_for
from bench.core.train import Point, accuracies, accuracy
from bench.core.types import Dataset, Split
from bench.experiment.settings import Setting
from bench.metrics import Subject
from bench.metrics.mi.sliced import ESTIMATOR
from bench.metrics.mi.smi_ksg import smi_ksg
from bench.nets import Net

BATCH = 500
CURVE_IMAGES = 1000  # of the test set
ATTACK_STEPS, ATTACK_STEP = 20, 2 / 255  # of robust accuracy; pixels in [0,1]
ROBUST_IMAGES, SMALL_RUN = 1000, 6  # test images attacked: so many, or the training images over the second


class HeldOut:
    """Validation and test images as the victim meets them, and points of its learning curve."""

    def __init__(self, data: Dataset, setting: Setting, defense: Undefended) -> None:
        self.val, self.test = (
            Split(defense.prepare(s.images.clone()), s.labels)
            if setting.prepare_test or defense.prepares_tests
            else s
            for s in (data.val, data.test)
        )
        order = torch.randperm(len(self.test), generator=generator(seed_for(0, "curve", data.digest)))
        self.subset = self.test.take(order[:CURVE_IMAGES].to(data.test.labels.device))
        epochs, points = defense.recipe(setting.victim).epochs, setting.points
        self.epochs = {math.ceil(epochs * (i + 1) / points) for i in range(points)}

    def measure(self, net: nn.Module, epoch: int) -> Point | None:
        """Measure accuracies in [0,1] at an epoch, counted from 1, of the curve; None at the others."""
        if epoch not in self.epochs:
            return None
        return {"epoch": epoch, "val_acc": accuracy(net, self.val), "test_acc": accuracy(net, self.subset)}


def accuracy_columns(net: nn.Module, test: Split) -> dict[str, Any]:
    """Measure the row's accuracies on test images, and what naming their largest class would give."""
    test_acc, balanced_acc, class_acc = accuracies(net, test)
    chance = int(torch.bincount(test.labels.cpu()).max()) / len(test)
    return {"test_acc": test_acc, "balanced_acc": balanced_acc, "class_acc": class_acc, "chance": chance}


def robust_columns(
    net: nn.Module, test: Split, data: Dataset, setting: Setting, radius: float | None
) -> dict[str, Any]:
    """Measure accuracy under PGD-20 on the first test images of a seeded order; nothing without a radius.

    radius: L-inf, pixels in [0,1]. Steps of 2/255 from a uniform start that is cut to the pixel range,
    against the net in eval mode; the same images and starts for all victims of a data set.
    Source: Madry et al., ICLR 2018, section 2.1; 20 steps as APBench's reviewers asked for (ICLR 2024).
    """
    fewer = max(1, len(data.train) // SMALL_RUN)
    n = min(ROBUST_IMAGES, fewer) if setting.robust_images is None else setting.robust_images
    if radius is None or n == 0:
        return {}
    rng, target, right = generator(seed_for(0, "robust", data.digest)), frozen(net), 0
    seen = test.take(torch.randperm(len(test), generator=rng)[:n].to(test.labels.device))
    for images, y in zip(seen.images.split(BATCH), seen.labels.split(BATCH), strict=True):
        x, drawn = to_float(images), torch.rand(images.shape, generator=rng).to(images.device)
        start = (x + radius * (2 * drawn - 1)).clamp_(0, 1).sub_(x)

        def objective(z: Tensor, y: Tensor = y) -> Tensor:
            return -F.cross_entropy(target(z), y, reduction="sum")

        delta = pgd(objective, x, start, eps=radius, step=ATTACK_STEP, steps=ATTACK_STEPS)
        with torch.inference_mode():
            right += int((target(x + delta).argmax(1) == y).sum())
    return {"robust_acc": right / len(seen), "robust_radius": radius, "robust_images": len(seen)}


def subject(data: Dataset, setting: Setting, net: Net, published: Split) -> Subject:
    """Choose the training images that MI is measured on, the same for all nets and poisons of a data set.

    published: the poison of data.train, on the same device.
    """
    order = torch.randperm(len(data.train), generator=generator(seed_for(0, "mi", data.digest)))
    rows = order[: setting.mi.images].to(data.train.labels.device)
    clean, changed = data.train.images[rows], published.images[rows]
    return Subject(
        clean=clean.cpu(),
        published=changed.cpu(),
        labels=published.labels[rows].cpu(),
        classes=len(data.classes),
        clean_features=features(net, clean),
        published_features=features(net, changed),
        seed=seed_for(setting.seed, "mi"),
    )


@torch.inference_mode()
def features(net: Net, images: Tensor) -> Tensor:
    """Compute features, float32 (N,D) on the CPU, of uint8 (N,C,H,W) in eval mode; the net is untouched."""
    judge = frozen(net)
    return torch.cat([judge.features(to_float(part)).cpu() for part in images.split(BATCH)])


def mi_columns(data: Dataset, setting: Setting, net: Net, published: Split) -> dict[str, Any]:
    """Estimate the row's MI columns from the victim's own features: a number in nats, or why none."""
    seen = subject(data, setting, net, published)
    clean, changed = seen.clean_features.numpy(), seen.published_features.numpy()
    try:
        found = smi_ksg(clean, changed, seen.seed, setting.mi)
    except ValueError as error:
        return {"mi_estimator": ESTIMATOR, "mi_reason": str(error)}
    return {
        "mi": found.value,
        "mi_null": found.null,
        "mi_low": found.low,
        "mi_high": found.high,
        "mi_estimator": found.estimator,
        "mi_images": found.n,
        "mi_rank": found.rank,
        "mi_slices": setting.mi.slices,
        "mi_reason": str(found) if found.value is None else None,
    }
