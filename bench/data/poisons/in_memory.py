"""Images that a caller has in memory: protected, or purified, by somebody else's tool."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from bench.core.defense import Kit, Undefended
from bench.core.method import Lab, Method, Need
from bench.core.pixels import digest, to_float
from bench.core.types import Split


@dataclass(frozen=True)
class Protected(Method):
    """Images that somebody has protected already: measured, not crafted."""

    digest: str = ""  # of the images
    published: Tensor = field(default_factory=lambda: torch.empty(0), compare=False, repr=False)

    revision: ClassVar[int] = 1
    needs: ClassVar[tuple[Need, ...]] = ()
    maps_images: ClassVar[bool] = True

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        return to_float(self.published.to(clean.images.device))


@dataclass(frozen=True)
class Purified(Undefended):
    """What somebody's purifier made of published images, in the same order."""

    digest: str = ""  # of what it made
    published: str = ""  # digest of what it was given
    shown: Tensor = field(default_factory=lambda: torch.empty(0), compare=False, repr=False)

    revision: ClassVar[int] = 1

    def purify(self, images: Tensor, labels: Tensor, kit: Kit) -> Tensor:
        """Give each image its purified one; ValueError where a victim would get other images."""
        if digest(images.cpu()) != self.published:
            raise ValueError(
                "purified: a victim would get other images than those that were purified, expected the same "
                "(a share of 1)"
            )
        return self.shown.to(images.device)
