"""The trainer as a service: it observes the table, decides, trains, and waits when it must."""

import logging
import time
from collections.abc import Callable

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from core.casework import CaseworkStore
from core.lake import OriginMismatchError, open_table
from core.registry.rest import RegistryUnavailableError
from core.registry.version_files import ModelRefusedError
from core.settings import TrainerSettings
from model.followed_registry import FollowedRegistry
from model.marked_transactions import MarkedFlags
from model.schedule import Decision, decide
from model.training_process import (
    Ended,
    Job,
    TrainerConfig,
    TrainingImpossibleError,
    train_in_process,
)
from model.watch import Watch
from monitoring.trainer_metrics import TrainerMetrics

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
"""From one step to the next while there is no champion, or something is missing."""

_LOG_WAITING_SECONDS = 60.0
NO_TABLE = "there is no table raw_transactions yet"


class Service:
    """Keeps a good champion in the registry; `clock` gives Unix seconds, `train` does a job."""

    def __init__(
        self,
        config: TrainerConfig,
        settings: TrainerSettings,
        metrics: TrainerMetrics,
        clock: Callable[[], float] = time.time,
        train: Callable[[Job], Ended] = train_in_process,
    ) -> None:
        self.config, self.settings, self._clock = config, settings, clock
        self.metrics, self._train = metrics, train
        self.registry = FollowedRegistry(config.tracking_uri, config.origin)
        self.marked = MarkedFlags(CaseworkStore(config.casework, config.origin))
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

    def train_once(self) -> Ended:
        """Train once, as soon as there are enough rows and MLflow answers."""
        while (ended := self.step(at_once=True)) is None:
            time.sleep(POLL_SECONDS)
        return ended

    def step(self, at_once: bool = False) -> Ended | None:
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
            return self._trained(decision)
        except (RegistryUnavailableError, DeltaError, OSError, TrainingImpossibleError) as error:
            self._log_waiting(str(error))
            return None

    def open_table(self) -> DeltaTable | None:
        """The table to train from, or None while there is none."""
        return open_table(self.config.lake, "raw_transactions", self.config.origin)

    def _trained(self, decision: Decision) -> Ended:
        champion, trees_of = self.watch.champion, None
        if champion is not None and decision.action == "recalibrate":
            self.metrics.recalibrations.inc()
            trees_of = champion.version
        with self.metrics.seconds.time():
            try:
                ended = self._train(Job(self.config, self.settings, decision.cause, trees_of))
            except Exception:
                self.metrics.trainings.labels("failed").inc()
                raise
        self._publish(ended)
        return ended

    def _publish(self, ended: Ended) -> None:
        """Count and log how a training ended, and follow the champion if it is a new one."""
        result = "promoted" if ended.promoted else "refused"
        self.metrics.trainings.labels(result).inc()
        self.metrics.last_end.set(self._clock())
        if not ended.reported:
            self.metrics.report_failures.inc()
        for kind, recall in ended.recall.items():
            self.metrics.recall.labels(kind).set(recall)
        log.info("event=training_ended result=%s %s", result, ended.summary)
        if ended.promoted:
            self.metrics.last_promotion.set(self._clock())
            self.watch.refresh_champion()

    def _log_waiting(self, reason: str) -> None:
        """Log what the trainer waits for, at most once a minute."""
        if self._clock() - self._logged_waiting >= _LOG_WAITING_SECONDS:
            log.info("event=training_waiting reason=%s", reason)
            self._logged_waiting = self._clock()
