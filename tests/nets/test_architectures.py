"""Nets of the papers are the papers': as many weights and products as those that others count."""

from __future__ import annotations

from math import log

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from bench.core.errors import BadInput
from bench.core.pixels import to_float
from bench.core.recipe import Recipe
from bench.core.train import Trainer
from bench.nets import NETS, Net, architecture, build, check
from bench.nets.body import LARGE, Shape
from support.toys import noise, toy_split

CIFAR = Shape(3, 32, 10)
# weights, and millions of products for an image of CIFAR-10; of ResNets and VGGs as many as in pytorch-cifar,
# which trained most published numbers
PAPERS = {
    "resnet18": (11_173_962, 555.4),
    "resnet50": (23_520_842, 1297.8),
    "vgg16_bn": (14_728_266, 313.2),
    "vgg19_bn": (20_040_522, 398.1),
    "densenet121-tv": (6_956_426, 888.4),
    "mobilenet_v2-tv": (2_236_682, 88.0),
    "efficientnet_b0-tv": (4_020_358, 32.0),
    "vit-tiny": (2_693_578, 173.1 + 9.7),  # of tokens with weights, and with tokens
    "vit-small": (14_244_490, 921.3 + 26.0),  # not 614.6, which leaves attention's own weights out
}
TIMM = {
    "vit_tiny_patch16_224:patch_size=4": (5_362_762, 345.6 + 19.5),
    "vit_small_patch16_224:patch_size=4": (21_342_346, 1381.4 + 38.9),
    "cait_s24_224:patch_size=4": (46_207_882, 2848.5),
    "swin_tiny_patch4_window7_224:patch_size=2,window_size=4": (27_505_108, 357.8),
    "resnet18:stem=kept": (11_181_642, 37.0),
    "densenet121:stem=kept": (6_964_106, 57.8),
}
LESS = ("mlp2-slim", "mlp3-slim", "resnet10-slim", "vgg11-slim")  # fewer layers, or none at full size
SLIM = [name for name in NETS if name.endswith("-slim") and name not in LESS]


def counted(name: str, shape: Shape = CIFAR) -> tuple[int, float]:
    """Weights, and millions of products for an image."""
    with torch.device("meta"):
        net = Net(architecture(name).body(shape), shape.classes, "fp32").eval()
        with FlopCounterMode(display=False) as counter:
            net.head(net.body(torch.zeros(1, shape.channels, shape.size, shape.size)))
    return sum(p.numel() for p in net.parameters()), counter.get_total_flops() / 2e6


@pytest.mark.parametrize("name", PAPERS)
def test_a_net_of_the_papers_has_their_weights_and_products(name: str) -> None:
    assert counted(name) == (PAPERS[name][0], pytest.approx(PAPERS[name][1], abs=0.1))


@pytest.mark.parametrize("name", SLIM)
def test_slim_nets_cost_about_as_much(name: str) -> None:
    """As ResNet-18's slim form, whose quarter of the width is a sixteenth of the products."""
    weights, products = counted(name)
    assert weights < 1.5e6 and products == pytest.approx(counted("resnet18-slim")[1], rel=0.4)


@pytest.mark.parametrize("name", [name for name in PAPERS if not name.startswith(("vit", "vgg"))])
def test_large_images_have_the_papers_stem(name: str) -> None:
    """It leaves a quarter of the rows and columns, or half: the work does not grow with the image."""
    (small, at_32), (large, at_64) = counted(name), counted(name, Shape(3, LARGE, 10))
    assert abs(large - small) < 10_000 and at_64 < 1.1 * at_32
    assert "stride 2" in NETS[name].body(Shape(3, LARGE, 10)).stem


@pytest.mark.parametrize("name", [name for name in NETS if name not in ("resnet50", "vit-small")])
def test_a_net_draws_nothing_as_it_computes(name: str) -> None:
    """Else no stream of the suite would decide it, and a resumed training would be another."""
    shape = {"channels": 3, "classes": 4, "size": 16, "precision": "fp32", "seed": 0}
    net = build(name, **shape, device=torch.device("cpu")).train()  # type: ignore[arg-type]
    before = torch.get_rng_state()
    one, again = net(noise(4, 3, 16, 16)), net(noise(4, 3, 16, 16))
    assert torch.equal(one, again) and torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", [*SLIM, "efficientnet_b0-tv"])
def test_a_net_learns_by_its_recipe(name: str) -> None:
    """Bright quadrants: on new images the loss comes down to half of chance's. Attention takes longest."""
    shape = {"channels": 3, "classes": 4, "size": 16, "precision": "fp32", "seed": 0}
    net = build(name, **shape, device=torch.device("cpu")).train()  # type: ignore[arg-type]
    recipe = Recipe(**{"lr": 0.02} | dict(NETS[name].recipe))  # type: ignore[arg-type]
    trainer, steps, losses = Trainer(net, recipe), 250, [log(4)] * 5
    while len(losses) < steps and sum(losses[-5:]) / 5 > log(4) / 2:
        batch = toy_split(32, len(losses))
        loss = F.cross_entropy(net(to_float(batch.images)), batch.labels)
        trainer.step(loss, len(losses) / steps)
        losses.append(float(loss.detach()))
    assert 5 < len(losses) < steps


def test_patches_do_not_overlap_and_cover_the_image() -> None:
    net = build("vit-slim", **SHAPE, device=torch.device("cpu"))  # type: ignore[arg-type]
    tokens: list[torch.Size] = []
    (patches,) = (m for m in net.modules() if isinstance(m, nn.Conv2d))
    patches.register_forward_hook(lambda module, given, made: tokens.append(made.shape[2:]))
    net(noise(2, 3, 32, 32))
    assert tokens == [(8, 8)] and NETS["vit-tiny"].recipe["optimiser"] == "adamw"


SHAPE = {"channels": 3, "classes": 10, "size": 32, "precision": "fp32", "seed": 0}


def test_a_net_is_checked_before_it_is_built() -> None:
    check("resnet50", CIFAR)
    before = torch.get_rng_state()
    check("vit-tiny", Shape(1, 28, 10))
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(BadInput, match="vit: images of 30 pixels"):
        check("vit-tiny", Shape(3, 30, 10))


# timm's


def test_timm_is_asked_for_by_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.nets.timm_nets.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"--net timm:resnet18 needs timm, expected after: pip install"):
        architecture("timm:resnet18")


@pytest.mark.parametrize("given", ["resnet18:patch", "resnet18:=4", "resnet18:**{'a': 1}", "resnet18:a=b()"])
def test_keywords_are_pairs(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.nets.timm_nets.find_spec", lambda name: True)
    with pytest.raises(BadInput, match="expected KEYWORD=VALUE"):
        architecture(f"timm:{given}")
    with pytest.raises(BadInput, match="expected nothing of dropout"):
        architecture("timm:resnet18:drop_rate=0.1")


def test_a_net_with_patches_has_the_transformers_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.nets.timm_nets.find_spec", lambda name: True)
    assert architecture("timm:a:patch_size=4").recipe == NETS["vit-tiny"].recipe
    assert architecture("timm:a:stem=kept").recipe == {}


@pytest.mark.parametrize(
    ("name", "transformer"),
    [
        ("vit_tiny_patch16_224", True),
        ("cait_s24_224", True),
        ("swin_tiny_patch4_window7_224", True),
        ("pit_ti_224:stem=kept", True),
        ("resnet18", False),
        ("convnext_tiny", False),
        ("efficientvit_b0", False),  # of convolutions and batch norm, most of it
    ],
)
def test_a_transformer_of_timm_has_their_recipe(
    name: str, transformer: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.nets.timm_nets.find_spec", lambda name: True)
    assert architecture(f"timm:{name}").recipe == (NETS["vit-tiny"].recipe if transformer else {})


@pytest.mark.parametrize("name", TIMM)
def test_timms_nets_have_their_weights_and_products(name: str) -> None:
    pytest.importorskip("timm")
    assert counted(f"timm:{name}") == (TIMM[name][0], pytest.approx(TIMM[name][1], abs=0.1))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("resnet18", "resnet18 has a stem for images of 224 pixels, which leaves little of 32"),
        ("vit_tiny_patch16_224", "give a patch_size if it has patches"),
        ("resnet_18:stem=kept", "timm has no net 'resnet_18'; did you mean 'resnet"),
        ("resnet18:patch_size=4", "patch_size"),
        ("vit_tiny_patch16_224:patch_size=5", "images of 32 pixels, expected a multiple of 5"),
    ],
)
def test_what_timm_cannot_make_is_said(name: str, says: str) -> None:
    pytest.importorskip("timm")
    with pytest.raises(BadInput, match=says):
        check(f"timm:{name}", CIFAR)


def test_a_net_of_timm_is_a_net() -> None:
    pytest.importorskip("timm")
    name = "timm:vit_tiny_patch16_224:patch_size=8,depth=2"
    net, again = (build(name, **SHAPE, device=torch.device("cpu")) for _ in range(2))  # type: ignore[arg-type]
    x = noise(2, 3, 32, 32)
    assert torch.equal(net(x), again(x)) and torch.equal(net.head(net.features(x)), net(x))
    large = architecture("timm:resnet18").body(Shape(3, LARGE, 10))
    assert large.stem == "timm's, for 224 pixels"
    swin = build(
        "timm:swin_tiny_patch4_window7_224:patch_size=2,window_size=4,depths=(1,1,1,1)",
        **SHAPE,  # type: ignore[arg-type]
        device=torch.device("cpu"),
    ).train()
    assert torch.equal(swin(x), swin(x))
