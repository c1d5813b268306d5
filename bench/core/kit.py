"""What a defense may use besides the images that the victim downloads."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from bench.core.method import Lab
from bench.core.types import Split


@dataclass
class Kit(Lab):
    """What a defense is given where it works once: before, after or instead of a victim's training.

    build makes nets like the victim's. val are clean images that nobody published: to choose by, not to
    learn from. reference and pairs are there for defenses that declare how many they use.
    """

    reference: Split | None = None  # clean images of the same kind, none of them published
    pairs: tuple[Tensor, Tensor] | None = None  # some published images as they were, and as they are: uint8

    def clean(self) -> Split:
        """Give the reference images; ValueError of a defense that declares none."""
        if self.reference is None:
            raise ValueError("a defense that uses clean images must say how many: its field reference")
        return self.reference
