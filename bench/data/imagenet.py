"""ImageNet's first hundred classes, and Tiny ImageNet, as their archives unpack.

imagenet100:DIR: DIR/train/ID/* and DIR/val/ID/*, of which the classes in imagenet100.txt are read, brought to
224 pixels, or to S by @S. tinyimagenet:DIR: DIR/train/ID/images/*, and DIR/val/images/* with the class of
each file in DIR/val/val_annotations.txt. Classes are ImageNet's ids (WordNet's offsets), in their order.

Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015; its first hundred classes,
as official code of REM (Fu et al., ICLR 2022) and others takes them. Le and Yang, "Tiny ImageNet Visual
Recognition Challenge", 2015.
"""

from __future__ import annotations

from pathlib import Path

import torch

from bench.core.errors import BadInput
from bench.core.files import expanded
from bench.data import folder
from bench.data.prepare import Source
from bench.data.rules import RULE, plain

HUNDRED = Path(__file__).parent / "imagenet100.txt"
EACH = "one for each class as the archive unpacks"
SIDE = 224  # pixels, as papers train on it
ANNOTATIONS = "val/val_annotations.txt"


def hundred(place: str) -> Source:
    """List the images of the hundred classes. place: the folder, with @S behind it or not; BadInput."""
    top, asked = folder.sized("imagenet100", place)
    size = asked or SIDE
    classes = HUNDRED.read_text(encoding="ascii").split()
    train, test = (
        [folder.existing(top / part / name, EACH) for name in classes] for part in ("train", "val")
    )
    files, labels = folder.labelled(train)
    pools = folder.pool(files, labels, size), folder.pool(*folder.labelled(test), size)
    named = tuple(f"{file.parent.name}/{plain(file.name)}" for file in files)
    return Source(f"imagenet100@{size}", *pools, tuple(classes), resize=RULE.format(size), names=named)


def tiny(place: str) -> Source:
    """List the images of Tiny ImageNet; those of val are for testing, since test has no labels. BadInput."""
    top = expanded(place)
    classes = [each.name for each in folder.class_folders(folder.existing(top / "train", EACH))]
    places = [folder.existing(top / "train" / name / "images", EACH) for name in classes]
    files, labels = folder.labelled(places)
    held, their = _annotated(top, classes)
    pools = folder.pool(files, labels, None), folder.pool(held, torch.tensor(their), None)
    named = tuple(f"{file.parent.parent.name}/{plain(file.name)}" for file in files)
    return Source("tinyimagenet", *pools, tuple(classes), names=named)


def _annotated(top: Path, classes: list[str]) -> tuple[list[Path], list[int]]:
    """Read which class each validation image is of."""
    listed, number = top / ANNOTATIONS, {name: label for label, name in enumerate(classes)}
    try:
        lines = [line.split("\t") for line in listed.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeError) as error:
        raise BadInput(f"{listed} cannot be read ({error}), expected file<TAB>class a line") from None
    files, labels = [], []
    for line in lines:
        if len(line) < 2 or line[1] not in number or Path(line[0]).name != line[0]:
            said = "\\t".join(line[:2])
            raise BadInput(f"{listed} has the line {said!r}, expected file<TAB>class, a class of train")
        files.append(top / "val" / "images" / line[0])
        labels.append(number[line[1]])
    if missing := next((file for file in files if not file.is_file()), None):
        raise BadInput(f"{missing} is not there, expected all images that {ANNOTATIONS} lists")
    return files, labels
