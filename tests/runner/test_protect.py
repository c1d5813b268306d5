"""protect: images of any size, published at their own size within the budget, under their own names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageOps

from bench.cli.main import main
from bench.data import folder as folders
from bench.data.poisons.photos import GAP, MARGIN, SIDE, Photo, opened, spread
from bench.runner.protect import Kept
from support.protect import SIZES, draw, picture, protecting
from support.toys import noise


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image).astype(int)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """own/ and what became of it, out/; two images are out of the ordinary."""
    place = tmp_path_factory.mktemp("protect")
    draw(place / "own")
    picture((30, 20), 50, "RGBA").save(place / "own" / "a" / "clear.png")
    turned = Image.Exif()
    turned[0x0112] = 6  # to be shown turned by 90 degrees
    picture((30, 20), 51).save(place / "own" / "b" / "turned.jpg", exif=turned, quality=95)
    assert main(protecting(place / "own", place / "out")) == 0
    return place


def manifest(place: Path) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((place / "out" / "manifest.json").read_text())
    return said


def test_every_image_is_there_at_its_size_within_the_budget(done: Path) -> None:
    before = {p.relative_to(done / "own").with_suffix(""): p for p in (done / "own").rglob("*.*")}
    after = {p.relative_to(done / "out").with_suffix(""): p for p in (done / "out").glob("*/*")}
    assert before.keys() == after.keys() and len(after) == 12
    assert {p.suffix for p in after.values()} == {".png"}
    for name, path in after.items():
        if name.name == "turned":
            continue
        change = pixels(path) - pixels(before[name])
        assert 0 < np.abs(change).max() <= 8


def test_orientation_is_applied_and_transparency_kept(done: Path) -> None:
    with Image.open(done / "out" / "b" / "turned.png") as image:
        assert image.size == (20, 30) and not image.getexif()
    with Image.open(done / "own" / "b" / "turned.jpg") as raw:
        upright = np.array(raw.rotate(-90, expand=True)).astype(int)
    assert np.abs(pixels(done / "out" / "b" / "turned.png") - upright).max() <= 8
    before, after = (pixels(done / part / "a" / "clear.png") for part in ("own", "out"))
    assert (before[..., 3] == after[..., 3]).all() and (before[..., :3] != after[..., :3]).any()


def test_manifest_says_what_was_done_and_what_survives(done: Path) -> None:
    said = manifest(done)
    assert {"size", "applied", "orientation", "alpha", "gray", "validation"} <= {*said["rules"]}
    assert said["method"]["name"] == "tap" and said["eps"] == 8 / 255 and said["rounding"]
    assert "16x16" in said["rules"]["size"] and str(done) not in json.dumps(said)
    leaked = said["leak"]
    assert (leaked["pairs"], leaked["images"]) == (6, 6) and leaked["left"] > 0
    images = said["images"]
    assert isinstance(images, list) and [one["file"] for one in images] == sorted(
        str(p.relative_to(done / "out")) for p in (done / "out").glob("*/*")
    )
    assert said["survives"]["cosine"] == pytest.approx(np.mean([one["cosine"] for one in images]))


def crafted(done: Path) -> dict[str, np.ndarray]:
    """File -> delta as it was made, whole grey levels (16,16,3), from the cache's poison."""
    (poison,) = (done / "cache" / "poisons").iterdir()
    made = np.load(poison / "published.npy").transpose(0, 2, 3, 1).astype(int)
    files = [one["file"] for one in manifest(done)["images"]]
    return {file: published - small(done / "own" / file) for file, published in zip(files, made, strict=True)}


def small(path: Path) -> np.ndarray:
    """As a net of 16 pixels sees an image."""
    if not path.exists():
        path = path.with_suffix(".jpg")
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        return np.array(upright.resize((16, 16), Image.Resampling.BILINEAR)).astype(int)


def test_survival_is_that_of_the_files_resized_again(done: Path) -> None:
    """By brute force: every file opened again, beside the delta that was made."""
    delta, said = crafted(done), {one["file"]: one for one in manifest(done)["images"]}
    plain = [file for file in delta if not file.endswith("clear.png")]  # resized with its transparency
    for file in plain:
        step, back = delta[file], small(done / "out" / file) - small(done / "own" / file)
        energy = (back**2).sum() / (step**2).sum()
        cosine = (step * back).sum() / np.sqrt((step**2).sum() * (back**2).sum())
        assert said[file]["energy"] == pytest.approx(energy), file
        assert said[file]["cosine"] == pytest.approx(cosine), file
    assert said["a/0.png"]["energy"] == pytest.approx(1)  # of the net's own size
    assert len({round(said[file]["energy"], 3) for file in plain}) > 5


@pytest.mark.parametrize("times", [2, 4])
def test_survival_is_near_the_closed_form(times: int) -> None:
    """Nearest up and the antialiased triangle down mix each pixel with its neighbours by known weights."""
    steps = (noise(3, 16, 16) > 0.5).float() * 16 - 8
    gray = Photo(np.full((16 * times, 16 * times, 3), 128, np.uint8), None, None)
    found = Kept.of(Path("x.png"), gray, gray.changed(steps), steps)
    kernel = triangle(16, times)
    seen = np.einsum("ai,bj,cij->cab", kernel, kernel, steps.numpy())
    energy = (seen**2).sum() / (steps.numpy() ** 2).sum()
    cosine = (seen * steps.numpy()).sum() / np.sqrt((seen**2).sum() * (steps.numpy() ** 2).sum())
    assert found.energy == pytest.approx(energy, abs=0.01) and found.cosine == pytest.approx(
        cosine, abs=0.005
    )
    assert 0.3 < energy < 0.45  # of a pattern of signs


def triangle(side: int, times: int) -> np.ndarray:
    """(side,side): how much of each coarse pixel is seen in each, with pixels repeated in between."""
    fine = np.arange(side * times) + 0.5
    middle = (np.arange(side) + 0.5) * times
    weight = np.clip(1 - np.abs(fine[None] - middle[:, None]) / times, 0, None)
    weight /= weight.sum(1, keepdims=True)
    return weight.reshape(side, side, times).sum(2)


def test_sheet_shows_before_and_after(done: Path) -> None:
    """First of each class, then the second: before, the amplified change, after, pixel for pixel."""
    files = [f"{name}/{i}.png" for i in range(3) for name in "ab"]
    pairs = [(pixels(done / "own" / file), pixels(done / "out" / file)) for file in files]
    factor = 127 // max(int(np.abs(after - before).max()) for before, after in pairs)
    with Image.open(done / "out" / "before-after.png") as image:
        shown = np.array(image).astype(int)
    for column, (before, after) in enumerate(pairs[:2]):  # 16x16: shown in whole squares
        for row, part in enumerate((before, 128 + factor * (after - before), after)):
            square = part.clip(0, 255).repeat(SIDE // 16, 0).repeat(SIDE // 16, 1)
            top, left = (SIDE - len(square)) // 2 + GAP + row * (SIDE + GAP), (SIDE - len(square)) // 2
            left += MARGIN + column * (SIDE + GAP)
            found = shown[top : top + len(square), left : left + len(square)]
            assert (found == square).all(), (column, row)
    assert shown.shape[1] == MARGIN + 6 * (SIDE + GAP)


def test_again_from_the_cache_gives_the_same_bytes(done: Path) -> None:
    assert main(protecting(done / "own", done / "again")) == 0
    for path in (done / "out").glob("*/*.png"):
        assert path.read_bytes() == (done / "again" / path.relative_to(done / "out")).read_bytes()


def test_what_a_leak_undoes_is_printed_as_the_manifest_has_it(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(protecting(done / "own", done / "warned")) == 0
    leaked = manifest(done)["leak"]
    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: whoever has")
    ]
    undone = f"{100 * (1 - leaked['left']):.0f} %" if leaked["left"] < 1 else "nothing"
    assert f"whoever has {leaked['pairs']} of these images as they were undoes {undone} of" in line
    assert f"in the other {leaked['images']} ({leaked['defense']})" in line


def test_a_train_folder_becomes_a_data_set_to_train_on(tmp_path: Path) -> None:
    draw(tmp_path / "own" / "train", "L")
    draw(tmp_path / "own" / "test", "L")
    assert main(protecting(tmp_path / "own", tmp_path / "out")) == 0
    assert [place.name for place in folders.class_folders(tmp_path / "out" / "train")] == ["a", "b"]
    with Image.open(tmp_path / "out" / "train" / "a" / "1.png") as image:
        assert image.mode == "L" and image.size == SIZES[1]
    assert not (tmp_path / "out" / "test").exists()


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (17, 90), (5, 7), (5, 90)])
def test_spreading_never_adds(size: tuple[int, int]) -> None:
    steps = (noise(3, 16, 16) * 17).floor() - 8
    wide = spread(steps, size)
    assert wide.shape == (3, *size) and torch.equal(wide, wide.round())
    assert wide.abs().max() <= 8 and float((wide.mean() - steps.mean()).abs()) < 1.5
    if size == (64, 64):
        assert torch.equal(wide, steps.repeat_interleave(4, 1).repeat_interleave(4, 2))
    assert torch.equal(spread(torch.full_like(steps, -8), size), torch.full((3, *size), -8.0))


def test_colour_profiles_are_kept(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture((20, 20), 0).save(tmp_path / "a.jpg", icc_profile=profile)
    own = opened(tmp_path / "a.jpg")
    own.image.save(tmp_path / "b.png", icc_profile=own.profile)
    with Image.open(tmp_path / "b.png") as image:
        assert image.info["icc_profile"] == profile


@pytest.mark.parametrize(("mode", "space"), [("P", "RGB "), ("CMYK", "CMYK"), ("L", "GRAY"), ("L", "RGB ")])
def test_a_profile_stays_where_it_is_of_the_published_colours(mode: str, space: str, tmp_path: Path) -> None:
    """A palette holds RGB; CMYK becomes RGB, which its profile says nothing of."""
    profile = bytes(16) + space.encode() + bytes(108)
    picture((20, 20), 0).convert(mode).save(tmp_path / "a.tif", icc_profile=profile)
    before = opened(tmp_path / "a.tif")
    before.image.save(tmp_path / "b.png", icc_profile=before.profile)
    with Image.open(tmp_path / "b.png") as image:
        fits = (image.mode, space) in {("RGB", "RGB "), ("L", "GRAY")}
        assert (image.info.get("icc_profile") == profile) == fits
        assert image.mode == ("L" if mode == "L" else "RGB")
    assert before.with_channels(3).profile == (profile if mode == "P" else None)


def deep(path: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(path)


Spoil = Callable[[Path], object]  # given own/
BAD: dict[str, tuple[Spoil, str]] = {
    "text beside": (lambda own: (own / "a" / "notes.txt").write_text("mine"), "notes.txt is not an image"),
    "file beside classes": (lambda own: (own / "notes.txt").write_text("mine"), "beside the class folders"),
    "empty class": (lambda own: (own / "c").mkdir(), "c is empty, expected images in every class"),
    "one class": (lambda own: shutil.rmtree(own / "b"), "has one class folder, 'a', expected at least 2"),
    "damaged": (lambda own: (own / "b" / "0.png").write_bytes(b"oops"), "b/0.png cannot be read"),
    "16 bits": (lambda own: deep(own / "b" / "0.png"), "more than 8 bits a channel"),
    "two of a name": (
        lambda own: picture((9, 9), 0).save(own / "a" / "0.bmp"),
        "both be published as a/0.png",
    ),
    "no folder": (shutil.rmtree, "is not a folder, expected"),
    "out is taken": (lambda own: (own.parent / "out" / "mine").mkdir(parents=True), "holds other things"),
}


def line_of(asked: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What is said of bad input; progress may stand before it, on the other stream."""
    assert main(asked) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize("what", BAD)
def test_bad_images_are_named_and_leave_nothing(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = draw(tmp_path / "own")
    BAD[what][0](own)
    assert BAD[what][1] in line_of(protecting(own, tmp_path / "out"), capsys)
    assert not [p for p in tmp_path.rglob("*") if "manifest" in p.name or p.name.startswith(".")]


def test_bad_options_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own, out = draw(tmp_path / "own"), tmp_path / "out"
    for more, words in (
        (("--out", str(own / "out")), "expected a folder outside of it"),
        (("--size", "4"), "--size is 4 pixels, expected at least 8"),
        (("--method", "tapp"), "did you mean 'tap'?"),
        (("--method", "tap,em"), "names 2 methods, expected one"),
        (("--set", "tap.surrogate.batch=99"), "fewer than one batch of tap.surrogate (99)"),
    ):
        assert words in line_of(protecting(own, out, *more), capsys)
    assert "changes no image" in line_of(
        ["protect", str(own), "--method", "clean", "--out", str(out)], capsys
    )
    assert not out.exists() and not (own / "out").exists()
