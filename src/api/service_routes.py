"""The routes about the service itself: the process, the model, the metrics."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.in_service import Follower, champion_of
from api.problems import responses
from api.schemas import FeatureUsed, Health, ModelDescription, Readiness
from core.detector.champion import Champion
from core.feature_table import FEATURES
from core.registry.follower import ALIAS, MODEL_NAME

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "As text", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


def add_service_routes(
    router: APIRouter,
    follower: Follower,
    scrape: Callable[[], bytes],
    now: Callable[[], float],
) -> None:
    """Add the routes; `scrape` writes the metrics, `now` is the time in Unix seconds."""

    @router.get("/health", responses=responses(500), tags=["service"])
    async def health() -> Health:
        """Say that the process answers, whether or not there is a model."""
        return {"status": "ok"}

    @router.get("/ready", responses=responses(500, 503), tags=["service"])
    async def ready() -> Readiness:
        """Say whether there is a model to score with, which one, and how old it is."""
        champion = champion_of(follower)
        return {
            "status": "ready",
            "model_version": champion.version,
            "trained_at": champion.calibration.trained_at,
            "model_age_seconds": max(0.0, now() - trained(champion)),
            "problem": follower.problem,
        }

    @router.get("/model", responses=responses(401, 500, 503), tags=["service"])
    async def model() -> ModelDescription:
        """Describe the model in service: data, features, threshold, budget, evaluation."""
        return _description(champion_of(follower))

    @router.get(
        "/metrics", response_class=Response, responses=_TEXT | responses(500), tags=["service"]
    )
    async def prometheus() -> Response:
        """Tell every metric, for Prometheus."""
        return Response(scrape(), media_type=CONTENT_TYPE_LATEST)


def trained(champion: Champion) -> float:
    """When a champion was trained, in Unix seconds."""
    return datetime.fromisoformat(champion.calibration.trained_at).timestamp()


def _description(champion: Champion) -> ModelDescription:
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
        "features": _features(champion),
        "facts": dict(calibration.facts),
    }


def _features(champion: Champion) -> list[FeatureUsed]:
    usual = champion.calibration.usual
    return [
        {
            "name": feature.name,
            "words": feature.words,
            "formula": feature.formula,
            "unit": feature.unit,
            "source": feature.source,
            "usual_low": usual[feature.name][0],
            "usual_high": usual[feature.name][1],
        }
        for feature in FEATURES
    ]
