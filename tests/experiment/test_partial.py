"""Partial poisoning: which images are published poisoned, and what a run with a share leaves."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.cli.main import main
from bench.core.errors import BadInput
from bench.core.pixels import digest
from bench.core.types import Dataset, Split
from bench.experiment import partial
from bench.experiment.cell import craft, run_cell
from bench.experiment.context import Cell, RunContext
from bench.experiment.settings import Setting
from bench.metrics.mi.settings import MISettings
from bench.results.describe import circumstances
from bench.results.rows import Row, load_all
from bench.results.select import described
from bench.runner.request import RunRequest, resolve
from support.toys import AUGMENTATION, DEFENSES, METHODS, RECIPE, toy_dataset

SHARES = (0.0, 0.1, 1 / 3, 0.5, 0.8, 1.0)
SETTING = Setting(victim=RECIPE, mi=MISettings(images=64, slices=4), points=2)


def labelled(labels: Sequence[int], digest: str = "d") -> Dataset:
    images = torch.zeros(len(labels), 1, 1, 1, dtype=torch.uint8)
    split = Split(images, torch.tensor(labels))
    return Dataset("toy", digest, split, split, split, tuple("abcd"), AUGMENTATION)


UNEVEN = labelled([0] * 5 + [1] * 40 + [2] * 13 + [3] * 21)


# Masks


@pytest.mark.parametrize("share", SHARES)
def test_a_mask_has_its_size_and_is_class_balanced(share: float) -> None:
    even = labelled([0, 1, 2, 3] * 25)
    for data in (even, UNEVEN):
        chosen = partial.mask(data, share, seed=0)
        assert chosen.dtype == torch.bool and int(chosen.sum()) == round(share * len(data.train))
        counts = data.train.labels.bincount()
        got = data.train.labels[chosen].bincount(minlength=4)
        assert bool(((got - share * counts).abs() < 2).all())
    got = even.train.labels[partial.mask(even, share, seed=0)].bincount(minlength=4)
    assert int(got.max() - got.min()) <= 1


def test_what_is_poisoned_at_a_share_is_poisoned_at_every_larger_one() -> None:
    for fewer, more in pairwise(partial.mask(UNEVEN, i / 40, seed=3) for i in range(41)):
        assert bool((more | ~fewer).all())


def test_a_mask_follows_seed_and_data_alone() -> None:
    base = partial.mask(UNEVEN, 0.5, seed=0)
    assert torch.equal(base, partial.mask(UNEVEN, 0.5, seed=0))
    assert not torch.equal(base, partial.mask(UNEVEN, 0.5, seed=1))
    assert not torch.equal(base, partial.mask(replace(UNEVEN, digest="other"), 0.5, seed=0))


# Cells


def context_of(folder: Path, **asked: object) -> RunContext:
    setting = replace(SETTING, **asked)  # type: ignore[arg-type]
    return RunContext(toy_dataset(), setting, "quick", torch.device("cpu"), folder, {})


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, since what is cached for one share must serve no other."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def trained_on(monkeypatch: pytest.MonkeyPatch) -> list[Split]:
    """The images that victims were shown."""
    from bench.experiment import cell

    seen: list[Split] = []
    fit = cell.fit

    def watched(net: object, data: Split, *rest: object, **more: object) -> object:
        seen.append(data)
        return fit(net, data, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(cell, "fit", watched)
    return seen


def ran(cache: Path, method: str, defense: str = "none", **asked: object) -> tuple[Row, RunContext, Tensor]:
    """The row, and the whole poison."""
    context = context_of(cache, **asked)
    poison = craft(context, METHODS[method], 0)
    return run_cell(context, Cell(METHODS[method], DEFENSES[defense], 0, 0), poison), context, poison.images


def test_off_the_mask_images_are_the_clean_ones_bit_for_bit(cache: Path, trained_on: list[Split]) -> None:
    row, context, poison = ran(cache, "random", share=0.5)
    clean, mask = context.data.train.images, partial.mask(context.data, 0.5, 0)
    (shown,) = trained_on
    assert torch.equal(shown.images[mask], poison[mask]) and torch.equal(shown.images[~mask], clean[~mask])
    assert torch.equal(shown.labels, context.data.train.labels)
    assert not any(torch.equal(a, b) for a, b in zip(poison[mask], clean[mask], strict=True))
    assert row.mask == digest(mask)


def test_the_rest_alone_is_the_clean_subset_whatever_the_method(cache: Path, trained_on: list[Split]) -> None:
    rows = [ran(cache, method, share=0.5, drop_poisoned=True)[0] for method in ("clean", "random")]
    data = toy_dataset()
    rest = data.train.take(~partial.mask(data, 0.5, 0))
    for shown in trained_on:
        assert torch.equal(shown.images, rest.images) and torch.equal(shown.labels, rest.labels)
    assert rows[0].test_acc == rows[1].test_acc and rows[0].curve == rows[1].curve
    assert rows[0].mask == rows[1].mask


def measured(row: Row) -> tuple[object, ...]:
    return row.test_acc, row.train_acc, row.curve, row.mi, row.mi_null


def test_share_0_is_clean_and_share_1_is_the_poison(cache: Path, trained_on: list[Split]) -> None:
    clean, none = (ran(cache, method, share=share)[0] for method, share in (("clean", 1.0), ("random", 0.0)))
    assert measured(none) == measured(clean)
    everything, _, poison = ran(cache, "random")
    assert torch.equal(trained_on[-1].images, poison) and not torch.equal(trained_on[0].images, poison)
    assert none.mask is not None and clean.mask is None and everything.mask is None
    assert len({row.key for row in (clean, none, everything)}) == 3


def test_one_poison_serves_all_shares_and_its_columns_are_of_all_of_it(cache: Path) -> None:
    rows = [ran(cache, "random", share=share)[0] for share in (0.5, 1.0)]
    assert (
        rows[0].published == rows[1].published and rows[0].l2 == rows[1].l2 and rows[0].psnr == rows[1].psnr
    )
    assert len({context_of(cache, share=s).poison_folder(METHODS["random"], 0) for s in SHARES}) == 1


def test_prepared_images_of_one_share_serve_no_other(cache: Path, trained_on: list[Split]) -> None:
    asked = [{"share": 0.5}, {}, {"share": 0.5, "drop_poisoned": True}, {"share": 0.8}]
    for more in asked:
        ran(cache, "random", "iss-gray", **more)
    prepare = DEFENSES["iss-gray"].value.prepare
    data, (_, _, poison) = toy_dataset(), ran(cache, "random")
    for more, shown in zip(asked, trained_on, strict=False):
        mask = partial.mask(data, float(more.get("share", 1.0)), 0)
        mixed = torch.where(mask[:, None, None, None], poison, data.train.images)
        kept = mixed[~mask] if "drop_poisoned" in more else mixed
        assert torch.equal(shown.images, prepare(kept)), more


# Keys


# What is said of it


def test_captions_and_lists_of_settings_name_the_share(cache: Path) -> None:
    rows = [
        ran(cache, "random", **more)[0]
        for more in ({}, {"share": 0.5}, {"share": 0.5, "drop_poisoned": True})
    ]
    said = [circumstances([row]) for row in rows]
    assert "poisoned" not in said[0] and "64 training images, 50 % of them poisoned, victim" in said[1]
    assert "50 % of them poisoned, poisoned images left out of training" in said[2]
    listed = described({row.setting: row for row in rows})
    assert all(f"share {share}" in line for share, line in zip((1.0, 0.5, 0.5), listed, strict=True))


# The command line


def command(place: Path, *more: str) -> list[str]:
    """A tiny grid on glyphs, with place/cache and place/out; later arguments win."""
    fields = ("victim.epochs=1", "victim.batch=16", "mi.images=64", "mi.slices=4", "points=1")
    what = ["run", "--limit", "100", "--methods", "random", "--defenses", "none", "--workers", "1"]
    what += ["--no-report"]
    where = ["--cache", str(place / "cache"), "--out", str(place / "out")]
    return [*what, *where, *(part for field in fields for part in ("--set", field)), *more]


def test_a_run_with_a_share_saves_its_mask_and_can_be_asked_for_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--share", "0.8", "--drop-poisoned")
    assert main(command(tmp_path, *asked)) == 0
    assert "80 % of them poisoned" in " ".join(capsys.readouterr().out.split())
    (row,) = load_all(tmp_path / "out" / "rows")
    assert (row.inputs["share"], row.inputs["drop_poisoned"], row.status) == (0.8, True, "ok")
    (path,) = (tmp_path / "out" / "masks").iterdir()
    mask = np.load(path, allow_pickle=False)
    assert mask.dtype == bool and mask.sum() == round(0.8 * row.inputs["data"]["train_images"])
    assert digest(torch.from_numpy(mask)) == row.mask and row.mask[:8] in path.name
    before = path.read_bytes()
    np.save(path, ~mask)  # what lies there is for people: it is drawn, never read
    said = shlex.split(row.rerun or "")[3:]
    assert {*asked} < {*said}
    where = ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out"), "--workers", "1"]
    assert main([*said, *where]) == 0
    assert "1 rows are there already" in capsys.readouterr().out
    assert load_all(tmp_path / "out" / "rows") == [row] and path.read_bytes() == before


BAD = {
    "above 1": (("--share", "80"), "share is 80, expected 0 to 1 of the training images; did you mean 0.8?"),
    "negative": (("--share", "-0.1"), "share is -0.1, expected 0 to 1"),
    "no number": (("--share", "most"), "'most', expected float"),
    "nothing left": (("--drop-poisoned",), "--drop-poisoned with share 1 leaves no training image"),
    "nothing left by --set": (("--set", "drop_poisoned=true"), "leaves no training image"),
    "a rest below a batch": (
        ("--share", "0.9", "--drop-poisoned"),
        "share 0.9 leaves 10 of 100 training images clean, fewer than one batch of victim (16)",
    ),
}


@pytest.mark.parametrize(("more", "says"), BAD.values(), ids=BAD.keys())
def test_what_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], says: str
) -> None:
    assert main(command(tmp_path, *more)) == 2
    said = capsys.readouterr()
    assert says in said.err and len(said.err.splitlines()) == 1 and not said.out
    assert not [*tmp_path.iterdir()]


def test_a_rest_that_validation_brings_below_a_batch_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 100 images one a class is held out: 18 of 90 stay clean."""
    with_batch = ("--share", "0.8", "--drop-poisoned", "--set", "victim.batch=20")
    assert main(command(tmp_path, *with_batch)) == 2
    assert "leaves 18 of 90 training images clean" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_fields_may_come_in_any_order() -> None:
    setting = resolve(RunRequest(defenses="none", overrides=("drop_poisoned=true", "share=1/2"))).setting
    assert (setting.share, setting.drop_poisoned) == (0.5, True)
    with pytest.raises(BadInput, match="share"):
        replace(setting, share=1.5)
