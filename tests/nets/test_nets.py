"""Every net: shapes, what its features are, gradients, seeds, precisions, image sizes."""

from __future__ import annotations

import hashlib
import re
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.conform.check import complaint
from bench.conform.nets import NET as PROPERTIES
from bench.conform.nets import NetCase
from bench.core.errors import BadInput
from bench.core.pgd import frozen
from bench.nets import NETS, Net, build, check
from bench.nets.body import Architecture, Body, Shape
from support.toys import noise

CLASSES = 10
HEAVY = ("densenet121-tv", "resnet18", "resnet50", "vgg11", "vgg16_bn", "vgg19_bn", "vit-small", "vit-tiny")
LIGHT = [name for name in NETS if name not in HEAVY]
FEW = ("features", "gradients", "declared")  # what heavy nets are looked at for
PATCHES = [name for name in NETS if name.startswith("vit-")]


def net_of(name: str, **more: Any) -> Net:
    asked: dict[str, Any] = {"channels": 3, "classes": CLASSES, "size": 32, "precision": "fp32", "seed": 0}
    return build(name, **asked | more, device=torch.device("cpu"))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        (n, w)
        for n, w in product(NETS, PROPERTIES)
        if n in LIGHT or w in ("features", "gradients", "declared")
    ],
)
def test_it_keeps_what_is_asked_of_all(name: str, what: str) -> None:
    """Of heavy nets a smaller one of the family is looked at more closely."""
    assert complaint(PROPERTIES[what], NetCase(name, NETS[name])) is None


@pytest.mark.parametrize("size", [16, 33, 64])
@pytest.mark.parametrize("name", LIGHT)
def test_other_sizes_and_channels(name: str, size: int) -> None:
    if size % 4 and name in PATCHES:
        with pytest.raises(BadInput, match="vit: images of 33 pixels, expected a multiple of 4"):
            net_of(name, size=size)
        return
    net = net_of(name, size=size, channels=1).eval()
    assert net(noise(2, 1, size, size)).shape == (2, CLASSES)


def test_images_too_small_are_named() -> None:
    with pytest.raises(BadInput, match="lenet5: images of 15 pixels, expected 16 or more"):
        net_of("lenet5", size=15)


@pytest.mark.parametrize("name", NETS)
def test_images_smaller_than_a_net_allows_are_refused_before_it_is_built(name: str) -> None:
    """The size that is named instead is the least that passes; what is not refused is computed."""
    for size in (1, 2, 3, 4, 7, 8, 16):
        try:
            check(name, Shape(3, size, CLASSES))
        except BadInput as error:
            said = re.search(rf"images of {size} pixels, expected (a multiple of )?(\d+)", str(error))
            assert said and int(said[2]) > size % 4, error
            check(name, Shape(3, int(said[2]), CLASSES))
            with pytest.raises(BadInput):
                check(name, Shape(3, int(said[2]) - 1, CLASSES))
            if name in LIGHT and size > 2:
                with pytest.raises((BadInput, RuntimeError)):
                    net_of(name, size=size)(noise(2, 3, size, size))
        else:
            if name in LIGHT and size < 5:
                assert net_of(name, size=size)(noise(2, 3, size, size)).isfinite().all()


def test_a_net_that_takes_no_images_at_all_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of a user's that pools to more than it declares, or that has no layer for such images."""
    for layer, said in ((nn.Flatten(), "features are"), (nn.Linear(5, 4), ".*200")):
        own = Architecture(lambda shape, layer=layer: Body(layer, 4, "none"), 1)
        monkeypatch.setitem(NETS, "own", own)
        with pytest.raises(BadInput, match=rf"own: images of 200 pixels, expected images that pass \({said}"):
            check("own", Shape(3, 200, CLASSES))


def test_the_linear_net_says_that_its_features_are_logits() -> None:
    net, x = net_of("linear"), noise(3, 3, 32, 32)
    assert torch.equal(net.features(x), net(x)) and "features are logits" in net.stem
    steps = [net(x * share) for share in (0.0, 0.5, 1.0)]
    assert torch.allclose(steps[1] - steps[0], steps[2] - steps[1], atol=1e-5)
    assert not any("logits" in net_of(name).stem for name in ("lenet5", "small"))


def widths(net: nn.Module) -> list[tuple[int, int]]:
    layers = [m for m in net.modules() if isinstance(m, nn.Linear)]
    return [(m.in_features, m.out_features) for m in layers]


def test_dense_nets_have_the_papers_widths() -> None:
    assert widths(net_of("mlp2")) == [(3072, 3072), (3072, CLASSES)]
    assert widths(net_of("mlp3")) == [(3072, 3072), (3072, 1536), (1536, CLASSES)]


def test_lenet_is_three_times_as_wide() -> None:
    net = net_of("lenet5")
    kernels = [m.out_channels for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert kernels == [3 * 6, 3 * 16]
    assert [out for _, out in widths(net)] == [3 * 120, 3 * 84, CLASSES]
    assert not any(isinstance(m, nn.ReLU) for m in net.modules())


def weights_of(net: nn.Module) -> tuple[str, list[Tensor]]:
    state = net.state_dict()
    names = repr([(name, *value.shape) for name, value in state.items()])
    return hashlib.sha256(names.encode()).hexdigest()[:16], [*state.values()]


def test_the_net_of_stored_rows_is_the_same_for_ever() -> None:
    names, weights = weights_of(net_of("resnet18-slim-s2", seed=7))
    assert names == "ea67ad0e989b8f7a"
    assert float(sum(w.double().sum() for w in weights)) == pytest.approx(2394.379667549, abs=1e-6)


@pytest.mark.parametrize("name", ["linear", "small", "resnet10-slim-s2", "vit-slim"])
def test_every_net_normalises_by_itself_and_alike(name: str) -> None:
    """With constants: images are in [0,1] everywhere else, whatever the data set."""
    net, seen = net_of(name).eval(), []
    net.body.register_forward_pre_hook(lambda module, given: seen.append(given[0].clone()))
    x = noise(2, 3, 32, 32)
    before = x.clone()
    net(x), frozen(net)(x)
    assert torch.equal(x, before) and len(seen) == 2
    assert all(torch.allclose(z, (x - 0.5) / 0.25) for z in seen)


class Activating(nn.BatchNorm2d):
    """A batch norm that activates, as some libraries have it."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).relu()


class Crossed(nn.Module):
    """Registers its layers in another order than it calls them."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.after_one, self.after_two = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.after_two(self.two(self.after_one(self.one(x)).relu()))
        return found


@pytest.mark.parametrize("net", [nn.Sequential(nn.Conv2d(3, 3, 1), Activating(3)), Crossed()])
def test_only_batch_norms_that_surely_follow_a_convolution_are_folded(net: nn.Module) -> None:
    x = noise(4, 3, 8, 8)
    for _ in range(3):
        net.train()(x)
    assert torch.allclose(frozen(net)(x), net.eval()(x), atol=1e-5)
