"""Whether the other parts of the stack answer, and what each says of itself.

The producer's `/ready` says since when its source is silent, why, and what to do.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import requests

from dashboard.lake.part_metrics import Flow, Rates, Work, read_metrics, works
from dashboard.look.formats import duration

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 2
REMEDIES = {
    "source": "See SourceSilent in docs/runbook.md.",
    "producer": "Without it nothing new arrives. Start it; its log says why it ended.",
    "stream": "Without it nothing is stored or scored. Start it; its log says why it ended.",
    "casework": "Until it is back no flag becomes a case. Start it; its log says why it ended.",
    "API": "Scoring by hand has to wait. Start it; its log says why it ended.",
    "trainer": "Without it no new model is trained. Start it; its log says why it ended.",
}
"""What to do about each part that does not answer."""

BASIC_PARTS = ("source", "producer", "stream")
"""Without one of these no new transaction reaches the page; the most basic is first."""


@dataclass(frozen=True)
class Silence:
    """A part that does not answer: since when, why, and what to do, in words."""

    part: str
    since: datetime
    reason: str
    remedy: str

    def sentence(self, now: datetime) -> str:
        """All of it in one line.

        >>> since = datetime(2026, 11, 28, 14, 2, 10, tzinfo=UTC)
        >>> Silence("source", since, "no network.", "Set HTTPS_PROXY").sentence(since)
        'The source is silent since 14:02:10 UTC (1 s): no network. Set HTTPS_PROXY.'
        """
        parts = (self.reason, self.remedy)
        words = " ".join(f"{part.strip().rstrip('.')}." for part in parts if part.strip())
        return f"The {self.part} is silent {self.age(now)}: {words}"

    def age(self, now: datetime) -> str:
        """Since when, and for how long."""
        day = "" if self.since.date() == now.date() else f"{self.since:%Y-%m-%d }"
        seconds = max((now - self.since).total_seconds(), 1)
        return f"since {day}{self.since:%H:%M:%S} UTC ({duration(seconds)})"


@dataclass(frozen=True)
class Health:
    """What the parts say of themselves, those that are silent, and what flows through the stream.

    `rates` is None before the stream has answered twice.
    """

    silences: tuple[Silence, ...] = ()
    works: tuple[Work, ...] = ()
    rates: Rates | None = None


class Parts:
    """Asks every part of `urls` for its metrics; `health` is what was found the last time."""

    def __init__(self, urls: Mapping[str, str], clock: Callable[[], datetime]) -> None:
        self.urls, self.clock = urls, clock
        self.health = Health()
        self._flow = Flow()

    def check(self) -> Health:
        """Ask each part once; a part that was silent before keeps its first time."""
        now, silences, metrics = self.clock(), [], {}
        for part, url in self.urls.items():
            try:
                metrics[part] = read_metrics(_get(f"{url}/metrics").text)
                silence = self._source_silence(url, now) if part == "producer" else None
            except requests.RequestException as error:
                reason = f"{url} does not answer, {_reason(error)}"
                silence = Silence(part, now, reason, REMEDIES[part])
            if silence is not None:
                silences.append(self._since_the_first(silence))
        self._flow.add(now, metrics.get("stream", {}))
        self.health = Health(tuple(silences), works(metrics), self._flow.rates())
        return self.health

    def _source_silence(self, url: str, now: datetime) -> Silence | None:
        return source_silence(_json(_get(f"{url}/ready")), now)

    def _since_the_first(self, silence: Silence) -> Silence:
        """The silence since it was found first, which is logged."""
        before = {each.part: each.since for each in self.health.silences}
        if silence.part not in before:
            log.warning("event=part_silent part=%s reason=%s", silence.part, silence.reason)
        return replace(silence, since=min(silence.since, before.get(silence.part, silence.since)))


def _get(address: str) -> requests.Response:
    return requests.get(address, timeout=TIMEOUT_SECONDS)


def source_silence(body: Any, now: datetime) -> Silence | None:
    """What the producer says of its source; None while the source answers.

    >>> source_silence({"source": {"silent_since": 0, "reason": "HTTP 403"}}, None).reason
    'HTTP 403'
    """
    source = body.get("source") if isinstance(body, dict) else None
    if isinstance(source, str):  # a producer before 0.3 says it in one sentence
        return None if body.get("ready") else Silence("source", now, source, REMEDIES["source"])
    if not isinstance(source, dict) or source.get("silent_since") is None:
        return None
    since = _time(source["silent_since"]) or now
    reason = str(source.get("reason") or "no request was answered")
    return Silence("source", since, reason, str(source.get("remedy") or REMEDIES["source"]))


def _time(unix_seconds: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(unix_seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except requests.JSONDecodeError:
        return None


def _reason(error: requests.RequestException) -> str:
    """Why a request failed, in a few words."""
    text = str(error)
    if isinstance(error, requests.Timeout):
        return f"not within {TIMEOUT_SECONDS} s"
    if "refused" in text:
        return "the connection is refused"
    if "resolve" in text or "resolution" in text:
        return "its name is not known"
    return "the connection failed"
