"""The stream: every transaction published to Kafka, once in each table, scored within seconds.

    python spark_streaming.py
    spark-submit --packages io.delta:delta-spark_4.2_2.13:4.4.0,\
org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0 spark_streaming.py

Ends with 0 on SIGTERM, after the running micro-batch; with 1 and a last line that says why when the
query fails or the lake is not to be written.
"""

import logging
import signal
import sys
import threading

from core import logs
from core.registry import ChampionFollower
from core.settings import BindSettings, DataSettings, KafkaSettings, MlflowSettings, StreamSettings
from data_processing.assembly import Place, assemble, start, wait_for_topics
from data_processing.failure import last_line
from data_processing.session import start_session
from monitoring.prometheus_metrics import StreamMetrics, new_registry, serve

log = logging.getLogger(__name__)


def main() -> None:
    """Run until SIGTERM or a failure."""
    logs.configure("stream")
    # kafka-python tells of each attempt to reach a broker that is away; the stream says it once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    place = Place(StreamSettings(), DataSettings(), KafkaSettings())
    bind = BindSettings().bind_address
    stop = threading.Event()
    # Ignored while Java starts: it inherits that, and a signal to all ends Python's part first.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    spark = start_session(place.stream, bind)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    metrics = StreamMetrics(new_registry("stream"))
    follower = ChampionFollower(
        MlflowSettings().tracking_uri, place.data.data_origin, place.stream.champion_poll_seconds
    )
    try:
        serve(metrics.registry, bind, place.stream.stream_metrics_port)
        follower.start()
        if wait_for_topics(place.kafka, stop):
            stream = assemble(spark, place, follower, metrics, stop)
            stream.run(start(stream, spark, place))
    except Exception as error:  # whatever it is, the last line says it
        log.critical("stream failed: %s", last_line(error))
        sys.exit(1)
    log.info("stream stopped on request")


if __name__ == "__main__":
    main()
