"""--log: finished rows for tools that show many runs; one small adapter a tool, behind an extra.

The rows on disk are the results; what is here may be deleted, and a tool that fails costs no row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bench.core.errors import BadInput, unknown
from bench.results.rows import Row

T = TypeVar("T")
R = TypeVar("R")
NAMES = ("tensorboard", "wandb", "mlflow")
MEASURED = (  # columns of a row
    *("test_acc", "robust_acc", "train_acc", "val_selected_acc", "peak_acc", "mi", "mi_gap"),
    *("linf", "l2", "psnr", "craft_seconds", "train_seconds", "mi_seconds"),
)
CURVE = ("val_acc", "test_acc")  # of its learning curve


class Log(Protocol):
    """A tool that keeps what rows say; made with the run's folder."""

    def row(self, row: Row) -> None:
        """Keep a finished row: name(), inputs(), measures(), and row.curve."""


def name(row: Row) -> str:
    """Name a row for people; no two of a setting share one."""
    return f"{row.method} x {row.defense}, poison {row.poison_rep}, victim {row.rep}"


def inputs(row: Row) -> dict[str, str | int | float | bool]:
    """Give all that decides its numbers, flat: victim.epochs and so on; no empty ones."""
    return {"setting": row.setting[:8], **dict(_flat(row.inputs, ""))}


def measures(row: Row) -> dict[str, float]:
    """Give what was measured, in the units of rows."""
    found = {name: getattr(row, name, None) for name in MEASURED}
    return {name: float(value) for name, value in found.items() if value is not None}


def _flat(values: Any, path: str) -> Iterator[tuple[str, str | int | float | bool]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flat(value, f"{path}.{key}".lstrip("."))
    elif values is not None:
        yield path, values if isinstance(values, str | int | float | bool) else str(values)


def chosen(names: str | None) -> dict[str, Callable[[Path], Log]]:
    """Find the adapters of names with commas, and import their libraries; BadInput where there are none."""
    found: dict[str, Callable[[Path], Log]] = {}
    for each in filter(None, map(str.strip, (names or "").split(","))):
        if each not in NAMES:
            raise unknown("log", each, NAMES)
        try:
            found[each] = import_module(f"{__name__}.{each}").ADAPTER
        except ModuleNotFoundError as error:
            raise BadInput(
                f"--log {each} needs {error.name}, expected after: pip install 'ue-bench[{each}]'"
            ) from None
    if names is not None and not found:
        raise BadInput(f"--log names nothing, expected some of {', '.join(NAMES)}")
    return found


def opened(
    adapters: dict[str, Callable[[Path], Log]], out: Path, say: Callable[[str], None]
) -> Callable[[Row], None]:
    """Give what to tell the rows of a run; a tool that fails is told of once, and left out."""
    logs: dict[str, Log] = {}

    def attempt(each: str, work: Callable[[T], R], given: T) -> R | None:
        try:
            return work(given)
        except Exception as error:  # a tool's network, account or disk: whatever it raises
            logs.pop(each, None)
            say(f"log {each}: {error or type(error).__name__}; it is left out, the rows are not")
            return None

    for each, adapter in adapters.items():
        if (log := attempt(each, adapter, out)) is not None:
            logs[each] = log

    def tell(row: Row) -> None:
        for each, log in [*logs.items()]:
            attempt(each, log.row, row)

    return tell
