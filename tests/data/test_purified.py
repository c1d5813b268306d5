"""Images that were purified elsewhere are a defense: each published image finds its own, or nobody does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli.main import main
from bench.data.poisons.purified import at
from support.commands import command, refused, rows_of
from support.poisons import exporting


def darkened(folder: Path) -> None:
    """Replace all images by what a purifier makes of them."""
    for file in folder.glob("*.png"):
        with Image.open(file) as image:
            pixels = np.asarray(image) // 2
        Image.fromarray(pixels).save(file)


@pytest.fixture
def bought(place: Path) -> Path:
    """em's images and clean ones, purified, in a folder each."""
    for method in ("em", "clean"):
        assert main(exporting(place, place / "bought" / method, method)) == 0
        darkened(place / "bought" / method)
    return place / "bought"


def test_purified_images_are_what_the_victim_learns_from(place: Path, bought: Path) -> None:
    asked = command(place, "em,clean", "none", "--purified", str(bought))
    assert main(asked) == 0
    rows = rows_of(place)
    assert {*rows} == {(m, d) for m in ("em", "clean") for d in ("none", "purified:bought")}
    own = rows["em", "purified:bought"]
    assert own.status == "ok" and own.defense_facts["purified_from"] == "em"
    assert own.inputs["defense"]["digest"] == at(str(bought)).digest
    assert str(place) not in json.dumps(own.inputs) and "purified:DIR/bought" in (own.rerun or "")
    assert own.published == rows["em", "none"].published
    assert own.test_acc != rows["em", "none"].test_acc or own.train_acc != rows["em", "none"].train_acc
    assert "purified:bought" in (place / "out" / "accuracy.md").read_text()
    before = {row.key for row in rows.values()}
    assert main(asked) == 0 and {row.key for row in rows_of(place).values()} == before
    with Image.open(bought / "em" / "0.png") as image:
        Image.fromarray(np.asarray(image) // 2).save(bought / "em" / "0.png")
    assert at(str(bought)).digest != own.inputs["defense"]["digest"]  # other images, another key


def test_one_folder_is_that_of_one_export(place: Path, bought: Path) -> None:
    assert main(command(place, "em", "none", "--purified", str(bought / "em"))) == 0
    assert rows_of(place)["em", "purified:em"].status == "ok"


def test_purified_images_without_colour_serve_images_that_have_some(place: Path, bought: Path) -> None:
    """A purifier may save gray files; of each the victim sees as many channels as of the others."""
    for file in (bought / "em").glob("*.png"):
        with Image.open(file) as image:
            image.convert("L").save(file)
    assert main(command(place, "em", "none", "--purified", str(bought / "em"))) == 0
    assert rows_of(place)["em", "purified:em"].status == "ok"


def test_hidden_files_beside_purified_images_are_none(bought: Path) -> None:
    before = at(str(bought)).digest
    (bought / "em" / "._0.png").write_bytes(b"mine")
    assert at(str(bought)).digest == before


def test_images_of_another_poison_give_no_number(place: Path, bought: Path) -> None:
    assert main(command(place, "random,em", "none", "--purified", str(bought / "em"))) == 1
    rows = rows_of(place)
    assert rows["em", "purified:em"].status == "ok" and rows["random", "none"].status == "ok"
    assert "published images are none of those that the manifest.json of em lists" in (
        rows["random", "purified:em"].reason or ""
    )


def labelled(folder: Path) -> None:
    said = json.loads((folder / "manifest.json").read_text())
    said["labels"] = [(label + 1) % 4 for label in said["labels"]]
    (folder / "manifest.json").write_text(json.dumps(said))


def resized(folder: Path) -> None:
    for file in folder.glob("*.png"):
        with Image.open(file) as image:
            image.resize((8, 8)).save(file)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(labelled, "expected the same labels"), (resized, "(3, 8, 8), expected (3, 16, 16)")],
    ids=["labels", "shape"],
)
def test_other_labels_or_shapes_give_no_number(place: Path, bought: Path, spoil: object, says: str) -> None:
    spoil(bought / "em")  # type: ignore[operator]
    assert main(command(place, "em", "none", "--purified", str(bought / "em"))) == 1
    assert says in (rows_of(place)["em", "purified:em"].reason or "")


def test_what_cannot_be_purified_images_is_refused_at_once(
    place: Path, bought: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(path: str) -> str:
        return refused(command(place, "em", "none", "--purified", path), capsys)

    assert "there is no such folder" in said("/nope")
    assert "has a comma" in said("a,b")
    (bought / "em" / "0.png").unlink()
    assert "em has 200 images 0.png, 1.png, ..., expected the 201" in said(str(bought))
    shutil.rmtree(bought / "clean")
    (bought / "em" / "manifest.json").unlink()
    assert "there is no manifest.json in it" in said(str(bought))
    assert not (place / "out").exists()
