"""Pixels: uint8 on disk, float32 in [0,1] in the nets, and the one way to publish a perturbation."""

import hashlib

import torch
from torch import Tensor

GRID = 255  # grey levels above black
LUMA = 0.299, 0.587, 0.114  # of red, green and blue
LEEWAY = 1e-4  # grey levels: 8/255 as a float32 may be a little less than 8 of them


def digest(images: Tensor) -> str:
    """Return the sha256 of an array's values, in hexadecimal."""
    return hashlib.sha256(images.cpu().contiguous().numpy()).hexdigest()  # type: ignore[arg-type]


def check_like(found: object, x: Tensor, dtype: torch.dtype, who: str) -> None:
    """Raise ValueError unless what who gave is a tensor of this type, and of the shape and device of x."""
    if not isinstance(found, Tensor):
        raise ValueError(f"{who} a {type(found).__name__}, expected a tensor")
    if (found.shape, found.dtype, found.device) != (x.shape, dtype, x.device):
        raise ValueError(
            f"{who} {found.dtype} {tuple(found.shape)}, expected {dtype} {tuple(x.shape)}; "
            f"it is on {found.device}, expected {x.device}"
        )


def to_float(images: Tensor) -> Tensor:
    """uint8 (N,C,H,W) -> float32 in [0,1]."""
    return images.to(torch.float32).div_(GRID)


def to_uint8(x: Tensor) -> Tensor:
    """float (N,C,H,W) in [0,1] -> the nearest uint8."""
    return x.mul(GRID).round_().clamp_(0, GRID).to(torch.uint8)


def luminance(x: Tensor) -> Tensor:
    """(N,C,H,W) -> the same shape, gray in all channels: of three by ITU-R BT.601, of others the mean."""
    if x.shape[1] != len(LUMA):
        return x.mean(1, keepdim=True).expand_as(x)
    red, green, blue = (part * weight for part, weight in zip(x.split(1, 1), LUMA, strict=True))
    gray: Tensor = red + green + blue
    return gray.expand_as(x)


def levels(eps: float) -> int:
    """Whole grey levels that an L-inf budget admits: 8/255 -> 8."""
    return int(eps * GRID + 1e-6)


def release(images: Tensor, delta: Tensor, eps: float) -> Tensor:
    """Publish images + delta as uint8, rounded to nearest, never outside the L-inf ball.

    images: uint8 (N,C,H,W). delta: float32 (N,C,H,W). eps: budget, pixels in [0,1].
    """
    cap = levels(eps)
    steps = delta.mul(GRID).round_().clamp_(-cap, cap).to(torch.int16)
    return steps.add_(images).clamp_(0, GRID).to(torch.uint8)


def truncated(delta: Tensor) -> Tensor:
    """delta in whole grey levels, as images + delta has it where it is cut to uint8, not rounded.

    The whole part of images + delta is images + the whole part of delta, which is never above delta.
    """
    return delta.mul(GRID).add_(LEEWAY).floor_().div_(GRID)
