"""What the callbacks share: the rows at hand, the lake, the API, and how a viewer is told apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dashboard.activity.view import Views
from dashboard.lake.recent import Recent
from dashboard.lake.sources import Api, Lake, Trainer
from dashboard.look.theme import Theme
from monitoring.dashboard_metrics import DashboardMetrics

VIEWER_SECONDS = 60


@dataclass(frozen=True)
class Viewer:
    """The theme and the time zone of one browser."""

    theme: Theme
    zone: str

    @classmethod
    def of(cls, client: dict[str, Any]) -> "Viewer":
        """Read what the page says of itself; nonsense becomes dark and UTC."""
        zone = str(client.get("zone") or "UTC")
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            zone = "UTC"
        return cls("light" if client.get("theme") == "light" else "dark", zone)


@dataclass
class Desk:
    """One dashboard's parts; `seen` remembers when each browser asked last."""

    origin: str
    recent: Recent
    views: Views
    lake: Lake
    api: Api
    trainer: Trainer
    metrics: DashboardMetrics
    explorer: str
    mlflow: str
    refresh_seconds: float
    seen: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.metrics.viewers.set_function(self._viewers)

    def saw(self, client: dict[str, Any]) -> None:
        """Count a browser as a viewer for the next minute."""
        now = self.recent.clock().timestamp()
        self.seen[str(client.get("id"))[:40]] = now
        for old in [k for k, t in self.seen.copy().items() if now - t > VIEWER_SECONDS]:
            self.seen.pop(old, None)

    def _viewers(self) -> float:
        """Browsers seen within the last minute: they leave without a word."""
        now = self.recent.clock().timestamp()
        return float(sum(now - at <= VIEWER_SECONDS for at in self.seen.copy().values()))

    @contextmanager
    def timed(self, callback: str) -> Iterator[None]:
        """Measure a callback."""
        with self.metrics.callback_seconds.labels(callback).time():
            yield
