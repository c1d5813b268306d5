"""The pages that people read: README, docs/, results; their links, headings and code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(DOCS.glob("*.md")),
    *sorted((ROOT / "results").rglob("*.md")),
    ROOT / "tests" / "golden" / "README.md",
    ROOT / "bench" / "results" / "gate" / "README.md",
]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(page), re.M | re.S)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S)


def relative_links(page: Path) -> list[str]:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [link for link in links if not re.match(r"\w+:", link)]


def headings(page: Path) -> set[str]:
    """As links name them."""
    found = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in found}


def commands(page: Path) -> list[list[str]]:
    """Arguments of every command of the suite: in blocks, and in the text where people wrote it."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    if ROOT / "results" not in page.parents:
        given = re.findall(r"`((?:python -m bench|ue-bench) [^`]+)`", prose(page))
        lines += [" ".join(command.split()) for command in given]
    found = re.findall(r"(?:python -m bench|ue-bench) ([^#&|;>\n]+)", "\n".join(lines))
    return [shlex.split(command) for command in found]
