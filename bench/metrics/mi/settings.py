"""What can be set of the estimate that every row has. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from bench.core.errors import BadInput

MOST = 32  # dimensions of the code, unless said otherwise


@dataclass(frozen=True)
class MISettings:
    """How dependence is estimated."""

    images: int = 5000  # training images used; the caller picks them
    slices: int = 500  # pairs of directions, over which the estimate is a mean
    rank: int = MOST  # most dimensions of the PCA code
    neighbours: int = 5  # k of KSG

    def __post_init__(self) -> None:
        if min(self.images, self.slices - 1, self.rank, self.neighbours) < 1:
            raise BadInput(f"MI settings must all be at least 1, and slices 2, got {self}")
