"""TensorBoard: a folder of events in OUT/logs for each row, with its learning curve."""

from __future__ import annotations

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from bench.results.rows import Row
from bench.runner.logs import CURVE, inputs, measures, name


class TensorBoard:
    """Shown by: tensorboard --logdir OUT/logs."""

    def __init__(self, out: Path) -> None:
        self.folder = out / "logs"
        self.folder.mkdir(parents=True, exist_ok=True)

    def row(self, row: Row) -> None:
        with SummaryWriter(str(self.folder / f"{name(row)} {row.key[:8]}")) as writer:
            for point in row.curve:
                for column in CURVE:
                    writer.add_scalar(f"curve/{column}", point[column], int(point["epoch"]))
            for column, value in measures(row).items():
                writer.add_scalar(column, value)
            lines = "\n".join(f"    {path}: {value}" for path, value in inputs(row).items())
            writer.add_text("inputs", lines)


ADAPTER = TensorBoard
