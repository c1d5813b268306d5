"""What protection tools leave: images by the names of their originals, in any encoding and size."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath

import torch
from PIL import Image
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.stored import digest_of
from bench.core.types import Dataset
from bench.data.folder import visible
from bench.data.images import size_of, square, stack
from bench.data.rules import ENDINGS, plain

SAME = {".jpeg": ".jpg"}  # endings of one encoding
LOSSY = (".jpg", ".webp")
RULE = "shorter side with antialiased bilinear, then centre crop"


@dataclass(frozen=True)
class Outputs:
    """The images of such a folder."""

    folder: Path
    files: tuple[Path, ...]  # in the order of their names

    def read(self, who: str, size: int, channels: int) -> Tensor:
        """Bring all to size x size pixels: uint8 (N,channels,size,size)."""
        named = ((f"{who}: {file.relative_to(self.folder)}", file) for file in self.files)
        fit = partial(_fitted, size=size, mode="L" if channels == 1 else "RGB")
        images = stack(len(self.files), named, fit)
        return images.expand(-1, channels, -1, -1)

    def index(self, data: Dataset, who: str) -> Tensor:
        """Find for each training image the number of its output, int64 (N,).

        By class/name without its ending; by the name alone where the folder has no folders of classes.
        Raises BadInput for images without one, and for two of one name.
        """
        place: dict[str, int] = {}
        for number, file in enumerate(self.files):
            key = plain(file.relative_to(self.folder).with_suffix("").as_posix())
            if place.setdefault(key, number) != number:
                other = self.files[place[key]]
                raise BadInput(f"{who}: {other.name} and {self.files[number].name} are both of {key!r}")
        keys = [PurePath(name).with_suffix("").as_posix() for name in self.originals(data, who)]
        flat = not any("/" in key for key in place)
        keys = [key.rpartition("/")[2] for key in keys] if flat else keys
        if flat and (twice := [key for key, n in Counter(keys).items() if n > 1]):
            raise BadInput(
                f"{who}: {len(twice)} names are in several classes, such as {twice[0]!r}; expected folders"
            )
        if absent := [key for key in keys if key not in place]:
            raise BadInput(
                f"{who}: {len(absent)} of {len(keys)} training images have no output of their name, such as "
                f"{absent[0]!r}; there are {len(place)}, such as {next(iter(place))!r}"
            )
        return torch.tensor([place[key] for key in keys])

    def originals(self, data: Dataset, who: str) -> list[str]:
        """Name each training image as its data set does: class/name.ending."""
        if data.names is None:
            raise BadInput(
                f"{who}: {self.folder.name} holds images by name, and the images of {data.name} have none; "
                f"expected their originals as --data folder:DIR"
            )
        rows = range(len(data.train)) if data.rows is None else data.rows.tolist()
        return [data.names[row] for row in rows]

    def said(self, data: Dataset, index: Tensor, who: str) -> dict[str, str]:
        """Say what besides a perturbation is in the change: other sizes, other encodings."""
        used = [self.files[number] for number in index.tolist()]
        sizes = Counter(map(size_of, used))
        other = {size: n for size, n in sizes.items() if size != (data.size, data.size)}
        endings = [
            (_ending(PurePath(name)), _ending(file))
            for name, file in zip(self.originals(data, who), used, strict=True)
        ]
        changed = Counter(f"{one} as {two}" for one, two in endings if one != two)
        lossy = sum(two in LOSSY for _, two in endings)
        spare = len(self.files) - len(set(used))
        found = {"resized": "none", "re-encoded": "none that shows"}
        if other:
            shown = ", ".join(f"{n} of {w}x{h}" for (w, h), n in sorted(other.items())[:3])
            where = f"to {data.size}x{data.size} pixels ({RULE})"
            found["resized"] = f"{sum(other.values())} of {len(used)} {where}: {shown}"
        if changed:
            found["re-encoded"] = ", ".join(f"{n} of {len(used)}, {what}" for what, n in changed.items())
        if lossy:
            found["re-encoded"] += f"; {lossy} are lossy, which the measured change takes in"
        return found | ({"passed over": f"{spare} images of other names"} if spare else {})

    def digest(self) -> str:
        """Hash (sha256) names and bytes."""
        return digest_of((file.relative_to(self.folder).as_posix(), file) for file in self.files)


def outputs(folder: Path) -> Outputs:
    """List the images of FOLDER/train/CLASS/*, FOLDER/CLASS/* or FOLDER/*; there may be none."""
    place = folder / "train" if (folder / "train").is_dir() else folder
    entries = visible(place)
    inside = [file for entry in entries if entry.is_dir() for file in visible(entry)]
    found = inside or entries
    return Outputs(place, tuple(file for file in found if file.is_file() and file.suffix.lower() in ENDINGS))


def _ending(file: PurePath) -> str:
    return SAME.get(file.suffix.lower(), file.suffix.lower())


def _fitted(image: Image.Image, size: int, mode: str) -> Image.Image:
    image = image.convert(mode)
    return image if image.size == (size, size) else square(image, size)
