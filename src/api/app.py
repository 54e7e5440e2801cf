"""The prediction service: `uvicorn app:app --host 0.0.0.0 --port 5000`, or `python app.py`.

The second form listens on BIND_ADDRESS and API_PORT, with WORKERS processes.
"""

import gc
from typing import TYPE_CHECKING

from core.logs import configure
from core.settings import ApiSettings, DataSettings, MlflowSettings

if TYPE_CHECKING:
    from fastapi import FastAPI


def application() -> "FastAPI":
    """Make the application."""
    from api.anomalies import Scored
    from api.application import create_app
    from api.serving import quiet
    from core.registry.follower import ChampionFollower
    from monitoring.api_metrics import ApiMetrics
    from monitoring.prometheus_metrics import new_registry

    settings, data, uri = ApiSettings(), DataSettings(), MlflowSettings().tracking_uri
    quiet(settings.api_access_log)
    made = create_app(
        ChampionFollower(uri, data.data_origin, settings.api_model_poll_seconds),
        Scored(data.lake, data.data_origin),
        ApiMetrics(new_registry("api")),
        settings,
    )
    gc.collect()
    gc.freeze()  # what the imports made stays; to walk it takes 80 ms
    gc.set_threshold(20_000)  # a batch of 1,000 makes as many objects, and no garbage
    return made


def main() -> None:
    """Serve until told to stop."""
    settings = ApiSettings()
    app = application() if settings.workers == 1 else "api.app:app"
    from api.serving import run

    run(app, settings)


configure("api")
if __name__ == "__main__":
    main()
else:
    app = application()
