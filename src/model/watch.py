"""What the trainer knows before it decides: the table, the champion, and how well they fit."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from deltalake import DeltaTable

from core.detector.champion import Champion
from model.drift import LEAST_ROWS, drift_indexes
from model.mlflow_runs import Registry
from model.sampling import count_rows, newest_rows
from model.schedule import Observation
from monitoring.trainer_metrics import TrainerMetrics

OBSERVED_ROWS = 5_000
"""Newest rows in which drift and flag rate are measured."""


class Watch:
    """Follows the champion and remembers the last attempt; `clock` gives Unix seconds."""

    def __init__(
        self, registry: Registry, metrics: TrainerMetrics, clock: Callable[[], float]
    ) -> None:
        self.champion: Champion | None = None
        self._registry, self._metrics, self._clock = registry, metrics, clock
        self._last_attempt, self._last_attempt_rows = 0.0, 0

    def refresh_champion(self) -> None:
        """Load the version that has the alias now, if it is another one.

        A champion that does not load counts as none, so that another one is trained. Raises
        `ModelRefusedError` for a registry of the other origin.
        """
        version = self._registry.champion_version()
        if version is None or (self.champion is not None and self.champion.version == version):
            return
        self.champion = self._registry.load(version)
        if self.champion is None:
            return
        calibration = self.champion.calibration
        trained = datetime.fromisoformat(calibration.trained_at).timestamp()
        self._metrics.version.set(int(self.champion.version))
        self._metrics.threshold.set(calibration.threshold)
        self._metrics.budget.set(calibration.budget)
        self._metrics.trained.set(trained)
        if trained > self._last_attempt:
            self._last_attempt = trained
            self._last_attempt_rows = int(calibration.facts.get("table_rows", 0))

    def start_attempt(self, observed: Observation) -> None:
        """Remember that a training or a recalibration starts."""
        self._last_attempt, self._last_attempt_rows = observed.now, observed.rows

    def observe(self, table: DeltaTable) -> Observation:
        """Count the table's rows, and score the newest of them with the champion."""
        rows = count_rows(table)
        self._metrics.table_rows.set(rows)
        observed = Observation(self._clock(), rows, self._last_attempt, self._last_attempt_rows)
        if self.champion is None or rows == 0:
            return observed
        newest = newest_rows(table, OBSERVED_ROWS)
        if len(newest) == 0:
            return observed
        flagged = int(self.champion.flags(newest, self.champion.scores(newest)).sum())
        drift = drift_indexes(self.champion, newest) if len(newest) >= LEAST_ROWS else {}
        self._publish(self.champion, drift, flagged / len(newest))
        return replace(
            observed,
            calibration_rows=self.champion.calibration.rows,
            newest=len(newest),
            flagged=flagged,
            drift=drift,
        )

    def _publish(self, champion: Champion, drift: dict[str, float], flag_rate: float) -> None:
        """Publish as metrics, and in the champion's own run, which keeps the history."""
        self._metrics.flag_rate.set(flag_rate)
        for feature, index in drift.items():
            self._metrics.drift.labels(feature).set(index)
        values = {f"drift_{feature}": index for feature, index in drift.items()}
        run = self._registry.run_of(champion.version)
        run.log_metrics(values | {"recent_flag_rate": flag_rate}, self._clock())
