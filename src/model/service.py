"""The trainer as a service: looks at the table, decides, acts, counts; waits when it must."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from core.lake import open_table
from core.registry.rest import RegistryUnavailableError
from core.settings import TrainerSettings
from model.challenger import Origin
from model.schedule import decide
from model.training import Outcome, Trainer
from model.watch import Watch
from monitoring.trainer_metrics import TrainerMetrics

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
"""While there is no champion, or something is missing."""

_SAY_AGAIN_SECONDS = 60.0


@dataclass(frozen=True)
class Source:
    """Where the rows come from, and where the models go."""

    lake: str
    origin: Origin
    tracking_uri: str


class Service:
    """Keeps a champion in service; `clock` gives Unix seconds."""

    def __init__(
        self,
        source: Source,
        settings: TrainerSettings,
        metrics: TrainerMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source, self._settings, self._metrics, self._clock = source, settings, metrics, clock
        self.trainer = Trainer(settings, source.tracking_uri, source.origin, clock)
        self.watch = Watch(source.tracking_uri, source.origin, metrics, clock)
        self._said = 0.0

    def run(self) -> None:
        """Look, decide and act for ever."""
        while True:
            self.step()
            settled = self.watch.champion is not None
            time.sleep(self._settings.drift_check_seconds if settled else POLL_SECONDS)

    def once(self) -> Outcome:
        """Train one time, as soon as there are rows enough and MLflow answers."""
        while True:
            outcome = self.step(at_once=True)
            if outcome is not None:
                return outcome
            time.sleep(POLL_SECONDS)

    def step(self, at_once: bool = False) -> Outcome | None:
        """Look and act one time; what came of it, or None when there was nothing to do.

        Raises `OriginMismatchError` or `ModelRefusedError` when lake or registry are of the other
        origin: nothing that waiting could mend.
        """
        try:
            table = self.table()
            if table is None:
                self._wait("there is no table raw_transactions yet")
                return None
            self.watch.follow()
            return self._act(table, at_once)
        except (RegistryUnavailableError, DeltaError, OSError) as error:
            self._wait(str(error))
            return None

    def table(self) -> DeltaTable | None:
        """The rows to train from, or None while there is no table."""
        return open_table(self._source.lake, "raw_transactions", self._source.origin)

    def _act(self, table: DeltaTable, at_once: bool) -> Outcome | None:
        look = self.watch.look(table)
        action, why = decide(look, self._settings)
        if at_once and look.rows >= self._settings.min_training_rows:
            action, why = "train", "asked for once"
        if action == "wait":
            self._wait(why)
            return None
        log.info("begins action=%s rows=%d reason=%s", action, look.rows, why)
        self.watch.attempted(look)
        with self._metrics.seconds.time():
            return self._ended(self._attempt(action == "train", table))

    def _attempt(self, train: bool, table: DeltaTable) -> Outcome:
        champion = self.watch.champion
        try:
            if train or champion is None:
                return self.trainer.train(table)
            self._metrics.recalibrations.inc()
            return self.trainer.recalibrate(table, champion.version)
        except Exception:
            self._metrics.trainings.labels("failed").inc()
            raise

    def _ended(self, outcome: Outcome) -> Outcome:
        result = "promoted" if outcome.promoted else "refused"
        evaluation = outcome.challenger.evaluation
        self._metrics.trainings.labels(result).inc()
        self._metrics.last_end.set(self._clock())
        for name, kind in evaluation.kinds.items():
            self._metrics.recall.labels(name).set(kind.recall)
        log.info("ended result=%s %s", result, outcome.summary())
        if outcome.promoted:
            self._metrics.last_promotion.set(self._clock())
            self.watch.follow()
        return outcome

    def _wait(self, why: str) -> None:
        """Say what it waits for, once a minute."""
        if self._clock() - self._said >= _SAY_AGAIN_SECONDS:
            log.info("waits reason=%s", why)
            self._said = self._clock()
