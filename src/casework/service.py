"""The casework service as a process: connects its parts and turns until a signal."""

import fcntl
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from kafka.errors import KafkaError

from casework.alerting.alerting import Alerting
from casework.alerting.digests import champion_in_use
from casework.anomaly_topic import AnomalyTopic
from casework.building import CaseBuilder
from core.background import BackgroundLoop
from core.casework import CaseworkStore
from core.object_store import on_store
from core.settings import AlertSettings, DataSettings, KafkaSettings, MlflowSettings
from core.topics import ensure_topics
from monitoring.alert_metrics import AlertMetrics
from monitoring.casework_metrics import LOOPS, CaseworkMetrics

log = logging.getLogger(__name__)

_RETRY_SECONDS, _REMIND_TRIES = 2.0, 30
_STOP_SECONDS = 12.0
"""A receiver that is being asked gets so long to answer."""


def run(data: DataSettings, kafka: KafkaSettings, metrics: CaseworkMetrics) -> None:
    """Build cases until SIGTERM or SIGINT.

    Raises `OriginMismatchError` where the casework tables hold data of the other origin.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    store = CaseworkStore(data.casework, data.data_origin)
    store.table("case_members")  # of the other origin, it ends here
    with _the_only_one(data.casework, stop):
        if not stop.is_set():
            alert_metrics, mlflow = AlertMetrics(metrics.registry), MlflowSettings().tracking_uri
            alerting = Alerting(
                *(store, data.lake, AlertSettings(), alert_metrics),
                partial(champion_in_use, mlflow, data.data_origin),
            )
            alerting.start()  # what waits is sent while there is no broker, too
            if _topics_exist(kafka, stop):
                topic = AnomalyTopic(kafka.bootstrap_servers)
                builder = CaseBuilder(store, topic, metrics, [alerting.on_update])
                _turn_until(stop, builder, metrics)
                topic.close()
            alerting.stop(_STOP_SECONDS)
    log.info("event=casework_stopped reason=requested")


def _turn_until(stop: threading.Event, builder: CaseBuilder, metrics: CaseworkMetrics) -> None:
    loop = BackgroundLoop(LOOPS[0], builder.turn, 0)
    loop.on_turn = metrics.turn_recorder(loop.name)
    while not stop.is_set():
        loop.turn()
        if loop.problem is not None:
            stop.wait(_RETRY_SECONDS)


@contextmanager
def _the_only_one(root: str, stop: threading.Event) -> Iterator[None]:
    """Wait until no other case builder works on these tables: two would count a message twice.

    On a local disk only; a store elsewhere relies on there being one container.
    """
    if on_store(root):
        yield
        return
    Path(root).mkdir(parents=True, exist_ok=True)
    with (Path(root) / ".case_builder.lock").open("w") as file:
        told = False
        while not stop.is_set():
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    log.info("event=waiting_for_lock reason=another case builder runs")
                told = True
            stop.wait(_RETRY_SECONDS)
        yield


def _topics_exist(kafka: KafkaSettings, stop: threading.Event) -> bool:
    """Create the missing topics as soon as a broker answers; False when stopped before that."""
    tries = 0
    while not stop.is_set():
        try:
            ensure_topics(kafka.bootstrap_servers, kafka.kafka_partitions, kafka.kafka_replication)
            return True
        except KafkaError as error:
            if tries % _REMIND_TRIES == 0:
                servers = kafka.bootstrap_servers
                log.info("event=waiting_for_kafka servers=%s reason=%s", servers, error)
            tries += 1
        stop.wait(_RETRY_SECONDS)
    return False
