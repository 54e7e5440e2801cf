"""The dashboard: what arrives, what of it is unusual, and why, read from Delta without a JVM.

Run it by `cd src/dashboard && python app.py`, then open http://localhost:8050.
"""

import ctypes
import logging
import signal
import sys
from datetime import UTC, datetime, timedelta

from waitress import serve

from core.logs import configure
from core.settings import (
    ApiSettings,
    BindSettings,
    DashboardSettings,
    DataSettings,
    MlflowSettings,
    TrainerSettings,
)
from dashboard.data import Api, Lake, Trainer
from dashboard.desk import Desk
from dashboard.recent import Recent
from dashboard.server import build
from dashboard.views import Views
from monitoring.dashboard_metrics import DashboardMetrics
from monitoring.prometheus_metrics import new_registry

log = logging.getLogger(__name__)

THREADS = 8
MMAP_THRESHOLD = -3
"""M_MMAP_THRESHOLD of glibc's malloc.h."""


def desk() -> Desk:
    """Wire the parts by the settings; nothing is read yet."""
    settings, data = DashboardSettings(), DataSettings()
    metrics = DashboardMetrics(new_registry("dashboard"))
    lake, api = Lake(data.lake, data.data_origin), _api(ApiSettings())
    keep = timedelta(hours=settings.dashboard_cache_hours)
    every, rows = settings.dashboard_refresh_seconds, settings.dashboard_cache_rows
    recent = Recent(lake, api, lambda: datetime.now(UTC), metrics, keep, every, rows)
    return Desk(
        origin=data.data_origin,
        recent=recent,
        views=Views(recent, Lake(data.lake, data.data_origin), settings.dashboard_max_rows),
        lake=Lake(data.lake, data.data_origin),
        api=api,
        trainer=_trainer(settings),
        metrics=metrics,
        explorer=settings.dashboard_explorer_url,
        mlflow=settings.dashboard_mlflow_url or MlflowSettings().tracking_uri,
        refresh_seconds=every,
    )


def _api(settings: ApiSettings) -> Api:
    key = settings.api_key
    return Api(settings.url, key.get_secret_value() if key else None)


def _trainer(settings: DashboardSettings) -> Trainer:
    port = TrainerSettings().trainer_metrics_port
    return Trainer(settings.dashboard_trainer_url or f"http://localhost:{port}")


def give_memory_back() -> None:
    """Have glibc return large arrays to the system as they are dropped; other C libraries do.

    By itself it keeps up to 32 MB of each: 200 MB with ten viewers.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 262_144)


def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    configure("dashboard")
    give_memory_back()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parts = desk()
    parts.recent.start()
    address, port = BindSettings().bind_address, DashboardSettings().dashboard_port
    log.info("event=serving url=http://%s:%d lake=%s", address, port, parts.lake.uri)
    try:
        serve(build(parts).server, host=address, port=port, threads=THREADS, _quiet=True)
    finally:
        parts.recent.stop()


if __name__ == "__main__":
    main()
