"""The producer's door: polls the source and publishes to Kafka until SIGTERM, then exits with 0.

    cd src/data_ingestion && python kafka_producer.py

The source is Blockchain.com, or the address in BLOCKCHAIN_API_URL. A missing broker is waited for.
"""

import logging
import signal
import sqlite3
import sys
from threading import Event

from core import logs
from core.settings import (
    BindSettings,
    DataSettings,
    KafkaSettings,
    ProducerSettings,
    SourceSettings,
)
from core.unfinished_restore import unfinished_restore
from data_ingestion.producer import Producer
from monitoring.producer_metrics import ProducerMetrics
from monitoring.prometheus_metrics import new_registry

log = logging.getLogger(__name__)


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    logs.configure("producer")
    # The library reports a missing broker five times a second; kafka_delivery does once a minute.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings = ProducerSettings()
    folder = DataSettings().data_dir / "producer"
    metrics = ProducerMetrics(new_registry("producer"))
    try:
        if (reason := unfinished_restore(folder)) is not None:
            raise OSError(reason)
        producer = Producer(SourceSettings(), settings, KafkaSettings(), folder, stop, metrics)
        producer.start(BindSettings().bind_address, settings.producer_metrics_port)
    except (OSError, sqlite3.Error) as error:
        # Its port is taken, or its folder cannot be used.
        port = settings.producer_metrics_port
        log.error("event=producer_not_started folder=%s port=%d reason=%s", folder, port, error)
        sys.exit(1)
    producer.wait()
    sys.exit(producer.shut_down())


if __name__ == "__main__":
    main()
