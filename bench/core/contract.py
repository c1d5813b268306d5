"""The contract of methods/: what is crafted and published is what the method declares, by measurement."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.core.pixels import GRID, check_like, release
from bench.core.threat import Threat

LEEWAY = 1e-6  # of float32 sums, pixels in [0,1]
SHRINK = 0.999  # of an image's perturbation, beyond what brings its norm to the radius
TRIES = 100  # of bringing rounded images back inside; a few are enough
SIGNS = {"l2": "an L2 norm", "l0": "pixels changed"}


def sizes(threat: Threat, change: Tensor) -> Tensor:
    """Measure changes (N,C,H,W), pixels in [0,1], in the norm: (N,) in the unit of the radius."""
    if threat.norm == "l2":
        norms: Tensor = torch.linalg.vector_norm(change, dim=(1, 2, 3), dtype=torch.float64)
        return norms
    if threat.norm == "l0":
        return (change != 0).any(1).sum((1, 2))
    return change.abs().amax((1, 2, 3))


def published(threat: Threat, images: Tensor, delta: Tensor) -> Tensor:
    """Publish images + delta as uint8, rounded to nearest and then brought back into the radius.

    images: uint8 (N,C,H,W). delta: float32 (N,C,H,W), pixels in [0,1]. An image whose L2 norm rounding has
    pushed out has its delta scaled down until the rounded one is inside.
    """
    if threat.norm != "l2" or threat.rounded:
        return release(images, delta, threat.radius if threat.norm == "linf" else 1.0)
    found, scaled = release(images, delta, 1.0), delta
    for _ in range(TRIES):
        now = sizes(threat, (found.int() - images.int()) / GRID)
        over = (now > threat.radius).nonzero()[:, 0]
        if not len(over):
            break
        scaled = scaled.clone() if scaled is delta else scaled
        scaled[over] *= (SHRINK * threat.radius / now[over])[:, None, None, None].float()
        found[over] = release(images[over], scaled[over], 1.0)
    return found


def check_form(found: Tensor, images: Tensor, who: str) -> None:
    """Raise ValueError where what a method crafted is no float32 tensor of the images' shape and device."""
    check_like(found, images, torch.float32, f"method {who!r} returned")


def check_delta(delta: Tensor, images: Tensor, threat: Threat, who: str) -> None:
    """Check what a method crafted, once for all of them.

    Raises ValueError: wrong shape or type, not finite, over budget, or empty though the radius is above 0.
    """
    check_form(delta, images, who)
    bad = int((~delta.isfinite()).sum())
    if bad:
        raise ValueError(f"method {who!r} returned {bad} values that are nan or infinite, expected 0")
    worst = float(sizes(threat, delta).amax())
    if worst > threat.radius + _slack(threat, delta):
        sign = SIGNS.get(threat.norm, "|delta|")
        raise ValueError(f"method {who!r} went to {sign} = {worst:.5f}, its budget is {threat.radius:.5f}")
    if threat.radius > 0 and torch.equal(published(threat, images, delta), images):
        raise ValueError(
            f"method {who!r} left every image as it was (largest |delta| = {float(delta.abs().amax()):.6f}), "
            f"expected a perturbation of up to {threat}"
        )


def check_published(found: Tensor, images: Tensor, threat: Threat, who: str) -> None:
    """Measure published images, uint8 (N,C,H,W); ValueError where one is beyond what the method declares."""
    change = (found.int() - images.int()) / GRID
    now = sizes(threat, change)
    if over := int((now > threat.radius + _slack(threat, change)).sum()):
        raise ValueError(
            f"method {who!r} declares {threat}; published as uint8, {over} of {len(images)} images are "
            f"beyond it, by up to {float(now.amax()):.5f}"
        )


def _slack(threat: Threat, change: Tensor) -> float:
    """Say how far above the radius a size may be: rounding adds a twelfth of a level squared a value."""
    added = (change[0].numel() / 12) ** 0.5 / GRID if threat.rounded else 0.0
    return added + LEEWAY * max(threat.radius, 1)


def check_classes(found: Tensor, images: Tensor, labels: Tensor, classes: Sequence[str], who: str) -> None:
    """Check class-wise methods, whose budget is above 0: every class is perturbed, by one pattern.

    Raises ValueError: all images of some class are as they were, or images of a class are changed otherwise
    than its other images where neither is cut at black or white.
    """
    changed = labels[(found != images).flatten(1).any(1)]
    left = sorted(set(labels.tolist()) - set(changed.tolist()))
    if left:
        names = ", ".join(classes[label] for label in left)
        raise ValueError(
            f"method {who!r} is class-wise and left every image of {len(left)} of {len(classes)} classes "
            f"as it was ({names}), expected a perturbation of each class that has images"
        )
    for label in changed.unique().tolist():
        own, now = images[labels == label].int(), found[labels == label].int()
        step, free = now - own, (now > 0) & (now < GRID)
        low, high = step.where(free, step.new_tensor(GRID)), step.where(free, step.new_tensor(-GRID))
        if (apart := int((high.amax(0) - low.amin(0)).amax())) > 1:  # one: a half is rounded either way
            raise ValueError(
                f"method {who!r} is class-wise, and images of class {classes[label]} are changed by values "
                f"that are up to {apart}/255 apart, expected one pattern for all of them"
            )
