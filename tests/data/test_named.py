"""Data sets that come by a layout of their own, and profiles that follow what is there."""

from __future__ import annotations

import io
import os
import sys
import types
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench import data
from bench.cli.main import main
from bench.core.errors import BadInput
from bench.core.types import Dataset
from bench.data.imagenet import HUNDRED
from bench.experiment.settings import portable
from bench.results.rows import load_all
from support.cases import encoded
from support.pictures import draw_images

IDS = HUNDRED.read_text(encoding="ascii").split()
PIXELS = np.random.default_rng(0).integers(0, 256, (400, 16, 16, 3), dtype=np.uint8)


def load(spec: str, cache: Path, limit: int | None = None, **more: Any) -> Dataset:
    return data.load(spec, root=None, limit=limit, cache=cache, **more)


def save(place: Path, pixels: np.ndarray) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(place, "PNG")


def imagenet(place: Path, ids: Sequence[str]) -> Path:
    for number, name in enumerate(ids):
        for part, many in (("train", 2), ("val", 1)):
            for image in range(many):
                save(
                    place / part / name / f"{part}{image}.png",
                    PIXELS[number * 3 + 2 * (part == "val") + image][:, :12],
                )
    return place


def test_the_hundred_classes_are_ids_in_their_order() -> None:
    assert len(IDS) == len(set(IDS)) == 100 and sorted(IDS) == IDS
    assert all(len(name) == 9 and name[0] == "n" and name[1:].isdigit() for name in IDS)


def test_of_imagenet_a_hundred_classes_are_read_at_one_size(tmp_path: Path) -> None:
    place = imagenet(tmp_path / "imagenet", [*IDS, "n99999999"])
    found = load(f"imagenet100:{place}@8", tmp_path)
    assert (found.classes, found.size, found.name) == (tuple(IDS), 8, "imagenet100@8")
    assert (len(found.train) + len(found.val), len(found.test)) == (200, 100)
    assert found.names is not None and {name.split("/")[0] for name in found.names} == {*IDS}


@pytest.mark.parametrize("kind", ["imagenet100", "tinyimagenet"])
def test_names_of_files_are_as_everywhere(kind: str, tmp_path: Path) -> None:
    """In Unicode's NFC; what is no UTF-8 is escaped."""
    place = imagenet(tmp_path / "in", IDS) if kind == "imagenet100" else tiny(tmp_path / "tiny")
    files = sorted(path for path in (place / "train").rglob("*") if path.suffix.lower() in (".png", ".jpeg"))
    names = {unicodedata.normalize("NFD", "\u00e9.png"): "\u00e9.png", os.fsdecode(b"\xe9.png"): "\\xe9.png"}
    for file, name in zip(files, names, strict=False):
        file.rename(file.with_name(name))
    found = load(f"{kind}:{place}", tmp_path).names
    assert found is not None and {name.rpartition("/")[2] for name in found} >= {*names.values()}


def test_a_class_of_the_hundred_that_is_not_there_is_named(tmp_path: Path) -> None:
    place = imagenet(tmp_path / "imagenet", IDS[:99])
    with pytest.raises(BadInput, match=f"train/{IDS[99]} is not a folder"):
        load(f"imagenet100:{place}", tmp_path)


def tiny(place: Path, lines: Callable[[str], str] = lambda line: line) -> Path:
    annotations = []
    for number, name in enumerate(("n02", "n01")):
        for image in range(3):
            save(place / "train" / name / "images" / f"{name}_{image}.JPEG", PIXELS[number * 5 + image])
        (place / "train" / name / f"{name}_boxes.txt").write_text("a box")
        save(place / "val" / "images" / f"val_{number}.JPEG", PIXELS[100 + number])
        annotations.append(lines(f"val_{number}.JPEG\t{name}\t0\t0\t9\t9\n"))
    (place / "val" / "val_annotations.txt").write_text("".join(annotations))
    return place


def test_tiny_imagenet_is_read_as_it_unpacks(tmp_path: Path) -> None:
    found = load(f"tinyimagenet:{tiny(tmp_path / 'tiny')}", tmp_path)
    assert (found.classes, found.size) == (("n01", "n02"), 16) and found.test.labels.tolist() == [1, 0]
    assert np.array_equal(found.test.images[0].permute(1, 2, 0).numpy(), PIXELS[100])


@pytest.mark.parametrize("line", ["val_0.JPEG\tn07\n", "../val_0.JPEG\tn01\n", "val_9.JPEG\tn01\n", "what\n"])
def test_annotations_that_lead_nowhere_are_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(BadInput, match="expected"):
        load(f"tinyimagenet:{tiny(tmp_path / 'tiny', lambda _: line)}", tmp_path)


def test_another_list_of_classes_is_another_digest(tmp_path: Path) -> None:
    seen = [load(f"tinyimagenet:{tiny(tmp_path / 'tiny')}", tmp_path).digest]
    for place in [*(tmp_path / "tiny").rglob("*n01*")]:
        if place.is_dir():
            place.rename(place.with_name("n00"))
    listed = tmp_path / "tiny" / "val" / "val_annotations.txt"
    listed.write_text(listed.read_text().replace("n01", "n00"))
    assert load(f"tinyimagenet:{tmp_path / 'tiny'}", tmp_path).digest not in seen


# Hugging Face's hub: what of `datasets` is used, by a stand-in that keeps to its interface


class FeatureImage:
    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel:
    def __init__(self, names: Sequence[str]) -> None:
        self.names = names


class Value:
    pass


class Table:
    """A split: columns with their features."""

    def __init__(self, columns: dict[str, list[Any]], features: dict[str, Any]) -> None:
        self.columns, self.features = columns, features

    def class_encode_column(self, name: str) -> Table:
        names = sorted(set(self.columns[name]))
        coded = [names.index(value) for value in self.columns[name]]
        return Table(self.columns | {name: coded}, self.features | {name: ClassLabel(names)})

    def select_columns(self, names: list[str]) -> Table:
        return Table(*({name: of[name] for name in names} for of in (self.columns, self.features)))

    def rename_columns(self, names: dict[str, str]) -> Table:
        return Table(
            *({names.get(name, name): v for name, v in of.items()} for of in (self.columns, self.features))
        )

    def cast_column(self, name: str, feature: Any) -> Table:
        return Table(self.columns, self.features | {name: feature})

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self.columns[key]
        assert not self.features["image"].decode  # so that one rule decodes all images
        return {name: [values[row] for row in key] for name, values in self.columns.items()}


def split(n: int, label: str = "label", image: str = "img", words: bool = False, first: int = 0) -> Table:
    """Of the pixels from the first on."""

    def png(row: int) -> dict[str, Any]:
        file = io.BytesIO()
        Image.fromarray(PIXELS[first + row]).save(file, "PNG")
        return {"bytes": file.getvalue(), "path": None}

    labels: list[Any] = [("bird", "cat")[row % 2] if words else row % 2 for row in range(n)]
    kind = Value() if words else ClassLabel(["bird", "cat"])
    columns = {image: [png(row) for row in range(n)], label: labels, "more": [0] * n}
    return Table(columns, {image: FeatureImage(), label: kind, "more": Value()})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A hub whose data sets a test puts in; a name that it lacks cannot be reached."""
    there: dict[str, Any] = {}

    def load_dataset(name: str, configuration: str | None, download_config: Any) -> Any:
        there["asked"] = (configuration, download_config.local_files_only)
        if name not in there:
            raise ConnectionError(f"Couldn't reach {name!r} on the Hub\nand more")
        return there[name]

    fake: Any = types.ModuleType("datasets")
    fake.Image, fake.load_dataset = FeatureImage, load_dataset
    fake.DownloadConfig = types.SimpleNamespace
    monkeypatch.setitem(sys.modules, "datasets", fake)
    return there


def test_a_data_set_of_the_hub_is_read(hub: dict[str, Any], tmp_path: Path) -> None:
    hub["some/birds"] = {"train": split(12), "test": split(4, first=20)}
    found = load("hf:some/birds:small", tmp_path)
    assert hub["asked"] == ("small", False)
    assert (found.name, found.classes, found.size) == ("some-birds-small", ("bird", "cat"), 16)
    assert np.array_equal(found.test.images[2].permute(1, 2, 0).numpy(), PIXELS[22])
    load("hf:some/birds", tmp_path, writes=False)
    assert hub["asked"] == (None, True)  # what writes nothing downloads nothing


def test_labels_may_be_words_and_the_test_images_validation(hub: dict[str, Any], tmp_path: Path) -> None:
    more = {"label": "fine_label", "image": "image", "words": True}
    hub["birds"] = {"train": split(12, **more), "validation": split(4, first=20, **more)}
    found = load("hf:birds", tmp_path)
    assert found.classes == ("bird", "cat") and found.test.labels.tolist() == [0, 1, 0, 1]
    (note,) = found.notes
    assert note == "hf:birds: labels are numbered in their order: bird is 0, cat is 1"


def test_gray_is_what_all_images_of_the_hub_are(hub: dict[str, Any], tmp_path: Path) -> None:
    """Not those that a limit leaves."""
    for coloured in (None, *range(12)):
        train, test = split(12), split(4, first=20)
        for row, image in [*enumerate(train.columns["img"]), *enumerate(test.columns["img"], 20)]:
            pixels = Image.fromarray(PIXELS[row])
            image["bytes"] = encoded(pixels if row == coloured else pixels.convert("L"))
        hub["birds"] = {"train": train, "test": test}
        channels = 1 if coloured is None else 3
        assert [load("hf:birds", tmp_path, limit).channels for limit in (None, 4)] == [channels] * 2


ODD: dict[str, tuple[Any, str]] = {
    "no such name": (None, r"hf:birds cannot be loaded \(Couldn't reach 'birds' on the Hub\), expected"),
    "no test": ({"train": split(4)}, "has the splits train, expected train and test"),
    "no image": ({"train": split(4, image="x"), "test": split(4)}, "has the columns x .FeatureImage., label"),
    "no label": (
        {"train": split(4, label="x"), "test": split(4)},
        "expected images in image or img and label",
    ),
}


@pytest.mark.parametrize("given, said", ODD.values(), ids=ODD)
def test_what_is_no_data_set_of_labelled_images_is_refused(
    hub: dict[str, Any], tmp_path: Path, given: Any, said: str
) -> None:
    hub |= {"birds": given} if given else {}
    with pytest.raises(BadInput, match=said):
        load("hf:birds", tmp_path)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(BadInput, match=r"expected after: pip install 'ue-bench\[hf\]'"):
        load("hf:birds", tmp_path)


def test_a_stored_command_keeps_a_name_of_the_hub_and_no_folder() -> None:
    assert portable("hf:some/birds") == "hf:some/birds"
    assert portable("hf:/home/me/birds") == "hf:DIR/birds" == portable("hf:~/birds")


# Profiles follow the data


@pytest.mark.parametrize(
    "counts, limit, expected",
    [
        ((20, 20), 30, 30),
        ((20, 20), 40, 40),
        ((20, 20), 41, None),
        ((10, 30), 30, 20),
        ((10, 30), 2000, None),
    ],
)
def test_a_limit_that_follows_is_as_large_as_can_be(
    tmp_path: Path, counts: tuple[int, int], limit: int, expected: int | None
) -> None:
    assert load(few(tmp_path, counts), tmp_path, limit, follow=True).limit == expected


def few(place: Path, counts: tuple[int, int]) -> str:
    """A folder with so many training images of two classes."""
    images = iter(PIXELS)
    for name, count in zip("ab", counts, strict=True):
        for image in range(count):
            save(place / "few" / "train" / name / f"{image}.png", next(images))
        save(place / "few" / "test" / name / "0.png", next(images))
    return f"folder:{place / 'few'}"


@pytest.mark.parametrize("limit", [40, 2000])
def test_reference_images_take_none_of_those_that_are_trained_on(tmp_path: Path, limit: int) -> None:
    """Rows of defenses that use none would be of other images beside a defense that uses some."""
    folder = few(tmp_path, (20, 20))
    with pytest.raises(BadInput, match="10 clean images are asked for beside the 40 of --limit"):
        load(folder, tmp_path, limit, follow=True, reference=10)
    alone = load(folder, tmp_path, 30, follow=True)
    beside = load(folder, tmp_path, 30, follow=True, reference=10)
    assert beside.digest == alone.digest and len(beside.reference or ()) == 10


def test_a_folder_of_600_images_in_three_classes_runs_without_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw_images(tmp_path / "three", train=200, classes=3)
    where = ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out")]
    run = ["run", "--data", f"folder:{tmp_path / 'three'}", *where]
    assert main([*run, "--dry-run", "--img-per-s", "1000"]) == 0
    said = capsys.readouterr().out
    assert "gives 600 training images, fewer than the 2000 of profile quick" in said
    assert "(victims: 47)" in said
    assert main([*run, "--limit", "2000", "--dry-run", "--img-per-s", "1000"]) == 0
    assert "nets train for more epochs" not in capsys.readouterr().out  # the limit was asked for
    quick = ("points=1", "mi.slices=4", "mi.images=200", "victim.epochs=1")
    sets = [part for field in quick for part in ("--set", field)]
    small = ["--methods", "clean", "--defenses", "none", "--no-report", "--workers", "1"]
    assert main([*run, *small, *sets]) == 0
    (row,) = load_all(tmp_path / "out" / "rows")
    assert row.status == "ok" and row.inputs["data"]["train_images"] == 570
    assert row.inputs["victim"]["epochs"] == 1  # as asked for
