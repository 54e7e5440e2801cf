"""The routes that score: one transaction, many, or one as Blockchain.com returns it.

Their route class hands the body's bytes to pydantic and pydantic's bytes to the answer. FastAPI's
own handler would make Python objects of the JSON first and validate the answer a second time, which
takes longer than the score itself.
"""

import json
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, get_type_hints

import msgspec
from anyio import CapacityLimiter, to_thread
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive

from api.blockchain_body import RawTransactionBody, read_raw
from api.errors import InvalidBodyError, error_responses
from api.schemas import Batch, Prediction, Predictions, SubmittedTransaction, batch_model
from api.scoring import Follower, current_champion, predict, predict_batch
from core.settings import ApiSettings
from core.transaction import DescribedTransaction
from monitoring.api_metrics import ApiMetrics

_BATCHES_AT_ONCE = 2


class JsonRoute(APIRoute):
    """A POST route whose endpoint takes one body and returns what is written as the answer.

    The endpoint is `async` and annotates both; it has no dependencies and no other parameters.
    `max_bytes` limits the body. `read` makes the endpoint's argument from the body's bytes; by
    default the annotated model validates them as JSON.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[[Any], Awaitable[Any]],
        max_bytes: int,
        summary: str,
        read: Callable[[bytes], Any] | None = None,
    ) -> None:
        self.max_bytes, self.read = max_bytes, read
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
        hints = get_type_hints(self.endpoint, include_extras=True)
        (body,) = (TypeAdapter(hint) for name, hint in hints.items() if name != "return")
        read, schema = self.read or body.validator.validate_json, body.json_schema()

        async def handle(request: Request) -> Response:
            check_headers(request.scope["headers"], self.max_bytes)
            content = await read_body(request.receive, self.max_bytes)
            try:
                argument = read(content)
            except ValidationError as error:
                raise InvalidBodyError(error, schema) from error
            if b"NaN" in content or b"Infinity" in content:
                check_numbers(content)
            answer = await self.endpoint(argument)
            return Response(msgspec.json.encode(answer), media_type="application/json")

        return handle


def check_headers(headers: list[tuple[bytes, bytes]], max_bytes: int) -> None:
    """Refuse a body whose announced length exceeds the limit, and content that is not JSON."""
    content_type = b""
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length" and value.isdigit() and int(value) > max_bytes:
            raise _too_large(max_bytes)
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type != b"application/json" and not (
        media_type.startswith(b"application/") and media_type.endswith(b"+json")
    ):
        raise HTTPException(415, "Send the body as Content-Type: application/json.")


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"The body is larger than the limit of {max_bytes:,} bytes.")


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """Read the whole body, but no further than the limit; raises `ClientDisconnect`."""
    parts: list[bytes] = []
    size, has_more = 0, True
    while has_more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > max_bytes:
            raise _too_large(max_bytes)
        has_more = message.get("more_body", False)
    return b"".join(parts)


def check_numbers(content: bytes) -> None:
    """Refuse NaN and Infinity in fields that no model validates: they are not JSON (RFC 8259)."""

    def refuse(name: str) -> None:
        raise HTTPException(400, f"The body is not JSON: {name} is no number there.")

    try:
        json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError):
        return  # Python limits long integers and deep nesting, where pydantic does not


def prediction_routes(
    follower: Follower, metrics: ApiMetrics, settings: ApiSettings
) -> list[JsonRoute]:
    """Make the routes; each request is scored by the champion that `follower` has at that time."""
    limiter = CapacityLimiter(_BATCHES_AT_ONCE)
    limited_batch = batch_model(settings.api_max_batch)
    max_bytes = settings.api_max_body_bytes

    def predict_and_count(transaction: DescribedTransaction) -> Prediction:
        prediction = predict(current_champion(follower), transaction)
        metrics.record_prediction(prediction["is_anomaly"])
        return prediction

    async def predict_one(transaction: SubmittedTransaction) -> Prediction:
        """Score one transaction and say why: amounts in satoshi, size in bytes."""
        return predict_and_count(transaction)

    async def predict_raw(transaction: RawTransactionBody) -> Prediction:
        """Score one transaction as Blockchain.com returns it, with all that its JSON tells."""
        return predict_and_count(transaction)

    async def predict_many(batch: limited_batch) -> Predictions:  # type: ignore[valid-type]
        """Score many transactions; the predictions come in the same order."""
        sent: Batch = batch
        champion = current_champion(follower)
        predictions = await to_thread.run_sync(
            predict_batch,
            champion,
            sent.transactions,
            sent.reasons,
            limiter=limiter,
            abandon_on_cancel=True,
        )
        flagged = sum(each["is_anomaly"] for each in predictions)
        metrics.record_predictions(len(predictions), flagged)
        return {"predictions": predictions, "model_version": champion.version}

    raw_summary = "Score one transaction of Blockchain.com"
    return [
        JsonRoute("/predict", predict_one, max_bytes, "Score one transaction"),
        JsonRoute("/predict/batch", predict_many, max_bytes, "Score many transactions"),
        JsonRoute("/predict/raw", predict_raw, max_bytes, raw_summary, read_raw),
    ]
