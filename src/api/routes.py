"""The routes that score: one transaction, many, or one as Blockchain.com returns it."""

from anyio import CapacityLimiter, to_thread

from api.direct import DirectRoute
from api.in_service import Follower, champion_of
from api.predictions import predict, predict_batch
from api.problems import responses
from api.raw import RawTransactionBody, read_raw
from api.schemas import Batch, Prediction, Predictions, SubmittedTransaction, batch_of
from core.settings import ApiSettings
from monitoring.api_metrics import ApiMetrics

_ERRORS = responses(400, 401, 413, 415, 422, 500, 503)
_BATCHES_AT_ONCE = 2


def prediction_routes(
    follower: Follower, metrics: ApiMetrics, settings: ApiSettings
) -> list[DirectRoute]:
    """The routes, over the model that `follower` has at the moment of each request."""
    makers = (_single, _batch, _raw)
    return [make(follower, metrics, settings) for make in makers]


def _single(follower: Follower, metrics: ApiMetrics, settings: ApiSettings) -> DirectRoute:
    async def predict_one(transaction: SubmittedTransaction) -> Prediction:
        """Score one transaction and say why: amounts in satoshi, size in bytes."""
        made = predict(champion_of(follower), transaction)
        metrics.scored(1, made["is_anomaly"])
        return made

    return DirectRoute(
        "/predict",
        predict_one,
        settings.api_max_body_bytes,
        summary="Score one transaction",
        responses=_ERRORS,
        tags=["predictions"],
    )


def _batch(follower: Follower, metrics: ApiMetrics, settings: ApiSettings) -> DirectRoute:
    limiter = CapacityLimiter(_BATCHES_AT_ONCE)

    async def predict_many(batch: Batch) -> Predictions:
        """Score many transactions; the predictions come in the same order."""
        champion = champion_of(follower)
        made = await to_thread.run_sync(
            predict_batch,
            champion,
            batch.transactions,
            batch.reasons,
            limiter=limiter,
            abandon_on_cancel=True,
        )
        metrics.scored(len(made), sum(each["is_anomaly"] for each in made))
        return {"predictions": made, "model_version": champion.version}

    predict_many.__annotations__["batch"] = batch_of(settings.api_max_batch)
    return DirectRoute(
        "/predict/batch",
        predict_many,
        settings.api_max_body_bytes,
        summary="Score many transactions",
        responses=_ERRORS,
        tags=["predictions"],
    )


def _raw(follower: Follower, metrics: ApiMetrics, settings: ApiSettings) -> DirectRoute:
    async def predict_raw(transaction: RawTransactionBody) -> Prediction:
        """Score one transaction as Blockchain.com returns it, with all that its JSON tells."""
        made = predict(champion_of(follower), transaction)
        metrics.scored(1, made["is_anomaly"])
        return made

    return DirectRoute(
        "/predict/raw",
        predict_raw,
        settings.api_max_body_bytes,
        read_raw,
        summary="Score one transaction of Blockchain.com",
        responses=_ERRORS,
        tags=["predictions"],
    )
