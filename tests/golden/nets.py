"""Small runs of nets: their shape, what a seed makes of them, one pass forwards and backwards."""

from __future__ import annotations

import hashlib

import torch
from torch.nn import functional as F

from bench.nets import NETS, Net, build
from bench.nets.body import Shape
from golden.inputs import LABELS, uniform
from golden.numbers import Numbers

SMALL, LARGE = 16, 64  # pixels; some nets have another stem for large images
IMAGES = 4


def net(name: str) -> Numbers:
    """Of images of several shapes."""
    numbers = Numbers()
    with torch.device("meta"):
        stems = [NETS[name].body(Shape(3, size, 3)).stem for size in (SMALL, LARGE)]
    for channels, size in ((3, SMALL), (1, SMALL), (3, LARGE))[: 2 + (stems[0] != stems[1])]:
        _passes(numbers, _built(name, channels, size), channels, size)
    exact, rough = (_built(name, 3, SMALL, precision) for precision in ("fp32", "bf16"))
    x = uniform((IMAGES, 3, SMALL, SMALL), 6)
    with torch.no_grad():
        deviation = exact(x).std()
        apart = float((rough(x) - exact(x)).square().mean().sqrt() / deviation)
    numbers.add("error of bf16 to deviation of logits", apart, 0.9 * apart)  # none is no bf16
    return numbers


def _built(name: str, channels: int, size: int, precision: str = "fp32") -> Net:
    shape = {"channels": channels, "classes": 3, "size": size}
    return build(name, **shape, precision=precision, seed=2, device=torch.device("cpu"))


def _passes(numbers: Numbers, net: Net, channels: int, size: int) -> None:
    shape = f"{channels}x{size}x{size}"
    names = "\n".join(f"{key} {tuple(value.shape)}" for key, value in net.state_dict().items())
    numbers.add(f"parameters, {shape}", sum(p.numel() for p in net.parameters()))
    numbers.add(f"names and shapes, {shape}", hashlib.sha256(names.encode()).hexdigest()[:16])
    numbers.add(f"stem, {shape}", net.stem)
    initial = torch.cat([p.detach().flatten()[:1000] for p in net.parameters()])
    numbers.tensor(f"initial weights, {shape}", initial, 1e-6)
    x, y = uniform((IMAGES, channels, size, size), 6), LABELS[:IMAGES]
    logits = net.train()(x)
    gradients = torch.autograd.grad(F.cross_entropy(logits, y), [*net.parameters()])
    norm = float(torch.cat([g.flatten() for g in gradients]).double().norm())
    numbers.add(f"gradient norm, {shape}", norm, 5e-3 * norm)
    numbers.add(f"features, {shape}", str(tuple(net.features(x).shape)))
    numbers.tensor(f"logits in training mode, {shape}", logits.detach(), 2e-4)
    with torch.no_grad():
        numbers.tensor(f"logits in eval mode, {shape}", net.eval()(x), 2e-4)
