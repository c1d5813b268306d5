"""Code and libraries, which must be the same wherever cells of one run are computed. Imports no torch."""

from __future__ import annotations

import functools
import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.core.installed import installed

HOME = Path(__file__).parent.parent.parent
CODE = ("bench", "methods", "defenses")
LIBRARIES = ("torch", "torchvision", "kornia", "numpy", "pillow", "scipy")

Environment = dict[str, str | int]  # what is recorded beside the numbers


def fingerprint(plugins: Path | None) -> dict[str, str]:
    """Say what must be the same wherever cells of one run are computed, by name."""
    seen = {"python": ".".join(platform.python_version_tuple()[:2])}
    seen |= {name: _version(name) for name in LIBRARIES}
    seen["the code of this package"] = own_code()
    seen["the code of installed plugins"] = _installed()
    if plugins is not None:
        seen[f"the code in {plugins}"] = _digest(plugins, (*CODE[1:], "nets"))
    return seen


def _installed() -> str:
    """Digest what installed packages add, and what is beside it in them."""
    found = [own for kind in (*CODE[1:], "nets", "data") for own in installed(kind)]
    said = {f"{own.package} ({_digest(own.folder or own.path, ('',))})": None for own in found}
    return ", ".join(said) or "none"


def _version(library: str) -> str:
    """Without what tells builds for different devices apart: a client needs no GPU."""
    try:
        return version(library).partition("+")[0]
    except PackageNotFoundError:
        return "not installed"


@functools.cache
def own_code() -> str:
    """Digest the suite as it was when this process began: what it has imported does not follow the files."""
    return _digest(HOME, CODE)


def _digest(folder: Path, parts: tuple[str, ...]) -> str:
    seen = hashlib.sha256()
    places = [folder / part for part in parts]
    found = (path for place in places for path in ([place] if place.is_file() else place.rglob("[!.]*.py")))
    files = sorted(found)
    for path in files:
        seen.update(f"{path.relative_to(folder).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return f"sha256 {seen.hexdigest()[:12]} of {len(files)} files"
