"""Random streams: every one named by what it is for, never by what ran before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator


def seed_for(base: int, *path: str | int) -> int:
    """Make a 63-bit seed that depends on the path alone."""
    digest = hashlib.sha256("/".join(map(str, (base, *path))).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # torch wants a signed int64


def generator(seed: int, device: torch.device | str = "cpu") -> Generator:
    return Generator(device=device).manual_seed(seed)


@contextmanager
def global_rng(rng: Generator) -> Iterator[None]:
    """Lend rng to code that knows only torch's global state (kornia, nn.Module's init)."""
    seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
    devices = [rng.device] if rng.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
