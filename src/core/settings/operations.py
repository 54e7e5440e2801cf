"""Settings of the services that watch the others."""

from pydantic import Field

from core.settings.base import Settings


class PrometheusSettings(Settings):
    """Prometheus and Grafana, as they are published on the host."""

    prometheus_port: int = Field(9090, description="Port of Prometheus")
    grafana_port: int = Field(3000, description="Port of Grafana (Docker only)")
    grafana_admin_password: str = Field(
        "admin", description="Password of Grafana's user admin (Docker only)"
    )
    alert_webhook_url: str = Field(
        "http://127.0.0.1:9/",
        description="Where Grafana posts alerts (Docker only; by default nobody listens there)",
    )
