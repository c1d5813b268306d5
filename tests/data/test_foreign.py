"""Poisons as the world has them: what a file is, what its numbers mean, and which mistakes have a name."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor

from bench.cli.main import main
from bench.core.errors import BadInput
from bench.core.pixels import release, to_float
from bench.core.types import Dataset
from bench.data import load
from bench.data.poisons.imported import Foreign
from bench.experiment.named import split
from bench.experiment.overrides import change
from bench.experiment.registry import imported
from support import cases
from support.cases import ALL, DATA, DELTA, HERE, STEPS
from support.commands import command
from support.pictures import draw_images
from support.toys import toy_lab


def audited(path: Path | str, data: Dataset = DATA, **stated: str) -> tuple[Foreign, dict[str, str]]:
    value, table = imported(str(path)).value, dict[str, str]()
    for name, text in stated.items():
        value = change(value, name, text, "file")
    return value.audited(data, table), table


def published(path: Path | str, data: Dataset = DATA, **stated: str) -> Tensor:
    method, _ = audited(path, data, **stated)
    return release(data.train.images, method.craft(data.train, toy_lab()), method.eps)


def npy(array: np.ndarray, path: Path) -> Path:
    with path.open("wb") as file:
        np.save(file, array)
    return path


def torch_file(thing: object, path: Path, **how: bool) -> Path:
    torch.save(thing, path, **how)
    return path


def tensors(things: dict[str, Tensor], path: Path) -> Path:
    safetensors.torch.save_file(things, path)
    return path


def npz(things: dict[str, np.ndarray], path: Path) -> Path:
    with path.open("wb") as file:
        np.savez(file, **things)
    return path


# what a file is: its first bytes say

TWO = {"delta": DELTA, "labels": torch.arange(80)}
SAVED: dict[str, Callable[[Path], Path]] = {
    "npy": lambda at: npy(DELTA.numpy(), at),
    "npz": lambda at: npz({"delta": DELTA.numpy()}, at),
    "torch": lambda at: torch_file(DELTA, at),
    "torch, old": lambda at: torch_file(DELTA, at, _use_new_zipfile_serialization=False),
    "safetensors": lambda at: tensors({"delta": DELTA}, at),
}
SEVERAL: dict[str, Callable[[Path], Path]] = {
    "npz": lambda at: npz({name: value.numpy() for name, value in TWO.items()}, at),
    "torch": lambda at: torch_file(TWO, at),
    "safetensors": lambda at: tensors(TWO, at),
}


@pytest.mark.parametrize("ending", [".npy", ".npz", ".pt", ".safetensors", ".bin", ".pkl", ""])
@pytest.mark.parametrize("form", SAVED)
def test_the_first_bytes_decide_and_not_the_ending(form: str, ending: str, tmp_path: Path) -> None:
    assert DATA.rows is not None
    assert torch.equal(published(SAVED[form](tmp_path / f"p{ending}")), HERE[DATA.rows])


@pytest.mark.parametrize("form", SEVERAL)
def test_one_of_several_arrays_is_named(form: str, tmp_path: Path) -> None:
    path = SEVERAL[form](tmp_path / "p.bin")
    assert DATA.rows is not None
    assert torch.equal(published(f"{path}#delta"), HERE[DATA.rows])
    plugin = imported(f"{path}#delta")
    assert (plugin.name, plugin.place) == ("file:p-delta", f"file:{path}#delta")
    for place, said in ((path, r"holds 2 things \(delta, labels\).*file:PATH#NAME names it"),
                        (f"{path}#deltas", "has no 'deltas'; it holds delta, labels"),
                        (f"{path}#labels", r"the shape \(80,\)")):  # fmt: skip
        with pytest.raises(BadInput, match=said):
            audited(place)


OTHER: dict[str, tuple[bytes, str]] = {
    "LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull brings it"),
    "HTML": (b" \n<!DOCTYPE html><html>", "is a web page"),
    "gzip": (gzip.compress(b"x"), "compressed by gzip; unpack it"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "of the format HDF5"),
    "MATLAB": (b"MATLAB 5.0 MAT-file", "MATLAB's format"),
    "PNG": (b"\x89PNG\r\n\x1a\n", "is one image, expected a folder"),
    "pickle": (pickle.dumps(STEPS.numpy()), "is a pickle, which can run code"),
    "nothing": (b"", "whole|no known format|damaged"),
    "junk": (b"\1\2\3" * 99, "whole|no known format|run code"),
    "a zip": (b"PK\3\4 but cut off", "no whole"),
}


@pytest.mark.parametrize("ending", [".npy", ".npz", ".pt", ".safetensors", ".bin"])
@pytest.mark.parametrize("what", OTHER)
def test_what_is_no_array_is_named_whatever_its_ending(what: str, ending: str, tmp_path: Path) -> None:
    blob, said = OTHER[what]
    (tmp_path / f"p{ending}").write_bytes(blob)
    with pytest.raises(BadInput, match=f"^file:p: p{ending} .*({said})") as caught:
        audited(tmp_path / f"p{ending}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", cases.POISONS)
def test_damage_is_refused_and_nothing_else_is_raised(kind: str, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for number in range(12):
        (tmp_path / str(number)).mkdir()
        cases.poison_case(kind, tmp_path / str(number), draw)


def test_a_comma_in_a_path_is_part_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = npy(DELTA.numpy(), tmp_path / "a,b.npy")
    assert [*split(f"em,file:{path},tap", ["file"])] == ["em", f"file:{path}", "tap"]
    assert [*split(f"file:{path}#x,file:nothing,tap", ["file"])] == [f"file:{path}#x", "file:nothing", "tap"]
    assert [*split("em,tap")] == ["em", "tap"]
    assert main(["verify", str(path)]) == 0
    assert "file:a-b" in capsys.readouterr().out


# what numbers mean


def spoiled(array: np.ndarray, value: float) -> np.ndarray:
    found = array.copy()
    found[3, 0, 0, 0] = value
    return found


FLOATS, WHOLE = to_float(HERE).numpy(), HERE.numpy()
ONE: dict[str, np.ndarray] = {
    "below 0": spoiled(FLOATS, -0.001),
    "far below 0": spoiled(FLOATS, -0.09),
    "above 1": spoiled(FLOATS, 1.05),
    "below 0, of 255": spoiled(WHOLE.astype(np.float32), -2),
    "above 255": spoiled(WHOLE.astype(np.float32), 270),
    "below 0, whole": spoiled(WHOLE.astype(np.int16), -1),
}


@pytest.mark.parametrize("kind", ["infer", "images"])
@pytest.mark.parametrize("case", ONE)
def test_one_value_turns_no_images_into_deltas(case: str, kind: str, tmp_path: Path) -> None:
    """What leaves the range is clipped and counted; the toy images are told from that value alone."""
    path = npy(ONE[case], tmp_path / "p.npy")
    found, table = audited(path, eps="1", kind=kind)
    assert found.kind == "images" and table["clipped"] == "1 values outside of the range"


def test_deltas_may_leave_the_range_a_little_where_that_is_stated(tmp_path: Path) -> None:
    path = npy(spoiled(DELTA.numpy(), 1.05), tmp_path / "p.npy")
    with pytest.raises(BadInput, match="like none of them"):
        audited(path, eps="1")
    _, table = audited(path, eps="1", kind="delta", units="1")
    assert table["clipped"] == "1 values outside of the range"


@pytest.mark.parametrize("value", [-0.11, 1.11])
def test_more_than_a_tenth_of_the_range_is_no_image(value: float, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be"):
        audited(npy(spoiled(FLOATS, value), tmp_path / "p.npy"), eps="1", kind="images", units="1")


def test_sparse_deltas_stay_deltas(tmp_path: Path) -> None:
    sparse = torch.zeros_like(STEPS)
    sparse[:, :, 3, 5] = STEPS[:, :, 3, 5] * 12
    found, _ = audited(torch_file(sparse, tmp_path / "p.pt"), eps="1")
    assert (found.kind, found.units) == ("delta", "255")


# mistakes that have a name

MISTAKES: dict[str, tuple[np.ndarray, str]] = {
    "BGR": (WHOLE[:, ::-1].copy(), r"blue, green, red \(BGR\)"),
    "wrapped sums": (((ALL.images + STEPS).int() % 256).to(torch.uint8).numpy(), "sums wrapped around"),
    "wrapped deltas": (STEPS.numpy().astype(np.int8).view(np.uint8), "deltas that wrapped around"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_usual_mistakes_are_named(case: str, tmp_path: Path) -> None:
    array, said = MISTAKES[case]
    if case == "wrapped sums":  # the toy images are nowhere near black
        dark = replace(DATA, train=replace(DATA.train, images=torch.full_like(DATA.train.images, 2)))
        array = ((2 + STEPS).int() % 256).to(torch.uint8).numpy()
    path = npy(array, tmp_path / "p.npy")
    with pytest.raises(BadInput, match=f"over budget.*{said}"):
        audited(path, dark if case == "wrapped sums" else DATA)
    with pytest.raises(BadInput, match="over budget") as caught:
        audited(npy(WHOLE[::-1].copy(), tmp_path / "q.npy"))
    assert not any(word in str(caught.value) for word in ("BGR", "wrapped"))


def test_gray_files_stand_for_colour_where_the_data_has_some(tmp_path: Path) -> None:
    gray = ALL.images[:, :1].expand(-1, 3, -1, -1).contiguous()
    data = replace(DATA, train=replace(DATA.train, images=gray[DATA.rows] + 0))
    for index, image in enumerate(gray[:, 0].numpy()):
        Image.fromarray(np.where(image < 250, image + 3, image - 3)).save(tmp_path / f"{index}.png")
    assert published(tmp_path, data).shape[1] == 3


def test_verify_prints_order_and_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw_images(tmp_path / "quad")
    path = npy(DELTA[:4].numpy(), tmp_path / "p.npy")
    asked = ["verify", str(path), "--data", f"folder:{tmp_path / 'quad'}", "--cache", str(tmp_path / "cache")]
    assert main(asked) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "class-wise" in said and "0 a, 1 b, 2 c, 3 d" in said and "taken as given" in said


def test_class_wise_deltas_are_in_the_order_that_a_run_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folders that are whole numbers in that of these: the third entry is class 10's, and not class 2's."""
    draw_images(tmp_path / "quad")
    for part in ("train", "test"):
        for old, new in zip("abcd", ("1", "2", "10", "20"), strict=True):
            (tmp_path / "quad" / part / old).rename(tmp_path / "quad" / part / new)
    steps = torch.arange(1, 5)[:, None, None, None].expand(4, 3, 16, 16) / 255
    path = torch_file(steps.contiguous(), tmp_path / "p.pt")
    images = load(f"folder:{tmp_path / 'quad'}", root=None, limit=None, cache=tmp_path)
    change = published(path, images).int() - images.train.images
    assert torch.equal(change.amin((1, 2, 3)), images.train.labels + 1)
    assert images.classes == ("1", "2", "10", "20")
    asked = command(tmp_path, f"file:{path}", "none", "--dry-run", "--img-per-s", "9")
    assert main(asked) == 0
    assert "classes: 0 1, 1 2, 2 10, 3 20" in " ".join(capsys.readouterr().out.split())
