"""Evaluation: what victims are tested on, their learning curve, and MI of clean and published features."""

from __future__ import annotations

import math
from dataclasses import replace
from hashlib import sha256
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
from bench.metrics.mi.estimate import ENDS, Estimate, Interval
from bench.metrics.mi.labels import label_information
from bench.metrics.mi.smi_noisy import NAME, smi_noisy
from bench.nets import Net

BATCH = 500
PURIFIED = "no mi_shown: the defense purifies all images together, and was not given the clean ones"
CURVE_IMAGES = 1000  # of the test set
ATTACK_STEPS, ATTACK_STEP = 20, 2 / 255  # of robust accuracy; pixels in [0,1]
MOST_COPIES = 0.01  # share of the images of which MI is measured, from which on it is not
ROBUST_IMAGES, SMALL_RUN = 1000, 6  # test images attacked: so many, or the training images over the second


class Copies(ValueError):
    """Too many images are copies of others for what they tell to be measured."""


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
        loss = lambda z, y=y: -F.cross_entropy(target(z), y, reduction="sum")  # noqa: E731
        delta = pgd(loss, x, start, eps=radius, step=ATTACK_STEP, steps=ATTACK_STEPS)
        with torch.inference_mode():
            right += int((target(x + delta).argmax(1) == y).sum())
    return {"robust_acc": right / len(seen), "robust_radius": radius, "robust_images": len(seen)}


def subject(data: Dataset, setting: Setting, net: Net, published: Split) -> Subject:
    """Choose the training images that MI is measured on, the same for all nets and poisons of a data set.

    published: the poison of data.train, on the same device. Raises Copies where too many are of others.
    """
    order = torch.randperm(len(data.train), generator=generator(seed_for(0, "mi", data.digest)))
    rows = order[: setting.mi.images].to(data.train.labels.device)
    clean, changed = data.train.images[rows], published.images[rows]
    copies = len(clean) - len({sha256(image.tobytes()).digest() for image in clean.cpu().numpy()})
    if copies and copies >= MOST_COPIES * len(clean):
        raise Copies(
            f"no mi: {copies} of {len(clean)} training images are exact copies of others, which tell of "
            f"themselves; expected less than {MOST_COPIES:.0%}: remove them"
        )
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


def mi_columns(
    data: Dataset, setting: Setting, net: Net, published: Split, defense: Undefended
) -> dict[str, Any]:
    """Estimate the row's MI columns from the victim's own features: numbers in nats, or why none.

    Of (clean, published), and of both as the defense prepares them, which is the same where it does nothing.
    What purifies all images at once was never given the clean ones: there is no such pair.
    """
    try:
        seen, device = subject(data, setting, net, published), data.train.images.device
    except Copies as error:
        return {"mi_estimator": NAME, "mi_slices": setting.mi.slices, "mi_reason": str(error)}
    clean, theirs = (defense.prepare(side.clone()) for side in (seen.clean, seen.published))
    columns = {"mi_estimator": NAME, "mi_slices": setting.mi.slices, "mi_labels": _of_classes(net, seen)}
    try:
        found = as_shown = _estimate(seen, setting)
        columns |= _of_pair(found)
        if not (torch.equal(clean, seen.clean) and torch.equal(theirs, seen.published)):
            own, other = (features(net, side.to(device)) for side in (clean, theirs))
            as_shown = _estimate(replace(seen, clean_features=own, published_features=other), setting)
    except ValueError as error:
        return columns | {"mi_reason": f"as shown: {error}" if "mi" in columns else str(error)}
    if type(defense).purify is not Undefended.purify:
        return {
            "mi_reason": PURIFIED,
            **{name: value for name, value in columns.items() if value is not None},
        }
    if found.value is not None and as_shown.value is None:
        columns["mi_reason"] = f"as shown: {as_shown}"
    shown = {"": as_shown.value, "_low": as_shown.low, "_high": as_shown.high}
    columns |= {f"mi_shown{end}": value for end, value in shown.items()}
    columns["mi_shown_ceiling"] = as_shown.ceiling.value if as_shown.ceiling else None
    return columns | _ends("mi_shown_gap", as_shown.gap)


def _estimate(seen: Subject, setting: Setting) -> Estimate:
    clean, published = seen.clean_features.numpy(), seen.published_features.numpy()
    return smi_noisy(clean, published, seen.seed, setting.mi)


def _of_pair(found: Estimate) -> dict[str, Any]:
    """Name what was found of clean and published features as the row does."""
    own = {f"mi_{name}": getattr(found, name) for name in ("null", "low", "high")}
    ends = _ends("mi_ceiling", found.ceiling) | _ends("mi_gap", found.gap)
    reason = str(found) if found.value is None else None
    rest = {"mi_share": found.figures.get("share"), "mi_images": found.n, "mi_reason": reason}
    return {"mi": found.value, **own, **ends, **rest}


def _ends(column: str, found: Interval | None) -> dict[str, float | None]:
    return {f"{column}{end}": getattr(found, name, None) for end, name in ENDS.items()}


@torch.inference_mode()
def _of_classes(net: Net, seen: Subject) -> float:
    """Estimate MI of the classes that the net predicts of clean and of published images."""
    judge, device = frozen(net), next(net.parameters()).device
    both = seen.clean_features, seen.published_features
    clean, published = (judge.head(side.to(device)).argmax(1).cpu().numpy() for side in both)
    return label_information(clean, published)
