"""The site's own pages and the files of the repository that they link to, under the same names."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from posixpath import normpath, relpath
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.cli import markdown as lists  # noqa: E402
from bench.experiment.registry import KINDS, catalog  # noqa: E402

MARK = re.compile(r"<!-- generated: (\w+) -->")
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
HOME, FRONT, DOCS = "README.md", "index.md", "docs/"


def on_files(files: Files, config: Any) -> Files:
    """Add what pages link to outside of docs/, and what those link to."""
    todo = [
        HOME,
        "CHANGELOG.md",
        "SECURITY.md",
        *(f"{DOCS}{file.src_uri}" for file in files.documentation_pages()),
    ]
    seen = set[str]()
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        if not place.startswith(DOCS):
            added = File.generated(config, _uri(place), content=(ROOT / place).read_bytes())
            files.append(added)
        if place.endswith(".md"):
            text = _filled((ROOT / place).read_text(encoding="utf-8"))
            todo += filter(None, (_target(place, link) for link, _ in LINK.findall(text)))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Fill in generated lists, and turn links to files of the repository into links of the site."""
    text, here = _filled(markdown), page.file.src_uri
    place = HOME if here == FRONT else here if (ROOT / here).is_file() else f"{DOCS}{here}"

    def moved(found: re.Match[str]) -> str:
        if re.match(r"\w+:", found[1]):
            return found[0]
        target = _target(place, found[1])
        if target is None:  # a folder of rows
            return "](" + relpath(_uri(_of_folder(place, found[1])), str(Path(here).parent)) + ")"
        return f"]({relpath(_uri(target), str(Path(here).parent))}{found[2] or ''})"

    return LINK.sub(moved, text)


def _filled(text: str) -> str:
    """Put what is generated into the place of its marks."""
    return MARK.sub(lambda found: _generated(found[1]), text)


@cache
def _generated(what: str) -> str:
    if what in KINDS:
        return lists.plugins(catalog(what, declared=True))
    made: str = getattr(lists, what)()
    return made


def _uri(place: str) -> str:
    """Say where a file of the repository stands on the site."""
    return FRONT if place == HOME else place.removeprefix(DOCS)


def _target(place: str, link: str) -> str | None:
    """Find the file that a page means, of a folder its README; None of what is elsewhere, or has none."""
    if re.match(r"\w+:", link):
        return None
    found = normpath(f"{Path(place).parent}/{link}")
    if (ROOT / found).is_dir():
        found = f"{found}/README.md"
    return found if (ROOT / found).is_file() else None


def _of_folder(place: str, link: str) -> str:
    """Give the page of the folder above one that has none."""
    found = Path(normpath(f"{Path(place).parent}/{link}"))
    above = next(folder for folder in found.parents if (ROOT / folder / "README.md").is_file())
    return str(above / "README.md")
