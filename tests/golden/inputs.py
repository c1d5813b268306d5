"""What golden runs are given: images, features and a net that follow from whole-number arithmetic alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.core.types import Augmentation, Dataset, Split

CLASSES = ("a", "b", "c")
LABELS = torch.tensor([0, 1, 0, 2, 0, 1])  # in turn: classes of unequal size
SIZE = 16  # pixels
TRAIN, VAL, TEST = 52, 24, 40  # images; of batches of 20 the last is smaller
BATCH = 20
AUGMENTATION = Augmentation(pad=2, flip=True)


def hashed(n: int, salt: int) -> Tensor:
    """int64 (n,) in [0, 2^32): a scrambled count, the same for every library and processor."""
    x = (torch.arange(n) + salt * 1_000_003) * 2_654_435_761 % 2**32
    x = (x ^ x >> 15) * 2_246_822_519 % 2**32
    x = (x ^ x >> 13) * 3_266_489_917 % 2**32
    return x ^ x >> 16


def uniform(shape: tuple[int, ...], salt: int) -> Tensor:
    """float32 in [0,1)."""
    return (hashed(math.prod(shape), salt) >> 8).double().div(2**24).float().view(shape)


def normal(shape: tuple[int, ...], salt: int) -> Tensor:
    """float32, nearly standard normal: a sum of twelve uniform numbers."""
    return sum((uniform(shape, 100 * salt + i) for i in range(12)), torch.full(shape, -6.0))


def split(n: int, salt: int, channels: int = 3, size: int = SIZE, contrast: int = 70) -> Split:
    """Class k is brighter, by contrast, in a quadrant of its own; some pixels are black, some white."""
    labels = LABELS.repeat(-(-n // len(LABELS)))[:n]
    images = hashed(n * channels * size**2, salt).view(n, channels, size, size) % 240 - 20
    half = size // 2
    for k in range(len(CLASSES)):
        row, column = half * (k // 2), half * (k % 2)
        images[labels == k, :, row : row + half, column : column + half] += contrast
    return Split(images.clamp(0, 255).to(torch.uint8), labels)


def dataset(train: int = TRAIN, val: int = VAL, test: int = TEST, size: int = SIZE) -> Dataset:
    """Under a digest of its own, which decides seeds."""
    parts = [split(n, salt, size=size) for salt, n in enumerate((train, val, test))]
    return Dataset("golden", "golden", *parts, CLASSES, AUGMENTATION, synthetic=True)


class Tiny(nn.Module):
    """A convolution with batch norm and a hidden layer; has what the harness asks of a net."""

    stem = "3x3"

    def __init__(self, salt: int) -> None:
        super().__init__()
        conv = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
        self.body = nn.Sequential(*conv, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 12), nn.Tanh())
        self.head = nn.Linear(12, len(CLASSES))
        with torch.no_grad():
            for i, weights in enumerate(p for p in self.parameters() if p.dim() > 1):
                bound = 2 * weights[0].numel() ** -0.5
                weights.copy_((2 * uniform(tuple(weights.shape), salt % 1000 * 10 + i) - 1) * bound)
            for bias in (self.body[5].bias, self.head.bias):
                bias.zero_()

    def features(self, x: Tensor) -> Tensor:
        """(B,3,H,W) in [0,1] -> (B,12)."""
        z: Tensor = self.body((x - 0.5) * 4)
        return z

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def weights(net: nn.Module) -> Tensor:
    """All parameters and averages of a net in one line."""
    return torch.cat([value.detach().double().flatten() for value in net.state_dict().values()])
