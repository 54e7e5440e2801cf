"""What the callbacks share: the recent rows, the lake, the API, and who is looking at the page."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import has_request_context, request
from pydantic import SecretStr

from core.background import BackgroundLoop
from core.cases import CaseBook
from core.casework import CaseworkStore
from core.mutes import MutesReader
from core.proxy_names import ProxyNames
from core.settings import (
    ApiSettings,
    CaseworkSettings,
    DashboardSettings,
    DataSettings,
    MlflowSettings,
    ProducerSettings,
    StreamSettings,
    TrainerSettings,
)
from dashboard.activity.export import Exports
from dashboard.activity.view import ViewCache
from dashboard.lake.opinions import OpinionsReader
from dashboard.lake.parts import Parts
from dashboard.lake.recent import RecentRows
from dashboard.lake.sources import Api, Lake, Trainer
from dashboard.look.theme import Theme
from monitoring.dashboard_metrics import LOOPS, DashboardMetrics
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
    cases: CaseBook
    api: Api
    trainer: Trainer
    metrics: DashboardMetrics
    explorer_url: str
    mlflow_url: str
    refresh_seconds: float
    exports: Exports
    casework: CaseworkStore
    password: str | None = None
    path_prefix: str = "/"
    grafana_url: str | None = None
    names: ProxyNames = field(default_factory=ProxyNames)
    last_seen: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.metrics.viewers.set_function(self._count_viewers)
        steps = (self.recent.refresh, self.recent.parts.check, self._summarize_past)
        self.loops = [
            BackgroundLoop(name, step, self.refresh_seconds)
            for name, step in zip(LOOPS, steps, strict=True)
        ]
        for loop in self.loops:
            loop.on_turn = self.metrics.turn_recorder(loop.name)

    def start(self) -> None:
        """Begin to follow the lake and the other parts in the background."""
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        """End the background work."""
        for loop in self.loops:
            loop.stop(timeout=10)

    def faults(self) -> list[str]:
        """Why the page is not up to date, in words; empty while it is."""
        problem = self.recent.snapshot.problem
        late = [loop.lateness for loop in self.loops if loop.lateness]
        return late + ([problem] if problem else [])

    def _summarize_past(self) -> None:
        """One more past day each time, so that a long range is ready when it is asked for."""
        muted = self.recent.snapshot.opinions.muting.condition
        self.views.long_ranges.warm(self.recent.clock(), muted)

    def viewer_name(self) -> str | None:
        """The name that a trusted proxy gives in the request that is answered; None without one."""
        if not has_request_context():  # the page is made once before any request
            return None
        return self.names.name(request.headers.get(self.names.header), request.remote_addr)

    def author(self, typed: object) -> str | None:
        """Who signs what is written: the proxy's name, else the one that was typed, else None."""
        return self.viewer_name() or str(typed or "").strip() or None

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
    key = settings.dashboard_api_key or api_settings.api_key
    api = Api(api_settings.url, _secret(key))
    urls = _urls(settings) | {"API": api_settings.url}
    open_lake = partial(Lake, data.lake, data.data_origin)
    casework = CaseworkStore(data.casework, data.data_origin)
    recent = RecentRows(
        open_lake(),
        api,
        Parts(urls, lambda: datetime.now(UTC)),
        lambda: datetime.now(UTC),
        metrics,
        timedelta(hours=settings.dashboard_cache_hours),
        settings.dashboard_cache_rows,
        OpinionsReader(casework, MutesReader(casework)),
    )
    return Services(
        origin=data.data_origin,
        recent=recent,
        views=ViewCache(recent, open_lake()),
        lake=open_lake(),
        cases=CaseBook(CaseworkStore(data.casework, data.data_origin)),
        api=api,
        trainer=Trainer(urls["trainer"]),
        metrics=metrics,
        explorer_url=settings.dashboard_explorer_url,
        mlflow_url=settings.dashboard_mlflow_url or MlflowSettings().tracking_uri,
        refresh_seconds=settings.dashboard_refresh_seconds,
        exports=Exports(
            open_lake, monotonic, settings.dashboard_exports, settings.dashboard_export_seconds
        ),
        password=_secret(settings.dashboard_password),
        path_prefix=settings.dashboard_path_prefix,
        grafana_url=settings.dashboard_grafana_url,
        casework=casework,
        names=ProxyNames(settings.dashboard_author_header, settings.dashboard_trusted_proxies),
    )


def _urls(settings: DashboardSettings) -> dict[str, str]:
    """Where the parts with metrics of their own answer, by the part's name."""
    parts = {
        "producer": (settings.dashboard_producer_url, ProducerSettings().producer_metrics_port),
        "stream": (settings.dashboard_stream_url, StreamSettings().stream_metrics_port),
        "trainer": (settings.dashboard_trainer_url, TrainerSettings().trainer_metrics_port),
        "casework": (settings.dashboard_casework_url, CaseworkSettings().casework_metrics_port),
    }
    return {name: url or f"http://localhost:{port}" for name, (url, port) in parts.items()}


def _secret(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None
