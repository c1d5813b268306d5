"""Data sets: what is kept, held out and refused; every file here is made by hand."""

from __future__ import annotations

import io
import json
import types
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from bench import data
from bench.core.errors import BadInput
from bench.core.types import Augmentation, Dataset
from bench.data import prepare

NAMES = ("cat", "dog", "owl")


def pictures(n: int, seed: int = 0, shape: tuple[int, ...] = (8, 8, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, *shape), dtype=np.uint8)


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def in_memory(counts: Iterable[int], seed: int = 0) -> prepare.Source:
    counts = tuple(counts)
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    train = prepare.at_hand(pictures(len(labels), seed).transpose(0, 3, 1, 2), labels)
    test = prepare.at_hand(
        pictures(2 * len(counts), seed + 1).transpose(0, 3, 1, 2), list(range(len(counts))) * 2
    )
    return prepare.Source("toy", train, test, tuple(f"class {k}" for k in range(len(counts))))


def write_parquet(
    place: Path,
    part: str,
    blobs: list[bytes | None],
    labels: list[int | None],
    meta: dict[str, str] | None = None,
) -> None:
    place.mkdir(parents=True, exist_ok=True)
    rows = [{"bytes": blob, "path": f"{i}.png"} for i, blob in enumerate(blobs)]
    table = pa.table({"img": rows, "label": pa.array(labels, pa.int64())})
    pq.write_table(table.replace_schema_metadata(meta), place / f"{part}.parquet")


def parquet_set(place: Path, n: int = 12, meta: dict[str, str] | None = None) -> None:
    for seed, part in enumerate(("train", "test")):
        blobs = [encoded(image) for image in pictures(n, seed)]
        write_parquet(place, part, blobs, [i % 3 for i in range(n)], meta)


def folder_set(place: Path, n: int = 4, shape: tuple[int, ...] = (8, 8, 3)) -> Path:
    for seed, (part, name) in enumerate((part, name) for part in ("train", "test") for name in NAMES):
        (place / part / name).mkdir(parents=True)
        for i, image in enumerate(pictures(n, seed, shape)):
            (place / part / name / f"{i}.png").write_bytes(encoded(image))
    return place


def load(spec: str, tmp_path: Path, limit: int | None = None, root: Path | None = None) -> Dataset:
    return data.load(spec, root=root, limit=limit, cache=tmp_path / "cache")


def rows_of(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def balanced(labels: torch.Tensor, classes: int) -> bool:
    counts = labels.bincount(minlength=classes)
    return int(counts.max() - counts.min()) <= 1


# limit, validation, digest


@pytest.mark.parametrize("limit", [6, 20, 31, 100, 299, 300])
def test_limit_is_balanced_and_fixed(limit: int) -> None:
    first, again = (prepare.dataset(in_memory([100] * 3), limit) for _ in range(2))
    labels = torch.cat([first.train.labels, first.val.labels])
    assert len(labels) == limit and balanced(labels, 3)
    assert balanced(first.val.labels, 3)
    assert first.digest == again.digest
    assert first.limit == limit


def test_limit_leaves_test_images_alone() -> None:
    few, all_ = (prepare.dataset(in_memory([50] * 3), limit) for limit in (30, None))
    assert torch.equal(few.test.images, all_.test.images)
    assert torch.equal(few.test.labels, all_.test.labels)
    assert few.digest != all_.digest


def test_a_limit_above_the_data_is_the_data() -> None:
    above, all_ = (prepare.dataset(in_memory([50, 20, 50]), limit) for limit in (5000, None))
    assert above.digest == all_.digest and len(above.train) == len(all_.train)


def test_smaller_limit_is_a_subset() -> None:
    source = in_memory([50] * 4)
    few, more = (prepare.choose("toy", source.train.labels, source.classes, n) for n in (33, 90))
    assert set(few.tolist()) < set(more.tolist())


def test_only_chosen_rows_are_decoded() -> None:
    asked: list[int] = []
    source = in_memory([50] * 3)

    def read(rows: torch.Tensor) -> torch.Tensor:
        asked.append(len(rows))
        return source.train.read(rows)

    pool = prepare.Pool(source.train.labels, read)
    prepare.dataset(prepare.Source("toy", pool, source.test, source.classes), 12)
    assert asked == [12]


def counts_of(made: Dataset) -> list[int]:
    return torch.cat([made.train.labels, made.val.labels]).bincount().tolist()


@pytest.mark.parametrize(
    ("classes", "imbalance", "kept"),
    [(3, 10, [100, 31, 10]), (2, 4, [100, 25]), (5, 16, [100, 50, 25, 12, 6]), (3, 1, [100] * 3)],
)
def test_a_long_tail_falls_exponentially(classes: int, imbalance: float, kept: list[int]) -> None:
    """By hand: of 100 images class k of K keeps 100 / imbalance ** (k / (K - 1)), cut to whole numbers."""
    made = prepare.dataset(in_memory([100] * classes), None, imbalance=imbalance)
    assert counts_of(made) == kept and made.imbalance == imbalance
    assert int(made.val.labels.bincount().min()) >= 1 and made.pool == 100 * classes


def test_a_long_tail_is_drawn_once_after_the_limit_and_before_the_validation_cut() -> None:
    source = in_memory([100] * 3)
    plain, first, again = (prepare.dataset(source, 120, imbalance=r) for r in (1, 8, 8))
    assert counts_of(first) == [40, 14, 5]
    assert first.digest == again.digest != plain.digest and first.limit == 120
    assert torch.equal(first.test.images, plain.test.images)
    inside, whole = (rows_of(torch.cat([made.train.images, made.val.images])) for made in (first, plain))
    assert inside < whole
    more = prepare.dataset(source, 120, imbalance=4)
    assert inside < rows_of(torch.cat([more.train.images, more.val.images]))


def test_classes_of_unequal_size_keep_their_shares() -> None:
    assert counts_of(prepare.dataset(in_memory([50, 100, 80]), None, imbalance=4)) == [50, 50, 20]


def test_a_tail_too_thin_to_cut_is_refused() -> None:
    said = r"--imbalance 100 leaves 1 of the 100 training images of class 'class 2', expected at least 2"
    with pytest.raises(BadInput, match=said):
        prepare.dataset(in_memory([100] * 3), None, imbalance=100)


@pytest.mark.parametrize("counts", [[200] * 5, [20] * 10, [400, 60, 40]])
def test_validation_is_one_twentieth_of_every_class(counts: list[int]) -> None:
    made = prepare.dataset(in_memory(counts), None)
    assert len(made.val) == sum(counts) // 20
    assert made.val.labels.bincount().tolist() == [n // 20 for n in counts]
    held, kept = rows_of(made.val.images), rows_of(made.train.images)
    assert len(held) == len(made.val) and not held & kept
    assert len(held | kept) == sum(counts)


def test_validation_share_holds_where_classes_are_small() -> None:
    made = prepare.dataset(in_memory([30] * 10), None)
    assert len(made.val) == 15 and balanced(made.val.labels, 10)


def test_labels_stay_with_their_images() -> None:
    source = in_memory([40] * 3)
    truth = {
        image.numpy().tobytes(): int(label)
        for image, label in zip(source.train.read(torch.arange(120)), source.train.labels, strict=True)
    }
    made = prepare.dataset(source, 60)
    for split in (made.train, made.val):
        assert all(
            truth[image.numpy().tobytes()] == int(y) for image, y in zip(*vars(split).values(), strict=True)
        )


def test_tensors_are_contiguous_bytes_on_the_cpu() -> None:
    made = prepare.dataset(in_memory([40] * 3), 30)
    for split in (made.train, made.val, made.test):
        assert split.images.dtype == torch.uint8 and split.labels.dtype == torch.int64
        assert split.images.is_contiguous() and split.images.device.type == "cpu"


@pytest.mark.parametrize("part", [0, 1, 2])
def test_digest_sees_a_pixel_and_a_label(part: int) -> None:
    def digest(
        *, pixel: int = 0, label: int = 0, classes: tuple[str, ...] = ("a", "b", "c"), pad: int = 4
    ) -> str:
        made = prepare.dataset(in_memory([40] * 3), None)
        splits = (made.train, made.val, made.test)
        splits[part].images[0, 0, 0, 0] ^= pixel
        splits[part].labels[0] ^= label
        return prepare.digest(splits, classes, Augmentation(pad=pad))

    base = digest()
    assert base == digest()
    changed = {digest(pixel=1), digest(label=1), digest(classes=("a", "b", "d")), digest(pad=2)}
    assert base not in changed and len(changed) == 4


@pytest.mark.parametrize(
    ("counts", "limit", "said"),
    [
        ([10, 10], 3, "expected 4 .* to 20"),
        ([10, 10], 0, "--limit is 0"),
        ([10, 10], -5, "--limit is -5"),
        ([30, 4], 20, "'class 1', which has 4; expected at most 8"),
        ([10, 1], None, "'class 1' has one training image"),
        ([10, 0], None, "'class 1' has no image"),
        ([10], None, "1 class, expected at least 2"),
    ],
)
def test_what_cannot_be_cut_is_refused(counts: list[int], limit: int | None, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        prepare.dataset(in_memory(counts), limit)


def test_labels_and_sizes_are_checked() -> None:
    source = in_memory([10, 10])
    with pytest.raises(BadInput, match="toy, train: 1 class, expected at least 2"):
        prepare.dataset(prepare.Source("toy", source.train, source.test, ("a",)), None)
    odd = prepare.Pool(source.train.labels + 1, source.train.read)
    with pytest.raises(BadInput, match="toy, train: a label is 2, expected 0 to 1"):
        prepare.dataset(prepare.Source("toy", odd, source.test, source.classes), None)
    wide = prepare.at_hand(np.zeros((2, 3, 8, 9), np.uint8), [0, 1])
    with pytest.raises(BadInput, match="8x8 and 9x8 pixels"):
        prepare.dataset(prepare.Source("toy", source.train, wide, source.classes), None)


# names


@pytest.mark.parametrize(
    ("spec", "near"),
    [("cifra10", "cifar10"), ("CIFAR100", "cifar100"), ("glyph", "glyphs"), ("parquet:", "parquet:DIR")],
)
def test_unknown_name_gets_the_nearest(spec: str, near: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=f"did you mean '{near}'") as caught:
        load(spec, tmp_path)
    assert all(name in str(caught.value) for name in data.names())


# glyphs


@pytest.fixture
def render(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """A quick stand-in for the renderer; holds the calls made."""
    glyphs = pytest.importorskip("bench.data.glyphs")
    calls: list[tuple[int, int]] = []

    def quick(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        calls.append((n, seed))
        return pictures(n, seed, (3, 32, 32)), np.arange(n) % len(glyphs.CLASSES)

    monkeypatch.setattr(glyphs, "render", quick)
    return calls


def test_glyphs_are_drawn_once(tmp_path: Path, render: list[tuple[int, int]]) -> None:
    first, again = load("glyphs", tmp_path), load("glyphs", tmp_path)
    assert (len(first.train), len(first.val), len(first.test)) == (1900, 100, 2000)
    assert first.synthetic and first.augmentation == Augmentation(pad=2, flip=False)
    assert first.digest == again.digest and len(render) == 2
    assert not rows_of(first.test.images) & rows_of(first.train.images)


def test_glyphs_pool_is_as_large_as_the_limit(tmp_path: Path, render: list[tuple[int, int]]) -> None:
    made = load("glyphs", tmp_path, limit=3000)
    assert len(made.train) + len(made.val) == 3000 and len(made.test) == 2000
    with pytest.raises(BadInput, match=r"expected 20 .* to 50000"):
        load("glyphs", tmp_path, limit=19)


@pytest.mark.parametrize("damage", ["cut", "junk", "empty", "flipped"])
def test_damaged_cache_is_drawn_again(damage: str, tmp_path: Path, render: list[tuple[int, int]]) -> None:
    first = load("glyphs", tmp_path, limit=40)
    for file in (tmp_path / "cache" / "glyphs").iterdir():
        whole = file.read_bytes()
        flipped = whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]
        file.write_bytes({"cut": whole[:-200], "junk": b"junk", "empty": b"", "flipped": flipped}[damage])
    assert load("glyphs", tmp_path, limit=40).digest == first.digest
    assert len(render) == 4
    assert load("glyphs", tmp_path, limit=40).digest == first.digest
    assert len(render) == 4  # and the new file is whole
    assert all(file.suffix == ".npz" for file in (tmp_path / "cache" / "glyphs").iterdir())


def test_cache_that_cannot_be_written(tmp_path: Path, render: list[tuple[int, int]]) -> None:
    (tmp_path / "cache").write_text("a file, no folder")
    with pytest.raises(BadInput, match="cannot write"):
        load("glyphs", tmp_path, limit=40)


def test_real_glyphs_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    glyphs = pytest.importorskip("bench.data.glyphs")
    monkeypatch.setattr(glyphs, "GLYPHS", 40)
    made = load("glyphs", tmp_path, limit=57)
    assert len(made.train) + len(made.val) == 57 and len(made.test) == 40
    assert made.size == 32 and made.channels == 3 and len(made.classes) == 10


# torchvision


@pytest.mark.parametrize("name", data.DOWNLOADED)
@pytest.mark.parametrize("error", [OSError("no route to host"), RuntimeError("File not found or corrupted.")])
def test_no_network_names_both_ways(
    name: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    for kind in ("CIFAR10", "CIFAR100", "SVHN"):
        monkeypatch.setattr(f"torchvision.datasets.{kind}", fail)
    with pytest.raises(BadInput, match=r"network.*--data-root DIR with") as caught:
        load(name, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", data.DOWNLOADED)
def test_torchvision_layouts(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    places = []

    def fake(root: Path, **kwargs: object) -> types.SimpleNamespace:
        print("Files already downloaded and verified")
        places.append(root)
        images = pictures(40, int(kwargs.get("train", kwargs.get("split") == "train")), (32, 32, 3))
        labels = [i % 10 for i in range(40)]
        if name == "svhn":
            return types.SimpleNamespace(data=images.transpose(0, 3, 1, 2), labels=np.array(labels))
        return types.SimpleNamespace(data=images, targets=labels, classes=list("abcdefghij"))

    for kind in ("CIFAR10", "CIFAR100", "SVHN"):
        monkeypatch.setattr(f"torchvision.datasets.{kind}", fake)
    made = load(name, tmp_path)
    assert made.name == name and not made.synthetic
    assert made.augmentation == Augmentation(pad=4, flip=name != "svhn")
    assert torch.equal(
        made.test.images[7].permute(1, 2, 0), torch.from_numpy(pictures(40, shape=(32, 32, 3))[7])
    )
    assert capfd.readouterr().out == ""
    load(name, tmp_path, root=tmp_path / "mine")
    assert set(places) == {tmp_path / "cache" / "data", tmp_path / "mine"}


# parquet


def test_parquet_round_trip_is_exact(tmp_path: Path) -> None:
    parquet_set(tmp_path / "pets", n=30, meta={"classes": ",".join(NAMES)})
    made = load(f"parquet:{tmp_path / 'pets'}", tmp_path)
    assert made.name == "pets" and made.classes == NAMES
    assert torch.equal(made.test.images.permute(0, 2, 3, 1), torch.from_numpy(pictures(30, 1)))
    assert made.test.labels.tolist() == [i % 3 for i in range(30)]
    assert made.augmentation == Augmentation(pad=1, flip=True)
    both = torch.cat([made.train.images, made.val.images]).permute(0, 2, 3, 1)
    assert rows_of(both.contiguous()) == rows_of(torch.from_numpy(pictures(30, 0)))
    assert made.digest == load(f"parquet:{tmp_path / 'pets'}/", tmp_path).digest


def test_parquet_shards_are_one_set(tmp_path: Path) -> None:
    parquet_set(tmp_path / "whole")
    blobs, labels = [encoded(image) for image in pictures(12)], [i % 3 for i in range(12)]
    write_parquet(tmp_path / "cut", "train-00000-of-00002", blobs[:5], labels[:5])
    write_parquet(tmp_path / "cut", "train-00001-of-00002", blobs[5:], labels[5:])
    (tmp_path / "cut" / "test.parquet").write_bytes((tmp_path / "whole" / "test.parquet").read_bytes())
    for limit in (None, 9):
        whole, cut = (load(f"parquet:{tmp_path / name}", tmp_path, limit) for name in ("whole", "cut"))
        assert whole.digest == cut.digest


HUB = json.dumps({"info": {"features": {"label": {"names": list(NAMES), "_type": "ClassLabel"}}}})


@pytest.mark.parametrize(
    ("meta", "classes", "flip"),
    [
        (None, ("0", "1", "2"), True),
        ({"classes": json.dumps(NAMES), "flip": "false"}, NAMES, False),
        ({"classes": "cat, dog, owl", "flip": "True"}, NAMES, True),
        ({"huggingface": HUB}, NAMES, True),
        ({"huggingface": "no json"}, ("0", "1", "2"), True),
    ],
)
def test_parquet_metadata(
    meta: dict[str, str] | None, classes: tuple[str, ...], flip: bool, tmp_path: Path
) -> None:
    parquet_set(tmp_path / "pets", meta=meta)
    made = load(f"parquet:{tmp_path / 'pets'}", tmp_path)
    assert made.classes == classes and made.augmentation.flip is flip


def test_parquet_mistakes(tmp_path: Path) -> None:
    place, spec = tmp_path / "pets", f"parquet:{tmp_path / 'pets'}"
    with pytest.raises(BadInput, match=r"no train\.parquet"):
        load(spec, tmp_path)
    parquet_set(place)
    good = encoded(pictures(1)[0])
    labels: list[int | None] = [0, 1, 2] * 2
    for blobs, tags, meta, said in (
        ([good] * 5 + [good[:60]], labels, None, "train.parquet, image 5 cannot be read"),
        ([good] * 5 + [None], labels, None, "image 5 is missing"),
        ([good] * 6, [*labels[:5], None], None, "1 rows have no label"),
        ([good] * 6, [*labels[:5], 7], {"classes": "a,b,c"}, "a label is 7, expected 0 to 2"),
        ([good] * 6, labels, {"classes": "a,b,c,d"}, "class 'd' has no image"),
        ([good] * 6, labels, {"flip": "maybe"}, "flip = 'maybe'"),
        ([good] * 5 + [encoded(pictures(1, shape=(9, 8, 3))[0])], labels, None, "8x9 pixels, expected 8x8"),
    ):
        write_parquet(place, "train", list(blobs), list(tags), meta)
        with pytest.raises(BadInput, match=said):
            load(spec, tmp_path)
    pq.write_table(pa.table({"image": [good], "fine_label": [0]}), place / "train.parquet")
    with pytest.raises(BadInput, match="columns image binary, fine_label int64; expected image struct"):
        load(spec, tmp_path)
    (place / "train.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(BadInput, match=r"train\.parquet cannot be read"):
        load(spec, tmp_path)


def test_parquet_splits_must_agree_on_classes(tmp_path: Path) -> None:
    parquet_set(tmp_path / "pets", meta={"classes": "a,b,c"})
    write_parquet(
        tmp_path / "pets", "test", [encoded(i) for i in pictures(3)], [0, 1, 2], {"classes": "a,c,b"}
    )
    with pytest.raises(BadInput, match=r"train.parquet has the classes a,b,c, test.parquet a,c,b"):
        load(f"parquet:{tmp_path / 'pets'}", tmp_path)


# folder


def test_folder_loads_in_name_order(tmp_path: Path) -> None:
    place = folder_set(tmp_path / "pets")
    (place / "train" / "cat" / ".DS_Store").write_text("hidden files are no images")
    made = load(f"folder:{place}", tmp_path)
    assert made.name == "pets" and made.classes == NAMES and made.resize == "none"
    assert made.test.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert torch.equal(made.test.images[:4].permute(0, 2, 3, 1), torch.from_numpy(pictures(4, 3)))
    assert made.digest == load(f"folder:{place}", tmp_path).digest
    assert str(tmp_path) not in repr(made.name)


def test_name_is_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder_set(tmp_path / "pets"))
    for spec in (
        "folder:.",
        f"folder:{tmp_path}/pets/",
        "folder:../pets",
        f"folder:{tmp_path}/pets/train/..",
    ):
        assert load(spec, tmp_path).name == "pets"


def test_folder_resizes_by_the_stated_rule(tmp_path: Path) -> None:
    place = folder_set(tmp_path / "pets", shape=(16, 16, 3))
    wide = np.zeros((20, 40, 3), np.uint8)
    wide[:, 10:30] = 200  # exactly what the centre crop keeps
    (place / "test" / "cat" / "0.png").write_bytes(encoded(wide))
    with pytest.raises(BadInput, match=r"16x16 pixels, expected 40x20 as in .*folder:DIR@S"):
        load(f"folder:{place}", tmp_path)
    made = load(f"folder:{place}@10", tmp_path)
    assert (made.name, made.size) == ("pets@10", 10)
    assert made.resize == "shorter side to 10 with antialiased bilinear, then centre crop 10x10"
    assert (made.test.images[0, :, :, 1:9] == 200).all()
    square = Image.fromarray(pictures(4, 3, (16, 16, 3))[1]).resize((10, 10), Image.Resampling.BILINEAR)
    assert np.array_equal(made.test.images[1].permute(1, 2, 0).numpy(), np.asarray(square))
    with pytest.raises(BadInput, match="expected at least 8"):
        load(f"folder:{place}@4", tmp_path)


def test_folder_of_oblong_images_needs_the_rule(tmp_path: Path) -> None:
    place = folder_set(tmp_path / "pets", shape=(8, 12, 3))
    with pytest.raises(BadInput, match=r"12x8 pixels, expected squares.*folder:DIR@S"):
        load(f"folder:{place}", tmp_path)
    assert load(f"folder:{place}@8", tmp_path).size == 8


def test_gray_folder_keeps_one_channel(tmp_path: Path) -> None:
    place = folder_set(tmp_path / "gray", shape=(8, 8))
    made = load(f"folder:{place}", tmp_path)
    assert made.channels == 1 and load(f"folder:{place}@9", tmp_path).channels == 1
    assert torch.equal(made.test.images[0, 0], torch.from_numpy(pictures(4, 3, (8, 8))[0]))
    (place / "test" / "owl" / "0.png").write_bytes(encoded(pictures(1)[0]))  # a single one in colour
    mixed = load(f"folder:{place}", tmp_path)
    assert mixed.channels == 3
    assert torch.equal(mixed.train.images, made.train.images.expand(-1, 3, -1, -1))


def test_other_modes_become_rgb(tmp_path: Path) -> None:
    place, pixels = folder_set(tmp_path / "pets"), pictures(1, 99)[0]
    opaque = np.dstack([pixels, np.full((8, 8), 255, np.uint8)])
    (place / "test" / "cat" / "0.png").write_bytes(encoded(opaque))
    made = load(f"folder:{place}", tmp_path)
    assert torch.equal(made.test.images[0].permute(1, 2, 0), torch.from_numpy(pixels))


def test_folder_mistakes(tmp_path: Path) -> None:
    place = folder_set(tmp_path / "pets")
    cat = place / "train" / "cat"
    whole = (cat / "0.png").read_bytes()

    def refused(said: str) -> None:
        with pytest.raises(BadInput, match=said) as caught:
            load(f"folder:{place}", tmp_path)
        assert "\n" not in str(caught.value)

    for damage in (whole[: len(whole) // 2], b"", b"text"):
        (cat / "0.png").write_bytes(damage)
        refused(r"train.cat.0\.png cannot be read")
    (cat / "0.png").write_bytes(encoded(pictures(1, shape=(8, 8))[0].astype(np.uint16) * 257))
    refused(r"0\.png has more than 8 bits a channel")
    (cat / "0.png").write_bytes(whole)
    (cat / "notes.txt").write_text("text")
    refused(r"notes\.txt is not an image")
    (cat / "notes.txt").rename(place / "train" / "notes.txt")
    refused(r"notes\.txt lies beside the class folders")
    (place / "train" / "notes.txt").unlink()
    (place / "train" / "eel").mkdir()
    refused("'eel' is in train only")
    (place / "test" / "eel").mkdir()
    refused(r"train.eel is empty")


def test_folder_layout_mistakes(tmp_path: Path) -> None:
    spec = f"folder:{tmp_path / 'pets'}"
    with pytest.raises(BadInput, match=r"pets.train is not a folder"):
        load(spec, tmp_path)
    (tmp_path / "pets" / "train").mkdir(parents=True)
    (tmp_path / "pets" / "train" / "0.png").write_bytes(encoded(pictures(1)[0]))
    with pytest.raises(BadInput, match="no class folders"):
        load(spec, tmp_path)
    (tmp_path / "pets" / "train" / "0.png").unlink()
    (tmp_path / "pets" / "train" / "cat").mkdir()
    with pytest.raises(BadInput, match="one class folder, 'cat'"):
        load(spec, tmp_path)
    (tmp_path / "pets" / "train" / "dog").mkdir()
    with pytest.raises(BadInput, match=r"pets.test is not a folder"):
        load(spec, tmp_path)
