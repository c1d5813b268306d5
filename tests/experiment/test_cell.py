"""A cell's numbers: which images and which epoch each of them is of, and what a cached poison hangs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from bench.core.defense import Undefended
from bench.core.kit import Kit
from bench.core.method import Form, Lab, Need
from bench.core.pgd import pgd
from bench.core.pixels import digest, to_float, to_uint8
from bench.core.threat import Threat
from bench.core.train import Streams, Training, accuracy, fit
from bench.core.types import Augmentation, BadInput, Dataset, Recipe, Split
from bench.data.poisons.purified import Purified
from bench.experiment import cache, cell
from bench.experiment.cell import craft, run_cell
from bench.experiment.context import Cell, RunContext
from bench.experiment.evaluate import HeldOut, features, mi_columns, robust_columns, subject
from bench.experiment.registry import Plugin, imported
from bench.experiment.settings import Setting
from bench.metrics.mi.limits import CERTIFIED
from bench.metrics.mi.settings import MISettings
from bench.metrics.mi.smi_noisy import NAME as ESTIMATOR
from bench.results.rows import Row
from methods.uniform import Uniform
from support.toys import CLASSES, DEFENSES, METHODS, RECIPE, noise, small_net, toy_dataset, toy_split

SETTING = Setting(victim=RECIPE, mi=MISettings(images=64, slices=4), points=2)
CPU = torch.device("cpu")


def context_of(folder: Path, **asked: object) -> RunContext:
    return RunContext(toy_dataset(), replace(SETTING, **asked), "quick", CPU, folder, {})  # type: ignore[arg-type]


def run(folder: Path, defense: Plugin = DEFENSES["none"], method: Plugin = METHODS["random"]) -> Row:
    context = context_of(folder)
    return run_cell(context, Cell(method, defense, 0, 0), craft(context, method, 0))


def plugged(value: Undefended) -> Plugin:
    return Plugin("defenses", "mine", value, "code")


# which images, which epoch


@pytest.mark.parametrize("name", ["none", "iss-gray", "iss-jpeg10"])
def test_test_images_stay_as_they_are_unless_it_is_asked_for(name: str) -> None:
    data, defense = toy_dataset(), DEFENSES[name].value
    plain, asked = (HeldOut(data, replace(SETTING, prepare_test=p), defense) for p in (False, True))
    for split, kept, made in ((data.test, plain.test, asked.test), (data.val, plain.val, asked.val)):
        assert torch.equal(kept.images, split.images) and torch.equal(kept.labels, split.labels)
        assert torch.equal(made.images, defense.prepare(split.images))
    whole = {image.numpy().tobytes() for image in data.test.images}
    assert {image.numpy().tobytes() for image in plain.subset.images} <= whole


TOGETHER = ["op", "op-plain", "pca", "leak-50", "leak-unet-9", "purified"]


@pytest.mark.parametrize("name", TOGETHER)
def test_test_images_are_not_asked_of_what_purifies_all_images_together(name: str, tmp_path: Path) -> None:
    """No row then says that they were prepared; nothing is trained for it."""
    defense = plugged(Purified()) if name == "purified" else DEFENSES[name]
    context = context_of(tmp_path, prepare_test=True)
    with pytest.raises(BadInput, match=f"--prepare-test: {defense.name} purifies all published images toget"):
        run_cell(context, Cell(METHODS["random"], defense, 0, 0), craft(context, METHODS["random"], 0))


def test_what_prepares_test_images_or_changes_none_may_be_asked_to(tmp_path: Path) -> None:
    context = context_of(tmp_path, prepare_test=True)
    for name, defense in DEFENSES.items():
        if name not in TOGETHER and not defense.value.leaks:
            context.setting.check_prepares(defense)
    plain = run(tmp_path, DEFENSES["leak-0"])
    row = run_cell(
        context, Cell(METHODS["random"], DEFENSES["leak-0"], 0, 0), craft(context, METHODS["random"], 0)
    )
    assert (row.test_acc, row.curve) == (plain.test_acc, plain.curve)


@pytest.fixture
def victims(monkeypatch: pytest.MonkeyPatch) -> list[tuple[nn.Module, Split]]:
    """The nets that were trained, and on what."""
    seen: list[tuple[nn.Module, Split]] = []

    def watched(net: nn.Module, data: Split, *rest: object, **more: object) -> Training:
        seen.append((net, data))
        return fit(net, data, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(cell, "fit", watched)
    return seen


def told(net: nn.Module, split: Split) -> float:
    """In the place of an accuracy: a number in [0,1) that says which images it is of."""
    return int(digest(split.images)[:8], 16) / 16**8


def test_each_accuracy_is_of_its_own_images(
    tmp_path: Path, victims: list[tuple[nn.Module, Split]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Validation is clean and apart; training accuracy is on what the victim was shown."""
    for place in ("bench.experiment.cell.accuracy", "bench.experiment.evaluate.accuracy"):
        monkeypatch.setattr(place, told)
    monkeypatch.setattr("bench.experiment.evaluate.accuracies", lambda *seen: (told(*seen), 0.5, [0.5]))
    row, data = run(tmp_path, DEFENSES["iss-gray"]), toy_dataset()
    ((net, shown),) = victims
    assert row.test_acc == told(net, data.test)
    assert row.train_acc == told(net, shown) != told(net, data.train)
    assert {point["val_acc"] for point in row.curve} == {told(net, data.val)}


def test_chance_is_to_name_the_largest_class(tmp_path: Path) -> None:
    """Of the test set, whose classes need not be of one size; and each class counts alike beside it."""
    data = toy_dataset()
    most = replace(
        data, test=data.test.take(torch.cat([torch.arange(len(data.test)), *[torch.tensor([0])] * 9]))
    )
    context = replace(context_of(tmp_path), data=most)
    row = run_cell(
        context, Cell(METHODS["random"], DEFENSES["none"], 0, 0), craft(context, METHODS["random"], 0)
    )
    assert row.chance == float(most.test.labels.bincount().max()) / len(most.test) > 1 / CLASSES
    assert row.test_acc is not None and row.balanced_acc is not None and row.balanced_acc != row.test_acc


def test_accuracy_by_class_is_what_the_other_two_are_means_of(tmp_path: Path) -> None:
    row, labels = run(tmp_path), toy_dataset().test.labels
    assert len(row.class_acc) == CLASSES
    shares = torch.tensor([share for share in row.class_acc if share is not None])
    assert float(shares.mean()) == pytest.approx(row.balanced_acc)
    assert float((shares * labels.bincount() / len(labels)).sum()) == pytest.approx(row.test_acc)


# accuracy under attack


def attacked(net: nn.Module, split: Split, radius: float, images: int | None = None) -> dict[str, Any]:
    data = replace(toy_dataset(), train=toy_split(200, 3))
    return robust_columns(net, split, data, replace(SETTING, robust_images=images), radius)


@pytest.fixture(scope="module")
def learned() -> nn.Module:
    """A net that knows the toy images."""
    net, train = small_net(), toy_split(200, 5)
    fit(net, train, Recipe(epochs=12, batch=20, lr=0.05), Streams.of(0, 0, CPU), Augmentation(0, False))
    return net.eval()


def test_an_attack_of_a_larger_radius_leaves_less_and_of_none_what_there_was(learned: nn.Module) -> None:
    test = toy_split(50, 9)
    found = [attacked(learned, test, radius, 50)["robust_acc"] for radius in (0.0, 2 / 255, 8 / 255, 0.4)]
    assert found[0] == pytest.approx(accuracy(learned, test)) and found[0] > 0.8
    assert sorted(found, reverse=True) == found and found[-1] < found[0] - 0.5


def test_the_attack_stays_in_its_ball_and_range_and_takes_twenty_steps(
    learned: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a random start, which is another one for each image."""
    asked: list[dict[str, float]] = []
    starts: list[Tensor] = []

    def watched(objective: object, x: Tensor, start: Tensor, **how: float) -> Tensor:
        asked.append(how)
        starts.append(start)
        found = pgd(objective, x, start, **how)  # type: ignore[arg-type]
        assert float(found.abs().max()) <= 8 / 255 + 1e-6
        assert float((x + found).min()) >= 0 and float((x + found).max()) <= 1
        return found

    monkeypatch.setattr("bench.experiment.evaluate.pgd", watched)
    attacked(learned, toy_split(30, 9), 8 / 255, 30)
    assert asked == [{"eps": 8 / 255, "step": 2 / 255, "steps": 20}]
    assert len(starts[0].flatten(1).unique(dim=0)) == 30 and float(starts[0].abs().max()) > 7 / 255


@pytest.mark.parametrize(("images", "seen"), [(None, 33), (7, 7), (1000, 60), (0, None)])
def test_so_many_test_images_are_attacked(learned: nn.Module, images: int | None, seen: int | None) -> None:
    """By default a sixth of 200 training images; never more than there are."""
    found = attacked(learned, toy_split(60, 9), 8 / 255, images)
    assert found.get("robust_images") == seen and (seen is None) == (found == {})


def test_victims_that_train_adversarially_are_attacked_and_no_others(tmp_path: Path) -> None:
    row, plain = run(tmp_path, DEFENSES["at-3"]), run(tmp_path, DEFENSES["iss-gray"])
    assert row.robust_acc is not None and row.test_acc is not None and 0 <= row.robust_acc <= 1
    assert (row.robust_radius, row.robust_images) == (8 / 255, 10)  # whatever the victim trained at
    assert (plain.robust_acc, plain.robust_radius, plain.robust_images) == (None, None, None)
    again = run(tmp_path, DEFENSES["at-3"])
    assert (again.robust_acc, again.key) == (row.robust_acc, row.key)


def test_the_default_number_of_attacked_images_is_in_no_key(tmp_path: Path) -> None:
    """Rows that were stored before any was attacked keep theirs."""
    cell_of = Cell(METHODS["random"], DEFENSES["at-3"], 0, 0)
    plain, other = (context_of(tmp_path, **asked).identity(cell_of) for asked in ({}, {"robust_images": 9}))
    assert "robust_images" not in plain.inputs and plain.key != other.key
    assert other.inputs["robust_images"] == 9 and plain.setting != other.setting


def test_a_row_has_no_mi_outside_the_certified_range(monkeypatch: pytest.MonkeyPatch) -> None:
    data, net = replace(toy_dataset(), train=toy_split(250, 0)), small_net()
    published = Split(to_uint8(noise(*data.train.images.shape)), data.train.labels)
    setting = replace(SETTING, mi=MISettings(images=250, slices=4))
    within = mi_columns(data, setting, net, published, Undefended())
    assert within["mi"] is not None and within["mi_reason"] is None
    assert within["mi_low"] < within["mi"] < within["mi_high"]
    assert within["mi_gap"] == pytest.approx(within["mi_ceiling"] - within["mi"])
    assert within["mi_share"] == pytest.approx(within["mi_gap"] / within["mi_ceiling"])
    assert (within["mi_shown"], within["mi_shown_gap"]) == (within["mi"], within["mi_gap"])
    assert 0 <= within["mi_labels"] <= np.log(len(data.classes))
    monkeypatch.setitem(CERTIFIED, ESTIMATOR, replace(CERTIFIED[ESTIMATOR], most=within["mi"] - 1e-6))
    beyond = mi_columns(data, setting, net, published, Undefended())
    assert beyond["mi"] is beyond["mi_low"] is beyond["mi_high"] is beyond["mi_gap"] is None
    assert "at least" in beyond["mi_reason"] and "certified up to" in beyond["mi_reason"]
    few = replace(SETTING, mi=MISettings(images=199, slices=4))
    found = mi_columns(data, few, net, published, Undefended())
    said = f"{ESTIMATOR}: features of 199 images, expected 200 or more"
    assert "mi" not in found and found["mi_reason"] == said


@pytest.mark.parametrize(("copies", "refused"), [(2, False), (3, True)])
def test_a_row_has_no_mi_of_images_that_are_copies(copies: int, refused: bool) -> None:
    """One image again and again, each with a perturbation of its own: no two pairs are alike."""
    data, net = replace(toy_dataset(), train=toy_split(250, 0)), small_net()
    data.train.images[1 : copies + 1] = data.train.images[0]
    published = Split(to_uint8(noise(*data.train.images.shape)), data.train.labels)
    found = mi_columns(
        data, replace(SETTING, mi=MISettings(images=250, slices=4)), net, published, Undefended()
    )
    if refused:
        assert "mi" not in found
        assert "3 of 250 training images are exact copies of others" in found["mi_reason"]
    else:
        assert found["mi"] is not None


def test_mi_as_shown_is_of_both_as_the_defense_prepares_them() -> None:
    class Coarse(Undefended):
        def prepare(self, images: Tensor) -> Tensor:
            return images // 128 * 128

    class Whole(Undefended):
        def purify(self, images: Tensor, labels: Tensor, kit: Kit) -> Tensor:
            return images // 2

    data, net = replace(toy_dataset(), train=toy_split(250, 0)), small_net()
    change = torch.randint(0, 8, data.train.images.shape, generator=torch.Generator().manual_seed(1))
    published = Split(data.train.images // 8 * 8 + change.to(torch.uint8), data.train.labels)
    setting = replace(SETTING, mi=MISettings(images=250, slices=4))
    coarse = mi_columns(data, setting, net, published, Coarse())
    plain = mi_columns(data, setting, net, published, Undefended())
    assert coarse["mi"] == plain["mi"] and coarse["mi_gap"] > 0
    assert coarse["mi_shown_gap"] == 0  # this perturbation is below what is left of the images
    whole = mi_columns(data, setting, net, published, Whole())
    assert whole["mi"] == plain["mi"] and "mi_shown" not in whole and "purifies" in whole["mi_reason"]


def test_mi_is_of_the_same_images_for_every_poison_and_net() -> None:
    data, setting = toy_dataset(), replace(SETTING, mi=MISettings(images=20, slices=4))
    dark, light = (Split(data.train.images & mask, data.train.labels) for mask in (15, 240))
    asked = ((small_net(0), dark, setting), (small_net(1), light, replace(setting, seed=1)))
    one, other = (subject(data, s, net, published) for net, published, s in asked)
    assert torch.equal(one.clean, other.clean) and torch.equal(one.labels, other.labels)
    assert torch.equal(one.clean & 15, one.published) and torch.equal(one.clean & 240, other.published)
    assert torch.equal(one.clean_features, features(asked[0][0], one.clean))
    assert torch.equal(one.published_features, features(asked[0][0], one.published))


@dataclass(frozen=True)
class Late(Undefended):
    """Changes the net after the training."""

    def finish(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        net.head.bias.data.zero_()  # type: ignore[union-attr]


def test_the_accuracy_is_the_last_epochs_and_the_best_stands_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [(1, 0.2, 0.3), (2, 0.9, 0.5), (3, 0.4, 0.8), (4, 0.5, 0.6)]  # epoch, validation, test
    curve = [{"epoch": e, "val_acc": val, "test_acc": test} for e, val, test in points]
    nets: list[nn.Module] = []

    def trained(net: nn.Module, *rest: object, **more: object) -> Training:
        nets.append(net)
        return Training([dict(point) for point in curve], 1.0)

    monkeypatch.setattr(cell, "fit", trained)
    row = run(tmp_path)
    assert row.test_acc == accuracy(nets[0], toy_dataset().test)
    assert (row.val_selected_acc, row.peak_acc, row.curve) == (0.5, 0.8, curve)
    late = run(tmp_path, plugged(Late()))  # whose net is another one than any epoch's
    assert (late.val_selected_acc, late.peak_acc, late.curve) == (None, None, curve)


@dataclass(frozen=True)
class Curious(Uniform):
    """Uniform noise that keeps what it was lent."""

    lent: list[tuple[Split, Lab]] = field(default_factory=list, compare=False)
    needs: ClassVar[tuple[Need, ...]] = ("labels", "clean data")

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        self.lent.append((clean, lab))
        return super().craft(clean, lab)


def test_methods_see_training_and_validation_images_and_no_test_images(tmp_path: Path) -> None:
    data, value = toy_dataset(), Curious()
    craft(context_of(tmp_path), Plugin("methods", "it", value, "code"), 0)
    ((clean, lab),) = value.lent
    for lent, split in ((clean, data.train), (lab.val, data.val)):
        assert torch.equal(lent.images, split.images) and torch.equal(lent.labels, split.labels)
    assert {f.name for f in fields(Lab) if isinstance(getattr(lab, f.name), Split | Dataset)} == {"val"}


@dataclass(frozen=True)
class Undeclared(Curious):
    """Builds a net that it does not declare."""

    needs: ClassVar[tuple[Need, ...]] = ()

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        assert (clean.labels == -1).all()
        lab.net()
        return super().craft(clean, lab)


def test_what_a_method_does_not_declare_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'it' builds a net, and declares no surrogate"):
        craft(context_of(tmp_path), Plugin("methods", "it", Undeclared(), "code"), 0)


@dataclass(frozen=True)
class Choosing(Curious):
    """Looks at clean images that it does not declare, in a way of its own."""

    look: Callable[[Split], object] = field(default=len, compare=False)
    needs: ClassVar[tuple[Need, ...]] = ("surrogate",)

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        assert (lab.val.labels == -1).all() and lab.rng("noise")
        net = lab.net()
        assert lab.note_surrogate(net) == accuracy(net, toy_dataset().val)  # for the row
        self.look(replace(lab).val)
        return super().craft(clean, lab)


@pytest.mark.parametrize(
    "look",
    [lambda val: val.images, lambda val: accuracy(small_net(), val), Split.clone, lambda val: val.to("cpu")],
)
def test_clean_data_that_a_method_does_not_declare_are_refused(
    look: Callable[[Split], object], tmp_path: Path
) -> None:
    """To look at; that the row says how well its surrogate reads them, no choice follows from."""
    context, expected = context_of(tmp_path), "'it' reads lab.val, and declares no clean data in its needs"
    with pytest.raises(ValueError, match=expected):
        craft(context, Plugin("methods", "it", Choosing(look=look), "code"), 0)
    poison = craft(context, Plugin("methods", "it", Choosing(), "code"), 0)
    assert 0 < poison.manifest["facts"]["surrogate_val_acc"] < 1


@dataclass(frozen=True)
class Negative(Curious):
    """An image-to-image method."""

    eps: float = 1.0
    maps_images: ClassVar[bool] = True

    @property
    def threat(self) -> Threat:
        return Threat("unbounded")

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        return 1 - to_float(clean.images)


def test_a_method_may_return_images(tmp_path: Path) -> None:
    poison = craft(context_of(tmp_path), Plugin("methods", "it", Negative(), "code"), 0)
    assert torch.equal(poison.images, 255 - toy_dataset().train.images)
    assert poison.manifest["norm"] == "unbounded"


@pytest.mark.parametrize("found", [None, torch.zeros(1, 3, 16, 16), torch.zeros(64, 1, 16, 16)])
def test_images_that_a_method_returns_are_looked_at_before_they_are_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: Any
) -> None:
    monkeypatch.setattr(Negative, "craft", lambda self, clean, lab: found)
    with pytest.raises(ValueError, match="method 'it' returned"):
        craft(context_of(tmp_path), Plugin("methods", "it", Negative(), "code"), 0)


# classes that are left as they were


@dataclass(frozen=True)
class Sparing(Uniform):
    """Uniform noise on all images but those of class 0."""

    needs: ClassVar[tuple[Need, ...]] = ("labels",)

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        return super().craft(clean, lab) * (clean.labels > 0).view(-1, 1, 1, 1)


@dataclass(frozen=True)
class SparingPattern(Sparing):
    """One level brighter, all images but those of class 0."""

    form: ClassVar[Form] = "class-wise"

    def craft(self, clean: Split, lab: Lab) -> Tensor:
        return super().craft(clean, lab).sign().abs() * min(self.eps, 1 / 255)


def left_alone(poison: cache.Poison) -> set[int]:
    """Classes all of whose images are published as they were."""
    data = toy_dataset().train
    changed = (poison.images != data.images).flatten(1).any(1)
    return set(range(CLASSES)) - set(data.labels[changed].tolist())


def test_class_wise_methods_leave_no_class_as_it_was(tmp_path: Path) -> None:
    method = Plugin("methods", "it", SparingPattern(), "code")
    with pytest.raises(ValueError, match=r"'it' is class-wise .*\(a\)"):
        craft(context_of(tmp_path), method, 0)
    assert not context_of(tmp_path).poison_folder(method, 0).exists()
    few = replace(METHODS["em-class"], value=replace(METHODS["em-class"].value, subset=1 / 64))
    assert not left_alone(craft(context_of(tmp_path), few, 0))  # one image of each class is searched at least


def test_other_methods_and_files_may_leave_classes_as_they_were(tmp_path: Path) -> None:
    found = craft(context_of(tmp_path), Plugin("methods", "it", Sparing(), "code"), 0)
    assert left_alone(found) == {0}
    none = Plugin("methods", "it", SparingPattern(eps=0.0), "code")
    assert len(left_alone(craft(context_of(tmp_path), none, 0))) == CLASSES
    patterns = torch.full((CLASSES, 3, 16, 16), 4 / 255)
    patterns[2] = 0
    torch.save(patterns, tmp_path / "patterns.pt")
    file = imported(str(tmp_path / "patterns.pt"))
    file = replace(file, value=file.value.resolved(toy_dataset(), str))
    assert file.value.form == "class-wise"
    assert left_alone(craft(context_of(tmp_path), file, 0)) == {2}


# training


@dataclass(frozen=True)
class Recording(Undefended):
    """Keeps the batches that are learnt from."""

    seen: list[tuple[Tensor, Tensor]] = field(default_factory=list, compare=False)

    def loss(self, net: nn.Module, x: Tensor, y: Tensor, rng: Generator, progress: float) -> Tensor:
        self.seen.append((x.clone(), y))
        return super().loss(net, x, y, rng, progress)


def test_every_epoch_shows_every_image_with_its_label_in_an_order_of_its_own() -> None:
    """The last, smaller batch, too."""
    data, still, recording = toy_split(50, 5), Augmentation(pad=0, flip=False), Recording()
    fit(small_net(), data, Recipe(epochs=3, batch=16), Streams.of(1, 2, CPU), still, defense=recording)
    assert [len(x) for x, _ in recording.seen] == 3 * [16, 16, 16, 2]
    place = {image.numpy().tobytes(): i for i, image in enumerate(to_float(data.images))}
    orders = []
    for epoch in range(3):
        x, y = (torch.cat(part) for part in zip(*recording.seen[4 * epoch : 4 * epoch + 4], strict=True))
        order = [place[image.numpy().tobytes()] for image in x]
        assert sorted(order) == list(range(50)) and torch.equal(y, data.labels[order])
        orders.append(tuple(order))
    assert len(set(orders)) == 3


# defenses that do nothing


@dataclass(frozen=True)
class Blur(Undefended):
    """A Gaussian of 3x3 pixels."""

    sigma: float = 0.1
    once: bool = False

    def prepare(self, images: Tensor) -> Tensor:
        return to_uint8(self.blurred(to_float(images))) if self.once else images

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        return x if self.once else self.blurred(x)

    def blurred(self, x: Tensor) -> Tensor:
        return gaussian_blur(x, [3, 3], [self.sigma, self.sigma])


@pytest.mark.parametrize("once", [True, False])
def test_a_blur_too_narrow_to_blur_is_refused(once: bool, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="left images, batches and loss as they were"):
        run(tmp_path, plugged(Blur(0.1, once)), METHODS["em"])
    assert run(tmp_path, plugged(Blur(1.0, once)), METHODS["em"]).test_acc is not None


@pytest.mark.parametrize("name", ["clean", "random"])
def test_of_a_control_there_may_be_nothing_to_change(name: str, tmp_path: Path) -> None:
    """What a defense is made against is not there: the same images, and so the same numbers as under none."""
    assert run(tmp_path, plugged(Blur(0.1)), METHODS[name]).status == "ok"


# what a cached poison hangs on


class Draft(type(METHODS["random"].value)):  # type: ignore[misc]
    """Declares no revision of its own."""


def test_a_draft_follows_what_it_extends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A class of the suite that behaves otherwise moves the drafts below it."""
    draft = replace(METHODS["random"], value=Draft())
    before = draft.inputs
    assert before == draft.inputs and "revision" not in before
    monkeypatch.setattr(Uniform, "revision", Uniform.revision + 1)
    assert draft.inputs != before


def test_a_poison_serves_only_what_it_was_made_for(tmp_path: Path) -> None:
    random, data, plain = METHODS["random"], toy_dataset(), context_of(tmp_path)

    def folder(context: RunContext = plain, method: Plugin = random, rep: int = 0) -> Path:
        return context.poison_folder(method, rep)

    def on(**changes: object) -> Path:
        return folder(replace(plain, data=replace(data, **changes)))  # type: ignore[arg-type]

    others = {
        "surrogate": folder(context_of(tmp_path, surrogate="resnet18-slim")),
        "precision": folder(context_of(tmp_path, precision="bf16")),
        "seed": folder(context_of(tmp_path, seed=1)),
        "repetition": folder(rep=1),
        "name": folder(method=replace(random, name="other")),
        "class without a revision": folder(method=replace(random, value=Draft())),
        "eps": folder(method=replace(random, value=replace(random.value, eps=4 / 255))),
        "images": on(digest="other"),
        "augmentation": on(augmentation=Augmentation(pad=1, flip=True)),
        "size of the training set": on(train=data.train.take(torch.arange(40))),
    }
    assert len({folder(), *others.values()}) == 1 + len(others)
    assert folder(method=replace(random, code="other")) == folder()
    victims_own = {"net": "resnet18-slim", "victim": Recipe(epochs=9), "points": 1, "prepare_test": True}
    for name, value in victims_own.items():
        assert folder(context_of(tmp_path, **{name: value})) == folder(), name


@pytest.mark.parametrize(("base", "variant"), [("em", "em-positive"), ("mi-ue", "mi-ue-trunc")])
def test_what_only_publishes_otherwise_is_crafted_once(
    base: str, variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its base's seed; each publication is a poison of its own."""
    first = craft(context_of(tmp_path), METHODS[base], 0)
    monkeypatch.setattr(type(METHODS[variant].value), "craft", lambda *_: pytest.fail("crafted again"))
    second = craft(context_of(tmp_path), METHODS[variant], 0)
    assert second.manifest["seed"] == first.manifest["seed"]
    assert second.manifest["published"] == digest(second.images) != digest(first.images)


@dataclass(frozen=True)
class Drawn(Undefended):
    """Darkens the images, and keeps a draw for each batch, which tells its stream."""

    draws: list[float] = field(default_factory=list, compare=False)

    def augment(self, x: Tensor, rng: Generator) -> Tensor:
        self.draws.append(float(torch.rand((), generator=rng)))
        return x * 0.9


def test_a_defenses_draws_follow_base_seed_and_repetition(tmp_path: Path) -> None:
    """A seed that is said and not used would give the same draws."""

    def draws(seed: int, rep: int) -> tuple[float, ...]:
        value, context = Drawn(), context_of(tmp_path, seed=seed)
        run_cell(context, Cell(METHODS["clean"], plugged(value), 0, rep), craft(context, METHODS["clean"], 0))
        return tuple(value.draws)

    found = [draws(0, 0), draws(1, 0), draws(0, 1)]
    assert len(set(found)) == 3 and draws(0, 0) == found[0]
