"""TUE-CSD: its gradient is known in closed form, and its noise ends as one pattern a class."""

from __future__ import annotations

import torch

from bench.core.augment import crop_flip
from bench.core.rng import generator
from bench.core.types import Split
from methods.tue import TUECSD, discriminant, separable
from support.toys import AUGMENTATION, CLASSES, noise, toy_lab, toy_split

CLEAN = toy_split(64, 0)
DELTA = (noise(40, 3, 4, 4, seed=3) - 0.5).double()
LABELS = torch.arange(40) % CLASSES


def gradient(delta: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    leaf = delta.clone().requires_grad_()
    (found,) = torch.autograd.grad(discriminant(leaf, labels), leaf)
    return found


def test_gradient_is_the_closed_form() -> None:
    """With spreads as constants: of a class's images, the pull on its centre over their number."""
    flat = DELTA.flatten(1)
    centres = torch.stack([flat[LABELS.eq(k)].mean(0) for k in range(CLASSES)])
    spread = torch.stack([(flat[LABELS.eq(k)] - centres[k]).norm(dim=1).mean() for k in range(CLASSES)])
    pull, pairs = torch.zeros_like(centres), CLASSES * (CLASSES - 1)
    for i in range(CLASSES):
        for j in range(CLASSES):
            if i != j:
                away = centres[i] - centres[j]
                d = away.norm()
                pull[i] -= 2 * (spread[i] + spread[j] + 1e-5) / (d + 1e-5) ** 2 * away / d / pairs
    counts = LABELS.bincount()
    expected = (pull / counts[:, None])[LABELS].view_as(DELTA)
    assert torch.allclose(gradient(DELTA, LABELS), expected, atol=1e-8)


def test_images_of_a_class_have_one_gradient_whatever_they_show() -> None:
    """The official code rebuilds spreads from numbers: nothing draws a class's noise together."""
    found = gradient(DELTA, LABELS)
    for k in range(CLASSES):
        own = found[LABELS.eq(k)]
        assert torch.equal(own, own[:1].expand_as(own)) and own.any()


def test_one_class_alone_moves_nothing() -> None:
    assert not gradient(DELTA, torch.zeros(40, dtype=torch.int64)).any()


def test_noise_ends_as_nearly_one_pattern_for_each_class() -> None:
    value = TUECSD(epochs=5, batch=64)
    delta = value.craft(CLEAN, toy_lab())
    start = torch.empty_like(delta).uniform_(-value.eps, value.eps, generator=toy_lab().rng("start"))
    assert discriminant(delta, CLEAN.labels) < 0.2 * discriminant(start, CLEAN.labels)
    centres = torch.stack([delta[CLEAN.labels == k].mean(0) for k in range(CLASSES)])
    within = (delta - centres[CLEAN.labels]).square().sum()
    assert within / (delta - delta.mean(0)).square().sum() < 0.05
    assert (delta.abs() > 0.99 * value.eps).double().mean() > 0.9


def test_neither_images_nor_nets_decide_the_noise() -> None:
    """But for where it is cut at black and white; no net is built."""
    lab, other = toy_lab(), Split(CLEAN.images.flip(0), CLEAN.labels)
    lab.build = None  # type: ignore[assignment]
    value = TUECSD(epochs=1)
    one, same = (value.craft(clean, lab) for clean in (CLEAN, other))
    assert torch.allclose(one, same, atol=1e-6)


def test_noise_that_moves_is_told_apart_wherever_it_is_shown() -> None:
    """As victims see it: noise that is compared in place is another one a pixel further."""
    shown = []
    for augment in (False, True):
        delta = TUECSD(epochs=5, batch=64, augment=augment).craft(CLEAN, toy_lab())
        crops = [crop_flip(delta, AUGMENTATION, generator(seed)) for seed in range(8)]
        shown.append(float(discriminant(torch.cat(crops), CLEAN.labels.repeat(8))))
    assert shown[1] < 0.6 * shown[0]


def test_noise_that_is_nearest_to_its_own_class_is_counted_without_itself() -> None:
    """Each is a part of its class's centre, to which noise at random would be nearest, too."""
    pattern = noise(CLASSES, 3, 8, 8, seed=5)
    labels = torch.arange(200) % CLASSES
    random = noise(200, 3, 8, 8, seed=6) - 0.5
    assert separable(random, labels, 64) < 0.5
    assert separable(random + 4 * pattern[labels], labels, 64) == 1.0
    flat, hits = random.flatten(1), 0
    for i in range(200):
        others = [flat[(labels == k) & (torch.arange(200) != i)].mean(0) for k in range(CLASSES)]
        hits += int(torch.stack([(flat[i] - c).norm() for c in others]).argmin() == labels[i])
    assert separable(random, labels, 64) == hits / 200


def test_noise_that_is_not_separable_is_told() -> None:
    told_of = []
    for step in (0.1, 1e-6):
        lab = toy_lab()
        TUECSD(epochs=2, batch=64, step=step).craft(CLEAN, lab)
        told_of.append("unreached" in lab.facts)
    assert told_of == [False, True]
