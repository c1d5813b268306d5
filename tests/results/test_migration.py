"""The move to schema 2 changed no number: digests of what was stored before it, by the keys of schema 1.

numbers-before.json was written by numbers() from the last commit with schema 1. An entry goes when what it
stands for is measured anew.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bench.results import baseline, upgrade
from bench.results.identity import key_of, record_name, shared
from bench.results.rows import load_all

TESTS = Path(__file__).parent.parent
RESULTS = TESTS.parent / "results"
BEFORE: dict[str, dict[str, str]] = json.loads(
    (TESTS / "data" / "numbers-before.json").read_text(encoding="utf-8")
)
MEASURED = (
    *("data", "synthetic", "method", "defense", "poison_rep", "rep", "profile", "classes", "control"),
    *("status", "reason", "test_acc", "train_acc", "val_selected_acc", "peak_acc", "stem", "curve"),
    *("mi", "mi_null", "mi_low", "mi_high", "mi_estimator", "mi_images", "mi_rank", "mi_slices", "mi_reason"),
    *("linf", "l2", "l0", "psnr", "ssim", "published", "mask", "craft", "craft_seconds", "craft_peak_mb"),
    *("train_seconds", "train_peak_mb", "mi_seconds", "seeds", "environment", "craft_environment"),
    *("attempt", "finished", "rerun"),
)
GRID = ("cells", "rules", "environment", "estimator", "code")  # of the baseline


def digest(values: Any) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def numbers(results: Path) -> dict[str, dict[str, str]]:
    """Folder or file -> legacy keys -> digest of what was measured, of results in any schema."""
    found: dict[str, dict[str, str]] = {}
    for folder in sorted(path.parent for path in results.rglob("rows") if path.is_dir()):
        name, legacy = folder.relative_to(results).as_posix(), {}
        found[name] = {}
        for path in sorted((folder / "rows").glob("*.json")):
            row = json.loads(path.read_text(encoding="utf-8"))
            legacy[row["key"]] = old = row.get("legacy_key", row["key"])
            if old is not None:
                found[name][old[:12]] = digest({column: row.get(column) for column in MEASURED})
        for path in sorted((folder / "records").glob("*.json")):
            record = json.loads(path.read_text(encoding="utf-8"))["record"]
            pair = [legacy.get(record.pop(end)) for end in ("net_row", "poison_row")]
            if None not in pair:
                found[name][" ".join([record["measure"], *(old[:12] for old in pair)])] = digest(record)
    grid = json.loads(baseline.OWN.read_text(encoding="utf-8"))
    found["baseline"] = {"glyphs": digest({name: grid[name] for name in GRID})}
    return found


@pytest.mark.parametrize("folder", BEFORE)
def test_every_stored_number_is_the_one_from_before(folder: str) -> None:
    assert BEFORE[folder].items() <= numbers(RESULTS)[folder].items()


def test_all_that_is_stored_has_revisions_in_its_keys_and_every_file_has_the_name_of_its_key() -> None:
    folders = sorted(path for path in RESULTS.rglob("rows") if path.is_dir())
    assert len(folders) >= 10
    for folder in folders:
        rows, files = load_all(folder), [*folder.glob("*.json")]
        assert {path.name for path in files} == {f"{row.key[:16]}.json" for row in rows} and len(
            files
        ) == len(rows)
        for path in files:
            assert json.loads(path.read_text(encoding="utf-8"))["schema"] > 1
        for row in rows:
            assert row.key == key_of(row.inputs) and row.setting == key_of(shared(row.inputs))
        known = {row.key for row in rows}
        for path in folder.parent.glob("records/*.json"):
            stored = json.loads(path.read_text(encoding="utf-8"))
            assert stored["schema"] == upgrade.SCHEMA and path.name == record_name(stored["inputs"])
            assert {stored["inputs"]["net"], stored["inputs"]["poison"]} <= known
