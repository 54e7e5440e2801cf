"""The Blockchain.com HTTP API: the only place that knows HTTP.

Every request goes through the budget, is never repeated or redirected on its own, and has a limit
in time and in bytes. Status and content type are checked before the body is read as JSON: the
source is behind a proxy that answers errors, and at times successes, in HTML.
"""

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import NamedTuple, TypeVar

import msgspec
import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from data_ingestion.budget import RequestBudget
from data_ingestion.clock import Clock, StoppedError
from data_ingestion.raw_json import RawBlock, Tip, decode_block, decode_page, decode_tip
from monitoring.producer_metrics import ProducerMetrics

T = TypeVar("T")

_MAX_BODY_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_HEADERS = {"User-Agent": "bitcoin-anomaly-detection", "Accept": "application/json"}


class SourceError(Exception):
    """The source did not give what was asked; `result` is its kind, one of the metric's labels."""

    def __init__(self, result: str, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.result = result
        self.retry_after = retry_after


class NotThereError(SourceError):
    """The source answered that it does not know the block."""


class UnreadablePageError(SourceError):
    """The source answered with JSON by name that is not what this endpoint gives."""

    def __init__(self, sentence: str, body: bytes) -> None:
        super().__init__("unreadable", sentence)
        self.body = body


class Timeouts(NamedTuple):
    """Limits in seconds: until an answer begins, and for a whole block to arrive."""

    answer: float
    block: float


class BlockchainClient:
    """Asks the source, one request at a time.

    Every method raises `SourceError` when there is no usable answer, and `StoppedError` when told
    to stop while waiting for the budget or for a body.
    """

    def __init__(
        self,
        base_url: str,
        timeouts: Timeouts,
        budget: RequestBudget,
        clock: Clock,
        metrics: ProducerMetrics,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeouts = timeouts
        self._budget = budget
        self._clock = clock
        self._metrics = metrics
        self._session = requests.Session()
        self._session.headers.update(_HEADERS)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def unconfirmed(self) -> list[bytes]:
        """The newest unconfirmed transactions, at most 100, each as its bytes."""
        path = "/unconfirmed-transactions?format=json"
        return self._ask("unconfirmed", path, decode_page, self._timeouts.answer)

    def latest_block(self) -> Tip:
        """The tip of the chain."""
        return self._ask("latestblock", "/latestblock", decode_tip, self._timeouts.answer)

    def block(self, reference: str | int) -> RawBlock:
        """A whole block by its hash or height."""
        path = f"/rawblock/{reference}"
        return self._ask("rawblock", path, decode_block, self._timeouts.block)

    def _ask(self, endpoint: str, path: str, decode: Callable[[bytes], T], limit: float) -> T:
        self._budget.wait()
        started = self._clock.monotonic()
        try:
            answer = self._read(path, decode, limit)
        except SourceError as error:
            self._failed(endpoint, error)
            raise
        self._budget.answered()
        self._metrics.source_answered(
            endpoint, self._clock.time(), self._clock.monotonic() - started
        )
        return answer

    def _failed(self, endpoint: str, error: SourceError) -> None:
        if isinstance(error, NotThereError):
            self._budget.answered()
            pause = 0.0
        else:
            pause = self._budget.failed(error.retry_after)
        self._metrics.source_failed(endpoint, error.result, pause)

    def _read(self, path: str, decode: Callable[[bytes], T], limit: float) -> T:
        try:
            with self._session.get(
                self._base_url + path,
                timeout=self._timeouts.answer,
                stream=True,
                allow_redirects=False,
            ) as response:
                self._check(response)
                body = self._body(response, self._clock.monotonic() + limit)
        except (requests.Timeout, ReadTimeoutError) as error:
            raise SourceError("timeout", f"{path}: no answer within its time") from error
        except (requests.RequestException, HTTPError) as error:
            raise SourceError("connection", f"{path}: {type(error).__name__}: {error}") from error
        try:
            return decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise UnreadablePageError(f"{path}: its JSON cannot be read: {error}", body) from error

    def _check(self, response: requests.Response) -> None:
        status, kind = response.status_code, response.headers.get("Content-Type", "")
        is_json = kind.lower().startswith("application/json")
        if status == 404 and is_json:
            raise NotThereError("not_found", f"{response.url}: not known to the source")
        if status != 200:
            retry_after = _seconds(response.headers.get("Retry-After"), self._clock.time())
            result = f"http_{status}" if status in (403, 429) else f"http_{status // 100}xx"
            raise SourceError(result, f"{response.url}: HTTP status {status}", retry_after)
        if not is_json:
            raise SourceError("not_json", f"{response.url}: answered with {kind or 'no type'}")

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        body = bytearray()
        # One read of the socket at a time: a body that only drips must not outlast its deadline.
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if self._clock.stopping:
                raise StoppedError
            if self._clock.monotonic() > deadline:
                raise SourceError("timeout", f"{response.url}: its body takes too long")
            if len(body) > _MAX_BODY_BYTES:
                raise SourceError("too_large", f"{response.url}: above {_MAX_BODY_BYTES} bytes")
        return bytes(body)


def _seconds(retry_after: str | None, now: float) -> float | None:
    """The pause that a `Retry-After` header asks for: seconds, or a date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    try:
        return max(parsedate_to_datetime(retry_after).timestamp() - now, 0)
    except ValueError:
        return None
