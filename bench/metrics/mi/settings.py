"""What can be set of the estimate that every row has. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from bench.core.errors import BadInput

MOST_SLICES = 100_000


@dataclass(frozen=True)
class MISettings:
    """How dependence is estimated."""

    images: int = 5000  # training images used; the caller picks them
    slices: int = 300  # directions, over which the estimate is a mean
    neighbours: int = 3  # k of KSG
    sigma: float = 0.5  # of the noise on the clean side, in its standard deviations

    def __post_init__(self) -> None:
        if min(self.images, self.slices - 1, self.neighbours) < 1 or not self.sigma > 0:
            raise BadInput(f"MI settings must be at least 1, slices 2 and sigma above 0, got {self}")
        if self.neighbours >= self.images or self.slices > MOST_SLICES:
            raise BadInput(
                f"MI settings need fewer neighbours than images, and at most {MOST_SLICES} slices, got {self}"
            )
