"""AUE and AAP: the strong augmentation, and where it takes the place of a data set's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from kornia.color import rgb_to_hsv
from torch import Tensor, nn
from torchvision.transforms import RandomResizedCrop

from bench.core.errors import BadInput
from bench.core.method import Lab
from bench.core.pgd import frozen, pgd
from bench.core.pixels import to_float
from bench.core.rng import generator, global_rng
from bench.core.strong import Strong, cropped, jittered
from bench.core.types import Augmentation
from support.toys import CLASSES, METHODS, noise, small_net, toy_lab, toy_split

CLEAN = toy_split(64, 0)
X = to_float(CLEAN.images)
MANY = 4000
BOTH = ["aue", "aap"]


def ramps(n: int, side: int = 64) -> Tensor:
    """Images (n,2,side,side) whose channels say where a pixel is: x and y in [0,1]."""
    at = (torch.arange(side) + 0.5) / side
    return torch.stack([at.expand(side, side), at[:, None].expand(side, side)]).expand(n, 2, side, side)


def boxes(strength: float, flip: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Width and height of what views show, shares of an image's, and whether they are mirrored: (N,)."""
    seen = cropped(ramps(MANY, 32), max(1 - 0.9 * strength, 0.05), flip, generator(1))
    across, down = seen[:, 0, 16, 20] - seen[:, 0, 16, 12], seen[:, 1, 20, 16] - seen[:, 1, 12, 16]
    assert seen.amin() >= 0 and seen.amax() <= 1
    return across.abs() * 4, down * 4, across < 0


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_boxes_are_torchvisions(strength: float) -> None:
    """In distribution: areas, ratios, and the boxes that do not fit."""
    width, height, _ = boxes(strength, flip=False)
    image, least, ratios = torch.zeros(1, 1000, 1000), 1 - 0.9 * strength, [3 / 4, 4 / 3]
    with global_rng(generator(1)):
        drawn = [RandomResizedCrop.get_params(image, [least, 1.0], ratios)[2:] for _ in range(MANY)]
    theirs = torch.tensor(drawn).flip(1) / 1000
    share = torch.linspace(0.02, 0.98, 25)
    for of in (lambda w, h: w * h, lambda w, h: (w / h).log(), lambda w, h: w):
        ours, expected = of(width, height), of(*theirs.T)
        assert torch.allclose(ours.quantile(share), expected.quantile(share), atol=0.03)


def test_boxes_lie_anywhere_in_the_image_and_never_beyond() -> None:
    seen = cropped(ramps(MANY, 32), 0.1, False, generator(2))
    left, right = seen[:, 0, 16, 0], seen[:, 0, 16, -1]
    small = right - left < 0.5
    assert small.sum() > 100
    middle = (left + right)[small] / 2
    assert (
        middle.amin() < 0.3 and middle.amax() > 0.7 and float(middle.mean()) == pytest.approx(0.5, abs=0.03)
    )


@pytest.mark.parametrize("flip", [False, True])
def test_half_of_the_views_are_mirrored_where_a_data_set_allows_it(flip: bool) -> None:
    *_, mirrored = boxes(0.6, flip)
    assert float(mirrored.float().mean()) == pytest.approx(0.5 * flip, abs=0.03)


def test_no_border_is_padded_with_black() -> None:
    white = cropped(torch.ones_like(X), 0.1, True, generator(1))
    assert torch.allclose(white, torch.ones_like(X), atol=1e-6)


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_shares_of_gray_and_of_jittered_views(strength: float) -> None:
    x = torch.tensor([0.7, 0.4, 0.5]).view(1, 3, 1, 1).expand(MANY, 3, 4, 4)
    view = Strong(strength).augment(x, generator(3))
    gray = (view.amax(1) - view.amin(1)).flatten(1).amax(1) < 1e-6
    same = (view - x).abs().flatten(1).amax(1) < 1e-6
    assert float(gray.float().mean()) == pytest.approx(0.2 * strength, abs=0.03)
    jitter = min(0.99, 0.8 * strength)
    assert float(same.float().mean()) == pytest.approx((1 - jitter) * (1 - 0.2 * strength), abs=0.03)


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_brightness_is_drawn_for_each_image(strength: float) -> None:
    """A gray image without contrast shows that of the four alone."""
    x = torch.full((MANY, 3, 4, 4), 0.5)
    factor = jittered(x, strength, generator(4))[:, 0, 0, 0] / 0.5 - 1
    assert factor.abs().amax() == pytest.approx(0.4 * strength, rel=0.02)
    assert float(factor.std()) == pytest.approx(0.4 * strength / 3**0.5, rel=0.05)


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_hue_turns_by_its_share_at_most(strength: float) -> None:
    x = torch.tensor([0.6, 0.4, 0.4]).view(1, 3, 1, 1).expand(MANY, 3, 4, 4)
    hue = rgb_to_hsv(jittered(x, strength, generator(4)))[:, 0, 0, 0]
    turned = torch.minimum(hue, 2 * torch.pi - hue) / (2 * torch.pi)
    assert turned.amax() == pytest.approx(0.1 * strength, rel=0.02)


@pytest.mark.parametrize("channels", [1, 3])
def test_views_are_in_range_differ_and_have_gradients(channels: int) -> None:
    extremes = torch.stack([torch.zeros(channels, 8, 8), torch.ones(channels, 8, 8), noise(channels, 8, 8)])
    x = extremes.repeat(40, 1, 1, 1).requires_grad_()
    view = Strong(1.0).augment(x, generator(5))
    assert view.shape == x.shape and view.amin() >= 0 and view.amax() <= 1
    apart = torch.cdist(view[2::3].flatten(1), view[2::3].flatten(1)) + torch.eye(40)
    assert apart.amin() > 1e-3  # each image has a view of its own
    (grad,) = torch.autograd.grad((view * noise(*view.shape, seed=1)).sum(), x)
    assert grad.isfinite().all() and (grad[2::3].flatten(1).norm(dim=1) > 0).all()


def test_without_strength_a_view_is_the_image() -> None:
    state = (rng := generator(1)).get_state()
    assert Strong(0.0).augment(X, rng) is X and torch.equal(rng.get_state(), state)


@pytest.mark.parametrize("strength", [-0.1, 1.1])
def test_strengths_are_shares(strength: float) -> None:
    with pytest.raises(BadInput, match="strength"):
        Strong(strength)


# the methods


def watched(lab: Lab) -> tuple[list[nn.Module], list[Tensor], list[Tensor]]:
    """The nets of a lab from now on, what they learn from, and what is attacked or judged."""
    nets, learnt, others = list[nn.Module](), list[Tensor](), list[Tensor]()

    def look(net: nn.Module, given: tuple[Tensor, ...]) -> None:
        (learnt if net.training else others).append(given[0].detach().clone())

    def build(seed: int) -> nn.Module:
        nets.append(small_net(seed))
        nets[-1].register_forward_pre_hook(look)
        return nets[-1]

    lab.build = build
    return nets, learnt, others


def value_of(name: str, **changed: Any) -> Any:
    return replace(METHODS[name].value, **changed)


def away(z: Tensor) -> Tensor:
    """Largest difference of each z from the image that is nearest to it."""
    return (z[:, None] - X).abs().amax((2, 3, 4)).amin(1)


@pytest.mark.parametrize("name", BOTH)
def test_views_take_the_place_of_the_data_sets_crops(name: str) -> None:
    """With strength 0 nets learn from, and attacks see, the images themselves, perturbed or clean."""
    lab = toy_lab()
    lab.augmentation = Augmentation(pad=4, flip=True)
    _, learnt, others = watched(lab)
    value = value_of(name, strength=0.0, batch=len(CLEAN))
    value.craft(CLEAN, lab)
    first = torch.cat(learnt)[: len(CLEAN)]
    assert away(first).amax() < 1e-6
    assert away(torch.cat([z for z in others if len(z) == len(CLEAN)])).amax() <= value.eps + 1e-6


@pytest.mark.parametrize("name", BOTH)
def test_nets_learn_from_views(name: str) -> None:
    lab = toy_lab()
    _, learnt, _ = watched(lab)
    value_of(name, strength=1.0).craft(CLEAN, lab)
    assert (away(torch.cat(learnt)) > 0.05).float().mean() > 0.9


@pytest.mark.parametrize("name", BOTH)
def test_a_view_is_drawn_anew_at_every_step(name: str) -> None:
    lab = toy_lab()
    _, _, others = watched(lab)
    value = value_of(name, strength=1.0, batch=len(CLEAN), steps=4)
    value.craft(CLEAN, lab)
    attacked = [z for z in others if z.shape == X.shape][:4]
    for one, next_ in pairwise(attacked):
        assert ((next_ - one).abs().amax((1, 2, 3)) > 2 * value.eps).float().mean() > 0.9


def test_aap_without_strength_is_the_plain_targeted_attack() -> None:
    """From the image itself, on the net that learned the images as they are."""
    lab = toy_lab()
    nets, *_ = watched(lab)
    value = value_of("aap", strength=0.0)
    found, net = value.craft(CLEAN, lab), frozen(nets[-1])
    target = (CLEAN.labels + 1) % CLASSES
    objective: Callable[[Tensor], Tensor] = lambda z: F.cross_entropy(net(z), target, reduction="sum")  # noqa: E731
    step = value.step * value.eps
    plain = pgd(objective, X, torch.zeros_like(X), eps=value.eps, step=step, steps=value.steps)
    assert ((found - plain).abs() < 1e-3).float().mean() > 0.99


def test_aue_goes_on_from_its_last_round() -> None:
    once = value_of("aue", steps=1, step=0.1)
    one, three = (
        replace(once, surrogate=replace(once.surrogate, epochs=n)).craft(CLEAN, toy_lab()).abs().amax()
        for n in (1, 3)
    )
    assert float(one) == pytest.approx(0.1 * once.eps, rel=1e-4) and three > 1.9 * one


@pytest.mark.parametrize(("name", "steps", "eps"), [("aue", 5, 8 / 255), ("aap", 5, 16 / 255)])
def test_steps_scale_with_the_budget(
    name: str, steps: int, eps: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, float]] = []

    def fake(objective: object, x: Tensor, delta: Tensor, **how: float) -> Tensor:
        seen.append(how)
        return torch.full_like(x, eps)

    monkeypatch.setattr(f"methods.{name}.pgd", fake)
    value_of(name, eps=eps, step=0.01).craft(CLEAN, toy_lab())
    assert seen and all(
        how == pytest.approx({"eps": eps, "step": 0.01 * eps, "steps": steps}) for how in seen
    )
