"""The application, put together from its parts; nothing here touches the network."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import version
from threading import Thread

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from api.callers import API_KEY_HEADER, Callers
from api.connection import CLOSING
from api.docs_page import add_documentation
from api.errors import on_http_exception, on_invalid_query
from api.flag_feed import FlagFeed
from api.going_rate import GoingRate
from api.heartbeat import Heartbeat
from api.lake_reads import LakeReads
from api.middleware import (
    CallerMiddleware,
    LimitMiddleware,
    RequestMiddleware,
    RequestsInFlight,
)
from api.routes.anomalies import ScoredTable, add_anomaly_routes
from api.routes.anomaly_stream import add_stream_route
from api.routes.case_routes import add_case_routes
from api.routes.health import add_health_routes
from api.routes.ledger import add_ledger_routes
from api.routes.mark_routes import add_mark_routes
from api.routes.mute_routes import add_mute_routes
from api.routes.predictions import prediction_routes
from api.routes.reports import add_report_routes
from api.routes.scored_lists import add_list_routes
from api.routes.watching import add_watch_list_routes
from api.scoring import Follower
from core.casework import CaseworkStore
from core.mutes import MutesReader
from core.open_tables import OpenTables
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
    rate, in_flight = GoingRate(scored.lake, scored.origin), RequestsInFlight()
    closing = asyncio.Event()
    rate.loop.on_turn = metrics.turn_recorder(rate.loop.name)
    heartbeat = Heartbeat(in_flight, follower, metrics, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, object]]:
        follower.start()
        rate.loop.start()
        beating = asyncio.create_task(heartbeat.run())
        with _long_lived_objects_set_apart():
            yield {CLOSING: closing}
        beating.cancel()
        await asyncio.to_thread(rate.loop.stop, _STOP_SECONDS)
        await asyncio.to_thread(_stop, follower)

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
    reads = LakeReads("lists")  # beside the one of /anomalies/recent
    mutes = MutesReader(casework)
    feed = FlagFeed(scored, mutes, reads, metrics, closing, settings)
    add_stream_route(app.router, feed, in_flight)
    _add_lake_routes(app.router, scored, mutes, reads, in_flight)
    _add_casework_routes(app.router, follower, scored, casework, metrics, settings)
    add_documentation(app, settings)
    metrics.declare_routes(_documented_statuses(app))
    return app


def _add_lake_routes(
    router: APIRouter,
    scored: ScoredTable,
    mutes: MutesReader,
    reads: LakeReads,
    in_flight: RequestsInFlight,
) -> None:
    """Add the routes that answer from the lake."""
    add_anomaly_routes(router, scored, mutes)
    add_list_routes(router, scored, mutes, reads, in_flight)
    add_ledger_routes(router, OpenTables(scored.lake, scored.origin), reads)


def _add_casework_routes(
    router: APIRouter,
    follower: Follower,
    scored: ScoredTable,
    casework: CaseworkStore,
    metrics: ApiMetrics,
    settings: ApiSettings,
) -> None:
    """Add the routes about what people write."""
    add_case_routes(router, casework)
    add_mark_routes(router, scored, casework, metrics)
    add_mute_routes(router, casework)
    add_watch_list_routes(router, scored.lake, casework, settings)
    add_report_routes(router, scored.lake, casework, follower)


def _stop(follower: Follower) -> None:
    """Stop it, and wait some seconds for that: it may be waiting for MLflow."""
    stopping = Thread(target=follower.stop, daemon=True)
    stopping.start()
    stopping.join(_STOP_SECONDS)


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
                allow_methods=["GET", "POST", "DELETE"],
                allow_headers=["Content-Type", "Last-Event-ID", API_KEY_HEADER],
                expose_headers=["Link"],
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
