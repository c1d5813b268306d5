"""One reader of images: each rule of `list data` holds for folder:, parquet:, file: and protect alike."""

from __future__ import annotations

import functools
import io
import os
import struct
import subprocess
import sys
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

from bench import data
from bench.cli.main import main
from bench.core.errors import BadInput
from bench.core.types import Dataset
from bench.data import folder, images, parquet, rules
from bench.data.poisons import photos
from bench.data.poisons.outputs import outputs
from support import cases
from support.cases import PIXELS, encoded

SIDE = 8
GRAY = PIXELS[:, :, :1]
COLOUR = Image.fromarray(PIXELS)


# four ways in


def by_folder(blob: bytes, place: Path) -> np.ndarray:
    (place / "image.png").write_bytes(blob)  # the ending says nothing
    return (
        folder.pool([place / "image.png"], torch.tensor([0]), None)
        .read(torch.tensor([0]))[0]
        .permute(1, 2, 0)
        .numpy()
    )


def by_parquet(blob: bytes, place: Path) -> np.ndarray:
    rows = pa.table({"img": [{"bytes": blob, "path": ""}], "label": [0]})
    pq.write_table(rows, place / "train.parquet")
    return parquet.whole([place / "train.parquet"])[0][0].permute(1, 2, 0).numpy()


def by_file(blob: bytes, place: Path, channels: int = 3) -> np.ndarray:
    (place / "named.png").write_bytes(blob)
    return outputs(place).read("file:x", SIDE, channels)[0].permute(1, 2, 0).numpy()


def by_protect(blob: bytes, place: Path) -> np.ndarray:
    (place / "image.png").write_bytes(blob)
    photo = photos.opened(place / "image.png")
    return photo.at(SIDE, 1 if images.is_gray(photo.colour) else 3).permute(1, 2, 0).numpy()


WAYS: list[Callable[[bytes, Path], np.ndarray]] = [by_folder, by_parquet, by_file, by_protect]
ways = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


def chunk(name: bytes, body: bytes, check: int | None = None) -> bytes:
    check = zlib.crc32(name + body) if check is None else check
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)


def with_chunk(png: bytes, *more: bytes) -> bytes:
    """Behind the header, which takes 33 bytes."""
    return png[:33] + b"".join(more) + png[33:]


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def stored(orientation: int) -> Image.Image:
    """COLOUR as a camera stores it that is held in this way: by hand from the EXIF standard's table."""
    rows, columns = PIXELS, PIXELS.transpose(1, 0, 2)
    found = {
        1: rows,
        2: rows[:, ::-1],
        3: rows[::-1, ::-1],
        4: rows[::-1],
        5: columns,
        6: columns[::-1],
        7: columns[::-1, ::-1],
        8: columns[:, ::-1],
    }[orientation]
    return Image.fromarray(np.ascontiguousarray(found))


def seen(alpha: np.ndarray, colours: np.ndarray = PIXELS) -> np.ndarray:
    """Over white, by the definition of alpha; shares are chosen so that nothing has to be rounded."""
    share = alpha[:, :, None] / 255
    return np.rint(share * colours + (1 - share) * 255).astype(np.uint8)


HALF = np.repeat(np.array([[0, 255]], np.uint8), SIDE, 0).repeat(SIDE // 2, 1)
CLEAR = Image.fromarray(np.dstack([PIXELS, HALF]))
PALETTE = COLOUR.quantize(16)
ONE_BIT = Image.fromarray(GRAY[:, :, 0] > 128)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
TEXT = PngImagePlugin.PngInfo()
TEXT.add_text("note", "x" * 2_000_000, zip=True)
GRAY_PALETTE = Image.fromarray(GRAY[:, :, 0]).convert("P")

READ: dict[str, tuple[bytes, np.ndarray]] = {
    "RGB": (encoded(COLOUR), PIXELS),
    "gray": (encoded(Image.fromarray(GRAY[:, :, 0])), GRAY),
    "gray as RGB": (encoded(Image.fromarray(GRAY.repeat(3, 2))), GRAY),
    "gray as palette": (encoded(GRAY_PALETTE), GRAY),
    "LA": (encoded(Image.fromarray(np.dstack([GRAY[:, :, 0], HALF]))), seen(HALF, GRAY)),
    "1 bit": (encoded(ONE_BIT), np.where(GRAY > 128, 255, 0)),
    "palette": (encoded(PALETTE), np.asarray(PALETTE.convert("RGB"))),
    "transparent": (encoded(CLEAR), seen(HALF)),
    "transparent WebP": (encoded(CLEAR, "WEBP", lossless=True, exact=True), seen(HALF)),
    "a transparent colour": (
        encoded(COLOUR, transparency=tuple(map(int, PIXELS[0, 0]))),
        np.where((PIXELS[0, 0] == PIXELS).all(2, keepdims=True), 255, PIXELS),
    ),
    "CMYK": (encoded(COLOUR.convert("CMYK"), "TIFF"), PIXELS),
    "profile": (encoded(COLOUR, icc_profile=SRGB), PIXELS),
    "text over 1 MB": (encoded(COLOUR, pnginfo=TEXT), PIXELS),
    "text with a wrong check sum": (with_chunk(encoded(COLOUR), chunk(b"tEXt", b"a\0b", 7)), PIXELS),
    "gamma cut off": (with_chunk(encoded(COLOUR), chunk(b"gAMA", b"\0")), PIXELS),
    "damaged EXIF": (with_chunk(encoded(COLOUR), chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff")), PIXELS),
    "5 and 6 bits": (
        b"BM" + struct.pack("<IIIIiiHHIIiiII3I", 66 + 128, 0, 66, 40, 8, -8, 1, 16, 3, 128, 0, 0, 0, 0,
                            0xF800, 0x7E0, 0x1F) + b"\xff" * 128,
        np.full((8, 8, 1), 255),
    ),
    "BMP": (encoded(COLOUR, "BMP"), PIXELS),
    "GIF": (encoded(PALETTE, "GIF"), np.asarray(PALETTE.convert("RGB"))),
    "TIFF": (encoded(COLOUR, "TIFF"), PIXELS),
    "PPM": (encoded(COLOUR, "PPM"), PIXELS),
    "previews": (encoded(COLOUR, "MPO", save_all=True, append_images=[ONE_BIT.convert("RGB")], quality=95),
                 np.asarray(Image.open(io.BytesIO(encoded(COLOUR, "JPEG", quality=95))))),
} | {
    f"orientation {n}": (encoded(stored(n), "PNG", exif=turned(n)), PIXELS) for n in range(1, 9)
} | {
    "orientation of a TIFF": (encoded(stored(6), "TIFF", exif=turned(6)), PIXELS),
    "orientation that does not exist": (encoded(COLOUR, exif=turned(9)), PIXELS),
}  # fmt: skip


def deep(mode: str) -> bytes:
    """A PNG of 16 bits a channel; Pillow writes none in colour."""
    kind, channels = {"RGB": (2, 3), "RGBA": (6, 4), "LA": (4, 2)}[mode]
    rows = b"".join(b"\0" + bytes(2 * channels * SIDE) for _ in range(SIDE))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 16, kind, 0, 0, 0))
    return images.SIGNATURE + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


MOVING = {"save_all": True, "append_images": [COLOUR.rotate(90)]}
REFUSED: dict[str, tuple[bytes, str]] = {
    **{f"16 bits, {mode}": (deep(mode), "more than 8 bits") for mode in ("RGB", "RGBA", "LA")},
    "16 bits, gray": (encoded(Image.fromarray(PIXELS[:, :, 0].astype(np.uint16))), "more than 8 bits"),
    "16 bits, PPM": (b"P6 8 8 65535\n" + bytes(384), "more than 8 bits"),
    "floats": (encoded(Image.fromarray(np.zeros((8, 8), np.float32)), "TIFF"), "more than 8 bits"),
    "whole numbers": (encoded(Image.fromarray(np.zeros((8, 8), np.int32)), "TIFF"), "more than 8 bits"),
    **{f"animated {kind}": (encoded(COLOUR, kind, **MOVING), "animated") for kind in ("GIF", "WEBP", "PNG")},
    "pages": (encoded(COLOUR, "TIFF", **MOVING), "several pages"),
    "too many pixels": (
        images.SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 10000, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", b""),
        "more than 178,956,970 pixels; make it smaller",
    ),
    "a program": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n", "no known image"),
    "text": (b"hello", "no known image"),
    "nothing": (b"", "no known image"),
    "AVIF cut off": (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(40), "cannot be read"),
}  # fmt: skip


@ways
@pytest.mark.parametrize("case", READ)
def test_every_way_in_reads_the_same_pixels(
    case: str, way: Callable[[bytes, Path], np.ndarray], tmp_path: Path
) -> None:
    blob, expected = READ[case]
    if way is by_file:
        way = functools.partial(by_file, channels=expected.shape[2])
    assert np.array_equal(way(blob, tmp_path), expected)


@ways
@pytest.mark.parametrize("case", REFUSED)
def test_every_way_in_refuses_the_same(
    case: str, way: Callable[[bytes, Path], np.ndarray], tmp_path: Path
) -> None:
    blob, words = REFUSED[case]
    with pytest.raises(BadInput, match=words) as caught:
        way(blob, tmp_path)
    said = str(caught.value)
    assert "\n" not in said and any(name in said for name in ("image.png", "named.png", "image 0"))


# what is damaged


@pytest.mark.parametrize("kind", cases.pictures())
def test_damage_is_named_and_nothing_else_is_raised(kind: str) -> None:
    draw, blob = np.random.default_rng(1), cases.pictures()[kind]
    assert sum(cases.picture_case(kind, blob, draw) == "refused" for _ in range(60)) > 10


def test_no_damage_of_a_png_gives_other_pixels() -> None:
    """Its check sums are held against its parts; Pillow itself does not look at those of pixels."""
    blob, wrong = encoded(COLOUR, compress_level=0), 0
    for place in range(len(images.SIGNATURE), len(blob)):
        found = bytearray(blob)
        found[place] ^= 16
        try:
            assert np.array_equal(np.asarray(images.read("who", io.BytesIO(bytes(found)))), PIXELS)
        except BadInput:
            wrong += 1
    assert wrong > 200


# sets of images


def write_set(place: Path, blobs: dict[str, bytes], names: tuple[str, ...] = ("cat", "dog")) -> Path:
    """Four colour images a class, and others by part/class/file."""
    draw = np.random.default_rng(3)
    for path in [f"{part}/{name}/{i}.png" for part in ("train", "test") for name in names for i in range(4)]:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(encoded(Image.fromarray(draw.integers(0, 256, (8, 8), dtype=np.uint8))))
    for path, blob in blobs.items():
        (place / path).write_bytes(blob)
    return place


def load(spec: str, tmp_path: Path, limit: int | None = None) -> Dataset:
    return data.load(spec, root=None, limit=limit, cache=tmp_path / "cache")


def test_gray_is_what_the_whole_set_is(tmp_path: Path) -> None:
    """A limit that leaves the one colour image out leaves three channels."""
    gray = write_set(tmp_path / "gray", {"train/cat/0.png": encoded(Image.fromarray(GRAY.repeat(3, 2)))})
    assert [load(f"folder:{gray}", tmp_path, limit).channels for limit in (None, 4)] == [1, 1]
    for k in range(4):
        one = write_set(tmp_path / f"colour{k}", {f"train/cat/{k}.png": encoded(COLOUR)})
        assert [load(f"folder:{one}", tmp_path, limit).channels for limit in (None, 4)] == [3, 3]


def test_what_systems_leave_beside_images_is_passed_over(tmp_path: Path) -> None:
    place = write_set(tmp_path / "pets", {})
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "._0.png"):
        (place / "train" / "cat" / name).write_bytes(b"mine")
        (place / "train" / name).write_bytes(b"mine")
    (place / "train" / "__MACOSX").mkdir()
    made = load(f"folder:{place}", tmp_path)
    assert made.classes == ("cat", "dog") and made.pool == 8


def test_whole_numbers_are_in_their_order(tmp_path: Path) -> None:
    place = write_set(tmp_path / "n", {}, tuple(map(str, range(11))))
    assert load(f"folder:{place}", tmp_path).classes == tuple(map(str, range(11)))
    mixed = write_set(tmp_path / "m", {}, ("10", "9", "a"))
    assert load(f"folder:{mixed}", tmp_path).classes == ("10", "9", "a")


def test_unicode_is_one_name_however_it_is_spelled(tmp_path: Path) -> None:
    forms = {form: unicodedata.normalize(form, "café") for form in ("NFC", "NFD")}
    made = [load(f"folder:{write_set(tmp_path / f, {}, (n, 'dog'))}", tmp_path) for f, n in forms.items()]
    assert made[0].digest == made[1].digest and made[0].classes == (forms["NFC"], "dog")
    (tmp_path / "NFC" / "test" / forms["NFC"]).rename(tmp_path / "NFC" / "test" / forms["NFD"])
    assert load(f"folder:{tmp_path / 'NFC'}", tmp_path).digest == made[0].digest
    (tmp_path / "NFC" / "test" / forms["NFC"]).mkdir()
    with pytest.raises(BadInput, match="two entries called 'café' in Unicode's NFC"):
        load(f"folder:{tmp_path / 'NFC'}", tmp_path)


def test_names_that_are_no_utf_8_are_escaped(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = os.fsdecode(b"caf\xe9")
    try:
        place = write_set(tmp_path / "pets", {}, (name, "dog"))
    except OSError:
        pytest.skip("this file system has no such names")
    made = load(f"folder:{place}", tmp_path)
    assert made.classes == (r"caf\xe9", "dog") and made.names is not None
    assert all(text.encode() for text in made.names)
    (place / "train" / name / "0.png").write_bytes(b"")
    assert main(["protect", str(place), "--method", "tap", "--out", str(tmp_path / "out")]) == 2
    assert r"caf\xe9/0.png cannot be read" in capfd.readouterr().err


def test_a_size_counts_where_the_folder_before_it_exists(tmp_path: Path) -> None:
    place = write_set(tmp_path / "pets@16", {})
    assert (load(f"folder:{place}", tmp_path).size, load(f"folder:{place}@9", tmp_path).size) == (8, 9)
    write_set(tmp_path / "pets", {})
    with pytest.raises(BadInput, match="at a size, and a folder; with a / behind it is that"):
        load(f"folder:{place}", tmp_path)
    assert load(f"folder:{place}/", tmp_path).size == 8


def test_an_image_too_long_to_be_resized_is_refused() -> None:
    with pytest.raises(BadInput, match="who is 1x65500 pixels, too long to be brought to 4096"):
        images.stack(1, [("who", io.BytesIO(encoded(Image.new("L", (1, 65500)))))],
                     lambda image: images.square(image, 4096))  # fmt: skip


# paths that cannot be used


@pytest.mark.parametrize("kind", ["folder", "parquet", "file"])
@pytest.mark.parametrize("place", ["~nosuchuser/x", "x" * 300, "/proc/1/root/x", "y/" * 3000])
def test_a_path_that_cannot_be_used_is_one_line(
    kind: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "out")]
    methods, of = (f"file:{place}", "glyphs") if kind == "file" else ("clean", f"{kind}:{place}")
    assert main(["run", "--methods", methods, "--defenses", "none", "--data", of, *where]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bench: ")


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may open all")
def test_what_may_not_be_listed_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = write_set(tmp_path / "pets", {})
    (place / "train" / "cat").chmod(0)
    assert main(["run", "--data", f"folder:{place}", "--methods", "clean", "--defenses", "none"]) == 2
    assert "Permission denied" in capsys.readouterr().err


def refuse(error: OSError) -> Callable[..., None]:
    def raising(*args: object, **kwargs: object) -> None:
        raise error

    return raising


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PermissionError(13, "Permission denied", "a/b"), 2, "bench: a/b: Permission denied"),
        (OSError(28, "No space left on device", "a/b"), 3, "cannot write"),
        (OSError(28, "No space left on device"), 3, "cannot write"),
    ],
)
def test_one_place_catches_what_paths_raise(
    error: OSError,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("bench.cli.list.main", refuse(error))
    assert main(["list"]) == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_output_in_any_encoding_escapes(encoding: str) -> None:
    env = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-m", "bench", "list", "猫é"], capture_output=True, env=env, check=False
    )
    assert done.returncode == 2 and done.stderr.startswith(b"bench: unknown name '\\u732b"), done.stderr


def test_the_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "data"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert all(name in said for name in rules.RULES)
    assert "composed over white" in said and "178,956,970 pixels" in said
