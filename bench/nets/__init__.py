"""Networks: normalise, then features, then head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from bench.core.errors import BadInput, unknown
from bench.core.rng import generator, global_rng
from bench.nets.body import Architecture, Body, Shape
from bench.nets.conv import swap

MEAN, STD = 0.5, 0.25  # the same for every data set and channel: nothing is fitted on poisoned data
LARGEST = 256  # pixels up to which a size that a net takes is looked for
SMALL = 64  # pixels up to which trying a net takes less time than loading torch's compiler, as meta does


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
PLUGGED: dict[str, Architecture] = {}  # a user's, see plug()
MISSING: dict[str, str] = {}  # file of a user's -> why its nets are not there


def plug(nets: Mapping[str, Architecture], missing: Mapping[str, str]) -> None:
    """Make these nets of a user's known by their names, in the place of those that were plugged in before."""
    PLUGGED.clear()
    PLUGGED.update(nets)
    MISSING.clear()
    MISSING.update(missing)


def known() -> dict[str, Architecture]:
    """Give the suite's nets and those that are plugged in, by name."""
    return {**NETS, **PLUGGED}


def names() -> list[str]:
    return [*known(), *(f"{scheme}:NAME" for scheme in SCHEMES)]


def architecture(name: str) -> Architecture:
    """Find a net by its name; BadInput where there is none."""
    scheme, colon, rest = name.partition(":")
    if colon and scheme in SCHEMES:
        return SCHEMES[scheme](rest)
    if name not in known():
        raise BadInput("; ".join([str(unknown("net", name, names())), *MISSING.values()]))
    return known()[name]


def check(name: str, shape: Shape) -> None:
    """Raise BadInput where no net can be made for such images, or they do not pass it."""
    net = architecture(name)
    if shape.size <= SMALL and _refusal(net, shape, "cpu") is None:
        return
    said = _refusal(net, shape)
    if said is not None:
        sizes = range(shape.size + 1, LARGEST + 1)
        least = next((size for size in sizes if _takes(net, shape._replace(size=size))), None)
        wanted = f"{least} or more" if least else f"images that pass ({said})"
        raise BadInput(f"{name}: images of {shape.size} pixels, expected {wanted}")


def _refusal(net: Architecture, shape: Shape, device: str = "meta") -> str | None:
    """Say why images of this shape do not pass: the layers know, which on meta compute shapes alone."""
    with torch.device(device), torch.no_grad(), global_rng(generator(0)):
        body = net.body(shape)
        try:
            z: Tensor = body.module.train()(torch.zeros(2, shape.channels, shape.size, shape.size))
        except NotImplementedError:  # of what has no form without numbers
            return None
        except Exception as error:  # of layers of any kind
            return (str(error).splitlines() or [type(error).__name__])[0]
    return None if z.shape == (2, body.width) else f"features are {tuple(z.shape)}, not {(2, body.width)}"


def _takes(net: Architecture, shape: Shape) -> bool:
    try:
        return _refusal(net, shape) is None
    except BadInput:  # it says itself what it takes
        return False


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
