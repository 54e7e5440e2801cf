"""Settings of the dashboard."""

from pydantic import Field

from core.settings.base import Settings


class DashboardSettings(Settings):
    """The dashboard."""

    dashboard_port: int = Field(8050, description="Port of the dashboard")
