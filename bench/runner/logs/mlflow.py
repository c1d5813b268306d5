"""MLflow: a run of the experiment ue-bench for each row, tagged with the row's key.

Where they go is MLFLOW_TRACKING_URI; without it OUT/logs/mlflow.db.
"""

from __future__ import annotations

import os
from pathlib import Path

import mlflow

from bench.results.rows import Row
from bench.runner.logs import CURVE, inputs, measures, name

LONGEST = 500  # characters of a parameter that every version of MLflow takes


class MLflow:
    """Shown by: mlflow ui --backend-store-uri sqlite:///OUT/logs/mlflow.db."""

    def __init__(self, out: Path) -> None:
        (out / "logs").mkdir(parents=True, exist_ok=True)
        if "MLFLOW_TRACKING_URI" not in os.environ:
            mlflow.set_tracking_uri(f"sqlite:///{(out / 'logs' / 'mlflow.db').resolve()}")
        mlflow.set_experiment("ue-bench")

    def row(self, row: Row) -> None:
        with mlflow.start_run(run_name=name(row), tags={"key": row.key, "setting": row.setting}):
            mlflow.log_params({path: str(value)[:LONGEST] for path, value in inputs(row).items()})
            for point in row.curve:
                for column in CURVE:
                    mlflow.log_metric(f"curve_{column}", point[column], step=int(point["epoch"]))
            mlflow.log_metrics(measures(row))


ADAPTER = MLflow
