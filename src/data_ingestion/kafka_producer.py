"""The producer's door: follows the source and publishes to Kafka until SIGTERM, then exits 0.

    cd src/data_ingestion && python kafka_producer.py

Asks Blockchain.com, or whatever BLOCKCHAIN_API_URL names, and waits for a broker that is not there.
"""

import logging
import signal
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
from data_ingestion.assembly import Producer
from monitoring.producer_metrics import ProducerMetrics
from monitoring.prometheus_metrics import new_registry


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    logs.configure("producer")
    # The library says the same of a missing broker five times a second; the delivery says it once.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings = ProducerSettings()
    producer = Producer(
        SourceSettings(),
        settings,
        KafkaSettings(),
        DataSettings().data_dir / "producer",
        stop,
        ProducerMetrics(new_registry("producer")),
    )
    producer.start(BindSettings().bind_address, settings.producer_metrics_port)
    producer.watch()
    sys.exit(producer.end())


if __name__ == "__main__":
    main()
