"""Random streams, pixels, the attack loop, training, measures and the store."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from bench.core.augment import crop_flip, flip_only
from bench.core.checkpoint import Checkpoint, OutOfTime
from bench.core.contract import check_classes, check_delta
from bench.core.defense import Undefended
from bench.core.errors import BadInput
from bench.core.pgd import frozen, pgd
from bench.core.pixels import digest, levels, release, to_float, to_uint8
from bench.core.rng import generator, global_rng, seed_for
from bench.core.threat import Threat
from bench.core.train import (
    Point,
    Streams,
    Trainer,
    Training,
    accuracies,
    accuracy,
    batches,
    fit,
    lr_at,
    predict,
)
from bench.core.types import Augmentation, Recipe, Split
from bench.experiment import cache
from bench.experiment.device import resident_mb
from bench.experiment.keys import key_of
from bench.metrics.distances import distances
from bench.nets import NETS, build
from support.toys import (
    AUGMENTATION,
    RECIPE,
    equal_weights,
    killed_at_every_save,
    noise,
    overdue,
    small_net,
    toy_split,
)

CPU = torch.device("cpu")
DATA = toy_split(64, 0)
STILL = Augmentation(pad=0, flip=False)


# random streams


def test_seed_is_the_same_for_ever() -> None:
    assert seed_for(0, "order", "surrogate", 3) == 4262009887751669058


def test_seed_depends_on_its_path_alone() -> None:
    paths = [(0, "a"), (1, "a"), (0, "b"), (0, "a", 0), (0, "a", 1), (0, 1, "a")]
    seeds = [seed_for(*path) for path in paths]  # type: ignore[arg-type]
    assert len(set(seeds)) == len(paths) and all(0 <= seed < 2**63 for seed in seeds)
    assert [seed_for(*path) for path in reversed(paths)] == seeds[::-1]  # type: ignore[arg-type]


def test_global_rng_leaves_the_global_state() -> None:
    before = torch.get_rng_state()
    with global_rng(generator(3)):
        first = torch.rand(4)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(KeyError), global_rng(generator(3)):
        assert torch.equal(torch.rand(4), first)  # rng decides, not the global state
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)


def test_global_rng_moves_its_stream_on() -> None:
    rng, drawn = generator(3), []
    for _ in range(2):
        with global_rng(rng):
            drawn.append(torch.rand(4))
    assert not torch.equal(*drawn)


# pixels


def test_pixels_survive_the_round_trip() -> None:
    images = torch.arange(256).to(torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(to_uint8(to_float(images)), images)


@pytest.mark.parametrize("eps", [1 / 255, 8 / 255, 16 / 255, 0.03, 0.0314, 0.5 / 255, 1.0])
def test_release_never_leaves_the_ball(eps: float) -> None:
    images = torch.randint(0, 256, (8, 3, 8, 8), generator=generator(0)).to(torch.uint8)
    images[0], images[1] = 0, 255
    delta = (noise(8, 3, 8, 8) * 2 - 1) * eps * 1.5  # beyond the budget, even
    before = images.clone()
    published = release(images, delta, eps)
    assert published.dtype == torch.uint8 and torch.equal(images, before)
    assert (published.int() - images.int()).abs().amax() <= eps * 255 + 1e-4


def test_release_rounds_both_signs_to_nearest() -> None:
    images = torch.full((1, 1, 1, 4), 100, dtype=torch.uint8)
    delta = torch.tensor([-7.6, -0.4, 0.6, 7.4]).view(1, 1, 1, 4) / 255
    assert release(images, delta, 8 / 255).flatten().tolist() == [92, 100, 101, 107]


@pytest.mark.parametrize(("eps", "whole"), [(8 / 255, 8), (0.0314, 8), (0.03, 7), (1.0, 255), (0.0, 0)])
def test_levels(eps: float, whole: int) -> None:
    assert levels(eps) == whole


SMALL = torch.full((2, 3, 4, 4), 9, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("delta", "message"),
    [
        (torch.zeros(2, 3, 4, 5), "'mine' returned torch.float32 .*expected torch.float32"),
        (torch.zeros(2, 3, 4, 4, dtype=torch.float64), "'mine' returned torch.float64"),
        (torch.full((2, 3, 4, 4), math.nan), "96 values that are nan or infinite"),
        (torch.full((2, 3, 4, 4), math.inf), "96 values that are nan or infinite"),
        (torch.full((2, 3, 4, 4), 9 / 255), r"0.03529, its budget is 0.03137"),
        (torch.zeros(2, 3, 4, 4), "left every image as it was"),
        (torch.full((2, 3, 4, 4), 8 / 255**2), "left every image as it was"),  # 0-255 taken for 0-1
    ],
)
def test_bad_delta_is_refused(delta: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_delta(delta, SMALL, Threat("linf", 8 / 255), "mine")


def test_nothing_is_expected_of_a_budget_of_zero() -> None:
    check_delta(torch.zeros(2, 3, 4, 4), SMALL, Threat("linf", 0.0), "clean")


def test_a_class_that_is_left_as_it_was_is_refused_by_name() -> None:
    images, labels = torch.full((6, 3, 4, 4), 9, dtype=torch.uint8), torch.tensor([0, 0, 1, 1, 2, 2])
    published = images.clone()
    published[[1, 4]] += 1  # some of a class will do
    with pytest.raises(
        ValueError, match=r"'mine' is class-wise .* 1 of 4 classes as it was \(bird\), expected"
    ):
        check_classes(published, images, labels, ("plane", "bird", "cat", "dog"), "mine")
    published[2, 0, 3, 3] -= 1
    check_classes(published, images, labels, ("plane", "bird", "cat", "dog"), "mine")  # there is no dog


# the attack loop


def test_no_steps_are_the_identity() -> None:
    x, delta = noise(2, 3, 4, 4), 0.01 * noise(2, 3, 4, 4, seed=1)
    assert torch.equal(pgd(torch.sum, x, delta, eps=0.1, step=0.1, steps=0), delta)


def test_convex_objective_never_rises() -> None:
    x, goal = noise(2, 3, 4, 4), noise(2, 3, 4, 4, seed=1)
    objective: Callable[[Tensor], Tensor] = lambda z: (z - goal).abs().sum()  # noqa: E731
    values = []
    for steps in range(8):
        delta = pgd(objective, x, torch.zeros_like(x), eps=0.2, step=0.01, steps=steps)
        values.append(float(objective(x + delta)))
    assert all(after <= before for before, after in pairwise(values))


@pytest.mark.parametrize("sign", [1, -1])
def test_attack_stays_in_the_ball_and_among_the_pixels(sign: int) -> None:
    x = noise(4, 3, 4, 4)
    start = torch.zeros_like(x)
    delta = pgd(lambda z: sign * z.sum(), x, start, eps=0.1, step=0.03, steps=20)
    assert delta.abs().amax() <= 0.1 + 1e-6 and not delta.requires_grad
    assert (x + delta).amin() >= 0 and (x + delta).amax() <= 1
    expected = (x - sign * 0.1).clamp(0, 1) - x  # it lowers: the corner is reached
    assert torch.allclose(delta, expected, atol=1e-6)
    assert not start.any()  # lent, not given


@pytest.mark.parametrize("steps", [1, 4])
def test_attack_evaluates_once_a_step_and_no_weights(steps: int) -> None:
    net, seen = frozen(small_net()), []
    x, y = to_float(DATA.images[:8]), DATA.labels[:8]

    def objective(z: Tensor) -> Tensor:
        seen.append(z)
        loss = F.cross_entropy(net(z), y, reduction="sum")
        assert [*leaves(loss)] == [seen[-1].grad_fn.next_functions[1][0]]  # type: ignore[union-attr]
        return loss

    pgd(objective, x, torch.zeros_like(x), eps=0.1, step=0.1, steps=steps)
    assert len(seen) == steps


def leaves(loss: Tensor) -> Iterator[object]:
    """What backward would accumulate into."""
    todo, done = [loss.grad_fn], set()
    while todo:
        node = todo.pop()
        if node is None or node in done:
            continue
        done.add(node)
        if hasattr(node, "variable"):
            yield node
        todo += [after for after, _ in node.next_functions]


def test_attack_leaves_no_gradients() -> None:
    net = small_net()
    x, y = to_float(DATA.images[:8]), DATA.labels[:8]
    pgd(lambda z: F.cross_entropy(net(z), y), x, torch.zeros_like(x), eps=0.1, step=0.1, steps=2)
    assert all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize("name", NETS)
def test_frozen_net_is_the_same_function(name: str) -> None:
    net = build(name, channels=3, classes=4, size=16, precision="fp32", seed=0, device=CPU)
    x = to_float(DATA.images[:16])
    with torch.no_grad():
        for _ in range(3):
            net(x)  # averages that are not 0 and 1
    before = {key: value.clone() for key, value in net.state_dict().items()}
    judge = frozen(net)
    with torch.no_grad():
        logits, features = judge(x), judge.features(x)
    assert net.training and not judge.training
    assert not any(p.requires_grad for p in judge.parameters())
    assert all(p.requires_grad for p in net.parameters())
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    with torch.no_grad():
        net.eval()
        assert torch.allclose(logits, net(x), atol=1e-4)
        assert torch.allclose(features, net.features(x), atol=1e-4)


@pytest.mark.parametrize("name", NETS)
def test_net_is_its_head_on_its_features(name: str) -> None:
    shape = {"channels": 3, "classes": 4, "size": 16, "precision": "fp32", "device": CPU}
    net, again, other = (build(name, seed=seed, **shape).eval() for seed in (0, 0, 1))  # type: ignore[arg-type]
    x = to_float(DATA.images[:4])
    assert torch.equal(net(x), net.head(net.features(x)))
    assert equal_weights(net, again) and not equal_weights(net, other)


# crop and flip


def test_nothing_declared_is_the_identity() -> None:
    x, rng = noise(4, 3, 8, 8), generator(0)
    state = rng.get_state()
    assert torch.equal(crop_flip(x, STILL, rng), x)
    assert torch.equal(rng.get_state(), state)


def test_crop_is_a_shift() -> None:
    x, pad = noise(64, 3, 8, 8) + 0.1, 2
    shifted = crop_flip(x, Augmentation(pad, flip=False), generator(0))
    padded, seen = F.pad(x, (pad,) * 4), set()
    for image, room in zip(shifted, padded, strict=True):
        places = [
            (r, c) for r in range(5) for c in range(5) if torch.equal(image, room[:, r : r + 8, c : c + 8])
        ]
        assert len(places) == 1
        seen.add(places[0])
    assert len(seen) > 15  # of 25


def test_flip_only_mirrors() -> None:
    x = noise(64, 3, 8, 8)
    found = crop_flip(x, flip_only(Augmentation(4, flip=True)), generator(0))
    mirrored = [torch.equal(z, image.flip(2)) for z, image in zip(found, x, strict=True)]
    same = [torch.equal(z, image) for z, image in zip(found, x, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True)) and 15 < sum(mirrored) < 49


def test_crop_and_flip_pass_gradients() -> None:
    x = noise(4, 3, 8, 8).requires_grad_()
    shown = crop_flip(x, Augmentation(2, flip=True), generator(0))
    (grad,) = torch.autograd.grad(shown.sum(), x)
    assert set(grad.unique().tolist()) == {0.0, 1.0}  # what is shown, and what was cropped


# training


def train(net: nn.Module, checkpoint: Checkpoint | None = None, **changes: object) -> Training:
    def measure(net: nn.Module, epoch: int) -> Point:
        return {"epoch": epoch, "val_acc": accuracy(net, DATA)}

    recipe = replace(RECIPE, **changes)  # type: ignore[arg-type]
    streams = Streams.of(1, 2, CPU)
    return fit(
        net, DATA, recipe, streams, AUGMENTATION, checkpoint=checkpoint, measure=measure, defense=Noisy()
    )


@dataclass(frozen=True)
class Noisy(Undefended):
    """Draws in both hooks, so that its stream matters."""

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        return (x + 0.01 * torch.rand(x.shape, generator=rng)).clamp(0, 1)


def test_fit_overfits() -> None:
    net = small_net()
    fit(
        net, toy_split(64, 3, contrast=20), Recipe(epochs=15, batch=16, lr=0.05), Streams.of(0, 0, CPU), STILL
    )
    assert not net.training
    assert accuracy(net, toy_split(64, 3, contrast=20)) == 1


def test_resumed_training_is_the_uninterrupted_one(tmp_path: Path) -> None:
    def work(checkpoint: Checkpoint) -> tuple[nn.Module, Training]:
        net = small_net()
        return net, train(net, checkpoint)

    (net, training), kills = killed_at_every_save(work, tmp_path / "victim")
    whole = small_net()
    assert training.curve == train(whole).curve and len(training.curve) == RECIPE.epochs
    assert equal_weights(net, whole)
    assert kills == RECIPE.epochs * math.ceil(len(DATA) / RECIPE.batch)


def test_seconds_add_up_over_attempts(tmp_path: Path) -> None:
    seconds = []
    for _ in range(3):
        with pytest.raises(OutOfTime):
            train(small_net(), overdue(tmp_path / "victim"))
        seconds.append(torch.load(tmp_path / "victim")["state"]["seconds"])
    assert 0 < seconds[0] < seconds[1] < seconds[2]


def test_what_another_kind_of_device_began_starts_again(tmp_path: Path) -> None:
    """Random streams of a GPU cannot go on elsewhere."""
    path = tmp_path / "state"
    Checkpoint(path, device="cuda").save({"done": 1})
    assert Checkpoint(path).load() is None and Checkpoint(path).part("trained").load() is None
    assert Checkpoint(path, device="cuda").load() == {"done": 1}


def test_torn_checkpoint_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "victim"
    with pytest.raises(OutOfTime):
        train(small_net(), overdue(path))
    whole = path.read_bytes()
    for torn in (b"", b"\0" * 100, whole[: len(whole) // 2], whole[:-30]):
        path.write_bytes(torn)
        assert Checkpoint(path).load() is None


def test_same_seed_same_order_and_crops_whatever_the_defense_draws() -> None:
    """Rows are paired over defenses: the victims see the same images in the same order."""

    def seen(own: int, draws: int) -> list[Tensor]:
        kept: list[Tensor] = []

        @dataclass(frozen=True)
        class Drawing(Undefended):
            def augment(self, x: Tensor, rng: Generator) -> Tensor:
                torch.rand(draws, generator=rng)
                kept.append(x.clone())
                return x

        fit(small_net(), DATA, RECIPE, Streams.of(1, own, CPU), AUGMENTATION, defense=Drawing())
        return kept

    first = seen(2, 0)
    for own, draws in ((2, 5), (3, 5)):
        assert all(torch.equal(a, b) for a, b in zip(first, seen(own, draws), strict=True))


def test_every_epoch_has_an_order_of_its_own() -> None:
    one, two = (torch.cat(batches(50, 8, 1, epoch, CPU)) for epoch in (0, 1))
    assert one.sort().values.tolist() == two.sort().values.tolist() == list(range(50))
    assert not torch.equal(one, two)
    assert torch.equal(one, torch.cat(batches(50, 8, 1, 0, CPU)))


def test_learning_rates_at_the_ends() -> None:
    cosine = Recipe(lr=0.1, final_lr=0.01)
    assert lr_at(cosine, 0.0) == pytest.approx(0.1)
    assert lr_at(cosine, 0.5) == pytest.approx(0.055)
    assert lr_at(cosine, 1.0) == pytest.approx(0.01)
    steps = Recipe(lr=0.1, schedule="steps", milestones=(0.5, 0.75))
    found = [lr_at(steps, at) for at in (0.0, 0.49, 0.5, 0.74, 0.75, 0.99)]
    assert found == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    halvings = replace(steps, schedule="halvings")
    assert [lr_at(halvings, at) for at in (0.0, 0.5, 0.99)] == pytest.approx([0.1, 0.05, 0.025])
    assert lr_at(Recipe(lr=0.1, schedule="constant"), 0.9) == 0.1


@pytest.mark.parametrize("clip", [None, 0.01])
def test_clip_bounds_the_step(clip: float | None) -> None:
    net = nn.Linear(4, 2)
    before = torch.cat([p.detach().flatten().clone() for p in net.parameters()])
    recipe = Recipe(lr=1.0, momentum=0.0, weight_decay=0.0, schedule="constant", clip=clip)
    Trainer(net, recipe).step(net(torch.ones(3, 4)).square().sum() * 100, 0.0)
    moved = (torch.cat([p.detach().flatten() for p in net.parameters()]) - before).norm()
    assert moved > 1 if clip is None else moved <= clip * 1.001


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"batch": 0}, {"lr": 0.0}, {"lr": -1.0}])
def test_recipe_refuses_what_cannot_train(changes: dict[str, float]) -> None:
    with pytest.raises(BadInput):
        Recipe(**changes)  # type: ignore[arg-type]


def test_predicting_moves_nothing() -> None:
    net, same = small_net().train(), small_net().train()
    assert torch.equal(predict(net, DATA.images, batch=7), predict(net, DATA.images, batch=64))
    assert net.training and equal_weights(net, same)
    right = (predict(net, DATA.images) == DATA.labels).double().mean()
    assert accuracy(net, DATA) == float(right)


def test_balanced_accuracy_counts_each_class_alike() -> None:
    """Whoever names one of three classes knows a third, however large that one is; a fourth is absent."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4))
    nn.init.zeros_(net[1].weight)
    net[1].bias.data = torch.tensor([1.0, 0.0, 0.0, 0.0])
    labels = torch.tensor([0] * 6 + [1] * 3 + [2])
    found = accuracies(net, Split(torch.zeros(10, 3, 8, 8, dtype=torch.uint8), labels))
    assert found == (pytest.approx(0.6), pytest.approx(1 / 3), [1.0, 0.0, 0.0])


# measures


def test_distances_in_closed_form() -> None:
    clean = torch.full((4, 3, 16, 16), 100, dtype=torch.uint8)
    published = clean.clone()
    published[0, 0, 0, 0] += 51  # 0.2
    published[1, :, 3, 4] -= 51  # one pixel in all channels
    found = distances(clean, published, torch.tensor([0, 0, 1, 1]))
    assert found["linf"] == pytest.approx(0.2)
    assert found["l2"] == pytest.approx((0.2 + math.sqrt(3) * 0.2) / 4)
    assert found["l0"] == pytest.approx(2 / 256 / 4)
    assert found["psnr"] == pytest.approx(-10 * math.log10(4 * 0.04 / (4 * 3 * 256)))
    assert found["ssim"] is not None and 0.9 < found["ssim"] < 1
    assert (found["linf_median"], found["l2_max"]) == pytest.approx((0.1, math.sqrt(3) * 0.2))
    assert found["l0_p95"] == pytest.approx(1 / 256) and found["l0_max"] == pytest.approx(1 / 256)
    assert found["psnr_median"] == pytest.approx(-10 * math.log10(0.02 / (3 * 256)))
    assert found["psnr_min"] == pytest.approx(-10 * math.log10(0.12 / (3 * 256)))
    assert found["ssim_min"] < found["ssim_p05"] < found["ssim_median"] < 1  # type: ignore[operator]
    assert found["low_share"] == pytest.approx(1 / 16)  # one of the 16 pixels that are averaged
    assert found["class_share"] == pytest.approx(0.5)  # half of the images of the class, none of the other


def test_what_is_smooth_or_of_a_class_has_all_the_energy() -> None:
    clean = torch.full((6, 3, 10, 10), 100, dtype=torch.uint8)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    found = distances(clean, clean + 5 * labels.to(torch.uint8)[:, None, None, None], labels)
    assert found["low_share"] == pytest.approx(1) and found["class_share"] == pytest.approx(1)
    checkered = torch.arange(100).view(10, 10) % 2 * 8 + torch.arange(10)[:, None] % 2 * 4
    sharp = distances(clean, clean + checkered.to(torch.uint8) * (labels[:, None, None, None] > 0), labels)
    assert sharp["low_share"] < 0.8  # type: ignore[operator]


def test_distances_of_identical_images() -> None:
    found = distances(DATA.images, DATA.images, DATA.labels)
    same = {name: value for name, value in found.items() if name.startswith("ssim")}
    assert same == pytest.approx(dict.fromkeys(same, 1), abs=1e-6) and same
    others = {name: value for name, value in found.items() if name not in same}
    changes = ("linf", "l2", "l0")
    assert others == {name: 0 if name.startswith(changes) else None for name in others}


def test_distances_do_not_depend_on_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    published = release(DATA.images, 0.03 * (noise(*DATA.images.shape) * 2 - 1), 0.03)
    whole = distances(DATA.images, published, DATA.labels)
    monkeypatch.setattr("bench.metrics.distances.BATCH", 7)
    assert distances(DATA.images, published, DATA.labels) == pytest.approx(whole)


# the store


def stored(folder: Path) -> cache.Poison:
    images = DATA.images[:4]
    poison = cache.Poison(images, {"published": digest(images), "seed": 3})
    cache.save(folder, poison)
    return poison


def test_poison_comes_back(tmp_path: Path) -> None:
    poison = stored(tmp_path / "a" / "key")
    found = cache.load(tmp_path / "a" / "key")
    assert found is not None and found.manifest == poison.manifest
    assert torch.equal(found.images, poison.images)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["key"]  # nothing is left beside it


def test_poison_that_is_not_its_manifests_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "key"
    assert cache.load(folder) is None
    stored(folder)
    images = np.load(folder / "published.npy")
    images[0, 0, 0, 0] ^= 1  # one bit
    np.save(folder / "published.npy", images)
    assert cache.load(folder) is None
    stored(folder)  # takes the place of what was refused
    assert cache.load(folder) is not None


@pytest.mark.parametrize("name", ["published.npy", "manifest.json"])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", None])
def test_torn_poison_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    folder = tmp_path / "key"
    stored(folder)
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    assert cache.load(folder) is None


def test_what_is_mapped_takes_no_memory_before_it_is_used(tmp_path: Path) -> None:
    """Nor for being compared with its digest: a worker uses the poison or what was prepared of it."""
    images = torch.randint(256, (20_000, 3, 32, 32), dtype=torch.uint8, generator=generator(0))
    megabytes = images.numel() / 2**20
    cache.save(tmp_path / "key", cache.Poison(images, {"published": digest(images)}))
    cache.prepared(tmp_path / "key" / "prepared", lambda: (images.clone(), {}))
    before = resident_mb()
    found = cache.load(tmp_path / "key")
    kept = cache.prepared(tmp_path / "key" / "prepared", lambda: pytest.fail("made again"))
    assert found is not None and resident_mb() < before + megabytes / 2
    assert torch.equal(found.images, images) and torch.equal(kept.images, images)
    assert resident_mb() > before + megabytes  # it can be seen


def test_prepared_images_are_made_once(tmp_path: Path) -> None:
    made = []

    def make() -> tuple[torch.Tensor, dict[str, Any]]:
        made.append(1)
        return DATA.images ^ 3, {"of": len(made)}

    path = tmp_path / "gray"
    for _ in range(3):
        found = cache.prepared(path, make)
        assert torch.equal(found.images, DATA.images ^ 3) and found.manifest["facts"] == {"of": 1}
    assert len(made) == 1
    (kept,) = (file for file in path.iterdir() if file.suffix != ".json")
    whole = kept.read_bytes()
    for damaged in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:-1], b""):
        kept.write_bytes(damaged)
        assert torch.equal(cache.prepared(path, make).images, DATA.images ^ 3)
    assert len(made) == 4
    assert kept.read_bytes() == whole


def test_what_a_reader_writes_into_a_poison_stays_its_own(tmp_path: Path) -> None:
    poison = stored(tmp_path / "key")
    for _ in range(2):
        found = cache.load(tmp_path / "key")
        assert found is not None and torch.equal(found.images, poison.images)
        found.images.zero_()


def test_key_does_not_depend_on_order() -> None:
    one, other = {"a": 1, "b": {"c": 2, "d": [3, 4]}}, {"b": {"d": [3, 4], "c": 2}, "a": 1}
    assert key_of(one) == key_of(other) == key_of(json.loads(json.dumps(one)))
    assert key_of(one) != key_of({**one, "a": 2})
    assert key_of({"x": (1, 2)}) == key_of({"x": [1, 2]})
    with pytest.raises(ValueError):
        key_of({"x": math.nan})


def test_split_takes_rows() -> None:
    part = DATA.take(torch.tensor([3, 1]))
    assert isinstance(part, Split) and len(part) == 2
    assert torch.equal(part.images[0], DATA.images[3])
