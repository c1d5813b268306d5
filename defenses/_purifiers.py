"""Modules that say what published images lack: of one size, float32 (B,C,H,W) -> the same."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (16, 32, 64)  # channels at full size, at half and at a quarter of it: 106,000 weights in all


def patches(x: Tensor, side: int) -> Tensor:
    """(B,C,H,W) -> (B x places, C x side x side): all patches that lie in an image."""
    return F.unfold(x, side).transpose(1, 2).flatten(0, 1)


class Patchwise(nn.Module):
    """A linear map of each patch; a pixel is the mean of what all patches that hold it say."""

    def __init__(self, weights: Tensor, side: int) -> None:
        super().__init__()
        self.weights, self.side = (
            weights,
            side,
        )  # (C x side x side + 1, C x side x side), the last row constant

    def forward(self, x: Tensor) -> Tensor:
        seen, size = F.unfold(x, self.side), x.shape[-2:]
        said = self.weights[:-1].T @ seen + self.weights[-1][:, None]
        count = F.fold(torch.ones_like(seen), size, self.side)
        return F.fold(said, size, self.side) / count


class UNet(nn.Module):
    """Two halvings and back, without normalisation; before any training it says 0.

    Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", MICCAI 2015, made
    small, its convolutions padded.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        full, half, quarter = WIDTHS
        self.down = nn.ModuleList([_block(channels, full), _block(full, half)])
        self.bottom = _block(half, quarter)
        self.up = nn.ModuleList([_block(quarter + half, half, 1), _block(half + full, full, 1)])
        self.last = nn.Conv2d(full, channels, 3, padding=1)
        for zero in self.last.parameters():
            nn.init.zeros_(zero)

    def forward(self, x: Tensor) -> Tensor:
        x, seen = (x - 0.5) * 4, []
        for block in self.down:
            seen.append(block(x))
            x = F.max_pool2d(seen[-1], 2)
        x = self.bottom(x)
        for block in self.up:
            beside = seen.pop()
            x = block(torch.cat([F.interpolate(x, beside.shape[-2:]), beside], 1))
        return self.last(x)  # type: ignore[no-any-return]


def _block(into: int, out: int, layers: int = 2) -> nn.Sequential:
    parts: list[nn.Module] = []
    for layer in range(layers):
        parts += [nn.Conv2d(out if layer else into, out, 3, padding=1), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts)
