"""What is trusted and what is not, as the page says, and the record of the signals that were sent."""

from __future__ import annotations

import re
from pathlib import Path

import soak
from support.pages import DOCS, ROOT, text_of


def test_what_is_trusted_is_said_and_how_to_report() -> None:
    _, *parts = re.split(r"^## (.*)$", text_of(ROOT / "SECURITY.md"), flags=re.M)
    said = dict(zip(parts[::2], parts[1::2], strict=True))
    trusted, rest = said["What is trusted"], said["What is not trusted"]
    assert "Plugins" in trusted and "run as you" in trusted and "cluster's network" in trusted
    assert "Anything that is read" in rest and "advisories" in said["Reporting"]
    for one in (trusted, text_of(DOCS / "running.md")):
        assert re.search(r"hoever reaches a port\s[^.]*runs\s+code\s+as\s+you", one)


def test_the_soak_found_nothing_lost_and_its_page_has_its_numbers() -> None:
    """Of signals, by tests/soak.py."""
    said = text_of(ROOT / "results" / "performance" / "soak.md")
    (sent, grids) = map(int, re.findall(r"(\d+) signals to (\d+) grids", said)[0])
    counts = {name: int(count) for name, count in re.findall(r"^\| (SIG.+) \| (\d+) \|$", said, re.M)}
    assert {*counts} == {*soak.SIGNALS} and sum(counts.values()) == sent and grids > 0
    assert "Faults: none. Tracebacks in the log: 0." in said
    assert f"[{sent} random signals]" in text_of(DOCS / "performance.md")


def test_the_soak_notices_what_is_left(tmp_path: Path) -> None:
    found = soak.Soak(0, tmp_path)
    (tmp_path / "out" / "rows").mkdir(parents=True)
    (tmp_path / "cache" / "checkpoints").mkdir(parents=True)
    found.check(tmp_path, {})
    assert not found.faults and "Faults: none" in found.summary
    (tmp_path / "cache" / "checkpoints" / "victim-0").touch()
    (tmp_path / "out" / "rows" / ".a-1-b.tmp").mkdir()
    found.check(tmp_path, {"a.json": "{}"})
    assert [fault.partition(":")[0] for fault in found.faults] == ["other rows at the end", "left"]
    found.keep(tmp_path / "kept.json")
    again = soak.Soak(0, tmp_path)
    again.go_on(tmp_path / "kept.json")
    assert again.summary == found.summary and "left" in again.summary
