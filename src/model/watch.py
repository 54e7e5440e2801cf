"""What the trainer knows before it decides: the table, the champion, and how well they fit."""

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from deltalake import DeltaTable

from core.detector.champion import Champion
from core.detector.drift import LEAST_ROWS, drift_indexes, drift_limit
from core.features import Floats
from core.registry.rest import RegistryUnavailableError
from core.settings import TrainerSettings
from model.followed_registry import FollowedRegistry
from model.sampling import count_rows, newest_day, newest_rows
from model.schedule import Attempt, Observation
from monitoring.trainer_metrics import TrainerMetrics

log = logging.getLogger(__name__)

OBSERVED_ROWS = 20_000
"""Rows of the newest day in which drift is measured."""

FLAG_RATE_ROWS = 10_000
"""Newest rows in which the flag rate is measured: some twenty minutes of mainnet's traffic."""

_KEEP_SECONDS = 3600.0
"""From one entry in the champion's run to the next: what a day writes is bounded."""


class Watch:
    """Follows the champion, and measures how it fits; `clock` gives Unix seconds."""

    def __init__(
        self,
        registry: FollowedRegistry,
        settings: TrainerSettings,
        metrics: TrainerMetrics,
        clock: Callable[[], float],
    ) -> None:
        self.champion: Champion | None = None
        self._registry, self._settings = registry, settings
        self._metrics, self._clock = metrics, clock
        self._kept_at = -math.inf

    def refresh_champion(self) -> None:
        """Load the version that has the alias now, if it is another one.

        A champion that was deleted, or does not load, counts as none, so that another one is
        trained. Raises `ModelRefusedError` for a registry of the other origin.
        """
        champion = self._registry.champion()
        if champion is self.champion:
            return
        self.champion = champion
        calibration = champion.calibration if champion else None
        self._metrics.version.set(int(champion.version) if champion else 0)
        self._metrics.threshold.set(calibration.threshold if calibration else 0)
        self._metrics.budget.set(calibration.budget if calibration else 0)
        self._metrics.trained.set(_trained(champion).started if champion else 0)

    def observe(self, table: DeltaTable) -> Observation:
        """Count the table's rows, and score some of the newest with the champion."""
        rows = count_rows(table)
        self._metrics.table_rows.set(rows)
        observed = Observation(self._clock(), rows, self._attempts())
        if self.champion is None or rows == 0:
            return observed
        day = newest_day(table, OBSERVED_ROWS)
        newest = len(day.rows)
        if newest == 0:
            return observed
        recent = newest_rows(table, FLAG_RATE_ROWS)
        scores = self.champion.scores(recent)
        flags = self.champion.flags(recent, scores)
        wild = flags & (scores >= self.champion.calibration.facts["wild_from"])
        drift = _drift(self.champion, day.rows) if newest >= LEAST_ROWS else {}
        limit = self._settings.drift_limit
        limit = drift_limit(self.champion.calibration, newest, day.covered_seconds, limit)
        self._publish(self.champion, drift, limit, float(flags.mean()))
        return replace(
            observed,
            calibration_rows=self.champion.calibration.rows,
            budget=self.champion.calibration.budget,
            newest=newest,
            recent=len(recent),
            flagged=int(flags.sum()),
            wild=int(wild.sum()),
            drift=drift,
            drift_limit=limit,
        )

    def _attempts(self) -> list[Attempt]:
        """The attempts before now, the newest first.

        They come from MLflow, so that a restart forgets none. Where all runs were deleted, the
        champion tells of its own. Those of a clock that ran ahead count for nothing.
        """
        attempts = self._registry.attempts()
        if not attempts and self.champion is not None:
            attempts = [_trained(self.champion)]
        return [attempt for attempt in attempts if attempt.started <= self._clock()]

    def _publish(
        self, champion: Champion, drift: dict[str, float], limit: float, flag_rate: float
    ) -> None:
        """Publish as metrics, and each hour in the champion's run, which keeps the history."""
        self._metrics.flag_rate.set(flag_rate)
        self._metrics.drift_limit.set(limit)
        for feature, index in drift.items():
            self._metrics.drift.labels(feature).set(index)
        if self._clock() - self._kept_at < _KEEP_SECONDS:
            return
        self._kept_at = self._clock()
        values = {f"drift_{feature}": index for feature, index in drift.items()}
        values["recent_flag_rate"] = flag_rate
        try:
            self._registry.log_with_run_of(champion.version, values, self._clock())
        except RegistryUnavailableError as error:  # someone may have deleted the run
            log.warning("event=drift_not_kept version=%s reason=%s", champion.version, error)


def _drift(champion: Champion, rows: Floats) -> dict[str, float]:
    """The indexes against what the champion was trained on; empty without a reference."""
    return drift_indexes(champion.calibration.facts.get("drift", {}), rows, champion.scores(rows))


def _trained(champion: Champion) -> Attempt:
    calibration = champion.calibration
    at = datetime.fromisoformat(calibration.trained_at).timestamp()
    return Attempt(at, int(calibration.facts.get("table_rows", 0)), "")
