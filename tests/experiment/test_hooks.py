"""What a defense may do, each hook by itself."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from bench.core.checkpoint import OutOfTime
from bench.core.defense import Undefended
from bench.core.errors import BadInput
from bench.core.kit import Kit
from bench.core.types import Dataset, Recipe, Split
from bench.data import load
from bench.data.prepare import Source, at_hand, dataset
from bench.experiment.cell import craft, run_cell
from bench.experiment.context import Cell, RunContext
from bench.experiment.registry import Plugin
from bench.experiment.settings import Setting
from bench.results.rows import Row
from bench.runner.request import Options, RunRequest, resolve
from support.toys import CLASSES, METHODS, toy_dataset, toy_split

SETTING = Setting(
    data="toy", limit=64, net="small", surrogate="small", victim=Recipe(epochs=2, batch=16), points=2
)


def furnished() -> Dataset:
    """Toy images with further clean ones."""
    return replace(toy_dataset(), reference=toy_split(24, 7), reference_digest="7" * 64)


def run(
    folder: Path, value: Undefended, data: Dataset | None = None, *, stopped: bool = False, **asked: object
) -> Row:
    """stopped: at every checkpoint."""
    often: dict[str, Any] = {"save_seconds": 0.0, "deadline": 0.0} if stopped else {}
    setting = replace(SETTING, **asked)  # type: ignore[arg-type]
    context = RunContext(data or furnished(), setting, "quick", torch.device("cpu"), folder, {}, **often)
    method = METHODS["random"]
    return run_cell(
        context, Cell(method, Plugin("defenses", "mine", value, "code"), 0, 0), craft(context, method, 0)
    )


@dataclass(frozen=True)
class Purifying(Undefended):
    """Learns from its reference and its pairs."""

    reference: int = 8
    leaks: int = 5
    seen: list[tuple[Kit, Tensor, Tensor]] = field(default_factory=list, compare=False)

    def purify(self, images: Tensor, labels: Tensor, kit: Kit) -> Tensor:
        self.seen.append((kit, images.clone(), labels.clone()))
        kit.note(pairs=len(kit.pairs[0]) if kit.pairs else 0)
        return images ^ 1


def test_a_defense_has_the_clean_images_and_the_pairs_that_it_declares(tmp_path: Path) -> None:
    data, value = furnished(), Purifying()
    row = run(tmp_path, value, data)
    ((kit, offered, labels),) = value.seen
    assert data.reference is not None and torch.equal(kit.clean().images, data.reference.images[:8])
    assert kit.pairs is not None and len(kit.pairs[0]) == 5
    before, after = kit.pairs
    for clean, changed in zip(before, after, strict=True):  # of one image each
        at = [i for i in range(64) if torch.equal(data.train.images[i], clean)]
        assert any(torch.equal(offered[i], changed) for i in at)
    assert torch.equal(labels, data.train.labels) and row.defense_facts == {"pairs": 5}
    again = run(tmp_path, value, data)  # another victim of the poison: prepared once
    assert len(value.seen) == 1 and again.defense_facts == {"pairs": 5}


def test_pairs_are_of_the_images_that_are_offered(tmp_path: Path) -> None:
    data, value = furnished(), Purifying(reference=0)
    run(tmp_path, value, data, share=0.5, drop_poisoned=True)
    ((kit, offered, _),) = value.seen
    assert kit.pairs is not None and torch.equal(*kit.pairs) and len(offered) == 32
    with pytest.raises(ValueError, match="must say how many"):
        kit.clean()


def test_keys_hold_the_reference_of_those_that_use_one(tmp_path: Path) -> None:
    data = furnished()
    other = replace(data, reference=toy_split(24, 8), reference_digest="8" * 64)
    keys = {run(tmp_path, Purifying(reference=n), d).key for n in (0, 8) for d in (data, other)}
    assert len(keys) == 3
    more = replace(data, reference=toy_split(32, 7), reference_digest="9" * 64)
    more.reference.images[:24] = data.reference.images  # type: ignore[union-attr]
    more.reference.labels[:24] = data.reference.labels  # type: ignore[union-attr]
    assert run(tmp_path, Purifying(), more).key in keys  # what others use beside it is none of its own


@dataclass(frozen=True)
class Acting(Undefended):
    """Widens the net before, shortens the training, and sets the head after it."""

    trained: list[int] = field(default_factory=list, compare=False)

    def recipe(self, victim: Recipe) -> Recipe:
        return replace(victim, epochs=1, optimiser="adamw", lr=1e-3)

    def begin(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        net.extra = nn.Linear(2, 2)

    def loss(self, net: nn.Module, x: Tensor, y: Tensor, rng: torch.Generator, progress: float) -> Tensor:
        self.trained.append(len(x))
        extra: Tensor = net.extra(x.new_ones(1, 2)).square().sum()  # type: ignore[operator]
        return super().loss(net, x, y, rng, progress) + extra

    def finish(self, net: nn.Module, shown: Split, kit: Kit) -> None:
        assert not net.training and len(shown) == 64
        head = net.head
        assert isinstance(head, nn.Linear)
        with torch.no_grad():
            head.weight.zero_()
            head.bias.zero_()[2] = 1
        kit.note(extra=float(net.extra.weight.detach().abs().sum()))  # type: ignore[union-attr,operator,arg-type]


def test_a_defense_acts_before_during_and_after_the_training(tmp_path: Path) -> None:
    value = Acting()
    row = run(tmp_path, value)
    assert sum(value.trained) == 64  # one epoch, not two
    labels = toy_dataset().test.labels
    assert row.test_acc == float((labels == 2).double().mean())  # what finish() made of it
    assert 0 < float(row.defense_facts["extra"] or 0) < 2.83  # it was trained as well


def test_what_begins_the_training_begins_it_again_where_it_goes_on(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", Acting())
    stops = 0
    for stops in range(100):  # noqa: B007
        with suppress(OutOfTime):
            again = run(tmp_path / "again", Acting(), stopped=True)
            break
    assert stops > 2
    assert (whole.key, whole.test_acc, whole.defense_facts) == (
        again.key,
        again.test_acc,
        again.defense_facts,
    )


@dataclass(frozen=True)
class Negative(Undefended):
    """Test images go the same way."""

    prepares_tests: ClassVar[bool] = True

    def prepare(self, images: Tensor) -> Tensor:
        return 255 - images


def test_a_declared_transform_of_test_images_is_made(tmp_path: Path) -> None:
    same = run(tmp_path / "same", Negative(), victim=Recipe(epochs=8, batch=16))
    assert (same.val_selected_acc or 0) > 0.8


def test_reference_images_are_balanced_and_none_of_the_others(tmp_path: Path) -> None:
    split = toy_split(440, 3)
    pool = at_hand(split.images.numpy()[40:], split.labels[40:])
    source = Source("toy", pool, at_hand(split.images.numpy()[:40], split.labels[:40]), tuple("abcd"))
    plain, data = dataset(source, 100), dataset(source, 100, 20)
    assert plain.digest == data.digest and plain.reference is None and data.reference is not None
    assert data.reference.labels[:12].bincount().tolist() == [3] * CLASSES
    assert torch.equal(dataset(source, 100, 8).reference.images, data.reference.images[:8])  # type: ignore[union-attr]
    used = torch.cat([data.train.images, data.val.images]).flatten(1).tolist()
    assert not any(image in used for image in data.reference.images.flatten(1).tolist())
    with pytest.raises(BadInput, match=r"399 clean images .* smaller --limit or --reference"):
        dataset(source, 100, 399)
    drawn = load("glyphs", root=None, limit=40, cache=tmp_path, reference=20)
    assert drawn.digest == load("glyphs", root=None, limit=40, cache=tmp_path).digest
    assert drawn.reference is not None and len(drawn.reference) == 20


def test_reference_is_for_defenses_that_use_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="--reference is 50, expected a defense that uses clean images"):
        resolve(RunRequest(methods="em", defenses="none,cutout", options=Options(reference="50")))
