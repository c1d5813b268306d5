"""What is read of image files and of their names, and how: one rule for each thing. Imports no torch."""

from __future__ import annotations

import unicodedata

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".avif", ".ppm", ".pgm")
PIXELS = 178_956_970  # of an image: twice Pillow's MAX_IMAGE_PIXELS, above which it refuses
RULE = "shorter side to {0} with antialiased bilinear, then centre crop {0}x{0}"
RULES = {
    "formats": f"files ending in {', '.join(ENDINGS)}; their first bytes say which format they are",
    "orientation": "EXIF orientation is applied; all other metadata is ignored, damaged or not",
    "transparency": "composed over white",
    "gray": "one channel where every image of the set, whatever its mode and the limit, is gray, else three",
    "palette": "palettes, 1 bit and 2 to 7 bits become the 8 bits that they stand for",
    "deep": "more than 8 bits a channel, and floats, are refused: every way to 8 bits gives other images",
    "CMYK": "becomes RGB by Pillow's formula",
    "profile": "colour profiles are ignored: the numbers in the file count",
    "frames": "animations and several pages are refused; of a JPEG with previews (MPO) the first counts",
    "size": f"at most {PIXELS:,} pixels; with @S: {RULE.format('S')}",
    "names": "in Unicode's NFC, where no UTF-8 escaped; class folders in the order of their names, or, where "
    "all are whole numbers, of these; files in the order of their names",
    "passed over": "hidden files, Thumbs.db, desktop.ini, __MACOSX",
}


def plain(name: str) -> str:
    """Write a file's name as it is printed and stored: NFC, bytes that are no UTF-8 escaped."""
    escaped = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", escaped)
