"""The one attack loop, with one sign: it lowers its objective."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def pgd(
    objective: Callable[[Tensor], Tensor],
    x: Tensor,
    delta: Tensor,
    *,
    eps: float,
    step: float,
    steps: int,
) -> Tensor:
    """Lower objective(x + delta) by sign steps over the L-inf ball, keeping x + delta in [0,1].

    objective: (B,C,H,W) -> scalar; a sum over the batch, so that images share no gradient
    (MI-UE's, which compares images, is the exception). x, delta: float32 (B,C,H,W).
    Attackers who want a loss to rise pass its negative.
    Source: Madry et al., ICLR 2018, section 2.1.
    """
    for _ in range(steps):
        delta = delta.detach().requires_grad_()
        (grad,) = torch.autograd.grad(objective(x + delta), delta)
        delta = (delta.detach() - step * grad.sign()).clamp_(-eps, eps)
        delta = (x + delta).clamp_(0, 1).sub_(x)
    return delta.detach()


@contextmanager
def frozen(net: nn.Module) -> Iterator[nn.Module]:
    """The net in eval mode, its weights without gradients: an attack must not move it."""
    was_training = net.training
    trained = [p for p in net.parameters() if p.requires_grad]
    net.eval()
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield net
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        net.train(was_training)
