"""What protection tools leave, and what hubs hold: measured against the originals, then run as it is."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from bench import data
from bench.cli.main import main
from bench.core.errors import BadInput
from bench.core.types import Dataset
from bench.data.poisons import photos
from bench.data.poisons.imported import Foreign
from bench.experiment.registry import imported
from support.commands import command, refused, rows_of
from support.pictures import QUADRANTS, draw_images

CAP = 5  # grey levels, of what the tool below changes


@pytest.fixture
def place(tmp_path: Path) -> Path:
    draw_images(tmp_path / "quad")
    return tmp_path


def loaded(place: Path, spec: str = "quad") -> Dataset:
    return data.load(f"folder:{place / spec}", root=None, limit=None, cache=place / "cache")


def protected(image: Image.Image, seed: int) -> Image.Image:
    steps = np.random.default_rng(seed).integers(-CAP, CAP + 1, (16, 16, 3))
    steps[0, 0] = CAP
    return Image.fromarray((np.asarray(image).astype(int) + steps).clip(0, 255).astype(np.uint8))


def tool(
    place: Path, save: Callable[[Image.Image, Path], None], out: str = "tool", inside: str = "train"
) -> Path:
    """Change each original and save it by its name under place/out."""
    for seed, file in enumerate(sorted((place / "quad" / "train").rglob("*.png"))):
        to = place / out / inside / file.parent.name / file.name
        to.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(file) as image:
            save(protected(image, seed), to)
    return place / out


def as_png(image: Image.Image, to: Path) -> None:
    image.save(to)


def as_jpeg(image: Image.Image, to: Path) -> None:
    image.save(to.with_suffix(".jpg"), quality=95)


def larger(image: Image.Image, to: Path) -> None:
    image.resize((24, 24), Image.Resampling.NEAREST).save(to)


def audited(path: Path, images: Dataset | None, **stated: object) -> tuple[Foreign, dict[str, str]]:
    from dataclasses import replace

    table: dict[str, str] = {}
    found = replace(imported(str(path)).value, **stated).audited(images, table)  # type: ignore[arg-type]
    return found, table


@pytest.mark.parametrize("inside", ["train", "."])
def test_outputs_are_matched_by_name_and_measured(place: Path, inside: str) -> None:
    images, folder = loaded(place), tool(place, as_png, inside=inside)
    found, table = audited(folder, images)
    assert (found.eps, str(found.threat)) == (CAP / 255, f"L-inf {CAP}/255")
    assert table["budget"] == f"L-inf {CAP}/255, as measured" and table["L-inf"] == f"{CAP}/255"
    assert (table["resized"], table["re-encoded"]) == ("none", "none that shows")
    assert images.rows is not None and images.names is not None and len(found.entries) == len(images.train)
    names = [images.names[row] for row in images.rows.tolist()]
    listed = sorted(f"{k}/{i}.png" for k in QUADRANTS for i in range(18))
    assert [listed[entry] for entry in found.entries] == names


@pytest.mark.parametrize(
    ("save", "row", "says"),
    [
        (as_jpeg, "re-encoded", ".png as .jpg; 68 are lossy, which the measured change takes in"),
        (larger, "resized", "68 of 68 to 16x16 pixels (shorter side with antialiased bilinear"),
        (larger, "resized", "68 of 24x24"),
    ],
)
def test_another_encoding_or_size_is_said_and_counts(
    place: Path, save: Callable[[Image.Image, Path], None], row: str, says: str
) -> None:
    found, table = audited(tool(place, save), loaded(place))
    assert says in table[row] and says in found.altered
    assert found.eps > CAP / 255 and table["budget"].endswith("as measured")


def test_one_name_in_another_form_of_unicode_is_the_same(place: Path) -> None:
    nfc, nfd = (unicodedata.normalize(form, "\u00e9.png") for form in ("NFC", "NFD"))
    folder = tool(place, as_png)
    (place / "quad" / "train" / "a" / "0.png").rename(place / "quad" / "train" / "a" / nfc)
    (folder / "train" / "a" / "0.png").rename(folder / "train" / "a" / nfd)
    assert audited(folder, loaded(place))[0].eps == CAP / 255


def test_what_systems_leave_beside_images_is_passed_over(place: Path) -> None:
    """By who looks for outputs, and by protect."""
    folder = tool(place, as_png)
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._0.png"):
        for beside in (folder / "train", folder / "train" / "a"):
            (beside / name).write_bytes(b"mine")
    (folder / "train" / "__MACOSX").mkdir()
    (folder / "train" / "__MACOSX" / "0.png").write_bytes(b"mine")
    assert audited(folder, loaded(place))[1]["entries"] == "72 images"
    found = photos.album(folder)
    assert found.classes == tuple(QUADRANTS) and len(found.files) == 72


def test_a_stated_budget_holds(place: Path) -> None:
    folder = tool(place, as_png)
    assert audited(folder, loaded(place), eps=8 / 255)[0].eps == 8 / 255
    with pytest.raises(BadInput, match="over budget, by up to 5/255; expected L-inf 4/255"):
        audited(folder, loaded(place), eps=4 / 255)


def test_what_does_not_match_is_refused(place: Path) -> None:
    images, folder = loaded(place), tool(place, as_png)
    (folder / "train" / "b" / "7.png").unlink()
    with pytest.raises(BadInput, match=r"1 of 68 training images have no output .*'b/7'"):
        audited(folder, images)
    tool(place, as_jpeg)
    with pytest.raises(BadInput, match=r"0\.jpg and 0\.png are both of 'a/0'"):
        audited(folder, images)
    with pytest.raises(BadInput, match="no image differs from its original"):
        audited(place / "quad", images)
    flat = place / "flat"
    flat.mkdir()
    for file in (place / "quad" / "train" / "a").iterdir():
        (flat / f"p{file.name}").write_bytes(file.read_bytes())
    with pytest.raises(BadInput, match="18 names are in several classes, such as '0'; expected folders"):
        audited(flat, images)
    _, table = audited(folder, None)
    assert "--data folder:DIR" in table["L-inf"]


def test_images_without_names_have_no_originals(place: Path) -> None:
    from dataclasses import replace

    nameless = replace(loaded(place), names=None)
    with pytest.raises(BadInput, match="expected their originals as --data folder:DIR"):
        audited(tool(place, as_png), nameless)


def test_they_run_as_a_method_of_what_was_measured(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tool(place, as_jpeg)
    assert main(command(place, f"clean,file:{folder}", "none")) == 0
    assert "re-encoded: 68 of 68, .png as .jpg" in " ".join(capsys.readouterr().out.split())
    row = rows_of(place)["file:tool", "none"]
    assert row.status == "ok" and row.linf == row.threat.radius == row.inputs["method"]["eps"]
    assert ".png as .jpg" in str(row.craft["file_altered"]) and not row.control
    assert (
        main(["verify", str(folder), "--data", f"folder:{place / 'quad'}", "--cache", str(place / "cache")])
        == 0
    )
    assert "as measured" in capsys.readouterr().out


# parquet files of hubs


def in_parquet(
    place: Path,
    files: Sequence[Path],
    column: str,
    labels: Sequence[int],
    name: str = "train-00000-of-00001.parquet",
) -> Path:
    blobs = []
    for seed, file in enumerate(files):
        stream = io.BytesIO()
        with Image.open(file) as image:
            protected(image, seed).save(stream, "PNG")
        blobs.append({"bytes": stream.getvalue(), "path": file.name})
    place.mkdir(exist_ok=True)
    pq.write_table(pa.table({column: blobs, "label": pa.array(labels, pa.int64())}), place / name)
    return place


@pytest.mark.parametrize("column", ["img", "image"])
def test_a_hubs_parquet_is_read_by_row(place: Path, column: str) -> None:
    files = sorted((place / "quad" / "train").rglob("*.png"))
    labels = [QUADRANTS.index(file.parent.name) for file in files]
    folder, images = in_parquet(place / "hub", files, column, labels), loaded(place)
    for path in (folder, folder / "train-00000-of-00001.parquet"):
        found, table = audited(path, images)
        assert table["L-inf"] == f"{CAP}/255" and table["labels"] == "68 of 68 as the images' in their place"
        assert (found.eps, found.kind, found.units) == (8 / 255, "images", "255")
        assert images.rows is not None and found.entries == tuple(images.rows.tolist())
    assert audited(folder, images)[0].published == audited(folder / path.name, images)[0].published


def hub_of(place: Path) -> Path:
    """All training images in one file of a folder, protected."""
    files = sorted((place / "quad" / "train").rglob("*.png"))
    return in_parquet(place / "hub", files, "image", [QUADRANTS.index(file.parent.name) for file in files])


@pytest.mark.parametrize("inside", ["", "data"])
def test_shards_of_a_poison_are_read_in_the_order_of_their_numbers(place: Path, inside: str) -> None:
    whole = hub_of(place)
    table, cut = pq.read_table(whole / "train-00000-of-00001.parquet"), place / "cut" / inside
    cut.mkdir(parents=True)
    for number, part in enumerate((table[:5], table[5:50], table[50:])):
        pq.write_table(part, cut / f"train-{number:05}-of-00003-0a1b.parquet")
    found, images = audited(place / "cut", loaded(place))[0], loaded(place)
    assert found.published == audited(whole, images)[0].published and images.rows is not None
    assert found.entries == tuple(images.rows.tolist())


SHARDS = {  # shards beside train-00000-of-00002, and what is said
    "incomplete": ([], "1 of 2 shards are missing, the first is train-00001-of-00002"),
    "of two generations": (["train-00001-of-00002", "train-00002-of-00003"], "two generations; remove one"),
    "whole and cut": (["train", "train-00001-of-00002"], "are both there, expected one or the other"),
    "of other classes": (["train-00001-of-00002"], "has the classes a,b,c,d, .*-00002.parquet d,c,b,a"),
}


@pytest.mark.parametrize("case", SHARDS)
def test_shards_of_a_poison_that_do_not_fit_are_refused(case: str, place: Path) -> None:
    whole = hub_of(place) / "train-00000-of-00001.parquet"
    table = pq.read_table(whole).replace_schema_metadata({"classes": "a,b,c,d"})
    whole.unlink()
    pq.write_table(table, whole.with_name("train-00000-of-00002.parquet"))
    for name in SHARDS[case][0]:
        other = "d,c,b,a" if case == "of other classes" else "a,b,c,d"
        pq.write_table(table.replace_schema_metadata({"classes": other}), whole.with_name(f"{name}.parquet"))
    with pytest.raises(BadInput, match=SHARDS[case][1]):
        audited(place / "hub", loaded(place))


def test_a_parquet_of_another_order_is_refused_by_its_labels(place: Path) -> None:
    files = sorted((place / "quad" / "train").rglob("*.png"))
    labels = [QUADRANTS.index(file.parent.name) for file in files]
    folder = in_parquet(place / "hub", files[::-1], "image", labels[::-1])
    with pytest.raises(
        BadInput, match="68 of 68 entries have another label than the training image in their place"
    ):
        audited(folder, loaded(place))


def test_a_parquet_without_images_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pq.write_table(pa.table({"pixels": [1], "label": [0]}), place / "odd.parquet")
    said = refused(command(place, f"file:{place / 'odd.parquet'}", "none"), capsys)
    assert "file:odd: " in said and "expected img struct<bytes, path>" in said


def test_a_data_set_whose_images_are_called_image_loads(tmp_path: Path) -> None:
    draw_images(tmp_path / "quad")
    for part in ("train", "test"):
        files = sorted((tmp_path / "quad" / part).rglob("*.png"))
        labels = [QUADRANTS.index(file.parent.name) for file in files]
        in_parquet(tmp_path / "hub", files, "image", labels, f"{part}.parquet")
    found = data.load(f"parquet:{tmp_path / 'hub'}", root=None, limit=None, cache=tmp_path / "cache")
    assert len(found.test) == 24 and found.names is None
