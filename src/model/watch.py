"""What the trainer sees before it decides: the table, the champion, and how the two fit."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from deltalake import DeltaTable

from core.detector.champion import Champion
from core.registry.follower import champion_version, load_champion
from core.registry.version_files import ModelRefusedError
from model.challenger import Origin
from model.drift import LEAST_ROWS, drift
from model.mlflow_runs import run_of
from model.sampling import count_rows, newest
from model.schedule import Look
from monitoring.trainer_metrics import TrainerMetrics

log = logging.getLogger(__name__)

LOOK_ROWS = 5_000
"""Newest rows that drift and flag rate are seen in."""


@dataclass
class Watch:
    """Follows the champion and remembers the last attempt; times are Unix seconds."""

    tracking_uri: str
    origin: Origin
    metrics: TrainerMetrics
    clock: Callable[[], float]
    champion: Champion | None = field(default=None, init=False)
    last_attempt: float = field(default=0.0, init=False)
    rows_then: int = field(default=0, init=False)

    def follow(self) -> None:
        """Have at hand what is in service, whoever moved the alias.

        Raises `ModelRefusedError` for a registry of the other origin; a champion that cannot be
        loaded counts as none, so that another one is trained.
        """
        version = champion_version(self.tracking_uri, self.origin)
        if version is None or (self.champion is not None and self.champion.version == version):
            return
        try:
            self._take(load_champion(self.tracking_uri, version))
        except ModelRefusedError as error:
            log.error("champion does not load version=%s reason=%s", version, error)
            self.champion = None

    def _take(self, champion: Champion) -> None:
        self.champion = champion
        self.metrics.version.set(int(champion.version))
        self.metrics.threshold.set(champion.threshold)
        self.metrics.budget.set(champion.calibration.budget)
        made = datetime.fromisoformat(champion.calibration.trained_at).timestamp()
        self.metrics.trained.set(made)
        if made > self.last_attempt:
            self.last_attempt = made
            self.rows_then = int(champion.calibration.facts.get("table_rows", 0))

    def attempted(self, look: Look) -> None:
        """Remember that something is tried now."""
        self.last_attempt, self.rows_then = look.now, look.rows

    def look(self, table: DeltaTable) -> Look:
        """Look at the table, and at its newest rows with the champion's eyes."""
        rows = count_rows(table)
        self.metrics.table_rows.set(rows)
        look = Look(self.clock(), rows, self.last_attempt, self.rows_then)
        return look if self.champion is None or rows == 0 else self._judge(look, table)

    def _judge(self, look: Look, table: DeltaTable) -> Look:
        assert self.champion is not None
        seen = newest(table, LOOK_ROWS)
        if len(seen) == 0:
            return look
        flagged = int(self.champion.flags(seen, self.champion.scores(seen)).sum())
        moved = drift(self.champion, seen) if len(seen) >= LEAST_ROWS else {}
        self._tell(moved, flagged / len(seen))
        on = self.champion.calibration.rows
        return Look(
            look.now, look.rows, look.last_attempt, look.rows_then, on, len(seen), flagged, moved
        )

    def _tell(self, moved: Mapping[str, float], flag_rate: float) -> None:
        """As metrics, and in the champion's own run, where its history is looked up."""
        assert self.champion is not None
        self.metrics.flag_rate.set(flag_rate)
        for name, index in moved.items():
            self.metrics.drift.labels(name).set(index)
        values = {f"drift_{name}": index for name, index in moved.items()}
        run = run_of(self.tracking_uri, self.champion.version)
        run.metrics(values | {"recent_flag_rate": flag_rate}, self.clock())
