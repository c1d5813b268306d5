"""The embedded data set: rendered colour digits, in the manner of SVHN. Synthetic, no download.

A 32x32 image shows one digit near its centre, the label, in a random font, size, place, rotation
and colour on a gradient or a textured background; cut-off neighbours may stand at the left and
right border, and stray letters around the digit. Colours are drawn before the digit is looked at, and
ink and ground differ in luma by a minimum, so colour tells nothing of the class and a gray image stays
readable.

Contrast is what perturbations of 8/255 do not erase, so that adversarial training can learn; texture and
clutter are what makes a shortcut worth more than the digit. A faint wave across the image runs in a
direction of the class in two of three images: natural images have such features, which predict the class
and which a perturbation of 8/255 replaces (Ilyas et al., "Adversarial Examples Are Not Bugs, They Are
Features", NeurIPS 2019). Without any, a net learns little from adversarial examples of another class, and
JPEG has little to take away. The ink is the brighter one: were it the darker one as often, no pixel would
tell anything of the class on average, and training whose images are attacked at the full radius would stay
at chance for hundreds of steps.

The fonts come with matplotlib. Images repeat exactly for one version of Pillow's FreeType; another
version may draw an edge differently, which the digest of the data set shows.
"""

from __future__ import annotations

import hashlib
import math
import zipfile
import zlib
from functools import cache as once
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bench.core.errors import BadInput
from bench.core.files import is_full, replacing
from bench.core.stored import check_regular, say_wrong
from bench.data.prepare import Pool, Source, at_hand, check_limit

# Raised by whoever changes an image, with new golden numbers. No key takes it: each has the images' digest.
REVISION = 4  # 3: the wave more often the class's; 2: none; 1: low contrast, no letters, ink dark or bright
GLYPHS = 2_000  # training images unless --limit asks for another number, and test images
MOST_GLYPHS = 50_000
FONTS: tuple[str, ...] = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-BoldItalic",
    "STIXGeneralBol",
    "cmb10",
    "cmss10",
    "cmtt10",
)
CLASSES = tuple("0123456789")
SIZE = 32
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601

HEIGHT = 14, 22  # of a digit, in pixels, both included
PLACE = 3.0  # largest distance from the centre along an axis, in pixels
ROTATION = 20.0  # largest, in degrees
CONTRAST = 0.215, 0.385  # between the lumas of ink and ground, before texture
LUMAS = 0.2, 0.8  # of ground and ink
SATURATION = 0.2  # of the strongest colour that a luma admits
TEXTURE = 0.12  # largest deviation of the ground's luma
GRAIN = 0.028  # of the wave, the largest deviation of luma
TURNS = 8.0  # of the wave across an image
TYPICAL = 0.65  # chance that its direction is the class's; it may be by chance, too
NOISE = 0.02  # largest deviation of a pixel, uniform
NEIGHBOUR = 0.8  # chance of a cut-off digit, for each side
LETTERS = "ABCDEFGHJKLMNPRTUVWXY"  # that look like no digit
STRAYS = 4  # letters in an image
STRAY_HEIGHT = 8, 15  # of a letter, in pixels, both included
STRAY_PLACE = 11.0, 16.0  # its distance from the digit, in pixels
MASTER = 96  # font size of which the smaller masks are made

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE] / (SIZE - 1) - 0.5


def glyph_source(limit: int | None, cache: Path, writes: bool = True) -> Source:
    """Draw a training pool of exactly the size asked for, and a test set; BadInput where it is too small."""
    if limit is not None:
        limit = min(limit, MOST_GLYPHS)
        check_limit("glyphs", limit, MOST_GLYPHS, len(CLASSES))
    train = rendered(cache, limit or GLYPHS, 1, writes)
    test = rendered(cache, GLYPHS, 2, writes)
    further = lambda n: rendered(cache, n, 3, writes)  # noqa: E731
    return Source("glyphs", train, test, CLASSES, flip=False, pad=2, synthetic=True, further=further)


def rendered(cache: Path, n: int, seed: int, writes: bool = True) -> Pool:
    """Render n images, or take them from the cache, under a name that changes with all that draws them."""
    drawing = f"{version('pillow')}/{version('matplotlib')}/".encode() + Path(__file__).read_bytes()
    path = cache / f"{hashlib.sha256(drawing).hexdigest()[:16]}-seed{seed}-n{n}.npz"
    try:
        return at_hand(*_kept(path, n))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if not isinstance(error, FileNotFoundError):
            say_wrong(path, error)
        images, labels = render(n, seed)
    if writes:
        try:
            with replacing(path) as temporary:
                checksum = np.frombuffer(_checksum(path.name, images, labels), np.uint8)
                np.savez(temporary, images=images, labels=labels, checksum=checksum)
        except OSError as error:
            if is_full(error):
                raise
            raise BadInput(f"cannot write {path} ({error}), expected a cache folder to write to") from error
    return at_hand(images, labels)


def _kept(path: Path, n: int) -> tuple[Bytes, NDArray[np.int64]]:
    """Read images and labels; ValueError where they are not n, or not those of this name."""
    check_regular(path)
    expected = {"images": ((n, 3, SIZE, SIZE), "u1"), "labels": ((n,), "i8"), "checksum": ((32,), "u1")}
    found: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        for name, (shape, kind) in expected.items():
            with archive.open(f"{name}.npy") as file:
                np.lib.format.read_magic(file)  # type: ignore[arg-type]
                if np.lib.format.read_array_header_1_0(file) != (shape, False, np.dtype(kind)):  # type: ignore[arg-type]
                    raise ValueError(f"{name} of another shape")
                held = file.read(math.prod(shape) * np.dtype(kind).itemsize)
                found[name] = np.frombuffer(bytearray(held), kind).reshape(shape)
    images, labels, checksum = found.values()
    if checksum.tobytes() != _checksum(path.name, images, labels):
        raise ValueError("another checksum")
    return images, labels


def _checksum(name: str, images: Bytes, labels: NDArray[np.int64]) -> bytes:
    seen = hashlib.sha256(name.encode())
    seen.update(np.ascontiguousarray(images).data)
    seen.update(np.ascontiguousarray(labels.astype("<i8")).data)
    return seen.digest()


def render(n: int, seed: int) -> tuple[Bytes, NDArray[np.int64]]:
    """Draw n images uint8 (n,3,32,32) and their labels (n,), class-balanced and shuffled.

    Image i and its label depend on seed and i alone: fewer images are a prefix of more.
    """
    labels = balanced(n, seed)
    images = np.empty((n, 3, SIZE, SIZE), np.uint8)
    for i, label in enumerate(labels):
        images[i] = scene(int(label), np.random.default_rng((seed, 1, i)))
    return images, labels


def balanced(n: int, seed: int) -> NDArray[np.int64]:
    """Draw labels, int64 (n,): every ten hold each class once."""
    blocks = -(-n // len(CLASSES))
    order = [np.random.default_rng((seed, 0, block)).permutation(len(CLASSES)) for block in range(blocks)]
    return np.concatenate([np.empty(0, np.int64), *order]).astype(np.int64)[:n]


def scene(label: int, rng: Generator) -> Bytes:
    """Draw a digit on a ground, with sensor noise: uint8 (3,H,W)."""
    ground_luma, ink_luma = lumas(rng)
    canvas = ground(ground_luma, rng)
    ink = colour(ink_luma, rng)[:, None, None]
    for coverage in coverages(label, rng):
        canvas += coverage * (ink - canvas)
    canvas += wave(label, rng)
    canvas += rng.uniform(-NOISE, NOISE, canvas.shape)
    pixels: Bytes = np.rint(canvas.clip(0, 1) * 255).astype(np.uint8)
    return pixels


def wave(label: int, rng: Generator) -> Floats:
    """Draw (H,W) in [-GRAIN,GRAIN]: a plane wave of any phase, in one of as many directions as classes."""
    kind = label if rng.random() < TYPICAL else int(rng.integers(len(CLASSES)))
    angle = math.pi * kind / len(CLASSES)
    across = math.cos(angle) * COLUMNS + math.sin(angle) * ROWS
    return np.asarray(GRAIN * np.sin(2 * math.pi * (TURNS * across + rng.random())))


def lumas(rng: Generator) -> tuple[float, float]:
    """Draw the lumas of ground and ink, in [0,1]: the ink is the brighter one."""
    contrast = rng.uniform(*CONTRAST)
    dark = rng.uniform(LUMAS[0], LUMAS[1] - contrast)
    return dark, dark + contrast


def colour(luma: float, rng: Generator) -> Floats:
    """Draw a colour of just this luma, (3,) in [0,1], as saturated as the cube allows or less."""
    chroma = rng.uniform(-1, 1, 3)
    chroma -= LUMA @ chroma
    room = np.where(chroma > 0, 1 - luma, luma) / np.maximum(np.abs(chroma), 1e-9)
    return luma + SATURATION * chroma * min(1.0, float(room.min()))


def ground(luma: float, rng: Generator) -> Floats:
    """Draw a gradient (3,H,W) between two colours, textured in luma by stripes or by blotches."""
    first, second = colour(luma, rng), colour(luma, rng)
    slope = rng.uniform(-1, 1, 2)
    ramp = (slope[0] * ROWS + slope[1] * COLUMNS) / np.abs(slope).sum()  # in [-1/2, 1/2]
    kind = rng.integers(3)
    if kind == 0:
        relief = 2 * ramp
    elif kind == 1:
        relief = 4 * np.abs((ramp * rng.uniform(3, 8) + rng.random()) % 1 - 0.5) - 1
    else:
        relief = blotches(int(rng.integers(4, 12)), rng)
    mix = (ramp + 0.5)[None]
    gradient: Floats = first[:, None, None] * (1 - mix) + second[:, None, None] * mix
    gradient += relief * rng.uniform(0, TEXTURE)
    return gradient


def blotches(cells: int, rng: Generator) -> Floats:
    """Draw (H,W) in [-1,1]: coarse random values, smoothly enlarged."""
    coarse = Image.fromarray(rng.uniform(-1, 1, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BILINEAR), np.float64)


def coverages(label: int, rng: Generator) -> list[Floats]:
    """Draw coverages, (H,W) in [0,1]: of neighbours in the digit's font, size, rotation; letters; digit."""
    font = FONTS[rng.integers(len(FONTS))]
    height = int(rng.integers(HEIGHT[0], HEIGHT[1], endpoint=True))
    angle = math.radians(rng.uniform(-ROTATION, ROTATION))
    x, y = SIZE / 2 + rng.uniform(-PLACE, PLACE, 2)
    centre = mask(font, height, CLASSES[label])
    placed = []
    for side in (-1, 1):
        other = mask(font, height, CLASSES[rng.integers(len(CLASSES))])
        apart = (centre.width + other.width) / 2 + rng.uniform(1, 4)
        beyond = (x if side < 0 else SIZE - x) + rng.uniform(-2, 2)  # puts its middle at the border
        if rng.random() < NEIGHBOUR:
            placed.append(place(other, x + side * max(apart, beyond), y + rng.uniform(-2, 2), angle))
    placed += [stray(x, y, rng) for _ in range(STRAYS)]
    return [*placed, place(centre, x, y, angle)]


def stray(x: float, y: float, rng: Generator) -> Floats:
    """Draw the coverage, (H,W) in [0,1], of a letter of any font, size and rotation beside a digit."""
    font, height = FONTS[rng.integers(len(FONTS))], int(rng.integers(*STRAY_HEIGHT, endpoint=True))
    letter = mask(font, height, LETTERS[rng.integers(len(LETTERS))])
    around, apart = rng.uniform(0, 2 * math.pi), rng.uniform(*STRAY_PLACE)
    at = x + apart * math.cos(around), y + apart * math.sin(around)
    return place(letter, *at, rng.uniform(-math.pi, math.pi))


def place(glyph: Image.Image, x: float, y: float, angle: float) -> Floats:
    """Place on (H,W), in [0,1], the glyph with its middle at (x, y), rotated about it."""
    cos, sin = math.cos(angle), math.sin(angle)
    across, down = glyph.width / 2, glyph.height / 2
    back = cos, sin, across - cos * x - sin * y, -sin, cos, down + sin * x - cos * y
    moved = glyph.transform((SIZE, SIZE), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
    return np.asarray(moved, np.float64) / 255


@once
def mask(font: str, height: int, sign: str) -> Image.Image:
    """Scale the coverage of a digit or letter, 8 bits, to a height, framed by one empty pixel."""
    whole = master(font, sign)
    width = max(1, round(whole.width * height / whole.height))
    small = whole.resize((width, height), Image.Resampling.BOX)
    framed = Image.new("L", (width + 2, height + 2))  # an empty rim, for the rotation to fade into
    framed.paste(small, (1, 1))
    return framed


@once
def master(font: str, sign: str) -> Image.Image:
    """Draw the coverage of a digit or letter, 8 bits, large, cropped to its ink."""
    import matplotlib  # slow, and glyphs that are kept are not drawn again

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"
    face = ImageFont.truetype(str(path), MASTER, layout_engine=ImageFont.Layout.BASIC)
    left, top, right, bottom = map(int, face.getbbox(sign))
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), sign, fill=255, font=face)
    return image.crop(image.getbbox())
