"""Plasma: brightness and contrast that vary over an image as a random fractal does.

The fractal is kornia's variant of the diamond-square algorithm (tormentor; Nikolaou et al., "TorMentor",
2022) and takes the same values from the same draws; slices in the place of masked 3x3 filters make it
many times as fast. All draws are from torch's global state: see rng.global_rng.
"""

from __future__ import annotations

import torch
from torch import Tensor


def brightness(
    x: Tensor, *, roughness: tuple[float, float], intensity: tuple[float, float], p: float
) -> Tensor:
    """Add a map in [-i, i], i of each image uniform in intensity, with probability p. (B,C,H,H) in [0,1]."""
    chosen = _chosen(x, p)
    maps = 2 * _maps(x[chosen], roughness) - 1
    strength = _uniform(len(maps), intensity, x)[:, None, None, None]
    return x.index_put((chosen,), (x[chosen] + maps * strength).clamp_(0, 1))


def contrast(x: Tensor, *, roughness: tuple[float, float], p: float) -> Tensor:
    """Scale the distance from middle gray by a map in [0, 4], with probability p. (B,C,H,H) in [0,1]."""
    chosen = _chosen(x, p)
    maps = 4 * _maps(x[chosen], roughness)
    return x.index_put((chosen,), ((x[chosen] - 0.5) * maps + 0.5).clamp_(0, 1))


def plasma(roughness: Tensor, size: int) -> Tensor:
    """Fractal maps (N,size,size) in [0,1], one for each roughness (N,) in [0,1].

    Corners are uniform; each level doubles the grid, and a new node is (1 - s) times the mean of its
    neighbours plus s times a uniform draw, s = roughness^level.
    """
    corners = _draws(roughness, 2).transpose(1, 2)
    flat = torch.zeros_like(corners[:, :1, :1])
    grid = _finer(corners, flat, flat.expand(-1, 3, 3))
    share = torch.ones_like(flat)
    while grid.shape[1] < size:
        share = share * roughness[:, None, None]
        grid = _finer(grid, share, _draws(roughness, 2 * grid.shape[1] - 1))
    return grid[:, :size, :size]


def _draws(roughness: Tensor, side: int) -> Tensor:
    return roughness.new_empty(len(roughness), side, side).uniform_()


def _finer(grid: Tensor, share: Tensor, draws: Tensor) -> Tensor:
    """Put a node between any two: (N,K,K) -> (N,2K-1,2K-1); share of the draws in the new ones: (N,1,1)."""
    keep = 1 - share
    beside, below = grid[:, :, :-1] + grid[:, :, 1:], grid[:, :-1] + grid[:, 1:]
    centres = (beside[:, :-1] + beside[:, 1:]) * (keep / 4) + draws[:, 1::2, 1::2] * share
    _mean(beside, centres, keep, 1)
    _mean(below, centres, keep, 2)
    finer = torch.empty_like(draws)
    finer[:, ::2, ::2], finer[:, 1::2, 1::2] = grid, centres
    finer[:, ::2, 1::2] = beside.addcmul_(draws[:, ::2, 1::2], share)
    finer[:, 1::2, ::2] = below.addcmul_(draws[:, 1::2, ::2], share)
    return finer


def _mean(sums: Tensor, centres: Tensor, keep: Tensor, across: int) -> None:
    """In place: sums of two neighbours -> keep times the mean with the centres on either side.

    A node on the border has three neighbours, any other four.
    """
    last = sums.shape[across] - 1
    sums.narrow(across, 0, last).add_(centres)
    sums.narrow(across, 1, last).add_(centres)
    sums *= keep / 4
    sums.narrow(across, 0, 1).mul_(4 / 3)
    sums.narrow(across, last, 1).mul_(4 / 3)


def _chosen(x: Tensor, p: float) -> Tensor:
    return torch.nonzero(torch.rand(len(x), device=x.device) < p).squeeze(1)


def _uniform(n: int, bounds: tuple[float, float], like: Tensor) -> Tensor:
    return like.new_empty(n).uniform_(*bounds)


def _maps(x: Tensor, roughness: tuple[float, float]) -> Tensor:
    """Draw a fractal for each channel, one roughness for each image: (N,C,H,H) -> the same."""
    rough = _uniform(len(x), roughness, x).repeat_interleave(x.shape[1])
    return plasma(rough, x.shape[-1]).reshape(x.shape)
