"""The client of the Blockchain.com HTTP API, which the rest of ingestion calls the source.

Every request goes through the request budget, is never retried or redirected by itself, and is
limited in time and in bytes. Status and content type are checked before the body is read as JSON,
because the proxy in front of the source answers errors, and at times successes, in HTML.

A page or a block is decoded in two steps, so that one malformed transaction costs only itself. Here
each of its items stays the bytes that it is; `publishing` decodes the items one by one.
"""

import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Annotated, TypeVar

import msgspec
import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from core.settings import SourceSettings
from core.transaction import MAX_BLOCK_TRANSACTIONS, MAX_HEIGHT
from data_ingestion.clock import Clock, StoppedError
from data_ingestion.request_budget import RequestBudget
from monitoring.producer_metrics import ProducerMetrics

T = TypeVar("T")

_MAX_BODY_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_SECONDS = re.compile(r"\s*[0-9]+\s*")
_HEADERS = {"User-Agent": "bitcoin-anomaly-detection", "Accept": "application/json"}


Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
Height = Annotated[int, msgspec.Meta(ge=0, le=MAX_HEIGHT)]


class Tip(msgspec.Struct):
    """The newest block: the answer of `/latestblock`."""

    hash: Hash
    height: Height


class RawBlock(msgspec.Struct):
    """The answer of `/rawblock/…`: `time` is a Unix time, `tx` the JSON of each transaction.

    The bounds are those of `core.transaction.Block`, which is made of it.
    """

    hash: Hash
    height: Height
    prev_block: Hash
    time: Annotated[int, msgspec.Meta(ge=0, lt=2**32)]
    tx: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MAX_BLOCK_TRANSACTIONS)]


class _Page(msgspec.Struct):
    txs: list[msgspec.Raw]


_PAGE = msgspec.json.Decoder(_Page)

decode_tip = msgspec.json.Decoder(Tip).decode
"""The newest block from its JSON; raises `msgspec.DecodeError`."""

decode_block = msgspec.json.Decoder(RawBlock).decode
"""A block from its JSON; raises `msgspec.DecodeError`."""


def decode_page(body: bytes) -> list[bytes]:
    """The items of `/unconfirmed-transactions`; raises `msgspec.DecodeError`."""
    return [bytes(item) for item in _PAGE.decode(body).txs]


class SourceError(Exception):
    """A request without a usable answer.

    `result` is the kind of failure, one of the values of the metric's label `result`. `retry_after`
    is the pause in seconds that the source asks for.
    """

    def __init__(self, result: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.result = result
        self.retry_after = retry_after


class BlockNotFoundError(SourceError):
    """The source answered that it does not have the block."""


class UnreadableResponseError(SourceError):
    """A response of type JSON whose `body` is not what this endpoint returns."""

    def __init__(self, message: str, body: bytes) -> None:
        super().__init__("unreadable", message)
        self.body = body


class BlockchainClient:
    """Makes requests to the source, one at a time.

    Every method raises `SourceError` when there is no usable answer, and `StoppedError` when the
    process has to stop while it waits for the budget or for a body.
    """

    def __init__(
        self,
        settings: SourceSettings,
        budget: RequestBudget,
        clock: Clock,
        metrics: ProducerMetrics,
    ) -> None:
        self._base_url = settings.blockchain_api_url.rstrip("/")
        self._answer_timeout = settings.request_timeout_seconds
        self._block_timeout = settings.block_timeout_seconds
        self._budget = budget
        self._clock = clock
        self._metrics = metrics
        self._session = requests.Session()
        self._session.headers.update(_HEADERS)
        if settings.https_proxy:
            self._session.proxies["https"] = settings.https_proxy

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def unconfirmed(self) -> list[bytes]:
        """The newest unconfirmed transactions, at most 100, each as its JSON."""
        path = "/unconfirmed-transactions?format=json"
        return self._request("unconfirmed", path, decode_page, self._answer_timeout)

    def latest_block(self) -> Tip:
        """The newest block of the chain."""
        return self._request("latestblock", "/latestblock", decode_tip, self._answer_timeout)

    def block(self, reference: str | int) -> RawBlock:
        """A whole block, by its hash or height; raises `BlockNotFoundError` too."""

        def decode(body: bytes) -> RawBlock:
            block = decode_block(body)
            if reference not in (block.hash, block.height):
                raise msgspec.ValidationError(f"it is block {block.height}, {block.hash}")
            return block

        return self._request("rawblock", f"/rawblock/{reference}", decode, self._block_timeout)

    def _request(self, endpoint: str, path: str, decode: Callable[[bytes], T], limit: float) -> T:
        self._budget.wait()
        started = self._clock.monotonic()
        try:
            answer = self._read(endpoint, path, decode, limit)
        except BlockNotFoundError as error:
            self._budget.answered()
            self._metrics.source_failed(endpoint, error.result, 0.0)
            raise
        except SourceError as error:
            pause = self._budget.failed(error.retry_after)
            self._metrics.source_failed(endpoint, error.result, pause)
            raise
        self._budget.answered()
        self._metrics.source_answered(
            endpoint, self._clock.time(), self._clock.monotonic() - started
        )
        return answer

    def _read(self, endpoint: str, path: str, decode: Callable[[bytes], T], limit: float) -> T:
        try:
            with self._session.get(
                self._base_url + path,
                timeout=self._answer_timeout,
                stream=True,
                allow_redirects=False,
            ) as response:
                self._check(response, endpoint)
                body = self._body(response, self._clock.monotonic() + limit)
        except (requests.Timeout, ReadTimeoutError) as error:
            message = f"{self._base_url}{path}: no answer within the time limit"
            raise SourceError("timeout", message) from error
        except (requests.RequestException, HTTPError) as error:
            raise SourceError("connection", f"{self._base_url}{path}: {_cause(error)}") from error
        try:
            return decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            message = f"{path}: the JSON cannot be read: {error}"
            raise UnreadableResponseError(message, body) from error

    def _check(self, response: requests.Response, endpoint: str) -> None:
        status, content_type = response.status_code, response.headers.get("Content-Type", "")
        is_json = content_type.lower().startswith("application/json")
        if status == 404 and is_json and endpoint == "rawblock":
            raise BlockNotFoundError("not_found", f"{response.url}: the source does not have it")
        if status != 200:
            retry_after = _seconds(response.headers.get("Retry-After"), self._clock.time())
            result = f"http_{status}" if status in (403, 429) else f"http_{status // 100}xx"
            raise SourceError(result, f"{response.url}: HTTP status {status}", retry_after)
        if not is_json:
            message = f"{response.url}: the content type is {content_type or 'missing'}, not JSON"
            raise SourceError("not_json", message)

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        body = bytearray()
        # One read of the socket at a time: a slow body must not outlast its deadline.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if self._clock.stopping:
                raise StoppedError
            if self._clock.monotonic() > deadline:
                raise SourceError("timeout", f"{response.url}: the body takes too long")
            if len(body) > _MAX_BODY_BYTES:
                raise SourceError("too_large", f"{response.url}: above {_MAX_BODY_BYTES} bytes")
        return bytes(body)


def _cause(error: Exception) -> str:
    """What went wrong with a connection, without the objects that the libraries wrap it in.

    >>> _cause(requests.ConnectionError("HTTPSConnection(host='a', port=443): no route to host"))
    'no route to host'
    """
    inner = getattr(error.args[0] if error.args else None, "reason", None) or error
    return re.sub(r"^(<[^>]*>|\w+\([^)]*\)): ", "", str(inner)) or type(inner).__name__


def _seconds(retry_after: str | None, now: float) -> float | None:
    """The pause that a `Retry-After` header asks for: seconds, or a date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if _SECONDS.fullmatch(retry_after):
        return float(retry_after)
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - now, 0)
    except (ValueError, OverflowError):
        return None
