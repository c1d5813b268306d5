"""EMax: raise the loss of a net that was trained on clean images, until it errs on most of them.

Huang et al., "Unlearnable Examples: Making Personal Data Unexploitable", ICLR 2021: the error-
maximising noise that its own is compared with. Section 4.1 expects little of it where each image has
its own, as here: only examples of low error are ignored, others are learnt from.
Differs from the paper: passes over the images are bounded; the surrogate's learning rate is set at every
step, not once an epoch; the net normalises with fixed constants; perturbed images are in the pixel range
throughout, where the official code clips those it attacks and not those it measures the error on.
Smaller profiles train and perturb for fewer passes and learn in smaller batches, quick at a lower rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.method import PERTURBING, Lab, Method
from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float
from bench.core.types import Recipe, Split


@dataclass(frozen=True)
class EMax(Method):
    """Error-maximising noise against a clean surrogate."""

    surrogate: Recipe = field(default=Recipe(epochs=60, batch=512, clip=5.0))
    steps: int = 20  # sign steps on every image in each pass
    step: float = 0.1  # of eps, a step
    stop_error: float = 0.9  # on the perturbed training images
    max_passes: int = 50  # over the images, after which it stops, whatever the error
    batch: int = 512  # images perturbed at once

    revision: ClassVar[int] = 1
    POSITIVE: ClassVar[tuple[str, ...]] = ("steps", "step", "max_passes", "batch")
    PROFILES: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "quick": {"surrogate.epochs": 15, "surrogate.batch": 64, "surrogate.lr": 0.05, "max_passes": 2},
        "cifar-cpu": {"surrogate.epochs": 30, "surrogate.batch": 128, "max_passes": 5},
        "reference": {"surrogate.epochs": 30, "surrogate.batch": 128, "max_passes": 5},
    }

    @property
    def passes(self) -> float:
        perturbing = 1 if self.stop_error <= 1 else self.max_passes  # the first is mostly enough
        return self.surrogate.epochs + PERTURBING * self.steps * perturbing

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        net = frozen(lab.trained(clean, self.surrogate))
        delta, done, error = torch.zeros(clean.images.shape, device=clean.images.device), 0, 0.0
        if state := lab.checkpoint.load():
            delta, done, error = state["delta"].to(delta), state["done"], state["error"]
        while done < self.max_passes and error < self.stop_error:
            error, done = self._pass(net, clean, delta), done + 1
            if lab.checkpoint.due():
                lab.checkpoint.save({"delta": delta, "done": done, "error": error})
            lab.tick(0.5 + 0.5 * done / self.max_passes, f"pass {done}, error {error:.2f}")
        lab.note(passes=done, error=error, stop="error" if error >= self.stop_error else "max_passes")
        if error < self.stop_error <= 1:  # above 1: all passes are wanted
            lab.unreached(f"surrogate's error {error:.2f} after {done} passes, expected {self.stop_error:g}")
        return delta

    def _pass(self, net: nn.Module, clean: Split, delta: Tensor) -> float:
        """Perturb every image once more, in place; the net's error afterwards, in [0,1]."""
        wrong = torch.zeros((), dtype=torch.int64, device=delta.device)  # read once: it waits
        for rows in torch.arange(len(clean), device=delta.device).split(self.batch):
            x, y = to_float(clean.images[rows]), clean.labels[rows]
            rise: Callable[[Tensor], Tensor] = lambda z, y=y: -F.cross_entropy(net(z), y, reduction="sum")  # type: ignore[misc] # noqa: E731
            delta[rows] = pgd(rise, x, delta[rows], eps=self.eps, step=self.step * self.eps, steps=self.steps)
            with torch.no_grad():
                wrong += (net(x + delta[rows]).argmax(1) != y).sum()
        return int(wrong) / len(clean)


VARIANTS = {"emax": EMax()}
