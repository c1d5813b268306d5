"""Whether delta alone tells the class to a linear model: a shortcut that needs no image.

Yu et al., "Availability Attacks Create Shortcuts", KDD 2022: all deltas scaled together to [0,1],
logistic regression on their pixels, 50 calls of full-batch L-BFGS at learning rate 0.5 (each call up
to 20 iterations), accuracy on the deltas it was fitted to.
Differs from the paper: weights start at zero; it is fitted to four fifths of the images. With fewer
images than pixels that accuracy is 1 for any delta, uniform noise included, so the main figure is the
accuracy on the fifth that is held out.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.rng import generator
from bench.metrics import Subject, Value
from bench.metrics.inputs import delta_of

CALLS = 50
LR = 0.5
HELD_OUT = 5  # one image in so many


def separability(subject: Subject) -> dict[str, Value]:
    """`value`: accuracy on held-out deltas, in [0,1]; `train_accuracy`: on those it was fitted to.

    ValueError where delta is the same everywhere, zero included, or too few images are held out.
    """
    delta = delta_of(subject, "separability").flatten(1).float()
    least, most = delta.min(), delta.max()
    if least == most:
        raise ValueError(f"separability: delta is {least:g} everywhere, expected one that varies")
    if len(delta) < HELD_OUT * subject.classes:
        raise ValueError(
            f"separability: {len(delta)} images, expected {HELD_OUT} or more for each of "
            f"{subject.classes} classes"
        )
    x = (delta - least) / (most - least)
    order = torch.randperm(len(x), generator=generator(subject.seed))
    held, fitted = order[: len(x) // HELD_OUT], order[len(x) // HELD_OUT :]
    weight, bias = _fit(x[fitted], subject.labels[fitted], subject.classes)
    right = F.linear(x, weight, bias).argmax(dim=1) == subject.labels
    return {
        "value": float(right[held].double().mean()),
        "train_accuracy": float(right[fitted].double().mean()),
        "chance": 1 / subject.classes,
        "n_train": len(fitted),
        "n_held_out": len(held),
    }


def _fit(x: Tensor, y: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Weight (classes,D) and bias (classes,) of a logistic regression."""
    weight = torch.zeros(classes, x.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], lr=LR)

    def closure() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(F.linear(x, weight, bias), y)
        loss.backward()
        return float(loss.detach())

    for _ in range(CALLS):
        optimizer.step(closure)
    return weight.detach(), bias.detach()
