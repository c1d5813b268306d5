"""Networks: normalise, then features, then head."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from bench.core.errors import unknown
from bench.core.rng import generator, global_rng
from bench.nets.body import Architecture, Body, Shape
from bench.nets.conv import swap

MEAN, STD = 0.5, 0.25  # the same for every data set and channel: nothing is fitted on poisoned data


class Net(nn.Module):
    """logits = head(features(x)) for x in [0,1]; computes in bfloat16 if asked, returns float32."""

    def __init__(self, body: Body, classes: int, precision: str) -> None:
        super().__init__()
        self.body, self.stem = body.module, body.stem
        self.head = nn.Identity() if body.logits else nn.Linear(body.width, classes)
        self.precision = precision

    def features(self, x: Tensor) -> Tensor:
        """(B,C,H,W) in [0,1] -> float32 (B,D), what the head reads."""
        x = x.sub(MEAN).div_(STD).contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            z: Tensor = self.body(x)
        return z.float()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits


def _families(table: str) -> Iterator[ModuleType]:
    """Import the modules of this folder that have the table: a family of nets is a file."""
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        module = __import__(f"{__name__.removeprefix('declared:')}.{path.stem}", {}, {}, [table])
        if hasattr(module, table):
            yield module


NETS: dict[str, Architecture] = {
    name: net for module in _families("NETS") for name, net in module.NETS.items()
}
# SCHEME:NAME is a net of another library, by whatever name it has there
SCHEMES: dict[str, Callable[[str], Architecture]] = {m.SCHEME: m.named for m in _families("SCHEME")}


def architecture(name: str) -> Architecture:
    """Find a net by its name; BadInput where there is none."""
    scheme, colon, rest = name.partition(":")
    if colon and scheme in SCHEMES:
        return SCHEMES[scheme](rest)
    if name not in NETS:
        raise unknown("net", name, [*NETS, *(f"{scheme}:NAME" for scheme in SCHEMES)])
    return NETS[name]


def check(name: str, shape: Shape) -> None:
    """Raise BadInput where the net cannot be made for such images; draws no weights."""
    with torch.device("meta"):
        architecture(name).body(shape)


def build(
    name: str, *, channels: int, classes: int, size: int, precision: str, seed: int, device: torch.device
) -> Net:
    """Build a freshly initialised net; the seed alone decides its weights.

    Raises BadInput where its images are too small for it.
    """
    with global_rng(generator(seed)):
        net = Net(architecture(name).body(Shape(channels, size, classes)), classes, precision)
    swap(net)
    return net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
