"""What the cache gives back is what was put there, under that key: anything else is said, and made again."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.core.checkpoint import Checkpoint
from bench.core.errors import BadInput
from bench.core.pixels import digest
from bench.data.glyphs import rendered
from bench.experiment import cache
from bench.experiment.cache import Poison

WRONG = "is not what was stored there"


def poison(seed: int) -> Poison:
    images = torch.randint(
        0, 255, (4, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
    said = {"published": digest(images), "facts": {"loss": 0.1}, "distances": {"linf": 0.03}, "seed": seed}
    return Poison(images, said)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    folders = tmp_path / "poisons" / "a", tmp_path / "poisons" / "b"
    for seed, folder in enumerate(folders):
        cache.save(folder, poison(seed))
    return folders


def test_what_was_kept_is_there(two: tuple[Path, Path]) -> None:
    for seed, folder in enumerate(two):
        found = cache.load(folder)
        assert found is not None and found.manifest == poison(seed).manifest
        assert torch.equal(found.images, poison(seed).images)


def exchanged(one: Path, other: Path) -> None:
    one.rename(one.with_name("c"))
    other.rename(one)
    one.with_name("c").rename(other)


def edited(one: Path, _: Path) -> None:
    said = json.loads((one / "manifest.json").read_text())
    said["distances"]["linf"] = 0.001
    (one / "manifest.json").write_text(json.dumps(said))


def unsigned(one: Path, _: Path) -> None:
    said = json.loads((one / "manifest.json").read_text())
    del said["checksum"]
    (one / "manifest.json").write_text(json.dumps(said))


def flipped(one: Path, _: Path) -> None:
    with (one / "published.npy").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))


def fifo(one: Path, _: Path) -> None:
    (one / "published.npy").unlink()
    os.mkfifo(one / "published.npy")


def fifo_said(one: Path, _: Path) -> None:
    (one / "manifest.json").unlink()
    os.mkfifo(one / "manifest.json")


def objects(one: Path, _: Path) -> None:
    np.save(one / "published.npy", np.array([{"a": 1}]), allow_pickle=True)


def vast(one: Path, _: Path) -> None:
    with (one / "published.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"shape": (10**9, 3, 32, 32), "fortran_order": False, "descr": "|u1"}
        )


@pytest.mark.parametrize("damage", [exchanged, edited, unsigned, flipped, fifo, fifo_said, objects, vast])
def test_another_s_or_a_changed_poison_is_none_and_said(
    two: tuple[Path, Path], caplog: pytest.LogCaptureFixture, damage: Callable[[Path, Path], None]
) -> None:
    damage(*two)
    with caplog.at_level(logging.WARNING):
        assert cache.load(two[0]) is None
    assert str(two[0]) in caplog.text and "computed again" in caplog.text
    cache.save(two[0], poison(0))
    found = cache.load(two[0])
    assert found is not None and found.manifest == poison(0).manifest


def test_prepared_images_are_of_their_poison(tmp_path: Path) -> None:
    """The same defense of two poisons: each has its own folder of one name."""
    places = [tmp_path / name / "prepared-1" for name in "ab"]
    made = [cache.prepared(place, lambda s=seed: (poison(s).images, {})) for seed, place in enumerate(places)]
    shutil.rmtree(places[0])
    shutil.copytree(places[1], places[0])
    again = cache.prepared(places[0], lambda: (poison(0).images, {}))
    assert torch.equal(again.images, made[0].images) and not torch.equal(again.images, made[1].images)


def test_a_checkpoint_is_of_the_work_that_its_name_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = {
        "net": {"w": torch.arange(6.0).view(2, 3), "b": torch.tensor(1.5)},
        "n": 3,
        "done": [True, None, "a"],
    }
    one, other = Checkpoint(tmp_path / "victim-a"), Checkpoint(tmp_path / "victim-b")
    one.save(state)
    found = one.load()
    assert found is not None and torch.equal(found["net"]["w"], state["net"]["w"])  # type: ignore[index]
    assert other.load() is None and not caplog.text
    (tmp_path / "victim-a").rename(tmp_path / "victim-b")
    assert one.load() is None and not caplog.text
    assert other.load() is None and f"victim-b {WRONG}" in caplog.text


def test_a_checkpoint_without_a_checksum_or_with_another_state_is_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = Checkpoint(tmp_path / "a")
    one.save({"w": torch.zeros(3)})
    stored = torch.load(tmp_path / "a", weights_only=True)
    for changed in (
        {name: value for name, value in stored.items() if name != "checksum"},
        stored | {"state": {"w": torch.ones(3)}},
        stored | {"state": {"w": torch.zeros(1).expand(10**12)}},  # a file of some bytes
    ):
        torch.save(changed, tmp_path / "a")
        caplog.clear()
        assert one.load() is None and f"a {WRONG}" in caplog.text
    (tmp_path / "a").unlink()
    os.mkfifo(tmp_path / "a")
    assert one.load() is None


def test_rendered_images_whose_labels_were_moved_are_drawn_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = rendered(tmp_path, 20, 1)
    assert not caplog.text
    (path,) = tmp_path.glob("*.npz")
    whole = dict(np.load(path))
    labels, images = whole["labels"], whole["images"]
    for changed in ({"labels": np.roll(labels, 1)}, {"images": images[::-1].copy()}, {"checksum": labels}):
        np.savez(path, **{**whole, **changed})
        caplog.clear()
        again = rendered(tmp_path, 20, 1)
        assert torch.equal(again.labels, first.labels) and f"{path.name} {WRONG}" in caplog.text
    np.savez(path, images=images, labels=labels)  # as it was kept before there were checksums
    assert torch.equal(rendered(tmp_path, 20, 1).labels, first.labels)
    path.rename(path.with_name(path.name.replace("seed1", "seed2")))
    assert torch.equal(rendered(tmp_path, 20, 2).labels, rendered(tmp_path / "other", 20, 2).labels)


class Planted:
    """Makes a file as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_that_the_client_did_not_write_is_not_opened(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    from bench.runner.backends.dask_worker import Terms, _opened

    (tmp_path / "run.pickle").write_bytes(pickle.dumps((None, Planted(tmp_path / "ran"))))
    terms = Terms(tmp_path, "token", {}, None, "cpu", 1, run="0" * 64)
    with pytest.raises(BadInput, match=r"run\.pickle is not what the client wrote; nothing of it was run"):
        _opened(terms)
    assert not (tmp_path / "ran").exists()
