"""Settings of the dashboard."""

from pydantic import Field

from core.settings.base import Settings


class DashboardSettings(Settings):
    """The dashboard."""

    dashboard_port: int = Field(8050, description="Port of the dashboard")
    dashboard_refresh_seconds: float = Field(
        5, ge=1, le=600, description="How often the dashboard reads the lake and updates the page"
    )
    dashboard_cache_hours: float = Field(
        25, ge=1, le=24 * 31, description="Hours of scored transactions the dashboard keeps at hand"
    )
    dashboard_cache_rows: int = Field(
        1_500_000, ge=10_000, description="Most scored transactions kept at hand, the newest ones"
    )
    dashboard_max_rows: int = Field(
        5_000_000,
        ge=10_000,
        description="Most rows one view beyond those at hand reads, the newest ones",
    )
    dashboard_explorer_url: str = Field(
        "https://mempool.space/tx/", description="Public block explorer; a hash is appended to it"
    )
    dashboard_trainer_url: str | None = Field(
        None,
        description="The trainer's metrics, for drift (default: localhost on TRAINER_METRICS_PORT)",
    )
    dashboard_mlflow_url: str | None = Field(
        None, description="MLflow as the viewer's browser reaches it (default: MLFLOW_TRACKING_URI)"
    )
