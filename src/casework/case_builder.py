"""The door of the casework service: makes cases of the flags on Kafka, until SIGTERM.

    cd src/casework && python case_builder.py

A missing broker is waited for.
"""

import logging
import sys

from casework.service import run
from core import logs
from core.lake import OriginMismatchError
from core.settings import BindSettings, CaseworkSettings, DataSettings, KafkaSettings
from monitoring.casework_metrics import CaseworkMetrics
from monitoring.prometheus_metrics import new_registry, serve

log = logging.getLogger(__name__)


def main() -> None:
    """Run until SIGTERM or Ctrl-C, then exit with 0."""
    logs.configure("casework")
    # The library reports a missing broker several times a second; the service does once a minute.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    port = CaseworkSettings().casework_metrics_port
    metrics = CaseworkMetrics(new_registry("casework"))
    try:
        serve(metrics.registry, BindSettings().bind_address, port)
        run(DataSettings(), KafkaSettings(), metrics)
    except (OSError, OriginMismatchError) as error:
        log.error("event=casework_not_started port=%d reason=%s", port, error)
        sys.exit(1)


if __name__ == "__main__":
    main()
