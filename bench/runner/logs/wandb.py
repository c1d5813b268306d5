"""Weights & Biases: a run of the project ue-bench for each row, under the row's key.

Project, account and mode are those of its own environment variables, such as WANDB_PROJECT and WANDB_MODE.
"""

from __future__ import annotations

import os
from pathlib import Path

import wandb

from bench.results.rows import Row
from bench.runner.logs import CURVE, inputs, measures, name


class WeightsAndBiases:
    """Its files lie in OUT/logs until they are sent."""

    def __init__(self, out: Path) -> None:
        self.out = out / "logs"
        self.out.mkdir(parents=True, exist_ok=True)

    def row(self, row: Row) -> None:
        run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "ue-bench"),
            id=row.key[:16],
            name=name(row),
            group=row.setting[:8],
            config=inputs(row),
            dir=str(self.out),
            resume="allow",
        )
        for point in row.curve:
            run.log({"epoch": point["epoch"], **{f"curve/{column}": point[column] for column in CURVE}})
        run.summary.update(measures(row))
        run.finish()


ADAPTER = WeightsAndBiases
