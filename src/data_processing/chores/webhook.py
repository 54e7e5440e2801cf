"""Posts anomalies to a URL: in order, until each is accepted, a limited number a minute.

The messages wait in the outbox, so that neither a restart nor a receiver that is down for days
loses one or fills the memory. Each is posted at least once: again, if the process ends between the
post and its note.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import requests

from core.background import BackgroundLoop
from data_processing.chores.announced_rows import CUTS, INPUTS, OUTPUTS
from data_processing.chores.outbox import MessageKey, OutboxMessage
from monitoring.stream_metrics import StreamMetrics

log = logging.getLogger(__name__)

MOST_LISTED = 1_000
"""A summary lists so many hashes; the next messages wait for the next minute."""

_NOT_POSTED = {*INPUTS, *OUTPUTS, *CUTS}
"""A receiver of every flag gets the transaction; who pays whom is in the lake."""

_REMEMBERED = 10_000
_WINDOW_SECONDS, _LONGEST_PAUSE_SECONDS = 60.0, 60.0
_POST_SECONDS, _WAIT_SECONDS = 10, 1.0

Post = Callable[[str, dict[str, Any]], None]


def post(url: str, payload: dict[str, Any]) -> None:
    """Post JSON; raises `requests.RequestException` unless the answer is a success.

    A redirect is no success, since following one would turn the post into a GET.
    """
    with requests.post(
        url, json=payload, timeout=_POST_SECONDS, allow_redirects=False, stream=True
    ) as answer:
        if not 200 <= answer.status_code < 300:
            raise requests.HTTPError(f"status {answer.status_code} {answer.reason}")


class Messages(Protocol):
    """Where messages wait for their post; `Outbox` is one."""

    def next(self, wait_seconds: float) -> OutboxMessage | None:
        """The next message, waiting for one so long."""

    def mark_posted(self, message: OutboxMessage) -> None:
        """Note that everything up to this message is posted."""

    def waiting(self) -> int:
        """How many messages are not posted."""
        ...


class Webhook:
    """Posts from a separate thread, so that a slow or dead URL never delays the stream."""

    def __init__(
        self,
        url: str,
        per_minute: int,
        messages: Messages,
        metrics: StreamMetrics,
        send: Post = post,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url, self._per_minute = url, per_minute
        self._messages, self._metrics = messages, metrics
        self._send, self._clock, self._sleep = send, clock, sleep
        self._posted_keys: OrderedDict[MessageKey, None] = OrderedDict()
        self._held_back: dict[MessageKey, OutboxMessage] = {}
        self._posted, self._window_ends = 0, 0.0
        self.loop = BackgroundLoop("webhook", self._turn, 0)

    def start(self) -> None:
        """Start the thread that posts."""
        self.loop.start()

    def _turn(self) -> None:
        """Post the next message; what fails at once, as an unreadable topic does, has a pause."""
        try:
            self.post_next(_WAIT_SECONDS)
        except Exception:
            self._sleep(_WAIT_SECONDS)
            raise

    def post_next(self, wait_seconds: float) -> None:
        """Post the next message, and the summary of a minute that has ended.

        A minute that has held back all that a summary lists takes no further message.
        """
        self._start_minute()
        if len(self._held_back) >= MOST_LISTED:
            return self._sleep(wait_seconds)
        message = self._messages.next(wait_seconds)
        self._metrics.webhook_waiting.set(self._messages.waiting())
        if message is None or self._is_repeat(message.key):
            return None
        if message.content.get("muted_by"):
            return self._skip(message)
        if self._posted >= self._per_minute:
            self._held_back[message.key] = message
            return None
        self._posted += 1
        content = {n: v for n, v in message.content.items() if n not in _NOT_POSTED}
        self._deliver({"text": content["explanation"], **content})
        return self._mark_posted(message)

    def _skip(self, message: OutboxMessage) -> None:
        """Pass a muted message over, and count it.

        While others are held back its position is not noted, since theirs come before it.
        """
        self._metrics.webhook_muted.inc()
        if not self._held_back:
            self._messages.mark_posted(message)

    def _start_minute(self) -> None:
        """When the minute has ended, post the summary of what it held back, and start the next."""
        if self._clock() < self._window_ends:
            return
        held_back = list(dict.fromkeys(hash for hash, _ in self._held_back))
        if held_back:
            text = f"{len(held_back)} more unusual transactions were held back in the last minute"
            self._deliver({"text": text, "held_back": len(held_back), "hashes": held_back})
            messages, self._held_back = list(self._held_back.values()), {}
            self._mark_posted(*messages)
        self._posted, self._window_ends = 0, self._clock() + _WINDOW_SECONDS

    def _is_repeat(self, key: MessageKey) -> bool:
        return key in self._posted_keys or key in self._held_back

    def _mark_posted(self, *messages: OutboxMessage) -> None:
        for message in messages:
            self._posted_keys[message.key] = None
            if len(self._posted_keys) > _REMEMBERED:
                self._posted_keys.popitem(last=False)
        for message in {message.partition: message for message in messages}.values():
            self._messages.mark_posted(message)

    def _deliver(self, payload: dict[str, Any]) -> None:
        """Post until it is accepted, with pauses that grow to a minute."""
        pause = 1.0
        while True:
            try:
                self._send(self._url, payload)
            except Exception as error:  # whatever it is, the payload is not posted yet
                self._metrics.webhook_posts.labels("failed").inc()
                log.warning(
                    "event=webhook_failed retry_seconds=%g reason=%s: the receiver at WEBHOOK_URL "
                    "must answer with a status of 200 to 299",
                    *(pause, self._without_url(error)),
                )
                self.loop.still_turns()
                self._sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                self._metrics.webhook_posts.labels("accepted").inc()
                return

    def _without_url(self, error: Exception) -> str:
        """The error's text; the path of a webhook's URL is often its password."""
        parts = urlsplit(self._url)
        secret = urlunsplit(("", "", *parts[2:])).lstrip("/")
        text = str(error).replace(self._url, "WEBHOOK_URL")
        return text.replace(secret, "***") if secret else text
