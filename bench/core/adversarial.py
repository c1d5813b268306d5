"""Adversarial training: the attack on a net that is being trained, and the loss of learning what it finds.

Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018, section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.defense import Undefended
from bench.core.pgd import frozen, pgd
from bench.core.types import BadInput


def attacked(
    net: nn.Module, x: Tensor, y: Tensor, rng: Generator | None, *, radius: float, step: float, steps: int
) -> Tensor:
    """Raise the net's cross-entropy by PGD within an L-inf radius; the net is attacked in eval mode.

    x: float32 (B,C,H,W) in [0,1]; so is what is returned. y: int64 (B,). radius, step: pixels in [0,1].
    rng: of a uniform start in the ball, cut to the pixel range; None: the start is x itself.
    """
    return raised(frozen(net), x, y, rng, radius=radius, step=step, steps=steps)


def raised(
    target: nn.Module, x: Tensor, y: Tensor, rng: Generator | None, *, radius: float, step: float, steps: int
) -> Tensor:
    """Do what attacked() does with a net that is frozen already, for many attacks on the same weights."""
    start = torch.zeros_like(x)
    if rng is not None:
        start = (x + start.uniform_(-radius, radius, generator=rng)).clamp_(0, 1).sub_(x)
    loss = lambda z: -F.cross_entropy(target(z), y, reduction="sum")  # noqa: E731
    return x + pgd(loss, x, start, eps=radius, step=step, steps=steps)


@dataclass(frozen=True)
class Robust(Undefended):
    """How a method trains its surrogate adversarially: PGD from a uniform start at every step."""

    radius: float = 8 / 255  # L-inf, pixels in [0,1]; 0: the surrogate is trained as usual
    step: float = 2 / 255  # of the attack, pixels in [0,1]
    steps: int = 10  # of the attack, in each training step

    POSITIVE: ClassVar[tuple[str, ...]] = ("step", "steps")
    STEADY: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.radius <= 1:
            raise BadInput(f"a surrogate has robust.radius {self.radius * 255:g}/255, expected 0 to 255/255")

    @property
    def cost(self) -> float:
        return 1.0 + 0.7 * self.steps * (self.radius > 0)

    def attacked(self, net: nn.Module, x: Tensor, y: Tensor, rng: Generator | None) -> Tensor:
        """Find what the net learns from in the place of x; see attacked()."""
        if not self.radius:
            return x
        return attacked(net, x, y, rng, radius=self.radius, step=self.step, steps=self.steps)

    def loss(self, net: nn.Module, x: Tensor, y: Tensor, rng: Generator, progress: float) -> Tensor:
        return F.cross_entropy(net(self.attacked(net, x, y, rng)), y)
