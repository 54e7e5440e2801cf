"""The stream as a process: starts Spark, runs until it is told to stop, says how it ended."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from py4j.protocol import Py4JError

from core.registry.follower import ChampionFollower
from data_processing.assembly import Place, assemble, start, wait_for_topics
from data_processing.failure import last_line
from data_processing.session import start_session
from monitoring.prometheus_metrics import new_registry, serve
from monitoring.stream_metrics import StreamMetrics

log = logging.getLogger(__name__)


def run(place: Place, address: str, follower: ChampionFollower) -> int:
    """Run until SIGTERM, SIGINT or a failure; the process's exit code, 0 when it was told to stop.

    The metrics and the Spark UI listen on `address`.
    """
    stop = threading.Event()
    with _java_deaf_to(signal.SIGTERM):
        spark = start_session(place.stream, address)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    metrics = StreamMetrics(new_registry("stream"))
    try:
        serve(metrics.registry, address, place.stream.stream_metrics_port)
        follower.start()
        if wait_for_topics(place.kafka, stop):
            stream = assemble(spark, place, follower, metrics, stop)
            stream.run(start(stream, spark, place))
    except Exception as error:  # whatever it is, the last line says it
        if not stop.is_set():
            with suppress(Py4JError):  # Java may have ended; its traces would come after that line
                spark.sparkContext.setLogLevel("OFF")
            log.critical("stream failed: %s", last_line(error))
            return 1
        log.warning("cut off while stopping, the next start mends it: %s", last_line(error))
    log.info("stream stopped on request")
    return 0


@contextmanager
def _java_deaf_to(number: signal.Signals) -> Iterator[None]:
    """Let processes started meanwhile, and theirs, never see a signal; it waits for this one.

    A signal to the whole group would end Java and the workers in the middle of a micro-batch.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
