"""The prediction service: `uvicorn app:app --host 0.0.0.0 --port 5000`, or `python app.py`.

`python app.py` listens on BIND_ADDRESS and API_PORT, with as many processes as WORKERS says.
"""

import logging
import os
import signal
import sys
import tempfile
from typing import TYPE_CHECKING

import uvicorn

from core.logs import configure
from core.settings import ApiSettings, BindSettings, DataSettings, MlflowSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

_WORKER_SILENT_SECONDS = 60
"""A worker that is silent for longer is replaced; on a busy machine it takes long to start.

uvicorn waits so long even for one that died with its question unanswered, and obeys no signal then.
"""


def application() -> "FastAPI":
    """Make the application from the settings in the environment."""
    # These imports take 100 MiB, which a process that only starts WORKERS does not need.
    from api.application import create_app
    from api.routes.anomalies import ScoredTable
    from core.casework import CaseworkStore
    from core.registry.follower import ChampionFollower
    from monitoring.api_metrics import ApiMetrics
    from monitoring.prometheus_metrics import new_registry

    settings, data = ApiSettings(), DataSettings()
    if not settings.api_access_log:
        logger = logging.getLogger("uvicorn.access")
        logger.handlers.clear()
        logger.propagate = False
    return create_app(
        ChampionFollower(
            MlflowSettings().tracking_uri, data.data_origin, settings.api_model_poll_seconds
        ),
        ScoredTable(data.lake, data.data_origin),
        CaseworkStore(data.casework, data.data_origin),
        ApiMetrics(new_registry("api")),
        settings,
    )


def main() -> None:
    """Serve until SIGTERM or Ctrl-C; requests in flight are finished, and the exit code is 0."""
    settings = ApiSettings()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again at its end
    with tempfile.TemporaryDirectory(prefix="api-metrics-") as folder:
        if settings.workers > 1:  # prometheus_client reads it in the workers
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        uvicorn.run(
            "api.app:app",
            host=BindSettings().bind_address,
            port=settings.api_port,
            workers=settings.workers,
            loop="uvloop",
            http="api.connection:BoundedConnection",
            log_config=None,
            access_log=settings.api_access_log,
            server_header=False,
            timeout_graceful_shutdown=int(settings.api_request_seconds) + 1,
            timeout_worker_healthcheck=_WORKER_SILENT_SECONDS,
        )


configure("api")
if __name__ == "__main__":
    main()
elif __name__ != "__mp_main__":  # multiprocessing imports this script by that name in a worker
    app = application()
