"""Threat models: how far published images may be from the clean ones, and in which norm. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Norm = Literal["linf", "l2", "l0", "unbounded"]
NORMS: tuple[Norm, ...] = ("linf", "l2", "l0", "unbounded")


@dataclass(frozen=True)
class Threat:
    """A norm and its radius, which hold for each image."""

    norm: Norm
    radius: float = 1.0  # linf, l2: pixels in [0,1]; l0: pixels of an image; unbounded: the whole range
    rounded: bool = False  # whether an L2 norm may be beyond it by what rounding to uint8 can add

    def __str__(self) -> str:
        match self.norm:
            case "linf":
                return f"L-inf {255 * self.radius:.4g}/255"
            case "l2":
                return f"L2 {self.radius:.4g}"
            case "l0":
                return f"L0 {self.radius:g} pixel{'' if self.radius == 1 else 's'}"
        return "unbounded"

    @property
    def slug(self) -> str:
        """Spell it as part of a file's name: linf-8, l2-1_3, l0-1, unbounded."""
        if self.norm == "unbounded":
            return self.norm
        size = 255 * self.radius if self.norm == "linf" else self.radius
        return f"{self.norm}-{size:.4g}".replace(".", "_").replace("+", "")

    @property
    def order(self) -> tuple[int, float]:
        """Say where it stands among others: L-inf first, then L2, L0, unbounded; by radius."""
        return NORMS.index(self.norm), self.radius
