"""Poisons out and in: what is exported comes back bit by bit, and what does not fit is refused."""

from __future__ import annotations

import json
import os
import pickle
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor

from bench import data
from bench.cli.main import main
from bench.core.errors import BadInput
from bench.core.pixels import release, to_float
from bench.core.types import Dataset
from bench.data import prepare
from bench.data.poisons import files
from bench.data.poisons.imported import Foreign
from bench.data.poisons.photos import image_of
from bench.experiment.overrides import change
from bench.experiment.registry import imported
from bench.results.rows import load_all
from support.commands import command, refused, rows_of
from support.pictures import draw_images
from support.poisons import choice, exporting
from support.toys import noise, toy_lab, toy_split

EPS = 8 / 255
ALL = toy_split(80, 80)  # as a stranger has them: all training images
OTHERS = toy_split(40, 40)


def quad() -> Dataset:
    """The toy images cut as the suite cuts them: 80 in all, 60 kept, 56 of them to train on."""
    pools = (prepare.at_hand(part.images.numpy(), part.labels.numpy()) for part in (ALL, OTHERS))
    return prepare.dataset(prepare.Source("toy", *pools, tuple("abcd"), flip=False), 60)


DATA = quad()
RUN = DATA.train
STEPS = (noise(80, 3, 16, 16, seed=5) * 17).floor() - 8  # whole grey levels, -8 to 8
DELTA = STEPS / 255
HERE = release(ALL.images, DELTA, EPS)  # what a stranger's release of all images is


def numbered(images: Tensor, folder: Path) -> Path:
    folder.mkdir()
    for index, image in enumerate(images):
        image_of(image.permute(1, 2, 0).numpy()).save(folder / f"{index}.png")
    return folder


def npy(array: np.ndarray, path: Path) -> Path:
    np.save(path, array)
    return path


def saved(thing: object, path: Path) -> Path:
    torch.save(thing, path)
    return path


def tensors(things: dict[str, Tensor], path: Path) -> Path:
    safetensors.torch.save_file(things, path)
    return path


def hwc(values: Tensor) -> np.ndarray:
    return values.permute(0, 2, 3, 1).contiguous().numpy()


Write = Callable[[Tensor, Tensor, Path], Path]  # steps, published images, folder to write in

FORMATS: dict[str, Write] = {
    "PNGs": lambda s, z, at: numbered(z, at / "data"),
    "npy, uint8 images": lambda s, z, at: npy(z.numpy(), at / "p.npy"),
    "npy, float images, HWC": lambda s, z, at: npy(hwc(to_float(z)), at / "p.npy"),
    "npy, float images of 255, HWC": lambda s, z, at: npy(  # TAP's numpy mode
        hwc(z.double()), at / "poisoned_training_data.npy"
    ),
    "npy, int8 deltas": lambda s, z, at: npy(s.numpy().astype(np.int8), at / "p.npy"),
    "npy, int16 deltas, big-endian, HWC": lambda s, z, at: npy(hwc(s).astype(">i2"), at / "p.npy"),
    "pt, float deltas": lambda s, z, at: saved(s / 255, at / "p.pt"),
    "pt, parameter": lambda s, z, at: saved(torch.nn.Parameter(s / 255), at / "p.pth"),
    "pt, float16 deltas by name": lambda s, z, at: saved({"delta": (s / 255).half()}, at / "p.pt"),
    "safetensors, deltas of 255": lambda s, z, at: tensors({"delta": s}, at / "p.safetensors"),
    "safetensors, float deltas, HWC": lambda s, z, at: tensors(
        {"delta": torch.from_numpy(hwc(s / 255))}, at / "p.safetensors"
    ),
}


def resolved(path: Path, data: Dataset = DATA, **stated: str) -> tuple[Foreign, str]:
    """The method as the run settles it, and what was said."""
    value, said = imported(str(path)).value, list[str]()
    for name, text in stated.items():
        value = change(value, name, text, "file")
    found = value.resolved(data, said.append)
    assert isinstance(found, Foreign)
    return found, "\n".join(said)


def published(path: Path, data: Dataset = DATA, **stated: str) -> Tensor:
    """What the harness makes of it."""
    method, _ = resolved(path, data, **stated)
    return release(data.train.images, method.craft(data.train, toy_lab()), method.eps)


def why(path: Path, data: Dataset = DATA, **stated: str) -> str:
    """How it is refused."""
    with pytest.raises(BadInput) as caught:
        resolved(path, data, **stated)
    line = str(caught.value)
    assert line.startswith(imported(str(path)).name) and "\n" not in line
    assert str(path.parent) not in line  # rows may hold it
    return line


# What comes in


@pytest.mark.parametrize("form", FORMATS)
def test_all_images_serve_a_run_that_uses_some(form: str, tmp_path: Path) -> None:
    """A poison for the whole data set is used by rows: limit and validation cut are ours."""
    assert DATA.rows is not None and len(RUN) < 60 and DATA.pool == 80
    assert torch.equal(ALL.images[DATA.rows], RUN.images)
    path = FORMATS[form](STEPS, HERE, tmp_path)
    assert torch.equal(published(path), HERE[DATA.rows])


@pytest.mark.parametrize("form", FORMATS)
def test_as_many_as_the_run_trains_on_are_taken_in_its_order(form: str, tmp_path: Path) -> None:
    assert DATA.rows is not None
    path = FORMATS[form](STEPS[DATA.rows], HERE[DATA.rows], tmp_path)
    assert torch.equal(published(path), HERE[DATA.rows])


def test_one_delta_a_class_and_one_for_all(tmp_path: Path) -> None:
    for n, of in ((4, RUN.labels), (1, torch.zeros_like(RUN.labels))):
        expected = release(RUN.images, DELTA[:n][of], EPS)
        path = saved(DELTA[:n], tmp_path / f"{n}.pt")
        assert torch.equal(published(path), expected)
        method, said = resolved(path)
        assert method.form == {4: "class-wise", 1: "universal"}[n] and method.form in said


def test_what_is_inferred_is_said_and_kept(tmp_path: Path) -> None:
    method, said = resolved(saved(DELTA, tmp_path / "perturbation.v2.pt"))
    assert (method.kind, method.units, method.layout, method.rounding) == ("delta", "1", "chw", "nearest")
    assert "file:perturbation-v2: " in said
    for part in ("delta (inferred)", "1 is the full range (inferred)", "chw (inferred)", "nearest", "8/255"):
        assert part in said
    stated, said = resolved(tmp_path / "perturbation.v2.pt", kind="delta", units="1")
    assert "delta (stated)" in said and stated == method


def test_png_numbers_count_not_their_listing(tmp_path: Path) -> None:
    folder = numbered(HERE, tmp_path / "data")
    for index in range(80):
        (folder / f"{index}.png").rename(folder / f"{index:0{5 if index % 2 else 1}}.png")
    assert torch.equal(published(folder), HERE[DATA.rows])


@pytest.mark.parametrize("rounding", ["nearest", "truncate", "positive"])
def test_rounding_rules(rounding: str, tmp_path: Path) -> None:
    """nearest keeps the sign; MI-UE's reader cuts the sum; EM's drops what is negative and cuts."""
    x = torch.linspace(-7.9, 7.9, 80)[:, None, None, None].expand(STEPS.shape).contiguous()
    by_rule = {"nearest": x.round(), "truncate": x.floor(), "positive": x.clamp_min(0).floor()}
    expected = (ALL.images + by_rule[rounding]).clamp(0, 255).to(torch.uint8)
    path = saved(x / 255, tmp_path / "p.pt")
    assert DATA.rows is not None
    assert torch.equal(published(path, rounding=rounding), expected[DATA.rows])


def test_whole_levels_are_no_victims_of_truncation(tmp_path: Path) -> None:
    """8/255 as a float32 times 255 is a little less than 8."""
    assert DATA.rows is not None
    assert torch.equal(published(saved(DELTA, tmp_path / "p.pt"), rounding="truncate"), HERE[DATA.rows])


def test_pixels_leave_the_range_nowhere(tmp_path: Path) -> None:
    """Clipping to 0..255 is all that is done to what a file says."""
    images = torch.full_like(RUN.images, 2)
    images[0] = 253
    dark = replace(DATA, train=replace(RUN, images=images))
    got = published(saved(STEPS / 255, tmp_path / "p.pt"), dark)
    assert DATA.rows is not None
    assert torch.equal(got, (images + STEPS[DATA.rows]).clamp(0, 255).to(torch.uint8))


def test_l2_and_unbounded_budgets(tmp_path: Path) -> None:
    """Few large changes: over the usual budget, within another that is declared."""
    sparse = torch.zeros_like(STEPS)
    sparse[:, :, 3, 5] = 100 / 255
    path = saved(sparse, tmp_path / "ops.pt")
    stated = {"kind": "delta", "units": "1"}
    assert "over budget, by up to 100/255" in why(path, **stated)
    expected = release(RUN.images, sparse[DATA.rows], 1.0)
    assert torch.equal(published(path, eps="1", **stated), expected)
    assert torch.equal(published(path, l2="0.7", **stated), expected)
    assert resolved(path, l2="0.7", **stated)[0].threat.norm == "l2"
    assert "L2 norm is 0.6" in why(path, l2="0.5", **stated)


# What is refused


def spoiled(value: float) -> Tensor:
    delta = DELTA.clone()
    delta[7, 0, 2, 2] = value
    delta[9] = value
    return delta


class Code:
    """Would run when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (Path("ran"),)


def raw(data: bytes, path: Path) -> Path:
    path.write_bytes(data)
    return path


def gap(at: Path) -> Path:
    folder = numbered(HERE, at / "data")
    (folder / "11.png").unlink()
    return folder


def twins(at: Path) -> Path:
    folder = numbered(HERE, at / "data")
    shutil.copy(folder / "3.png", folder / "03.png")
    return folder


PAGE = b"\n<!DOCTYPE html><html><body>Virus scan warning</body></html>"
BOTH = {"kind": "delta", "units": "255"}
SHUFFLED = torch.arange(79, -1, -1)
REFUSED: dict[str, tuple[Callable[[Path], Path], dict[str, str], Sequence[str]]] = {
    "too few": (
        lambda at: saved(DELTA[:79], at / "p.pt"),
        {},
        ("79", "56 (the run's", "80 (all", "4 (one a class)"),
    ),
    "too few of class-wise": (lambda at: saved(DELTA[:3], at / "p.pt"), {"form": "class-wise"}, ("3", "4")),
    "too few images": (lambda at: numbered(HERE[:10], at / "p"), {}, ("10 entries", "56", "80")),
    "images for classes": (lambda at: npy(HERE[:4].numpy(), at / "p.npy"), {}, ("4 entries", "56", "80")),
    "another size": (lambda at: saved(DELTA[..., :8, :8], at / "p.pt"), {}, ("8x8", "16x16")),
    "one channel": (lambda at: saved(DELTA[:, :1], at / "p.pt"), {}, ("1 channel,", "3 channels")),
    "nan": (lambda at: saved(spoiled(float("nan")), at / "p.pt"), {}, ("769 values", "entry 7")),
    "infinite": (lambda at: npy(spoiled(float("-inf")).numpy(), at / "p.npy"), {}, ("769", "entry 7")),
    "nothing but 0": (lambda at: saved(DELTA * 0, at / "p.pt"), {}, ("all values are 0",)),
    "units too large": (lambda at: saved(STEPS, at / "p.pt"), {"units": "1"}, ("from -8 to 8", "255")),
    "units too small": (lambda at: saved(DELTA, at / "p.pt"), BOTH, ("nothing survives", "units")),
    "images in units of 255": (
        lambda at: npy(to_float(HERE).numpy(), at / "p.npy"),
        {"units": "255", "kind": "images"},
        ("over budget",),
    ),
    "normalised images": (
        lambda at: npy(to_float(HERE).numpy() * 4 - 2, at / "p.npy"),
        {},
        ("delta in units of 255", "normalised", "kind=delta", "units=1"),
    ),
    "over budget": (lambda at: saved(DELTA * 2, at / "p.pt"), {}, ("16/255", "expected L-inf 8/255", "eps")),
    "over a smaller budget": (lambda at: saved(DELTA, at / "p.pt"), {"eps": "4/255"}, ("8/255", "4/255")),
    "shuffled": (lambda at: numbered(HERE[SHUFFLED], at / "p"), {}, ("order", "/255", "56 of 56")),
    "positive images": (
        lambda at: npy(to_float(HERE).numpy(), at / "p.npy"),
        {"rounding": "positive"},
        ("positive", "images"),
    ),
    "two axes of channels": (
        lambda at: saved(DELTA[:, :, :, :3], at / "p.pt"),
        {},
        ("two axes", "layout=chw or hwc"),
    ),
    "no axis of channels": (lambda at: saved(DELTA.repeat(1, 2, 1, 1), at / "p.pt"), {}, ("no axis",)),
    "flat": (lambda at: saved(DELTA.flatten(1), at / "p.pt"), {}, ("(80, 768)", "(count, channels")),
    "the labels beside TAP's images": (
        lambda at: npy(RUN.labels.double().numpy(), at / "poisoned_training_labels.npy"),
        {},
        ("(56,)", "(count, channels"),
    ),
    "empty": (lambda at: saved(DELTA[:0], at / "p.pt"), {}, ("(0, 3, 16, 16)", "empty")),
    "truth values": (lambda at: npy(STEPS.numpy() > 0, at / "p.npy"), {}, ("bool", "integers or floats")),
    "a gap": (gap, {}, ("11.png is missing",)),
    "a number twice": (twins, {}, ("3.png", "03.png", "same number")),
    "no images": (lambda at: at, {}, ("0.png",)),
    "a pickle": (lambda at: raw(pickle.dumps(STEPS.numpy()), at / "p.pkl"), {}, ("pickle", "run code")),
    "a pickle as npy": (lambda at: raw(pickle.dumps(Code()), at / "p.npy"), {}, ("run code",)),
    "objects in npy": (lambda at: npy(np.array([Code()]), at / "p.npy"), {}, ("Python objects", "run code")),
    "code in pt": (lambda at: saved({"delta": Code()}, at / "p.pt"), {}, ("more than tensors", "run code")),
    "an array in pt": (lambda at: saved(STEPS.numpy(), at / "p.pt"), {}, ("weights-only",)),
    "delta and ids": (lambda at: saved([DELTA, [1]], at / "p.pth"), {}, ("list of 2", "normalised")),
    "two tensors": (
        lambda at: tensors({"a": DELTA, "b": STEPS}, at / "p.safetensors"),
        {},
        ("2 things (a, b)",),
    ),
    "damaged pt": (lambda at: raw(b"PK\3\4oops", at / "p.pt"), {}, ("no whole file of torch.save",)),
    "damaged npy": (lambda at: raw(b"\x93NUMPY\1\0", at / "p.npy"), {}, ("no whole .npy",)),
    "npy whose header does not end": (
        lambda at: raw(b"\x93NUMPY\1\0\x0e\0{'shape': (2, \n", at / "p.npy"),
        {},
        ("no whole .npy",),
    ),
    "damaged safetensors": (lambda at: raw(b"oops", at / "p.safetensors"), {}, ("no whole safetensors",)),
    "a web page as pt": (lambda at: raw(PAGE, at / "p.pt"), {}, ("p.pt is a web page",)),
    "a web page as npy": (lambda at: raw(PAGE, at / "p.npy"), {}, ("p.npy is a web page",)),
    "a web page as safetensors": (lambda at: raw(PAGE, at / "p.safetensors"), {}, ("is a web page",)),
    "another format": (
        lambda at: raw(b"", at / "p.mat"),
        {},
        ("p.mat", ".npz, .pt, .pth, .safetensors"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make, stated, words = REFUSED[case]
    line = why(make(tmp_path), **stated)
    assert [word for word in words if word not in line] == [], line
    assert not (tmp_path / "ran").exists()


def test_what_was_saved_on_an_accelerator_is_read_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.serialization.location_tag", lambda storage: "cuda:0")
    path = saved(DELTA, tmp_path / "p.pt")
    monkeypatch.undo()
    assert b"cuda:0" in path.read_bytes()
    assert torch.equal(published(path), HERE[DATA.rows])


def test_deltas_in_another_order_cannot_be_told_and_that_is_said(tmp_path: Path) -> None:
    _, said = resolved(saved(DELTA[SHUFFLED], tmp_path / "p.pt"))
    assert "order: taken as given" in said


def test_small_whole_numbers_could_be_anything(tmp_path: Path) -> None:
    path = npy(STEPS.abs().numpy().astype(np.int32), tmp_path / "p.npy")
    assert "kind=delta or images" in why(path)
    expected = release(ALL.images, DELTA.abs(), EPS)
    assert DATA.rows is not None
    assert torch.equal(published(path, kind="delta"), expected[DATA.rows])


def test_a_file_that_changes_under_the_run_is_noticed(tmp_path: Path) -> None:
    path = saved(DELTA, tmp_path / "p.pt")
    method, _ = resolved(path)
    saved(-DELTA, path)
    with pytest.raises(ValueError, match="changed since the run began"):
        method.craft(RUN, toy_lab())
    path.unlink()
    with pytest.raises(BadInput) as caught:
        method.craft(RUN, toy_lab())
    assert str(tmp_path) not in str(caught.value)


def test_key_follows_content_and_meaning_not_the_place(tmp_path: Path) -> None:
    def inputs(path: Path, **stated: str) -> str:
        method = imported(str(path))
        settled = replace(method, value=resolved(path, **stated)[0]).inputs
        text = json.dumps(settled, sort_keys=True)
        assert str(tmp_path) not in text and "path" not in settled
        return text

    first = inputs(saved(DELTA, tmp_path / "p.pt"))
    (tmp_path / "moved").mkdir()
    assert inputs(Path(shutil.copy(tmp_path / "p.pt", tmp_path / "moved" / "p.pt"))) == first
    assert inputs(tmp_path / "p.pt", rounding="truncate") != first
    assert inputs(tmp_path / "p.pt", eps="16/255") != first
    assert inputs(tmp_path / "p.pt", kind="delta") == first
    assert inputs(saved(-DELTA, tmp_path / "p.pt")) != first


# The commands


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with images, an export of em, and a run of em on them."""
    place = tmp_path_factory.mktemp("poisons")
    draw_images(place / "quad")
    assert main(exporting(place, place / "exported")) == 0
    assert main(command(place, "em", "none")) == 0
    return place


@pytest.fixture
def place(tmp_path: Path, images: Path) -> Path:
    return Path(shutil.copytree(images, tmp_path / "place"))


def test_export_is_what_the_run_published(images: Path) -> None:
    folder = images / "exported"
    said = json.loads((folder / "manifest.json").read_text())
    row = rows_of(images)["em", "none"]
    assert said["published"] == row.published and said["data"]["digest"] == row.inputs["data"]["digest"]
    assert said["method"] == row.inputs["method"] and said["seeds"]["craft"] == row.seeds["craft"]
    assert said["measured"]["linf"] == row.linf and said["eps"] == EPS and said["norm"] == "linf"
    assert {"torch", "code"} <= {*said["environment"]} and said["rounding"]
    n = row.inputs["data"]["train_images"]
    assert len(said["images"]) == len(said["rows"]) == len(said["labels"]) == n
    assert {p.name for p in folder.iterdir()} == {"manifest.json", *(f"{i}.png" for i in range(n))}
    assert str(images) not in (folder / "manifest.json").read_text()


def test_own_export_gives_the_same_cell(place: Path) -> None:
    assert main(command(place, f"em,file:{place / 'exported'}", "none")) == 0
    rows = rows_of(place)
    ours, theirs = rows["em", "none"], rows["file:exported", "none"]
    same = ("published", "test_acc", "train_acc", "mi", "curve", "linf", "l2", "ssim", "setting")
    assert [name for name in same if getattr(ours, name) != getattr(theirs, name)] == []
    assert theirs.key != ours.key and theirs.inputs["method"]["kind"] == "images"
    assert not [p for p in (place / "out" / "rows").iterdir() if str(place) in p.read_text()]
    assert main(command(place, f"file:{place / 'exported'}", "none", "--poison-reps", "3")) == 0
    assert len(load_all(place / "out" / "rows")) == 2  # one file is one poison, and it was there


def test_a_rows_command_names_the_file_as_it_is_called(place: Path) -> None:
    """Whatever the name holds; DIR stands for the folder, and what is set is set again."""
    path = saved(torch.zeros(68, 3, 16, 16) + 0.9 / 255, place / "quad" / "my delta.v2.pt")
    stated = ["--set", "file:my-delta-v2.kind=delta", "--set", "file:my-delta-v2.units=1"]
    asked = command(place, f"file:{path}", "none", *stated, "--eps", "1/255")
    assert main(asked) == 0
    row = rows_of(place)["file:my-delta-v2", "none"]
    assert row.rerun is not None and str(place) not in row.rerun
    parts = shlex.split(row.rerun)
    assert parts[parts.index("--methods") + 1] == "file:DIR/my delta.v2.pt"
    again = [part.replace("file:DIR", f"file:{path.parent}") for part in parts[3:]]
    again = [part.replace("folder:DIR", f"folder:{place}") for part in again]
    where = ["--cache", str(place / "cache"), "--workers", "1", "--out", str(place / "again")]
    assert main([*again, *where]) == 0
    assert rows_of(place, "again")["file:my-delta-v2", "none"].key == row.key


def test_export_serves_other_choices_of_its_images(place: Path) -> None:
    """By the row numbers in the manifest; where images are not in it, it is refused."""
    full = loaded(place)
    assert full.rows is not None
    some = torch.arange(60, 10, -2)
    other = replace(full, digest="other", train=full.train.take(some), rows=full.rows[some])
    found = published(place / "exported", other)
    assert all(torch.equal(found[i], png(place / "exported" / f"{k}.png")) for i, k in enumerate(some))
    for strange in (replace(other, pool=99), replace(other, rows=other.rows + 1)):
        line = why(place / "exported", strange)
        assert "68 of the 72 training images of quad" in line and "expected the same data" in line


def test_an_export_that_lacks_images_of_the_run_says_how_many_and_what_to_do(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another limit holds out other images for validation, and those were never published."""
    cut = data.load(f"folder:{place / 'quad'}", root=None, limit=60, cache=place / "cache")
    whole = loaded(place)
    assert cut.rows is not None and whole.rows is not None
    lacking = len({*cut.rows.tolist()} - {*whole.rows.tolist()})
    assert 0 < lacking < len(cut.train)
    asked = command(place, f"file:{place / 'exported'}", "none", "--out", str(place / "other"))
    line = refused([*asked, "--limit", "60"], capsys)
    assert f"{lacking} of the run's {len(cut.train)} training images are not in it" in line
    assert "run with --limit none, or export again with --limit 60" in line
    assert not (place / "other").exists()


def test_shuffled_and_damaged_exports_are_told_apart(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = place / "exported"
    asked = command(place, f"file:{folder}", "none", "--out", str(place / "other"))
    one, two, spare = folder / "2.png", folder / "30.png", folder / "spare"
    one.rename(spare)
    two.rename(one)
    spare.rename(two)
    assert "image 2 is the manifest's image 30: the order is shuffled" in refused(asked, capsys)
    two.write_bytes(one.read_bytes())
    assert "image 2 is not what the manifest says" in refused(asked, capsys)
    (folder / "manifest.json").write_text('{"suite": "ue-bench", "kind": "published images", "schema": 1}')
    assert "manifest.json is damaged" in refused(asked, capsys)
    assert not (place / "other").exists()


def test_run_refuses_before_anything_is_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(torch.zeros(68, 3, 16, 16) + 0.1, place / "p.pt")
    asked = command(place, f"file:{path}", "none", "--out", str(place / "other"))
    line = refused(asked, capsys)
    assert "file:p: " in line and "26/255" in line and "--eps" in line
    assert "no such file" in refused(command(place, "file:nowhere.pt", "none"), capsys)
    other = shutil.copy(path, place / "quad" / "p.npy")
    both = command(place, f"file:{path},file:{other}", "none")
    assert "would both be called 'file:p'" in refused(both, capsys)
    assert not (place / "other").exists()


def test_fields_of_a_file_are_set_like_any_plugins(place: Path) -> None:
    path = saved(torch.zeros(68, 3, 16, 16) + 0.9 / 255, place / "p.pt")
    asked = command(place, f"file:{path}", "none", "--set", "file:p.kind=delta", "--eps", "1/255")
    assert main([*asked, "--set", "file:p.units=1"]) == 0
    row = rows_of(place)["file:p", "none"]
    assert row.linf == pytest.approx(1 / 255) and row.inputs["method"]["eps"] == 1 / 255
    assert row.craft["form"] == "sample-wise" and row.inputs["method"]["units"] == "1"


def test_verify_prints_the_audit(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(place / "exported"), *choice(place)]) == 0
    said = capsys.readouterr().out
    for part in ("68 of 68 as in the manifest", "8/255", "em for quad", "images (inferred)", "budget"):
        assert part in said
    assert main(["verify", str(place / "exported")]) == 0
    assert "name them with --data" in capsys.readouterr().out
    assert main(["verify", str(saved(spoiled(float("nan")), place / "p.pt"))]) == 2
    seen = capsys.readouterr()
    assert "769" in seen.out and "file:p: 769 values are nan" in seen.err
    assert main(["verify", str(saved(DELTA * 2, place / "p.pt"))]) == 2
    assert "16/255" in capsys.readouterr().err
    assert main(["verify", str(place / "p.pt"), "--eps", "16/255"]) == 0


def test_verify_measures_all_there_is_and_says_how_much(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quad = ["--data", f"folder:{place / 'quad'}", "--cache", str(place / "cache")]
    path = saved({"[/x]": DELTA[:68]}, place / "p.pt")  # a name that rich would take for markup
    assert main(["verify", str(path), *quad]) == 0  # without --limit: as far as the data set goes
    said = capsys.readouterr().out
    assert "68 of 68 entries" in said and "[/x]" in said
    assert main(["verify", str(path)]) == 0
    assert "in the file alone" in " ".join(capsys.readouterr().out.split())
    assert "verify: there is no" in refused(["verify", f"{path},clean"], capsys)


def test_damaged_archives_are_refused_as_such(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torn = raw(b"PK\x03\x04" + bytes(30), place / "p.npy")
    assert "p.npy is no whole" in refused(["verify", str(torn)], capsys)


def test_current_folder_is_no_place_to_put_a_folder(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "here").mkdir()
    monkeypatch.chdir(place / "here")
    assert "is the current folder" in refused(exporting(place, Path()), capsys)
    assert "--poison-rep is -1" in refused([*exporting(place, place / "new"), "--poison-rep", "-1"], capsys)


def test_where_a_file_lies_is_no_field(tmp_path: Path) -> None:
    value = imported(str(saved(DELTA, tmp_path / "p.pt"))).value
    with pytest.raises(BadInput, match="path"):
        change(value, "path", "elsewhere", "file")


def test_export_writes_over_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds other things" in refused(exporting(place, place / "exported"), capsys)
    assert "names 2 methods" in refused(exporting(place, place / "new", "em,tap"), capsys)
    assert "is a file" in refused(exporting(place, place / "exported" / "0.png"), capsys)
    for idle in ("clean", f"file:{place / 'exported'}"):  # neither draws anything: there is one poison
        line = refused([*exporting(place, place / "new", idle), "--poison-rep", "3"], capsys)
        assert "--poison-rep is 3, expected 0" in line and "draws nothing" in line
    assert not (place / "new").exists()
    assert main(exporting(place, place / "new", "clean")) == 0
    assert torch.equal(png(place / "new" / "0.png"), loaded(place).train.images[0])


def loaded(place: Path) -> Dataset:
    return data.load(f"folder:{place / 'quad'}", root=None, limit=None, cache=place / "cache")


def png(path: Path) -> Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def vast(path: Path) -> None:
    """A file of some bytes that declares a terabyte."""
    if path.suffix == ".npy":
        with path.open("wb") as file:
            head = {"shape": (10**8, 3, 64, 64), "fortran_order": False, "descr": "|u1"}
            np.lib.format.write_array_header_1_0(file, head)
    else:
        torch.save(torch.zeros(1).expand(10**8, 3, 64, 64), path)


@pytest.mark.parametrize("name", ["a.npy", "a.pt", "fifo.pt", "fifo.npy"])
def test_what_is_not_in_the_file_is_not_waited_for_and_takes_no_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.startswith("fifo"):
        os.mkfifo(path)
    else:
        vast(path)
    with pytest.raises(BadInput, match=name.replace(".", r"\.")):
        files.read(path, "file:a")
