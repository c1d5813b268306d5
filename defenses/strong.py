"""Strong augmentation: crop and resize, colour jitter and gray, as contrastive learners have it.

Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations", ICML 2020, appendix A,
in the strength that Wang, Zhu, Gao, "Efficient Availability Attacks against Supervised and Contrastive
Learning Simultaneously", NeurIPS 2024, section 4, have for CIFAR-10 (0.6; 1 for CIFAR-100: --set
strong.strength=1).
Differs from the paper: it comes after the data set's own crop and flip, and mirrors nothing itself; colours
are changed in one order, boxes are not rounded to whole pixels. Gray images are cropped alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from bench.core.strong import Strong
from bench.core.types import BadInput


@dataclass(frozen=True)
class StrongViews(Strong):
    """Another strongly augmented view of each image at each step."""

    strength: float = 0.6  # in (0,1]
    flip: bool = False  # whether half of the views are mirrored, besides those that the data set allows

    revision: ClassVar[int] = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.strength:
            raise BadInput("strong augmentation has strength 0, expected above 0: it would do nothing")

    @property
    def cost(self) -> float:
        return 1.3


VARIANTS = {"strong": StrongViews()}
ALL = ()
