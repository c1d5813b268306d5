"""Fit a net's last layer anew on its features, all else as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from bench.core.augment import crop_flip
from bench.core.kit import Kit
from bench.core.pgd import frozen
from bench.core.pixels import to_float
from bench.core.types import BadInput, Split

Point = NDArray[np.float64]
BATCH = 500  # images whose features are computed at once


def head_of(net: nn.Module) -> nn.Linear:
    """Give the last layer; BadInput of a net whose logits are its features."""
    head = net.head
    if not isinstance(head, nn.Linear):
        raise BadInput("the victim is one linear layer, expected a net with features below its last layer")
    return head


def fit_last_layer(net: nn.Module, data: Split, kit: Kit, *, views: int, steps: int) -> None:
    """Fit net.head in place: softmax regression by L-BFGS, on views of each image, cropped and mirrored.

    The net is in eval mode: batch norm has the averages of its training. steps: of L-BFGS, at most.
    """
    from scipy.optimize import minimize  # only here: it takes half a second

    z, labels = _features(net, data, kit, views), data.labels.repeat(views)
    mean, scale = z.mean(0), z.std(0, correction=0)
    scale[scale == 0] = 1
    z = (z - mean) / scale
    shape = kit.classes, z.shape[1] + 1
    z = torch.cat([z, z.new_ones(len(z), 1)], 1)

    def objective(point: Point) -> tuple[float, Point]:
        weights = torch.as_tensor(point, device=z.device).view(shape).requires_grad_()
        loss = F.cross_entropy(z @ weights.T, labels)
        (gradient,) = torch.autograd.grad(loss, weights)
        return float(loss.detach()), gradient.flatten().cpu().numpy()

    start, options = np.zeros(shape[0] * shape[1]), {"maxiter": steps, "ftol": 1e-12, "gtol": 1e-8}
    found: Any = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)  # type: ignore[call-overload]
    weights = torch.as_tensor(found.x, device=z.device).view(shape)
    slopes = weights[:, :-1] / scale
    head = head_of(net)
    with torch.no_grad():
        head.weight.copy_(slopes)
        head.bias.copy_(weights[:, -1] - slopes @ mean)


@torch.no_grad()
def _features(net: nn.Module, data: Split, kit: Kit, views: int) -> Tensor:
    """Compute float64 (views x N, D)."""
    judge: Any = frozen(net)
    rng = kit.rng("last layer")
    whole = data.images.repeat(views, 1, 1, 1)
    parts = [crop_flip(to_float(part), kit.augmentation, rng) for part in whole.split(BATCH)]
    return torch.cat([judge.features(part) for part in parts]).double()
