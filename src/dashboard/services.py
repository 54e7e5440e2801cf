"""What the callbacks share: the recent rows, the lake, the API, and who is looking at the page."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from core.settings import (
    ApiSettings,
    DashboardSettings,
    DataSettings,
    MlflowSettings,
    TrainerSettings,
)
from dashboard.activity.view import ViewCache
from dashboard.lake.recent import RecentRows
from dashboard.lake.sources import Api, Lake, Trainer
from dashboard.look.theme import Theme
from monitoring.dashboard_metrics import DashboardMetrics
from monitoring.prometheus_metrics import new_registry

VIEWER_SECONDS = 60
"""A browser counts as a viewer for this long after its last request; none says when it leaves."""


@dataclass(frozen=True)
class Viewer:
    """The theme and the time zone of one browser."""

    theme: Theme
    zone: str

    @classmethod
    def from_client(cls, client: dict[str, Any]) -> "Viewer":
        """Read the page's `client` store; an unknown theme becomes dark, an unknown zone UTC."""
        zone = str(client.get("zone") or "UTC")
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            zone = "UTC"
        return cls("light" if client.get("theme") == "light" else "dark", zone)


@dataclass
class Services:
    """The parts of one dashboard; `last_seen` is the time of each browser's last request."""

    origin: str
    recent: RecentRows
    views: ViewCache
    lake: Lake
    api: Api
    trainer: Trainer
    metrics: DashboardMetrics
    explorer_url: str
    mlflow_url: str
    refresh_seconds: float
    last_seen: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.metrics.viewers.set_function(self._count_viewers)

    def record_viewer(self, client: dict[str, Any]) -> None:
        """Count a browser as a viewer for the next minute."""
        now = self.recent.clock().timestamp()
        self.last_seen[str(client.get("id"))[:40]] = now
        for id in [id for id, at in self.last_seen.copy().items() if now - at > VIEWER_SECONDS]:
            self.last_seen.pop(id, None)

    def _count_viewers(self) -> float:
        now = self.recent.clock().timestamp()
        return float(sum(now - at <= VIEWER_SECONDS for at in self.last_seen.copy().values()))


def connect() -> Services:
    """Wire the parts by the settings; nothing is read yet."""
    settings, data, api_settings = DashboardSettings(), DataSettings(), ApiSettings()
    metrics = DashboardMetrics(new_registry("dashboard"))
    key = api_settings.api_key
    api = Api(api_settings.url, key.get_secret_value() if key else None)
    recent = RecentRows(
        Lake(data.lake, data.data_origin),
        api,
        lambda: datetime.now(UTC),
        metrics,
        timedelta(hours=settings.dashboard_cache_hours),
        settings.dashboard_refresh_seconds,
        settings.dashboard_cache_rows,
    )
    trainer_port = TrainerSettings().trainer_metrics_port
    return Services(
        origin=data.data_origin,
        recent=recent,
        views=ViewCache(recent, Lake(data.lake, data.data_origin), settings.dashboard_max_rows),
        lake=Lake(data.lake, data.data_origin),
        api=api,
        trainer=Trainer(settings.dashboard_trainer_url or f"http://localhost:{trainer_port}"),
        metrics=metrics,
        explorer_url=settings.dashboard_explorer_url,
        mlflow_url=settings.dashboard_mlflow_url or MlflowSettings().tracking_uri,
        refresh_seconds=settings.dashboard_refresh_seconds,
    )
