"""Images that a caller has in memory, in any of the usual layouts, as the suite's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from bench.core.errors import BadInput
from bench.core.types import Augmentation, Dataset, Split
from bench.data.prepare import Source, at_hand, check_labels, dataset, digest, hold_out

COLUMNS = (("image", "img"), ("label", "labels", "fine_label"))  # of Hugging Face's data sets
MODES = ("RGB", "L")  # Pillow's names of three channels and one
EXPECTED = "expected arrays, or a data set of images and labels"


@dataclass(frozen=True)
class Given:
    """Images uint8 (N,C,H,W), their labels int64 (N,), and the layout that they came in."""

    images: Tensor
    labels: Tensor
    layout: str  # NHW, NHWC, NCHW

    @staticmethod
    def of(images: Any, labels: Any = None) -> Given:
        """Read arrays, tensors, or a data set of pairs, or of items with image and label; BadInput."""
        if labels is None and not isinstance(images, np.ndarray | Tensor):
            images, labels = _unpacked(images)
        if labels is None:
            raise BadInput("images without labels, expected labels (N,), whole numbers from 0")
        pixels, names = _pixels(images), _array(labels)
        if pixels.dtype != torch.uint8 or pixels.ndim not in (3, 4) or not len(pixels):
            raise BadInput(
                f"images are {pixels.dtype} {tuple(pixels.shape)}, expected torch.uint8 (N,H,W), (N,H,W,C) "
                "or (N,C,H,W)"
            )
        if names.shape != (len(pixels),) or names.dtype.kind not in "iu":
            raise BadInput(
                f"labels are {names.dtype} {names.shape}, expected whole numbers from 0, one for each of "
                f"{len(pixels)} images"
            )
        if pixels.ndim == 3:
            layout, pixels = "NHW", pixels[:, None]
        elif pixels.shape[1] in (1, 3) and pixels.shape[2] == pixels.shape[3]:
            layout = "NCHW"
        elif pixels.shape[3] in (1, 3):
            layout, pixels = "NHWC", pixels.permute(0, 3, 1, 2)
        else:
            raise BadInput(f"images are {tuple(pixels.shape)}, expected 1 or 3 channels, first or last")
        if pixels.shape[2] != pixels.shape[3]:
            raise BadInput(f"images are {pixels.shape[3]}x{pixels.shape[2]} pixels, expected squares")
        return Given(pixels.contiguous(), torch.as_tensor(names.astype(np.int64)), layout)

    @property
    def classes(self) -> tuple[str, ...]:
        """Name the classes by their numbers; BadInput where one of them has no image."""
        names = tuple(map(str, range(max(int(self.labels.max()) + 1, 2))))
        check_labels("the images", self.labels, names)
        return names

    def back(self, images: Tensor) -> NDArray[np.uint8]:
        """Bring images (N,C,H,W) into the layout that these came in."""
        if self.layout == "NHW":
            images = images[:, 0]
        found: NDArray[np.uint8] = (images.permute(0, 2, 3, 1) if self.layout == "NHWC" else images).numpy()
        return np.ascontiguousarray(found)

    def whole(self) -> Dataset:
        """Make a data set all of whose images are published; some of them stand for validation as well."""
        train, classes = Split(self.images, self.labels), self.classes
        val = train.take(hold_out(train.labels, len(classes)))
        augmentation = Augmentation(pad=train.images.shape[-1] // 8)
        seen = digest((train, val), classes, augmentation)
        return Dataset("given", seen, train, val, val, classes, augmentation)

    def tested_on(self, test: Given) -> Dataset:
        """Make a data set of these and of test images, with one in HELD_OUT of these held out."""
        train, held = (at_hand(part.images.numpy(), part.labels) for part in (self, test))
        source = Source("given", train, held, self.classes)
        return dataset(source, None, allow_duplicates=True)


def _array(values: Any) -> NDArray[Any]:
    """Make an array of what is one, of a tensor on any device, or of a list."""
    return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)


def _pixels(images: Any) -> Tensor:
    try:
        return torch.as_tensor(_array(images))
    except (TypeError, ValueError):  # a list of images of several sizes, or no images at all
        raise BadInput(f"images are {_kind(images)}, {EXPECTED}; of a data set leave out labels") from None


def has_labels(images: Any) -> bool:
    """Whether images are a data set, whose items have their labels beside them."""
    known = not isinstance(images, np.ndarray | Tensor | Mapping) and hasattr(images, "__getitem__")
    first = images[0] if known and hasattr(images, "__len__") and len(images) else None
    return isinstance(first, Mapping | tuple)


def _unpacked(items: Any) -> tuple[Any, Any]:
    """Take the images and labels out of a data set; BadInput where it has none."""
    if isinstance(items, Mapping):  # Hugging Face's of several splits
        raise BadInput(f"images are {_kind(items)} with {', '.join(map(str, items))}, expected one of these")
    if isinstance(items, str) or not hasattr(items, "__getitem__") or not hasattr(items, "__len__"):
        raise BadInput(f"images are {_kind(items)}, {EXPECTED}")
    pairs = [_pair(items[i]) for i in range(len(items))]
    sizes = {np.shape(image) for image, _ in pairs}
    if len(sizes) != 1:
        raise BadInput(f"images are of {len(sizes)} shapes, such as {sorted(sizes)[:2]}, expected one")
    return np.stack([image for image, _ in pairs]), np.array([label for _, label in pairs])


def _pair(item: Any) -> tuple[NDArray[Any], int]:
    if isinstance(item, Mapping):
        names = [next((name for name in known if name in item), None) for known in COLUMNS]
        if None in names:
            raise BadInput(
                f"an item has {', '.join(map(str, item))}, expected one of {COLUMNS[0]} and of {COLUMNS[1]}"
            )
        item = tuple(item[name] for name in names)
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise BadInput(f"an item is {_kind(item)}, expected a pair of an image and its label")
    image, label = item
    if (
        isinstance(image, Image) and image.mode not in MODES
    ):  # of others the bytes are no pixels, or lack some
        raise BadInput(f"an image has Pillow's mode {image.mode}, expected {' or '.join(MODES)}: convert it")
    pixels = _array(image)
    if pixels.dtype.kind == "f":  # torchvision's ToTensor
        if not (pixels.min(initial=0) >= 0 and pixels.max(initial=0) <= 1):
            raise BadInput(
                f"an image has values of {pixels.min():.3g} to {pixels.max():.3g}, expected uint8, or shares "
                "of 255 in [0,1]: leave Normalize out of its transform"
            )
        pixels = np.rint(pixels * 255).astype(np.uint8)
    return pixels, int(label)


def _kind(thing: Any) -> str:
    return f"a {type(thing).__name__}"
