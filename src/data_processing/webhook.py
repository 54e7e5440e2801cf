"""Posts anomalies to a URL: in order, retried, each hash once, and never more a minute than set."""

import logging
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import requests

log = logging.getLogger(__name__)

_ATTEMPTS = 4
_REMEMBERED = 10_000
_NAMED = 20
_WINDOW_SECONDS = 60.0

Post = Callable[[str, dict[str, Any]], None]


def post(url: str, payload: dict[str, Any]) -> None:
    """Post JSON; raises `requests.RequestException` unless it is answered with success."""
    requests.post(url, json=payload, timeout=10).raise_for_status()


class Webhook:
    """Tells one URL, on a thread of its own; a slow or dead one never holds the stream up."""

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
        self._queue: queue.Queue[dict[str, Any]] = queue.Queue(_REMEMBERED)
        self._told: OrderedDict[str, None] = OrderedDict()
        self._held: list[str] = []
        self._held_count, self._posted, self._window_ends = 0, 0, 0.0

    def start(self) -> None:
        """Begin to post."""
        threading.Thread(target=self._work, name="webhook", daemon=True).start()

    def tell(self, announcement: dict[str, Any]) -> None:
        """Queue one anomaly; one that was told before is left out, as is one too many."""
        try:
            self._queue.put_nowait(announcement)
        except queue.Full:
            log.warning("webhook is too slow: left out hash=%s", announcement["hash"])

    def take(self, wait_seconds: float) -> None:
        """Post the next anomaly, or the summary of a minute that has ended."""
        try:
            announcement = self._queue.get(timeout=wait_seconds)
        except queue.Empty:
            announcement = None
        self._turn_minute()
        if announcement is None or not self._is_new(announcement["hash"]):
            return
        if self._posted < self._per_minute:
            self._posted += 1
            self._deliver({"text": announcement["explanation"], **announcement})
        else:
            self._held_count += 1
            self._held = [*self._held, announcement["hash"]][:_NAMED]

    def _work(self) -> None:
        while True:
            self.take(wait_seconds=1.0)

    def _turn_minute(self) -> None:
        if self._clock() < self._window_ends:
            return
        if self._held_count:
            count, hashes = self._held_count, self._held
            text = f"{count} more unusual transactions were held back in the last minute"
            self._deliver({"text": text, "held_back": count, "hashes": hashes})
        self._held_count, self._held, self._posted = 0, [], 0
        self._window_ends = self._clock() + _WINDOW_SECONDS

    def _is_new(self, transaction_hash: str) -> bool:
        if transaction_hash in self._told:
            return False
        self._told[transaction_hash] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return True

    def _deliver(self, payload: dict[str, Any]) -> None:
        for attempt in range(_ATTEMPTS):
            try:
                return self._send(self._url, payload)
            except requests.RequestException as error:
                log.warning("webhook failed attempt=%d reason=%s", attempt + 1, error)
                self._sleep(2.0**attempt)
        return log.error("webhook given up after %d attempts: %s", _ATTEMPTS, payload["text"])
