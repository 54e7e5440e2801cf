"""The application, put together from its parts; nothing here touches the network."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from threading import Thread

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from api.callers import API_KEY_HEADER, Callers
from api.docs_page import add_documentation
from api.errors import on_http_exception, on_invalid_query
from api.going_rate import GoingRate
from api.heartbeat import Heartbeat
from api.middleware import (
    CallerMiddleware,
    LimitMiddleware,
    RequestMiddleware,
    RequestsInFlight,
)
from api.routes.anomalies import ScoredTable, add_anomaly_routes
from api.routes.case_routes import add_case_routes
from api.routes.health import add_health_routes
from api.routes.predictions import prediction_routes
from api.routes.reports import add_report_routes
from api.scoring import Follower
from core.casework import CaseworkStore
from core.settings import ApiSettings
from monitoring.api_metrics import ApiMetrics

_STOP_SECONDS = 5
_YOUNG_OBJECTS = 20_000
"""New objects from which the collector looks at them: a batch of 1,000 makes about as many."""


def create_app(
    follower: Follower,
    scored: ScoredTable,
    casework: CaseworkStore,
    metrics: ApiMetrics,
    settings: ApiSettings,
) -> FastAPI:
    """Make the application, which starts and stops what follows the champion and the market."""
    rate = GoingRate(scored.lake, scored.origin)
    in_flight = RequestsInFlight()
    rate.loop.on_turn = metrics.turn_recorder(rate.loop.name)
    heartbeat = Heartbeat(in_flight, follower, metrics, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        follower.start()
        rate.loop.start()
        beating = asyncio.create_task(heartbeat.run())
        with _long_lived_objects_set_apart():
            yield
        beating.cancel()
        await asyncio.to_thread(rate.loop.stop, _STOP_SECONDS)
        stopping = Thread(target=follower.stop, daemon=True)  # it may be waiting for MLflow
        stopping.start()
        await asyncio.to_thread(stopping.join, _STOP_SECONDS)

    app = FastAPI(
        title="Bitcoin anomaly detection",
        version=version("bitcoin-anomaly-detection"),
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},
        middleware=_middleware(in_flight, metrics, settings),
        exception_handlers={
            HTTPException: on_http_exception,
            RequestValidationError: on_invalid_query,
        },
    )
    # The busiest routes first.
    app.router.routes[:0] = prediction_routes(follower, rate, metrics, settings)
    add_health_routes(app.router, follower, heartbeat, rate)
    add_anomaly_routes(app.router, scored)
    add_case_routes(app.router, casework)
    add_report_routes(app.router, scored.lake, casework)
    add_documentation(app, settings)
    metrics.declare_routes(_documented_statuses(app))
    return app


@contextmanager
def _long_lived_objects_set_apart() -> Iterator[None]:
    """Keep what the application is made of out of garbage collections while it serves.

    Those hundred thousand objects are never garbage, and large batches would make the collector go
    through them again and again.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _middleware(
    in_flight: RequestsInFlight, metrics: ApiMetrics, settings: ApiSettings
) -> list[Middleware]:
    """List what every request passes, from the outside in."""
    chain = [Middleware(RequestMiddleware, metrics, settings.api_root_path)]
    if settings.cors_origins:
        chain.append(
            Middleware(
                CORSMiddleware,
                allow_origins=settings.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Content-Type", API_KEY_HEADER],
            )
        )
    callers = Callers(settings)
    if callers.key_needed or settings.api_author_header:
        chain.append(Middleware(CallerMiddleware, callers))
    return [*chain, Middleware(LimitMiddleware, in_flight, settings)]


def _documented_statuses(app: FastAPI) -> dict[str, list[int]]:
    """Read from the OpenAPI document which statuses each path can answer."""
    return {
        path: [int(status) for each in operations.values() for status in each["responses"]]
        for path, operations in app.openapi()["paths"].items()
    }
