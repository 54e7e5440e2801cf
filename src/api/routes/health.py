"""The routes about the service itself: is it alive, is it ready, its model, its metrics."""

import time
from typing import Any

from fastapi import APIRouter, HTTPException, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.errors import error_responses
from api.going_rate import GoingRate
from api.heartbeat import Heartbeat, trained_timestamp
from api.schemas import Health, MarketNow, ModelDescription, Readiness
from api.scoring import Follower, current_champion
from core.detector.champion import Champion
from core.detector.rules import RULES
from core.feature_table import FEATURES
from core.market import Market
from core.registry.follower import ALIAS, MODEL_NAME

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "As text", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


def add_health_routes(
    router: APIRouter, follower: Follower, heartbeat: Heartbeat, rate: GoingRate
) -> None:
    """Add the routes."""

    @router.get("/health", responses=error_responses(500), tags=["service"])
    async def health() -> Health:
        """Say that the process answers, whether or not there is a model."""
        return {"status": "ok"}

    @router.get("/ready", responses=error_responses(500, 503), tags=["service"])
    async def ready() -> Readiness:
        """Say whether there is a model to score with, which one, and how old it is."""
        champion = current_champion(follower)
        if late := heartbeat.lateness:
            raise HTTPException(503, f"The service is stuck: {late}.")
        return {
            "status": "ready",
            "model_version": champion.version,
            "trained_at": champion.calibration.trained_at,
            "model_age_seconds": max(0.0, time.time() - trained_timestamp(champion)),
            "problem": follower.problem,
        }

    @router.get("/model", responses=error_responses(401, 500, 503), tags=["service"])
    async def model() -> ModelDescription:
        """Describe the model in service: data, features, threshold, budget, evaluation."""
        return _description(current_champion(follower), rate.current)

    @router.get(
        "/metrics",
        response_class=Response,
        responses=_TEXT | error_responses(500),
        tags=["service"],
    )
    async def prometheus() -> Response:
        """Return every metric, for Prometheus."""
        return Response(heartbeat.scrape(), media_type=CONTENT_TYPE_LATEST)


def _description(champion: Champion, market: Market | None) -> ModelDescription:
    calibration = champion.calibration
    return {
        "name": MODEL_NAME,
        "version": champion.version,
        "alias": ALIAS,
        "trained_at": calibration.trained_at,
        "origin": calibration.origin,
        "rows": calibration.rows,
        "threshold": calibration.threshold,
        "budget": calibration.budget,
        "features": [
            {
                "name": feature.name,
                "words": feature.words,
                "formula": feature.formula,
                "unit": feature.unit,
                "source": feature.source,
                "beside_market": feature.beside_market,
                "usual_low": calibration.usual[feature.name][0],
                "usual_high": calibration.usual[feature.name][1],
            }
            for feature in FEATURES
        ],
        "rules": [
            {"name": rule.name, "words": rule.words, "source": rule.source} for rule in RULES
        ],
        "market": None if market is None else _market(market),
        "facts": dict(calibration.facts),
    }


def _market(market: Market) -> MarketNow:
    return {
        "fee_rate": market.fee_rate,
        "low": market.low,
        "high": market.high,
        "rows": market.rows,
        "as_of": market.minute.isoformat(),
    }
