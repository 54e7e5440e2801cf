"""The dashboard: what arrives, what of it is unusual, and why, read from Delta without a JVM.

Run it by `cd src/dashboard && python app.py`, then open http://localhost:8050.
"""

import ctypes
import logging
import signal
import sys

from core.logs import configure
from core.settings import BindSettings, DashboardSettings
from dashboard.server import web_server
from dashboard.services import connect

log = logging.getLogger(__name__)

LENT_KEY = (
    "whoever opens the dashboard scores and changes the watch list with its key of the API:"
    " set DASHBOARD_PASSWORD, or let a proxy ask who it is"
)
M_MMAP_THRESHOLD = -3
"""The option's number in glibc's malloc.h."""
MMAP_THRESHOLD_BYTES = 262_144


def return_large_arrays() -> None:
    """Have glibc return large arrays to the system as soon as they are freed.

    By default it keeps up to 32 MB of each: 200 MB with ten viewers. Other C libraries return them.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    configure("dashboard")
    return_large_arrays()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    services = connect()
    address, port = BindSettings().bind_address, DashboardSettings().dashboard_port
    server = web_server(services, address, port)
    services.start()
    url = f"http://{address}:{port}{services.path_prefix}"
    log.info("event=dashboard_started url=%s lake=%s", url, services.lake.uri)
    if services.api.key and not services.password:
        log.warning("event=api_key_lent remedy=%r", LENT_KEY)
    try:
        server.run()
    finally:
        services.stop()


if __name__ == "__main__":
    main()
