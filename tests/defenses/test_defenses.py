"""What every defense promises, and what each of them does to images and losses."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Generator, Tensor, nn

from bench.conform.check import complaint
from bench.conform.defenses import BATCH, PUBLISHED, DefenseCase, X
from bench.conform.defenses import DEFENSE as PROPERTIES
from bench.core.augment import crop_flip
from bench.core.defense import Undefended, does_nothing, is_steady, trains_otherwise
from bench.core.errors import BadInput
from bench.core.pixels import to_float, to_uint8
from bench.core.rng import generator, seed_for
from bench.core.train import Streams, fit
from bench.core.types import Recipe
from bench.experiment.cell import craft, run_cell
from bench.experiment.context import Cell, RunContext
from bench.experiment.registry import Plugin, catalog
from bench.experiment.settings import PROFILES, Setting
from bench.results.rows import Row
from defenses.adversarial_training import AdversarialTraining
from defenses.cutout import Cutout
from defenses.iss import BitDepth, Gray, Jpeg
from defenses.ueraser import UEraser, policy
from support.toys import (
    DEFENSES,
    METHODS,
    SIZE,
    equal_weights,
    noise,
    purified,
    small_net,
    toy_dataset,
)

FULL, DECLARED = catalog("defenses"), catalog("defenses", declared=True)
INERT = {"none", "leak-0"}
PARTS = {
    "images": ("prepare", "purify"),
    "batches": ("augment",),
    "training": ("recipe", "begin", "loss", "finish"),
}
WITH_VIEWS = [name for name, plugin in DEFENSES.items() if isinstance(plugin.value, UEraser)]
ATTACKING = [name for name, plugin in DEFENSES.items() if isinstance(plugin.value, AdversarialTraining)]


def textured(n: int = 8, *, channels: int = 3, size: int = 32) -> Tensor:
    """uint8 images with edges, gradients and noise in colour."""
    line = torch.linspace(0, 1, size)
    base = (line[:, None] * line)[None, None] + 0.3 * (noise(n, channels, size, size) - 0.5)
    base = base + 0.3 * (torch.arange(size) // 5 % 2) * noise(n, channels, 1, 1, seed=1)
    return to_uint8(base.clamp(0, 1))


def trained_net() -> nn.Module:
    """A net that knows the toy classes."""
    net = small_net()
    recipe = Recipe(epochs=5, batch=16, lr=0.05)
    fit(net, PUBLISHED, recipe, Streams.of(0, 0, torch.device("cpu")), toy_dataset().augmentation)
    return net


# every defense


def case(name: str) -> DefenseCase:
    return DefenseCase(DEFENSES[name], FULL.get(name), DECLARED.get(name))


@pytest.mark.parametrize("what", [what for what in PROPERTIES if what != "clean images"])
def test_it_keeps_what_is_asked_of_all(defense: Plugin, what: str) -> None:
    policy.cache_clear()  # building the transforms must not draw either
    assert complaint(PROPERTIES[what], case(defense.name)) is None


@pytest.mark.parametrize("name", FULL.everything)
def test_defended_victim_learns_the_toy_problem(name: str) -> None:
    assert complaint(PROPERTIES["clean images"], case(name)) is None


def test_only_controls_do_nothing(defense: Plugin, rng: Generator) -> None:
    """Some controls do something: the same as a defense, but for one part of it."""
    same = torch.equal(purified(defense.value, PUBLISHED).images, PUBLISHED.images)
    rest = not trains_otherwise(defense.value)
    inert = rest and same and does_nothing(defense.value, small_net(), BATCH.images, X, BATCH.labels, rng)
    assert inert == (defense.name in INERT) and (defense.control or not inert)


def parts(value: Undefended) -> set[tuple[str, object]]:
    """What a defense does: to all images once, to batches, and how it trains."""
    hooks = {(hook, getattr(type(value), hook)) for hooks in PARTS.values() for hook in hooks}
    return {(hook, own) for hook, own in hooks if own is not getattr(Undefended, hook)}


def test_a_defense_changes_one_thing(defense: Plugin) -> None:
    """Whoever augments besides would be credited with that, too, unless a control does the same."""
    controls = [parts(plugin.value) for plugin in DEFENSES.values() if plugin.control]
    shared = [own for own in controls if own < parts(defense.value)]
    own = parts(defense.value) - max(shared, key=len, default=set())
    changed = [part for part, hooks in PARTS.items() if {hook for hook, _ in own} & {*hooks}]
    assert len(changed) == 1 or defense.control


def test_none_is_plain_cross_entropy(rng: Generator) -> None:
    none, net, state = DEFENSES["none"].value, small_net().eval(), rng.get_state()
    assert torch.equal(none.prepare(PUBLISHED.images), PUBLISHED.images)
    assert torch.equal(none.augment(X, rng), X)
    assert torch.equal(none.loss(net, X, BATCH.labels, rng, 0.5), F.cross_entropy(net(X), BATCH.labels))
    assert torch.equal(rng.get_state(), state)


# what the harness does with them


@dataclass(frozen=True)
class Forgotten(Undefended):
    """A defense whose author overrode nothing."""

    sigma: float = 0.1


@dataclass(frozen=True)
class Halved(Undefended):
    """A defense that changes the images' size."""

    def prepare(self, images: Tensor) -> Tensor:
        return images[:, :, ::2, ::2]


def run_toy(value: Undefended, cache: Path, rep: int = 0, method: str = "clean") -> Row:
    setting = Setting(data="toy", limit=None, victim=Recipe(epochs=1, batch=32), points=1)
    context = RunContext(toy_dataset(), setting, "quick", torch.device("cpu"), cache, {})
    cell = Cell(METHODS[method], Plugin("defenses", "mine", value, "code"), 0, rep)
    return run_cell(context, cell, craft(context, cell.method, 0))


def test_what_does_not_change_is_prepared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All victims of a poison share it; what is looked at besides is a batch, and MI's choice of images."""
    monkeypatch.setattr("bench.experiment.cell.does_nothing", lambda *a: False)
    calls, prepare = list[Tensor](), Gray.prepare

    def counted(self: Gray, images: Tensor) -> Tensor:
        calls.append(images.clone())
        return prepare(self, images)

    monkeypatch.setattr(Gray, "prepare", counted)
    rows = [run_toy(Gray(), tmp_path, rep) for rep in (0, 1, 0)]
    assert sum(torch.equal(calls[0], images) for images in calls) == 1
    assert rows[0].test_acc == rows[2].test_acc and rows[0].curve == rows[2].curve
    before = len(calls)
    run_toy(replace(Jpeg(), quality=50), tmp_path)
    assert len(calls) == before


def test_inert_defense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'mine' left images, batches and loss as they were on 64"):
        run_toy(Forgotten(), tmp_path, method="em")


def test_defense_that_resizes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'mine' prepared torch.uint8 \(64, 3, 8, 8\), expected"):
        run_toy(Halved(), tmp_path)


def test_defense_without_meaning_for_gray_images_says_so(defense: Plugin) -> None:
    assert defense.value.unsuited(toy_dataset()) is None
    reason = defense.value.unsuited(toy_dataset(channels=1))
    assert (reason is not None) == isinstance(defense.value, Gray | UEraser)
    assert reason is None or "toy" in reason


# gray, JPEG, bit depth


def pillow(image: Tensor) -> Image.Image:
    array = image.permute(1, 2, 0).numpy()
    return Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)


def test_gray_is_pillows_luminance_in_all_channels() -> None:
    images = torch.randint(0, 256, (16, 3, 32, 32), generator=generator(0)).to(torch.uint8)
    shown = Gray().prepare(images)
    for image, gray in zip(images, shown, strict=True):
        assert (gray == gray[0]).all()
        assert np.array_equal(gray[0].numpy(), np.asarray(pillow(image).convert("L")))


@pytest.mark.parametrize(("levels", "stays"), [((8, -4, 0), False), ((8, 8, 8), True)])
def test_gray_takes_out_a_pattern_of_colour_alone(levels: tuple[int, ...], stays: bool) -> None:
    """Red up by 8 and green down by 4 leave the luminance, 0.299 of red and 0.587 of green, nearly alone."""
    images = torch.randint(16, 240, (16, 3, 32, 32), generator=generator(0)).to(torch.uint8)
    sign = torch.randint(0, 2, (16, 1, 32, 32), generator=generator(1)) * 2 - 1
    published = (images + sign * torch.tensor(levels).view(1, 3, 1, 1)).to(torch.uint8)
    left = (Gray().prepare(published).float() - Gray().prepare(images).float()).abs().mean()
    assert left == 8 if stays else left < 0.1


@pytest.mark.parametrize("quality", [10, 50, 95])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_is_pillows_round_trip(quality: int, channels: int) -> None:
    images = textured(channels=channels)
    for image, shown in zip(images, Jpeg(quality).prepare(images), strict=True):
        file = io.BytesIO()
        pillow(image).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        expected = torch.from_numpy(np.array(Image.open(file))).reshape(32, 32, channels)
        assert torch.equal(shown, expected.permute(2, 0, 1))


def test_lower_quality_is_further_away() -> None:
    images = textured()
    away = [(Jpeg(q).prepare(images).float() - images).abs().mean() for q in (5, 10, 30, 60, 90)]
    assert all(worse > better for worse, better in pairwise(away))


def test_jpeg_squeezes_a_perturbation() -> None:
    """What it is for: the difference of published and clean is smaller afterwards."""
    images = textured()
    sign = torch.randint(0, 2, images.shape, generator=generator(0)) * 16 - 8
    published = (images + sign).clamp(0, 255).to(torch.uint8)
    left = Jpeg(10).prepare(published).float() - Jpeg(10).prepare(images).float()
    assert left.abs().mean() < 0.7 * (published.float() - images.float()).abs().mean()


@pytest.mark.parametrize("bits", range(1, 8))
def test_bit_depth_leaves_its_levels(bits: int) -> None:
    ramp = torch.arange(256).to(torch.uint8).view(1, 1, 16, 16)
    shown = BitDepth(bits).prepare(ramp)
    assert len(shown.unique()) == 2**bits
    assert (shown.flatten().int().diff() >= 0).all()  # order is kept
    assert torch.equal(BitDepth(bits).prepare(shown), shown)


@pytest.mark.parametrize(("height", "stays"), [(8, False), (40, True)])
def test_bit_depth_takes_out_what_stays_within_a_level(height: int, stays: bool) -> None:
    """Of two bits a level has 64 grey levels: 8 around its middle are in it, 40 are not."""
    images = torch.randint(0, 4, (16, 3, 32, 32), generator=generator(0)) * 64 + 32
    sign = torch.randint(0, 2, images.shape, generator=generator(1)) * 2 - 1
    published = (images + height * sign).clamp(0, 255).to(torch.uint8)
    shown = BitDepth(2).prepare(published), BitDepth(2).prepare(images.to(torch.uint8))
    assert torch.equal(*shown) != stays


# cutout


def blanks(n: int, seed: int = 0, side: float = 0.5) -> Tensor:
    """bool (N,H,W): what is blank of n images."""
    x = Cutout(side).augment(torch.ones(n, 3, SIZE, SIZE), generator(seed))
    assert (x == x[:, :1]).all() and set(x.unique().tolist()) <= {0.0, 1.0}
    return x[:, 0] == 0


def test_cutout_blanks_one_square_clipped_at_the_border() -> None:
    side = SIZE // 2
    sizes = set()
    for blank in blanks(1000):
        rows, columns = blank.any(1).nonzero().flatten(), blank.any(0).nonzero().flatten()
        assert blank.sum() == len(rows) * len(columns)  # a rectangle
        for line in (rows, columns):
            inside = line[0] > 0 and line[-1] < SIZE - 1
            assert side // 2 <= len(line) <= side and (not inside or len(line) == side)
        sizes.add(int(blank.sum()))
    assert max(sizes) == side**2 and min(sizes) <= (side // 2 + 1) ** 2


def test_cutouts_centre_is_uniform() -> None:
    n, half = 4000, SIZE // 4
    for axis in (1, 2):
        lines = blanks(n).any(axis).int()
        first, last = lines.argmax(1), SIZE - 1 - lines.flip(1).argmax(1)
        centre = torch.where(first > 0, first + half, last + 1 - half)
        counts = torch.bincount(centre, minlength=SIZE).double()
        assert len(counts) == SIZE
        assert ((counts - n / SIZE) ** 2 / (n / SIZE)).sum() < 38  # chi-square of 15, 0.1 %


def test_cutout_draws_for_each_image_anew() -> None:
    blank = blanks(50)
    assert len({tuple(b.flatten().tolist()) for b in blank}) > 30
    assert not torch.equal(blank, blanks(50, seed=1))


# adversarial training


class Watched(nn.Module):
    """A net that keeps what it is trained on."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.seen = net, []

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen.append(x.detach().clone())
        return self.net(x)  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ATTACKING)
def test_attacked_images_stay_near(name: str, rng: Generator) -> None:
    value, net = DEFENSES[name].value, Watched(small_net()).train()
    value.loss(net, X, BATCH.labels, rng, 0.0)
    (z,) = net.seen
    assert 0 < (z - X).abs().amax() <= value.radius + 1e-6
    assert z.amin() >= 0 and z.amax() <= 1


@pytest.mark.parametrize("name", ATTACKING)
def test_attack_raises_the_loss(name: str, rng: Generator) -> None:
    net = trained_net().eval()
    clean = F.cross_entropy(net(X), BATCH.labels)
    assert DEFENSES[name].value.loss(net, X, BATCH.labels, rng, 0.0) > clean


@pytest.mark.parametrize("name", ATTACKING)
def test_attack_does_not_move_the_net(name: str, rng: Generator) -> None:
    """Batch norm's averages move by the one forward pass that is learnt from, and weights not at all."""
    net, other = Watched(small_net()).train(), small_net().train()
    DEFENSES[name].value.loss(net, X, BATCH.labels, rng, 0.0)
    other(net.seen[0])
    assert equal_weights(net.net, other)
    assert not equal_weights(net.net, small_net())


def test_radii_and_steps_are_those_of_the_names() -> None:
    for name in ("at-8", "at-6", "at-4", "at-2", "at-3"):
        value = FULL.get(name).value
        assert value.radius == int(name[3:]) / 255
        assert (value.step, value.steps) == (2 / 255, 10)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", [name for name in ATTACKING if name in FULL.variants])
def test_steps_of_every_profile_reach_the_radius(name: str, profile: str) -> None:
    value = FULL.get(name).at(profile).value
    assert value.steps * value.step >= value.radius


@pytest.mark.parametrize("name", ["at-0", "at-256", "iss-jpeg0", "iss-jpeg96", "iss-bdr0", "iss-bdr8"])
def test_pattern_refuses_what_has_no_meaning(name: str) -> None:
    with pytest.raises(BadInput):
        FULL.get(name)


# UEraser


@dataclass(frozen=True)
class Counted(UEraser):
    """Views that are known: the image darkened by another factor at each draw."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "drawn", [])

    def view(self, x: Tensor, rng: Generator) -> Tensor:
        self.drawn.append(1)  # type: ignore[attr-defined]
        return x * (1 - 0.15 * len(self.drawn))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", WITH_VIEWS)
def test_views_compete_early_and_one_is_drawn_late(name: str, rng: Generator) -> None:
    value, net = FULL.get(name).value, small_net()
    for progress in (0.0, 0.29, 0.3, 0.99):
        counted = Counted(draws=value.draws, until=value.until)
        counted.loss(net, X, BATCH.labels, rng, progress)
        expected = value.draws if progress < value.until else 1
        assert len(counted.drawn) == expected  # type: ignore[attr-defined]


def test_every_image_is_learnt_from_its_worst_view(rng: Generator) -> None:
    net = trained_net().eval()
    found = Counted().loss(net, X, BATCH.labels, rng, 0.0)
    views = [X * (1 - 0.15 * k) for k in range(1, 6)]
    losses = torch.stack([F.cross_entropy(net(z), BATCH.labels, reduction="none") for z in views])
    assert torch.allclose(found, losses.amax(0).mean())
    assert found > losses.mean(1).max()  # it is each image's own worst, not the batch's


def test_more_draws_are_not_easier() -> None:
    net = trained_net().eval()
    one, five = (UEraser(draws=k, until=1.0).loss(net, X, BATCH.labels, generator(3), 0.0) for k in (1, 5))
    assert five > one


def test_settings_of_the_variants() -> None:
    uer = FULL.get("uer").value
    assert (uer.draws, uer.until, uer.p) == (5, 0.3, 0.5)
    for name, change in {
        "uer-lite": (1, 0.3, 0.5),
        "uer-max": (5, 1.0, 0.5),
        "uer-p1": (5, 0.3, 1.0),
    }.items():
        value = FULL.get(name).value
        assert (value.draws, value.until, value.p) == change


@pytest.mark.parametrize("name", WITH_VIEWS)
def test_views_are_pixels_and_differ(name: str, rng: Generator) -> None:
    value = DEFENSES[name].value
    one, other = value.view(X, rng), value.view(X, rng)
    for view in (one, other):
        assert view.shape == X.shape and view.amin() >= 0 and view.amax() <= 1
        assert view.isfinite().all() and not view.requires_grad
    assert not torch.equal(one, other)


# order of the hooks


def test_crop_and_flip_come_before_augment() -> None:
    """A square that was cut out is not moved or padded by the crop."""
    seen: list[Tensor] = []

    @dataclass(frozen=True)
    class Recording(Undefended):
        def augment(self, x: Tensor, rng: Generator) -> Tensor:
            seen.append(x)
            return x

    augmentation, net = toy_dataset().augmentation, small_net()
    streams = Streams.of(4, 4, torch.device("cpu"))
    recipe = Recipe(epochs=1, batch=64)
    fit(net, PUBLISHED, recipe, streams, augmentation, defense=Recording())
    again = Streams.of(4, 4, torch.device("cpu"))
    rows = torch.randperm(64, generator=generator(seed_for(again.order, 0)))
    assert torch.equal(seen[0], crop_flip(to_float(PUBLISHED.images[rows]), augmentation, again.augment))


# What may be recorded


class Restless(AdversarialTraining):
    """Its loss is another one in the second half."""

    def loss(self, net: nn.Module, x: Tensor, y: Tensor, rng: Generator, progress: float) -> Tensor:
        return super().loss(net, x, y, rng, progress) * (1 if progress < 0.5 else 2)


class Louder(AdversarialTraining):
    """Other defaults alone."""

    steps: int = 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [("none", True), ("cutout", True), ("at-8", True), ("iss-gray", True), ("uer", False)],
)
def test_defenses_say_whether_their_steps_are_alike(name: str, expected: bool) -> None:
    assert is_steady(DEFENSES[name].value) is expected


def test_who_brings_hooks_of_its_own_speaks_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_steady(Louder()) and not is_steady(Restless())
    monkeypatch.setattr(Restless, "STEADY", True, raising=False)
    assert is_steady(Restless())
