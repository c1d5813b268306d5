"""The hub's parquet files as they are: columns, labels, splits, shards; what does not fit is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from bench import data
from bench.cli.main import main
from bench.core.errors import BadInput
from bench.core.types import Dataset
from bench.data.parquet import encodings
from bench.data.rules import Reading
from support.cases import encoded
from support.commands import refused

CLASSES = ("ant", "bee", "cat")


def blobs(n: int, seed: int, size: tuple[int, int] = (8, 8)) -> list[bytes]:
    found = []
    for pixels in np.random.default_rng(seed).integers(0, 256, (n, *size, 3), dtype=np.uint8):
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "PNG")
        found.append(stream.getvalue())
    return found


def table(images: list[bytes], image: str = "image", **labels: list[int] | list[str] | pa.Array) -> pa.Table:
    return pa.table({image: [{"bytes": blob, "path": ""} for blob in images], **labels})


def write(place: Path, names: dict[str, pa.Table]) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    for name, content in names.items():
        pq.write_table(content, place / f"{name}.parquet")
    return place


def load(place: Path, size: str = "", **stated: object) -> Dataset:
    reading = Reading(**stated)  # type: ignore[arg-type]
    return data.load(f"parquet:{place}{size}", root=None, limit=None, cache=place / "cache", reading=reading)


TRAIN, TEST = blobs(6, 0), blobs(6, 1)
TURN = [0, 1, 2] * 2
NAMED = [CLASSES[k] for k in TURN]
HUB = json.dumps({"info": {"features": {"coarse_label": {"names": ["x", "y", "z"]}}}})


@pytest.mark.parametrize("image", ["img", "image"])
@pytest.mark.parametrize("label", ["label", "labels", "fine_label", "coarse_label"])
def test_usual_names_of_columns_are_known(image: str, label: str, tmp_path: Path) -> None:
    each = {part: table(some, image, **{label: TURN}) for part, some in (("train", TRAIN), ("test", TEST))}
    made = load(write(tmp_path / "hub", each))
    assert made.classes == ("0", "1", "2") and made.test.labels.tolist() == TURN and not made.notes


def test_columns_are_the_first_by_rule_or_as_stated(tmp_path: Path) -> None:
    fine, coarse = TURN, [0, 0, 1] * 2
    each = {part: table(some, coarse_label=coarse, fine_label=fine, other=[5, 5, 9] * 2)
            for part, some in (("train", TRAIN), ("test", TEST))}  # fmt: skip
    place = write(tmp_path / "hub", each)
    assert load(place).test.labels.tolist() == fine
    assert load(place, columns="image,coarse_label").test.labels.tolist() == coarse
    for stated, said in (("image", "expected two names"), ("image,none", "expected image struct.*none int")):
        with pytest.raises(BadInput, match=said):
            load(place, columns=stated)


LABELS: dict[str, tuple[pa.Array, tuple[str, ...], list[int]]] = {
    "from 1": (pa.array([1, 2, 3] * 2), ("1", "2", "3"), TURN),
    "with gaps": (pa.array([40, 7, 900] * 2), ("7", "40", "900"), [1, 0, 2] * 2),
    "names": (pa.array(["cat", "ant", "bee"] * 2), CLASSES, [2, 0, 1] * 2),
    "a dictionary": (pa.array(["cat", "ant", "bee"] * 2).dictionary_encode(), CLASSES, [2, 0, 1] * 2),
    "small integers": (pa.array([3, 4, 5] * 2, pa.uint8()), ("3", "4", "5"), TURN),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_are_numbered_in_their_order_and_that_is_said(case: str, tmp_path: Path) -> None:
    labels, classes, expected = LABELS[case]
    made = load(
        write(tmp_path / "hub", {"train": table(TRAIN, label=labels), "test": table(TEST, label=labels)})
    )
    assert made.classes == classes and made.test.labels.tolist() == expected
    (note,) = made.notes
    assert f"labels are numbered in their order: {classes[0]} is 0, {classes[1]} is 1" in note


def test_names_are_places_among_those_that_are_declared(tmp_path: Path) -> None:
    meta = {"classes": "cat,bee,ant"}
    each = {part: table(some, label=NAMED).replace_schema_metadata(meta) for part, some in
            (("train", TRAIN), ("test", TEST))}  # fmt: skip
    place = write(tmp_path / "hub", each)
    assert load(place).test.labels.tolist() == [2, 1, 0] * 2
    write(place, {"test": table(TEST, label=["dog", *NAMED[1:]]).replace_schema_metadata(meta)})
    with pytest.raises(BadInput, match="a label is 'dog', expected one of cat,bee,ant"):
        load(place)


def test_the_hubs_names_are_those_of_the_column(tmp_path: Path) -> None:
    each = {part: table(some, coarse_label=TURN).replace_schema_metadata({"huggingface": HUB})
            for part, some in (("train", TRAIN), ("test", TEST))}  # fmt: skip
    assert load(write(tmp_path / "hub", each)).classes == ("x", "y", "z")


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (TURN, [-1] * 6, "a label is -1, expected 0 or more; -1 stands for a hidden label"),
        (TURN, NAMED, "whole numbers in one part and names in another"),
        ([0.5] * 6, TURN, "expected image struct<bytes, path> and label int or string"),
    ],
)
def test_labels_that_say_nothing_are_refused(
    train: list[int], test: list[int], said: str, tmp_path: Path
) -> None:
    place = write(tmp_path / "hub", {"train": table(TRAIN, label=train), "test": table(TEST, label=test)})
    with pytest.raises(BadInput, match=said):
        load(place)


def test_splits_are_where_hubs_have_them(tmp_path: Path) -> None:
    each = {
        "train-00000-of-00001": table(TRAIN, label=TURN),
        "validation-00000-of-00001": table(TEST, label=TURN),
    }
    place = write(tmp_path / "hub" / "data", each).parent
    with pytest.raises(BadInput, match=r"no test\.parquet.*--test-split validation tests on validation"):
        load(place)
    assert load(place, test_split="validation").name == "hub"
    with pytest.raises(BadInput, match="--columns and --test-split are of parquet files"):
        data.load("glyphs", root=None, limit=20, cache=tmp_path, reading=Reading(test_split="validation"))


def test_gray_is_what_the_whole_set_is(tmp_path: Path) -> None:
    """A limit that leaves the one colour image out leaves three channels."""
    gray = [encoded(Image.open(io.BytesIO(blob)).convert("L")) for blob in (*blobs(12, 6), *TEST)]
    for coloured in (None, *range(12)):
        train = [TRAIN[0] if n == coloured else blob for n, blob in enumerate(gray[:12])]
        tables = {"train": table(train, label=TURN * 2), "test": table(gray[12:], label=TURN)}
        place = write(tmp_path / "hub", tables)
        for limit in (None, 6):
            made = data.load(f"parquet:{place}", root=None, limit=limit, cache=tmp_path)
            assert made.channels == (1 if coloured is None else 3)


def test_a_run_states_how_files_are_read_and_says_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Columns, split and copies by the options of a command; notes are printed."""
    train, seen = blobs(120, 7), table([*blobs(57, 8), *TRAIN[:3]], "pixels", kind=NAMED * 10)
    learned = table([*train[:117], *TRAIN[:3]], "pixels", kind=NAMED * 20)
    place = write(tmp_path / "hub", {"train": learned, "validation": seen})
    asked = ["run", "--data", f"parquet:{place}", "--methods", "clean", "--defenses", "none", "--dry-run"]
    asked += [
        "--img-per-s",
        "9",
        "--net",
        "linear",
        "--cache",
        str(tmp_path / "cache"),
        "--out",
        str(tmp_path / "out"),
    ]
    asked += ["--set", "victim.batch=8", "--set", "mi.neighbours=2"]
    for option, value, refusal in (
        ("--test-split", ["validation"], "--test-split validation tests on validation"),
        ("--columns", ["pixels,kind"], "--columns IMAGE,LABEL names others"),
        ("--allow-duplicates", [], "of 60 test images are exact copies"),
    ):
        assert refusal in refused(asked, capsys)
        asked += [option, *value]
    assert main(asked) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "labels are numbered in their order: ant is 0, bee is 1, cat is 2" in said
    assert "of 60 test images are exact copies of images in another split" in said


def test_images_of_any_size_are_brought_to_one(tmp_path: Path) -> None:
    mixed = [*blobs(3, 3, (20, 11)), *blobs(3, 4, (9, 30))]
    place = write(tmp_path / "hub", {"train": table(mixed, label=TURN), "test": table(TEST, label=TURN)})
    with pytest.raises(BadInput, match="parquet:DIR@S brings all to S x S"):
        load(place)
    made = load(place, "@8")
    assert (made.size, made.name) == (8, "hub@8") and "shorter side to 8" in made.resize


SHARD = table(TRAIN[:3], label=TURN[:3])
SHARDS: dict[str, tuple[list[str], str]] = {
    "incomplete": (["train-00000-of-00003", "train-00002-of-00003"], "1 of 3 shards.*train-00001-of-00003"),
    "two counts": (
        ["train-00000-of-00001", "train-00000-of-00002", "train-00001-of-00002"],
        "two generations",
    ),
    "two of a number": (["train-00000-of-00001-0a1b", "train-00000-of-00001-ffff"], "two generations"),
    "whole and cut": (["train", "train-00000-of-00001"], "are both there"),
    "others": (["train-00000-of-00001", "train-extra"], "lies beside"),
}


@pytest.mark.parametrize("case", SHARDS)
def test_shards_that_do_not_fit_are_refused(case: str, tmp_path: Path) -> None:
    names, said = SHARDS[case]
    place = write(tmp_path / "hub", {**dict.fromkeys(names, SHARD), "test": table(TEST, label=TURN)})
    with pytest.raises(BadInput, match=said):
        load(place)


def test_class_names_are_equal_in_all_shards(tmp_path: Path) -> None:
    one, other = (table(some, label=TURN[:3]).replace_schema_metadata({"classes": names}) for some, names in
                  ((TRAIN[:3], "a,b,c"), (TRAIN[3:], "a,c,b")))  # fmt: skip
    names = {"train-00000-of-00002": one, "train-00001-of-00002": other, "test": table(TEST, label=TURN)}
    with pytest.raises(BadInput, match=r"train-00000-of-00002.* has the classes a,b,c, train-00001-of-00002"):
        load(write(tmp_path / "hub", names))


# copies


def test_copies_are_counted_said_and_refused_where_they_are_many(tmp_path: Path) -> None:
    many = write(tmp_path / "hub", {"train": table(TRAIN, label=TURN),
                                    "test": table([*TEST[:4], *TRAIN[:2]], label=TURN)})  # fmt: skip
    with pytest.raises(BadInput, match=r"2 of 6 test images are exact copies.*--allow-duplicates"):
        load(many)
    made = load(many, allow_duplicates=True)
    assert any("2 of 6 test images are exact copies" in note for note in made.notes)
    assert any("2 images are there under more than one label" in note for note in made.notes)


def test_few_copies_are_said_and_no_error(tmp_path: Path) -> None:
    test = blobs(150, 5)
    place = write(tmp_path / "hub", {"train": table(TRAIN, label=TURN),
                                     "test": table([*test, TRAIN[0]], label=TURN * 25 + [0])})  # fmt: skip
    (note,) = load(place).notes
    assert "1 of 151 test images are exact copies" in note or "1 of 3 validation" in note


def test_copies_within_training_images_alone_are_no_matter(tmp_path: Path) -> None:
    train = [TRAIN[0], TRAIN[1], TRAIN[2]] * 20
    place = write(tmp_path / "hub", {"train": table(train, label=TURN * 10), "test": table(TEST, label=TURN)})
    with pytest.raises(BadInput, match="3 of 3 validation"):  # one of the copies is held out
        load(place)
    assert torch.equal(load(place, allow_duplicates=True).test.labels, torch.tensor(TURN))


def test_images_that_hardly_repeat_are_read_from_a_small_file(tmp_path: Path) -> None:
    """Their writer gives a dictionary up in the middle of a column, by which it cannot be read."""
    values = [bytes([n % 256, n // 256]) * 500 for n in range(3000)]
    parts = [pa.array(values, pa.binary()), pa.array([""] * 3000)]
    images = pa.StructArray.from_arrays(parts, ["bytes", "path"])
    table = pa.table({"img": images, "label": [0, 1, 2] * 1000})
    pq.write_table(table, tmp_path / "train.parquet", row_group_size=2000, compression="none")
    found = [value for some in encodings(tmp_path / "train.parquet", "img") for value in some.to_pylist()]
    assert found == values
