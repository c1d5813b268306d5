"""Reading poisons made elsewhere: arrays in files, and folders of numbered PNGs. Nothing here runs code
that a file brings along."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from bench.core.errors import BadInput
from bench.core.stored import check_regular, digest_of
from bench.data.images import stack
from bench.data.poisons import manifest
from bench.data.poisons.arrays import SAVE_AS, Content, Reader, npy, npz, safetensors_file, torch_file
from bench.data.poisons.outputs import outputs
from bench.data.shards import listed, shards

PICKLES = (".pkl", ".pickle", ".p", ".joblib", ".dill")
INDEXED = re.compile(r"(\d+)\.png", re.IGNORECASE)
LEGACY = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # what older versions of torch.save begin with
OTHERS = {  # first bytes -> what a file is, and what to do
    b"version https://git-lfs": "a pointer of Git LFS and not the file; git lfs pull brings it",
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"\xfd7zXZ": "compressed by xz; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it",
    b"\x89HDF": "of the format HDF5; save the array with numpy.save as .npy",
    b"MATLAB": "of MATLAB's format; save the array with numpy.save as .npy",
    b"\x89PNG": "one image, expected a folder of 0.png, 1.png, ...",
    b"\xff\xd8\xff": "one image, expected a folder of 0.png, 1.png, ...",
}


def read(path: Path, who: str, name: str = "") -> Content:
    """Read the numbers in a file or folder; BadInput where there are none that may be read.

    name: of one array among several in the file.
    """
    if path.is_dir():
        return _folder(path, who)
    try:
        check_regular(path)
        content = _reader(path, who)(path, who, name)
    except OSError as error:
        raise BadInput(f"{who}: {path.name} cannot be read ({error.strerror or 'damaged'})") from None
    if content.values.ndim != 4:
        raise BadInput(
            f"{who}: {path.name} has the shape {tuple(content.values.shape)}, "
            "expected (count, channels, height, width) or (count, height, width, channels)"
        )
    if 0 in content.values.shape:
        raise BadInput(f"{who}: {path.name} has the shape {tuple(content.values.shape)}: it is empty")
    return content


def _reader(path: Path, who: str) -> Reader:
    """Choose by the first bytes; by the name's ending only where they are of no format known here."""
    with path.open("rb") as stream:
        head = stream.read(512)
    if head.lstrip().startswith(b"<"):  # what hosts of files send in the place of one
        raise BadInput(f"{who}: {path.name} is a web page and no file of numbers; download it again")
    for start, what in OTHERS.items():
        if head.startswith(start):
            raise BadInput(f"{who}: {path.name} is {what}")
    if head.startswith(b"\x93NUMPY"):
        return npy
    if head.startswith(b"PAR1"):
        return READERS[".parquet"]
    if head.startswith(b"PK\3\4"):
        return npz if _is_npz(path) else torch_file
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return safetensors_file
    suffix = path.suffix.lower()
    if LEGACY in head:
        return torch_file
    if head.startswith(b"\x80") or suffix in PICKLES:
        raise BadInput(f"{who}: {path.name} is a pickle, which can run code when it is read; {SAVE_AS}")
    if suffix not in READERS:
        raise BadInput(
            f"{who}: {path.name} is of no known format, expected {', '.join(READERS)}, "
            "or a folder of 0.png, 1.png, ..., of train*.parquet, or of images by their originals' names"
        )
    return READERS[suffix]


def _is_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as whole:
            return any(name.endswith(".npy") for name in whole.namelist())
    except zipfile.BadZipFile:
        return path.suffix.lower() == ".npz"


def digest(path: Path) -> str:
    """Hash (sha256) a file, or of the names and bytes of a folder's images in the order of their numbers."""
    if not path.is_dir():
        return digest_of([("", path)])
    return digest_of((file.name, file) for file in [file for _, file in numbered(path)] or _shards(path))


def numbered(folder: Path) -> list[tuple[int, Path]]:
    """Index and file of {index}.png: 10.png comes after 9.png, whatever the listing says."""
    found = [(INDEXED.fullmatch(file.name), file) for file in folder.iterdir()]
    return sorted((int(match[1]), file) for match, file in found if match)


def _shards(folder: Path) -> list[Path]:
    there = any(listed(place, "train") != ([], []) for place in (folder, folder / "data"))
    return shards(folder, "train") if there else []


def _parquet(files: list[Path], who: str) -> Content:
    """Read what hubs hold: encoded images with labels, in the order of the rows."""
    from bench.data import parquet

    try:
        images, labels = parquet.whole(files)
    except BadInput as error:
        raise BadInput(f"{who}: {error}") from None
    return Content(images, "parquet of images by row", labels=labels, decoded=True)


def is_folder_of_outputs(path: Path) -> bool:
    """Whether images lie there by names, and neither by numbers nor in parquet files."""
    return path.is_dir() and not numbered(path) and not _shards(path) and bool(outputs(path).files)


def _folder(folder: Path, who: str) -> Content:
    if shards := _shards(folder):
        return _parquet(shards, who)
    files = numbered(folder)
    if not files:
        raise BadInput(f"{who}: {folder.name} holds no 0.png, 1.png, ..., expected one for each image")
    for place, (index, file) in enumerate(files):
        if index < place:
            raise BadInput(f"{who}: {file.name} and {files[place - 1][1].name} have the same number")
        if index > place:
            raise BadInput(
                f"{who}: {place}.png is missing: {len(files)} files, the last is {files[-1][1].name}; "
                "expected every number from 0 on"
            )
    known = {file for _, file in files} | {folder / manifest.NAME}
    others = sorted(p.name for p in folder.iterdir() if p not in known and not p.name.startswith("."))
    notes = (f"passed over: {', '.join(others[:5])}{', ...' if len(others) > 5 else ''}",) if others else ()
    pixels = stack(len(files), ((f"{who}: {file.name}", file) for _, file in files))
    return Content(pixels, "folder of PNGs by index", notes, decoded=True)


READERS: dict[str, Reader] = {".parquet": lambda path, who, name: _parquet([path], who), ".npy": npy}
READERS |= {".npz": npz, ".pt": torch_file, ".pth": torch_file, ".safetensors": safetensors_file}
