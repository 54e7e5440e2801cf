"""How every service logs: one line an event, UTC time, facts as `key=value` in the message.

A line reads `2026-11-23T10:00:00.000Z INFO producer published count=100`; whatever holds a line
break (a traceback, say) is escaped, so that one event stays one line.
"""

import logging
import time

from core.settings import LogSettings

_QUIET = ("kafka", "py4j", "urllib3", "alembic", "mlflow.store", "httpx", "werkzeug")


class _OneLine(logging.Formatter):
    @staticmethod
    def converter(seconds: float | None) -> time.struct_time:
        """UTC, so that the lines of machines in different places sort together."""
        return time.gmtime(seconds)

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\r", "\\r").replace("\n", "\\n")


def configure(service: str) -> None:
    """Send this process's log to standard error, from LOG_LEVEL up; libraries warn only."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        _OneLine(
            f"%(asctime)s.%(msecs)03dZ %(levelname)s {service} %(message)s", "%Y-%m-%dT%H:%M:%S"
        )
    )
    logging.basicConfig(level=LogSettings().log_level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
