"""Our convolution is torch's: values and gradients agree, whichever way the gradient is computed."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.core.rng import generator
from bench.nets import NETS, build, conv

HEAVY = ("densenet121-tv", "resnet18", "resnet50", "vgg16_bn", "vgg19_bn", "vit-small")


def gradients(layer: nn.Module, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    y = layer(x)
    weights = torch.randn(y.shape, generator=generator(1)).to(y.dtype)
    return [y.detach(), *torch.autograd.grad((y * weights).sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (2, 0), (3, 1), (5, 2)])
def test_gradients_are_those_of_torch(
    kernel: int, padding: int, stride: int, channels_last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conv, "WORTH", {torch.float64: 0.0})
    taken = []
    monkeypatch.setattr(conv, "unfold", lambda *a, of=conv.unfold: taken.append(1) or of(*a))
    theirs = nn.Sequential(nn.Conv2d(3, 4, kernel, stride, padding, bias=False)).double()
    ours = copy.deepcopy(theirs)
    conv.swap(ours)
    x = torch.randn(5, 3, 9, 9, generator=generator(0), dtype=torch.float64)
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    for a, b in zip(gradients(ours, x), gradients(theirs, x), strict=True):
        assert torch.allclose(a, b, atol=1e-12)
    assert taken


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", [name for name in NETS if name not in HEAVY])
def test_a_net_learns_the_same(name: str, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    net = build(
        name, channels=3, classes=10, size=32, precision=precision, seed=0, device=torch.device("cpu")
    )
    x, y = torch.rand(8, 3, 32, 32, generator=generator(2)), torch.arange(8)

    def weight_gradients() -> Tensor:
        found = torch.autograd.grad(F.cross_entropy(net(x), y), [*net.parameters()])
        return torch.cat([g.flatten() for g in found])

    ours = weight_gradients()
    monkeypatch.setattr(conv, "WORTH", {})
    theirs = weight_gradients()
    assert (ours - theirs).norm() <= (1e-4 if precision == "fp32" else 0.03) * theirs.norm()


def test_what_it_cannot_stand_for_stays() -> None:
    layers = [
        nn.Conv2d(4, 4, 3, groups=2, bias=False),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 3, dilation=2, bias=False),
        nn.Conv2d(4, 4, (3, 1), bias=False),
        nn.Conv2d(4, 4, 3, padding="same", bias=False),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect", bias=False),
    ]
    net = nn.Sequential(*layers)
    conv.swap(net)
    assert [*net] == layers
