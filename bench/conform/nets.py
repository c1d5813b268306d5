"""What every net must keep."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.conform.check import Properties, expect, moved_streams
from bench.conform.toys import noise
from bench.core.errors import BadInput
from bench.core.pgd import frozen
from bench.core.recipe import Recipe
from bench.core.rng import generator, global_rng
from bench.nets import Net
from bench.nets.body import Architecture, Shape
from bench.nets.conv import swap

CLASSES, SIZE = 10, 32
SIZES = (16, 33, 64)  # pixels, at each of which it works or says why not
ROUGHLY = 0.2  # of the logits, what bfloat16 moves them by at most


@dataclass
class NetCase:
    """A net by name."""

    name: str
    net: Architecture

    def built(self, *, channels: int = 3, size: int = SIZE, precision: str = "fp32", seed: int = 0) -> Net:
        with global_rng(generator(seed)):
            net = Net(self.net.body(Shape(channels, size, CLASSES)), CLASSES, precision)
        swap(net)
        return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def has_features_and_head(case: NetCase) -> None:
    """Check that logits are the head's of its features, float32 (B,D) of the declared width; in bf16 too."""
    for precision in ("fp32", "bf16"):
        net, x = case.built(precision=precision).eval(), _images(2)
        features, logits = net.features(x), net(x)
        width = case.net.body(Shape(3, SIZE, CLASSES)).width
        expect(features.shape == (2, width), f"features are {tuple(features.shape)}", f"(2, {width})")
        expect(logits.shape == (2, CLASSES), f"logits are {tuple(logits.shape)}", f"(2, {CLASSES})")
        types = {features.dtype, logits.dtype}
        expect(types == {torch.float32}, f"{precision} gives {types}", "torch.float32")
        expect(torch.equal(net.head(features), logits), "logits are not the head's of the features", "them")


def has_gradients(case: NetCase) -> None:
    """Check that every image has a finite gradient that is not 0, and every weight takes part."""
    net, x = case.built().eval(), _images(2).requires_grad_()
    (grad,) = torch.autograd.grad(net(x).square().sum(), x)
    expect(grad.isfinite().all(), "gradients of images are nan or infinite", "finite ones")
    expect(all(bool(image.any()) for image in grad), "an image has a gradient of 0", "one that is not")
    weights, loss = dict(net.named_parameters()), net.train()(_images(4)).square().sum()
    grads = torch.autograd.grad(loss, [*weights.values()], allow_unused=True)
    idle = [name for name, grad in zip(weights, grads, strict=True) if grad is None]
    expect(not idle, f"{', '.join(idle[:3])} have no gradient", "weights that all take part")


def computes_alike(case: NetCase) -> None:
    """Check that it draws nothing as it computes: twice in training mode gives the same bits."""
    net, x = case.built().train(), _images(4)
    first = net(x)
    moved_streams()
    expect(torch.equal(first, net(x)), "two passes in training mode differ", "no draws: no dropout, no noise")


def follows_the_seed(case: NetCase) -> None:
    """Check that the seed decides every random weight."""
    one, again, other = (case.built(seed=seed) for seed in (0, 0, 1))
    for (name, a), b, c in zip(one.named_parameters(), again.parameters(), other.parameters(), strict=True):
        expect(torch.equal(a, b), f"{name} differs in two nets of one seed", "the same bits")
        drawn = bool((a != a.flatten()[0]).any())  # constants are not
        expect(not drawn or not torch.equal(a, c), f"{name} is the same for another seed", "another draw")


def is_near_in_bfloat16(case: NetCase) -> None:
    """Check that bfloat16 moves logits a little, and is used."""
    x = _images(4)
    exact, rounded = (case.built(precision=precision).train()(x).detach() for precision in ("fp32", "bf16"))
    moved = float((exact - rounded).norm() / exact.norm())
    expect(0 < moved < ROUGHLY, f"bfloat16 moves the logits by {moved:.3f} of them", f"0 to {ROUGHLY}")


def takes_other_images(case: NetCase) -> None:
    """Check that other sizes and one channel work, or that BadInput names the size."""
    for size in SIZES:
        try:
            net = case.built(size=size, channels=1).eval()
        except BadInput as error:
            expect(str(size) in str(error), f"{size} pixels are refused: {error}", "a message that says it")
            continue
        logits = net(noise(2, 1, size, size))
        expect(logits.shape == (2, CLASSES), f"{size} pixels give {tuple(logits.shape)}", f"(2, {CLASSES})")


def is_itself_frozen(case: NetCase) -> None:
    """Check that its copy for evaluation, whose batch norms may be folded, is the same function."""
    net, x = case.built().train(), _images(4)
    with torch.no_grad():
        for _ in range(3):
            net(x)  # running averages that are not 0 and 1
        same = torch.allclose(frozen(net)(x), net.eval()(x), rtol=1e-3, atol=1e-3)
    expect(same, "logits of its frozen copy differ", "those of the net in eval mode")


def is_declared(case: NetCase) -> None:
    """Check that its revision is a whole number, its recipe has fields of a Recipe, its stem is words."""
    revision = case.net.revision
    numbered = revision is None or (type(revision) is int and revision >= 1)
    expect(numbered, f"its revision is {revision!r}", "a whole number from 1 on, or None of a draft")
    unknown = {*case.net.recipe} - {*Recipe.__dataclass_fields__}
    expect(not unknown, f"its recipe has {', '.join(sorted(unknown))}", "fields of a Recipe")
    Recipe(**case.net.recipe)  # type: ignore[arg-type]
    stem = case.net.body(Shape(3, SIZE, CLASSES)).stem
    expect(isinstance(stem, str) and stem, f"its stem is {stem!r}", "words for the row")


def _images(n: int) -> Tensor:
    return noise(n, 3, SIZE, SIZE)


NET: Properties[NetCase] = {
    "features": has_features_and_head,
    "gradients": has_gradients,
    "determinism": computes_alike,
    "seed": follows_the_seed,
    "bfloat16": is_near_in_bfloat16,
    "other images": takes_other_images,
    "frozen": is_itself_frozen,
    "declared": is_declared,
}
