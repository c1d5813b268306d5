"""Clean: publish the images as they are; the control that every other row is read against.

No source.
Differs from the paper: nothing known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from bench.core.method import Lab, Method, Need
from bench.core.types import Split


@dataclass(frozen=True)
class Clean(Method):
    """No perturbation."""

    eps: float = 0.0

    revision: ClassVar[int] = 1
    needs: ClassVar[tuple[Need, ...]] = ()

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        return torch.zeros(clean.images.shape, device=clean.images.device)


VARIANTS = {"clean": Clean()}
CONTROLS = ("clean",)
