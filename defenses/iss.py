"""Image shortcut squeezing: throw away what a shortcut hides in, colour or fine detail.

Liu, Zhao, Larson, "Image Shortcut Squeezing: Countering Perturbative Availability Poisons with
Compression", ICML 2023, section 3: grayscale, JPEG of quality 10, bit depth reduction (2 bits).
Differs from the paper: the 2 bits are APBench's, the authors' code leaves them to a flag. Training images
alone are squeezed, as in their code by default; --prepare-test squeezes test images as well. JPEG is
libjpeg's by Pillow, chroma subsampling 4:2:0, optimisation off; each image is encoded by itself.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.core.defense import Undefended
from bench.core.types import BadInput, Dataset

BT601 = torch.tensor([19595, 38470, 7471])  # 0.299, 0.587, 0.114 in 1/65536: Pillow's conversion


@dataclass(frozen=True)
class Gray(Undefended):
    """Luminance in all three channels."""

    revision: ClassVar[int] = 1

    def unsuited(self, data: Dataset) -> str | None:
        return None if data.channels == 3 else f"{data.name} has gray images already"

    def prepare(self, images: Tensor) -> Tensor:
        weights = BT601.to(images.device).view(1, 3, 1, 1)
        gray = ((images.int() * weights).sum(1, keepdim=True) + 32768) >> 16
        return gray.to(torch.uint8).expand_as(images).contiguous()


@dataclass(frozen=True)
class Jpeg(Undefended):
    """A JPEG round trip."""

    quality: int = 10  # libjpeg's, 1 to 95
    subsampling: str = "4:2:0"  # of colour, as Pillow names it

    revision: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 95:
            raise BadInput(f"JPEG has quality {self.quality}, expected 1 to 95")

    def prepare(self, images: Tensor) -> Tensor:
        arrays = images.permute(0, 2, 3, 1).cpu().numpy()
        coded = np.stack([self._round_trip(array) for array in arrays])
        return torch.from_numpy(coded).permute(0, 3, 1, 2).contiguous().to(images.device)

    def _round_trip(self, array: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        """uint8 (H,W,C) -> the same, through one file."""
        file = io.BytesIO()
        image = Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)
        image.save(file, "JPEG", quality=self.quality, subsampling=self.subsampling)
        return np.asarray(Image.open(file)).reshape(array.shape)


@dataclass(frozen=True)
class BitDepth(Undefended):
    """Keep the highest bits of every value."""

    bits: int = 2  # of 8

    revision: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 7:
            raise BadInput(f"bit depth reduction has {self.bits} bits, expected 1 to 7")

    def prepare(self, images: Tensor) -> Tensor:
        return images & (256 - (1 << (8 - self.bits)))


VARIANTS = {"iss-gray": Gray(), "iss-jpeg10": Jpeg(), "iss-bdr2": BitDepth()}
PATTERNS = {
    "iss-jpeg{quality}": lambda quality: Jpeg(quality=int(quality)),
    "iss-bdr{bits}": lambda bits: BitDepth(bits=int(bits)),
}
ALL = ("iss-gray", "iss-jpeg10")
