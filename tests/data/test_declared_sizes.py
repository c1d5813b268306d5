"""What a file says of its size is held against its bytes before memory is taken; no FIFO is waited for."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import EpsImagePlugin, Image

from bench.core.errors import BadInput
from bench.data import folder, images, parquet
from bench.data.poisons import files, imported, purified
from support.hostile import within

PICTURE = io.BytesIO()
Image.new("RGB", (8, 8)).save(PICTURE, "PNG")
PNG = PICTURE.getvalue()


@pytest.fixture(autouse=True)
def nothing_is_waited_for() -> object:
    with within(20):
        yield


def hub(path: Path, blobs: list[bytes], labels: list[int] | list[str]) -> Path:
    pictures = pa.StructArray.from_arrays([pa.array(blobs), pa.array([""] * len(blobs))], ["bytes", "path"])
    pq.write_table(pa.table({"image": pictures, "label": labels}), path, compression="zstd")
    return path


SWOLLEN: dict[str, tuple[Callable[[], tuple[list[bytes], list[int] | list[str]]], str]] = {
    "a row a million times": (
        lambda: ([PNG] * 200_000, [0] * 200_000),
        r"holds 200,000 rows .*expected a row",
    ),
    "a blank as an image": (lambda: ([bytes(20 * 2**20)] * 2, [0, 1]), r"rows of 20,9.* bytes, and has"),
    "a long name": (lambda: ([PNG] * 4, ["a", "b" * 5000] * 2), "a label has 5000 characters"),
}


@pytest.mark.parametrize("case", SWOLLEN)
def test_parquet_of_few_bytes_that_stands_for_many_is_refused(tmp_path: Path, case: str) -> None:
    made, said = SWOLLEN[case]
    path = hub(tmp_path / "train.parquet", *made())
    before = pa.total_allocated_bytes()
    with pytest.raises(BadInput, match=said):
        parquet.whole([path])
    assert pa.total_allocated_bytes() - before < 2**20


def test_a_value_that_is_there_often_is_in_memory_once(tmp_path: Path) -> None:
    path = hub(tmp_path / "train.parquet", [PNG + bytes(300_000)] * 1000 + [os.urandom(9000)], [0] * 1001)
    before, most = pa.total_allocated_bytes(), 0
    for batch in parquet.encodings(path, "image"):
        most = max(most, pa.total_allocated_bytes() - before)
        assert len(batch)
    assert most < 50 * 2**20


def declaring(width: int, height: int) -> bytes:
    """A PNG of some bytes whose header says that it is as large."""
    head = b"IHDR" + struct.pack(">II", width, height) + PNG[24:29]
    return PNG[:12] + head + struct.pack(">I", zlib.crc32(head)) + PNG[33:]


def test_an_image_of_few_bytes_that_says_it_is_vast_is_refused(tmp_path: Path) -> None:
    for size in ((12_000, 12_000), (2_000_000, 2)):
        with pytest.raises(BadInput, match=f"{size[0]}x{size[1]} pixels in {len(PNG)} bytes"):
            images.read("a", io.BytesIO(declaring(*size)))
    blank = io.BytesIO()
    Image.new("1", (4000, 3000), 1).save(blank, "PNG")
    assert images.read("a", io.BytesIO(blank.getvalue())).size == (4000, 3000)


def test_images_for_which_there_is_no_memory_are_refused_at_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(PNG)
    with pytest.raises(BadInput, match=r"of 8x8 pixels are .* MiB, of which .* are free"):
        images.stack(10**12, [("a", tmp_path / "a.png")])


def vast_npz(path: Path) -> None:
    """An array whose header declares a terabyte."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"shape": (10**9, 3, 32, 32), "fortran_order": False, "descr": "|u1"}
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", head.getvalue() + bytes(100))


def vast_torch(path: Path) -> None:
    torch.save(torch.zeros(1).expand(10**8, 3, 64, 64), path, _use_new_zipfile_serialization=False)


def swollen(path: Path) -> None:
    """A file of torch.save whose storage is packed: torch.save packs none."""
    plain = io.BytesIO()
    torch.save(torch.zeros(1, 3, 64, 64), plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            content = old.read(part)
            new.writestr(part.filename, bytes(30 * 2**20) if len(content) > 10**4 else content)


@pytest.mark.parametrize(
    ("name", "made"),
    [("a.npz", vast_npz), ("a.pt", vast_torch), ("b.pt", swollen)],
    ids=["npz", "old", "zip"],
)
def test_arrays_that_are_not_in_the_file_are_refused(
    tmp_path: Path, name: str, made: Callable[[Path], None]
) -> None:
    made(tmp_path / name)
    with pytest.raises(BadInput, match=name.replace(".", r"\.")):
        files.read(tmp_path / name, "file:a")


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


def test_postscript_by_the_name_of_an_image_starts_no_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args, **more: started.append(args))
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "0.png").write_bytes(POSTSCRIPT)
    some, labels = folder.labelled(folder.class_folders(tmp_path / "train"))
    ways = (
        lambda: images.read("a", tmp_path / "train" / "a" / "0.png"),
        lambda: images.read("a", io.BytesIO(POSTSCRIPT)),
        lambda: folder.pool(some, labels, None).read(torch.arange(2)),
        lambda: parquet.whole([hub(tmp_path / "train.parquet", [POSTSCRIPT, POSTSCRIPT], [0, 1])]),
        lambda: files.read(tmp_path / "train" / "a", "file:a"),
    )
    for way in ways:
        with pytest.raises(BadInput, match="no known image format"):
            way()
    assert not started


def test_no_fifo_in_a_folder_of_images_is_waited_for(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
        os.mkfifo(tmp_path / "train" / name / "0.png")
    some, labels = folder.labelled(folder.class_folders(tmp_path / "train"))
    with pytest.raises(BadInput, match="FIFO"):
        folder.pool(some, labels, None).read(torch.arange(2))
    place = tmp_path / "train" / "a"
    with pytest.raises(BadInput, match="FIFO"):
        files.read(place, "file:a")
    for look in (files.digest, purified.whole):
        with pytest.raises(BadInput, match="FIFO"):
            look(place)
    assert imported.at(str(place)).path == place
