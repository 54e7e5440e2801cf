"""The trainer as a service: it observes the table, decides, trains, and waits when it must."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from core.casework import CaseworkStore
from core.lake import OriginMismatchError, open_table
from core.registry.rest import RegistryUnavailableError
from core.registry.version_files import ModelRefusedError
from core.settings import TrainerSettings
from model.challenger import Origin
from model.marked_transactions import MarkedFlags
from model.mlflow_runs import Registry
from model.schedule import Decision, decide
from model.training import Outcome, Trainer
from model.watch import Watch
from monitoring.trainer_metrics import TrainerMetrics

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
"""From one step to the next while there is no champion, or something is missing."""

_LOG_WAITING_SECONDS = 60.0
NO_TABLE = "there is no table raw_transactions yet"


@dataclass(frozen=True)
class TrainerConfig:
    """Where the rows and people's marks come from, and where the models go."""

    lake: str
    origin: Origin
    tracking_uri: str
    casework: str


class Service:
    """Keeps a good champion in the registry; `clock` gives Unix seconds."""

    def __init__(
        self,
        config: TrainerConfig,
        settings: TrainerSettings,
        metrics: TrainerMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config, self.settings, self._clock = config, settings, clock
        self.metrics = metrics
        self.registry = Registry(config.tracking_uri, config.origin)
        self.marked = MarkedFlags(CaseworkStore(config.casework, config.origin))
        self.trainer = Trainer(settings, self.registry, clock, self.marked.marks)
        self.watch = Watch(self.registry, settings, metrics, clock)
        self._logged_waiting = 0.0

    def run(self) -> None:
        """Step for ever; what no one foresaw is logged and counted, and the next step follows."""
        while True:
            try:
                self.step()
            except (OriginMismatchError, ModelRefusedError):
                raise
            except Exception:
                log.exception("event=step_failed")
                self.metrics.step_failures.inc()
            settled = self.watch.champion is not None
            time.sleep(self.settings.drift_check_seconds if settled else POLL_SECONDS)

    def train_once(self) -> Outcome:
        """Train once, as soon as there are enough rows and MLflow answers."""
        while (outcome := self.step(at_once=True)) is None:
            time.sleep(POLL_SECONDS)
        return outcome

    def step(self, at_once: bool = False) -> Outcome | None:
        """Observe, decide and train once; None when there was nothing to do.

        `at_once` trains whatever the schedule says, if there are enough rows. Raises
        `OriginMismatchError` or `ModelRefusedError` when the lake or the registry is of the other
        origin: waiting would not help.
        """
        try:
            self.marked.publish(self.metrics)
            table = self.open_table()
            if table is None:
                self._log_waiting(NO_TABLE)
                return None
            self.watch.refresh_champion()
            observed = self.watch.observe(table)
            decision = decide(observed, self.settings)
            if at_once and observed.rows >= self.settings.min_training_rows:
                decision = Decision("train", "request", "one training was requested")
            action, _, reason = decision
            if action == "wait":
                self._log_waiting(reason)
                return None
            log.info(
                "event=training_started action=%s rows=%d reason=%s", action, observed.rows, reason
            )
            with self.metrics.seconds.time():
                outcome = self._train(table, decision)
                self._publish(outcome)
            return outcome
        except (RegistryUnavailableError, DeltaError, OSError) as error:
            self._log_waiting(str(error))
            return None

    def open_table(self) -> DeltaTable | None:
        """The table to train from, or None while there is none."""
        return open_table(self._config.lake, "raw_transactions", self._config.origin)

    def _train(self, table: DeltaTable, decision: Decision) -> Outcome:
        champion = self.watch.champion
        try:
            if champion is not None and decision.action == "recalibrate":
                self.metrics.recalibrations.inc()
                try:
                    return self.trainer.recalibrate(table, champion.version, decision.cause)
                except ModelRefusedError as error:  # its files are gone; new trees need none
                    log.warning("event=recalibration_impossible reason=%s", error)
            return self.trainer.train(table, decision.cause)
        except Exception:
            self.metrics.trainings.labels("failed").inc()
            raise

    def _publish(self, outcome: Outcome) -> None:
        """Count and log an outcome, and follow the champion if it is a new one."""
        result = "promoted" if outcome.promoted else "refused"
        self.metrics.trainings.labels(result).inc()
        self.metrics.last_end.set(self._clock())
        if not outcome.reported:
            self.metrics.report_failures.inc()
        for name, kind in outcome.challenger.evaluation.kinds.items():
            self.metrics.recall.labels(name).set(kind.recall)
        log.info("event=training_ended result=%s %s", result, outcome.summary())
        if outcome.promoted:
            self.metrics.last_promotion.set(self._clock())
            self.watch.refresh_champion()

    def _log_waiting(self, reason: str) -> None:
        """Log what the trainer waits for, at most once a minute."""
        if self._clock() - self._logged_waiting >= _LOG_WAITING_SECONDS:
            log.info("event=training_waiting reason=%s", reason)
            self._logged_waiting = self._clock()
