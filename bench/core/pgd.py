"""The one attack loop, with one sign: it lowers its objective."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

N = TypeVar("N", bound=nn.Module)


def pgd(
    objective: Callable[[Tensor], Tensor], x: Tensor, delta: Tensor, *, eps: float, step: float, steps: int
) -> Tensor:
    """Lower objective(x + delta) by sign steps over the L-inf ball, keeping x + delta in [0,1].

    objective: (B,C,H,W) -> scalar; a sum over the batch, so that images share no gradient
    (mi-ue, em-mine and tue-csd, which compare images, are the exceptions). x, delta: float32 (B,C,H,W).
    Attackers who want a loss to rise pass its negative.
    Source: Madry et al., ICLR 2018, section 2.1.
    """
    for _ in range(steps):
        delta = delta.detach().requires_grad_()
        (grad,) = torch.autograd.grad(objective(x + delta), delta)
        delta = (delta.detach() - step * grad.sign()).clamp_(-eps, eps)
        delta = (x + delta).clamp_(0, 1).sub_(x)
    return delta.detach()


def frozen(net: N) -> N:
    """Make a copy to attack or to evaluate, so that nothing moves the net itself.

    It is in eval mode, its weights take no gradients, and its batch norms are folded into the
    convolutions before them: the same function, up to rounding, in fewer operations.
    """
    with torch.no_grad():
        copied = copy.deepcopy(net).eval().requires_grad_(False)
        _fold(copied)
    return copied


def _fold(module: nn.Module) -> None:
    """Fold each batch norm that directly follows a convolution, where layers are called in their order."""
    in_order = type(module) is nn.Sequential or type(module).__module__.startswith("torchvision.")
    before: tuple[str, nn.Conv2d] | None = None
    for name, child in [*module.named_children()]:
        if in_order and type(child) is nn.BatchNorm2d and before is not None:
            setattr(module, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(module, name, nn.Identity())
        _fold(child)
        before = (name, child) if isinstance(child, nn.Conv2d) else None
