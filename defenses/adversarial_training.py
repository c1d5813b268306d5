"""Adversarial training: learn only from the worst image near each image.

Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018, section 2.1;
PGD-10 with a step of 2/255 whatever the radius, as the evaluations of EM and MI-UE have it.
Differs from the paper: the attacked net is in eval mode, as in those evaluations. The start is uniform in
the ball, as in that of MI-UE, but cut to the pixel range, which MI-UE's start may leave; that of EM starts
at the image plus Gaussian noise, whose deviation is one step. The victim's recipe is the run's, not theirs
of 100 epochs with drops. Smaller profiles take fewer steps, which still cross 8/255. quick has one step from
the random start (Wong, Rice, Kolter, "Fast is better than free", ICLR 2020) for 1.7 times the epochs that
other victims have (EM's evaluation trains adversarially for 100 epochs in the place of 60), and lets the
radius grow from 0 (ramp; papers' profiles do none of this): with few images and epochs a net that meets the
full radius from the start stays at chance, and one that meets small radii for long learns the perturbation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.adversarial import attacked
from bench.core.defense import Undefended
from bench.core.types import ADDED, BadInput, Recipe


@dataclass(frozen=True)
class AdversarialTraining(Undefended):
    """PGD adversarial training from a uniform random start."""

    radius: float = 8 / 255  # L-inf, pixels in [0,1]
    step: float = 2 / 255  # of the attack, pixels in [0,1]
    steps: int = 10  # of the attack, in each training step
    ramp: float = field(default=0.0, metadata=ADDED)  # share of the training in which radius and step grow
    longer: float = field(default=1.0, metadata=ADDED)  # epochs, as a multiple of the victim's

    revision: ClassVar[int] = 1
    robust: ClassVar[float | None] = 8 / 255
    POSITIVE: ClassVar[tuple[str, ...]] = ("radius", "step", "steps", "longer")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {"steps": 1, "step": 10 / 255, "ramp": 0.2, "longer": 1.7},
        "cifar-cpu": {"steps": 4},  # still reach the radius of 8/255
        "reference": {"steps": 4},
    }

    @property
    def STEADY(self) -> bool:  # type: ignore[override]
        return not self.ramp

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.ramp < 1:
            raise BadInput(f"adversarial training has ramp {self.ramp:g}, expected a share of 0 up to 1")
        if self.radius > 1:
            raise BadInput(
                f"adversarial training has radius {self.radius * 255:g}/255, expected up to 255/255"
            )

    @property
    def cost(self) -> float:
        return 1.0 + 0.7 * self.steps

    def recipe(self, victim: Recipe) -> Recipe:
        return replace(victim, epochs=round(self.longer * victim.epochs))

    def loss(self, net: nn.Module, x: Tensor, y: Tensor, rng: Generator, progress: float) -> Tensor:
        grown = 1.0 if progress >= self.ramp else progress / self.ramp
        radius, step = self.radius * grown, self.step * grown
        return F.cross_entropy(net(attacked(net, x, y, rng, radius=radius, step=step, steps=self.steps)), y)


def within(radius: str) -> AdversarialTraining:
    """at-{radius}: the radius in grey levels of 255."""
    return AdversarialTraining(radius=int(radius) / 255)


VARIANTS = {f"at-{levels}": AdversarialTraining(radius=levels / 255) for levels in (8, 6, 4, 2)}
PATTERNS = {"at-{radius}": within}
ALL = ("at-8",)
