"""The application, put together from what it is given: nothing here touches the network."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from threading import Thread

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from api.anomalies import Scored
from api.documentation import add_documentation
from api.entrance import Entrance
from api.in_service import Follower
from api.key import HEADER, Key
from api.lake_routes import add_lake_routes
from api.limits import Limits, UnderWay
from api.problems import on_http_exception, on_invalid_query
from api.pulse import Pulse
from api.routes import prediction_routes
from api.service import Service
from api.service_routes import add_service_routes
from core.settings import ApiSettings
from monitoring.api_metrics import UNMATCHED, ApiMetrics

_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
_STOP_SECONDS = 5


def create_app(
    follower: Follower, scored: Scored, metrics: ApiMetrics, settings: ApiSettings
) -> FastAPI:
    """Make the application; it follows the champion from its start to its end."""
    pulse = Pulse(UnderWay(), follower, metrics, settings)
    app = Service(
        _around(pulse, settings),
        title="Bitcoin anomaly detection",
        version=version("bitcoin-anomaly-detection"),
        docs_url=None,
        redoc_url=None,
        lifespan=lambda _: _life(follower, pulse),
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        exception_handlers={
            HTTPException: on_http_exception,
            RequestValidationError: on_invalid_query,
        },
    )
    app.router.routes[:0] = prediction_routes(follower, metrics, settings)
    add_service_routes(app.router, follower, pulse.scrape, time.time)
    add_lake_routes(app.router, scored, time.time)
    add_documentation(app, settings)
    metrics.know(_routes(app))
    return app


@asynccontextmanager
async def _life(follower: Follower, pulse: Pulse) -> AsyncIterator[None]:
    follower.start()
    beating = asyncio.create_task(pulse.beat_on())
    yield
    beating.cancel()
    pulse.beat()
    stopping = Thread(target=follower.stop, daemon=True)  # it may be waiting for MLflow
    stopping.start()
    await asyncio.to_thread(stopping.join, _STOP_SECONDS)


def _around(pulse: Pulse, settings: ApiSettings) -> Callable[[ASGIApp], ASGIApp]:
    """What every request passes before it is answered, from the outside in."""

    def wrap(app: ASGIApp) -> ASGIApp:
        app = Limits(app, pulse.under_way, settings)
        if settings.api_key is not None:
            app = Key(app, settings.api_key.get_secret_value())
        if settings.cors_origins:
            headers = ["Content-Type", HEADER]
            app = CORSMiddleware(app, settings.cors_origins, ["GET", "POST"], headers)
        return Entrance(app, pulse.metrics)

    return wrap


def _routes(app: FastAPI) -> list[tuple[str, list[int]]]:
    """Every path and the statuses that its description names."""
    return [(UNMATCHED, [404])] + [
        (path, [int(status) for status in operation["responses"]])
        for path, operations in app.openapi()["paths"].items()
        for operation in operations.values()
    ]
