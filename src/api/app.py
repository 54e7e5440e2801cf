"""The prediction service: `uvicorn app:app --host 0.0.0.0 --port 5000`, or `python app.py`.

The second form listens on BIND_ADDRESS and API_PORT, with WORKERS processes.
"""

from api.anomalies import Scored
from api.application import create_app
from api.serving import quiet, run
from core.logs import configure
from core.registry import ChampionFollower
from core.settings import ApiSettings, DataSettings, MlflowSettings
from monitoring.prometheus_metrics import ApiMetrics, new_registry

configure("api")
settings, data = ApiSettings(), DataSettings()
quiet(settings.api_access_log)
app = create_app(
    ChampionFollower(
        MlflowSettings().tracking_uri, data.data_origin, settings.api_model_poll_seconds
    ),
    Scored(data.lake, data.data_origin),
    ApiMetrics(new_registry("api")),
    settings,
)


def main() -> None:
    """Serve until told to stop."""
    run(app, settings)


if __name__ == "__main__":
    main()
