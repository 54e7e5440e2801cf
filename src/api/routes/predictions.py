"""The routes that score: one transaction, many, or one as Blockchain.com returns it.

Their route class hands the body's bytes to pydantic and pydantic's bytes to the answer. FastAPI's
own handler would make Python objects of the JSON first and validate the answer a second time, which
takes longer than the score itself.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from api.blockchain_body import MAX_RAW_BYTES, RawTransactionBody, read_raw
from api.bodies import (
    MAX_TRANSACTION_BYTES,
    Body,
    HeldBytes,
    batch_reader,
    check_headers,
    read_transaction,
)
from api.errors import error_responses
from api.going_rate import GoingRate
from api.schemas import (
    Batch,
    Changes,
    Prediction,
    Predictions,
    SubmittedTransaction,
    batch_model,
)
from api.scoring import Follower, current_champion, find_changes, predict, predict_batch
from core.detector.champion import RulesOnly
from core.settings import ApiSettings
from monitoring.api_metrics import ApiMetrics

_THREADS = 2
_NO_BYTES = -1
RULES_ONLY = RulesOnly()


@dataclass(frozen=True)
class BodyRules:
    """How a route reads its body.

    `read` makes the endpoint's argument from at most `max_bytes`. A body of more than `loop_bytes`
    is read and answered on one of `threads`, so that the event loop goes on. A thread that has
    begun is occupied until it ends, also when its request is cancelled: no more can run than there
    are.
    """

    read: Callable[[bytes], Any]
    max_bytes: int
    loop_bytes: int
    held: HeldBytes
    threads: ThreadPoolExecutor


class JsonRoute(APIRoute):
    """A POST route whose endpoint takes one body and returns what is written as the answer.

    The endpoint is no coroutine and annotates both; it has no dependencies and no other parameters.
    """

    def __init__(
        self, path: str, endpoint: Callable[[Any], Any], summary: str, rules: BodyRules
    ) -> None:
        self.rules = rules
        super().__init__(
            path,
            endpoint,
            methods=["POST"],
            summary=summary,
            responses=error_responses(400, 401, 413, 415, 422, 500, 503),
            tags=["predictions"],
        )

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Make the handler that FastAPI calls for each request, in place of its own."""
        rules, endpoint = self.rules, self.endpoint
        read, max_bytes, loop_bytes = rules.read, rules.max_bytes, rules.loop_bytes

        def answer(content: bytes) -> bytes:
            return msgspec.json.encode(endpoint(read(content)))

        async def handle(request: Request) -> Response:
            check_headers(request.scope["headers"], max_bytes)
            body = Body(rules.held, max_bytes)
            try:
                content = await body.read(request.receive)
                if len(content) <= loop_bytes:
                    written = answer(content)
                else:
                    loop = asyncio.get_running_loop()
                    written = await loop.run_in_executor(rules.threads, answer, content)
            finally:
                body.release()
            return Response(written, media_type="application/json")

        return handle


def prediction_routes(
    follower: Follower, rate: GoingRate, metrics: ApiMetrics, settings: ApiSettings
) -> list[JsonRoute]:
    """Make the routes; each request is judged by the champion and the market of that time.

    While there is no champion, the rules judge alone.
    """
    held = HeldBytes(settings.api_max_held_bytes)
    threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="bodies")

    def rules(read: Callable[[bytes], Any], max_bytes: int, loop_bytes: int) -> BodyRules:
        max_bytes = min(max_bytes, settings.api_max_body_bytes)
        return BodyRules(read, max_bytes, loop_bytes, held, threads)

    def predict_and_count(transaction: SubmittedTransaction) -> Prediction:
        champion = follower.current
        beside = rate.beside(transaction, transaction.market_fee_rate, champion)
        prediction = predict(champion or RULES_ONLY, transaction, beside)
        metrics.record_prediction(prediction["flagged_by"])
        return prediction

    def predict_one(transaction: SubmittedTransaction) -> Prediction:
        """Score one transaction and say why: amounts in satoshi, size in bytes."""
        return predict_and_count(transaction)

    def predict_raw(transaction: RawTransactionBody) -> Prediction:
        """Score one transaction as Blockchain.com returns it, with all that its JSON tells."""
        return predict_and_count(transaction)

    many = _batch(follower, rate, metrics, batch_model(settings.api_max_batch))
    of_one = rules(read_transaction, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_BYTES)
    of_raw = rules(read_raw, MAX_RAW_BYTES, MAX_TRANSACTION_BYTES)
    of_many = rules(batch_reader(settings.api_max_batch), settings.api_max_body_bytes, _NO_BYTES)
    return [
        JsonRoute("/predict", predict_one, "Score one transaction", of_one),
        JsonRoute("/predict/batch", many, "Score many transactions", of_many),
        JsonRoute(
            "/predict/counterfactuals",
            _changes(follower, rate),
            "Say what would be ordinary",
            rules(read_transaction, MAX_TRANSACTION_BYTES, _NO_BYTES),
        ),
        JsonRoute("/predict/raw", predict_raw, "Score one transaction of Blockchain.com", of_raw),
    ]


def _batch(
    follower: Follower, rate: GoingRate, metrics: ApiMetrics, limited_batch: type[Batch]
) -> Callable[[Batch], Predictions]:
    def predict_many(batch: limited_batch) -> Predictions:  # type: ignore[valid-type]
        """Score many transactions; the predictions come in the same order."""
        sent: Batch = batch
        champion = follower.current
        judge = champion or RULES_ONLY
        markets = [rate.beside(each, each.market_fee_rate, champion) for each in sent.transactions]
        predictions = predict_batch(judge, sent.transactions, markets, sent.reasons)
        metrics.record_predictions(each["flagged_by"] for each in predictions)
        return {"predictions": predictions, "model_version": judge.version}

    return predict_many


def _changes(follower: Follower, rate: GoingRate) -> Callable[[SubmittedTransaction], Changes]:
    def counterfactuals(transaction: SubmittedTransaction) -> Changes:
        """Say which change of one number would make a flagged transaction ordinary."""
        champion = current_champion(follower)
        beside = rate.beside(transaction, transaction.market_fee_rate, champion)
        return find_changes(champion, transaction, beside)

    return counterfactuals
