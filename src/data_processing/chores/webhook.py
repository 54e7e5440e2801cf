"""Posts anomalies to a URL: in order, with retries, each hash once, a limited number a minute."""

import logging
import queue
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import requests

from core.background import BackgroundLoop

log = logging.getLogger(__name__)

_ATTEMPTS = 4
_QUEUED = _REMEMBERED = 10_000
_LISTED_HASHES = 20
_WINDOW_SECONDS = 60.0

Post = Callable[[str, dict[str, Any]], None]


def post(url: str, payload: dict[str, Any]) -> None:
    """Post JSON; raises `requests.RequestException` unless the answer is a success."""
    requests.post(url, json=payload, timeout=10).raise_for_status()


class Webhook:
    """Posts from a separate thread, so that a slow or dead URL never delays the stream."""

    def __init__(
        self,
        url: str,
        per_minute: int,
        send: Post = post,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._per_minute = url, per_minute
        self._send, self._clock, self._sleep = send, clock, sleep
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue(_QUEUED)
        self._posted_hashes: OrderedDict[str, None] = OrderedDict()
        self._held_back: list[str] = []
        self._held_back_count, self._posted, self._window_ends = 0, 0, 0.0
        self.loop = BackgroundLoop("webhook", lambda: self.post_next(1.0), 0)

    def start(self) -> None:
        """Start the thread that posts."""
        self.loop.start()

    def notify(self, message: dict[str, Any]) -> None:
        """Queue one anomaly message; when the queue is full it is dropped and logged."""
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            log.warning("event=webhook_queue_full dropped_hash=%s", message["hash"])

    def post_next(self, wait_seconds: float) -> None:
        """Post the next message, and the summary of a minute that has ended."""
        try:
            message = self._queue.get(timeout=wait_seconds)
        except queue.Empty:
            message = None
        self._start_minute()
        if message is None or not self._is_new(message["hash"]):
            return
        if self._posted < self._per_minute:
            self._posted += 1
            self._deliver({"text": message["explanation"], **message})
        else:
            self._held_back_count += 1
            self._held_back = [*self._held_back, message["hash"]][:_LISTED_HASHES]

    def _start_minute(self) -> None:
        """When the minute has ended, post the summary of what it held back, and start the next."""
        if self._clock() < self._window_ends:
            return
        if self._held_back_count:
            count, hashes = self._held_back_count, self._held_back
            text = f"{count} more unusual transactions were held back in the last minute"
            self._deliver({"text": text, "held_back": count, "hashes": hashes})
        self._held_back_count, self._held_back, self._posted = 0, [], 0
        self._window_ends = self._clock() + _WINDOW_SECONDS

    def _is_new(self, transaction_hash: str) -> bool:
        if transaction_hash in self._posted_hashes:
            return False
        self._posted_hashes[transaction_hash] = None
        if len(self._posted_hashes) > _REMEMBERED:
            self._posted_hashes.popitem(last=False)
        return True

    def _deliver(self, payload: dict[str, Any]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                return self._send(self._url, payload)
            except requests.RequestException as error:
                log.warning("event=webhook_failed attempt=%d reason=%s", attempt + 1, error)
                self._sleep(2.0**attempt)
        return log.error(
            "event=webhook_given_up attempts=%d reason=no post succeeded: %s",
            *(_ATTEMPTS, payload["text"]),
        )
