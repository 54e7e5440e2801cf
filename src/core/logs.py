"""The log format of every service: one line per event, written to standard error.

A line has a UTC time, the level, the service, and a message of `key=value` pairs:

    2026-11-23T10:00:00.000Z INFO producer event=page_published records=100

The message starts with `event=` and a name in snake_case, which operators search for. Values are
numbers or single words, except the last: `reason=` takes free text to the end of the line. A line
break within a message (in a traceback, say) is escaped, so that one event stays one line.
"""

import logging
import time

from core.settings import LogSettings

_QUIET = ("kafka", "py4j", "urllib3", "alembic", "mlflow.store", "httpx", "werkzeug")


class _OneLine(logging.Formatter):
    @staticmethod
    def converter(seconds: float | None) -> time.struct_time:
        """UTC, so that lines of machines in different time zones sort together."""
        return time.gmtime(seconds)

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\r", "\\r").replace("\n", "\\n")


def configure(service: str) -> None:
    """Log to standard error from LOG_LEVEL up; for libraries, warnings and errors only."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        _OneLine(
            f"%(asctime)s.%(msecs)03dZ %(levelname)s {service} %(message)s", "%Y-%m-%dT%H:%M:%S"
        )
    )
    logging.basicConfig(level=LogSettings().log_level, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
