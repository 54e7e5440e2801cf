"""What the parts' metrics say: when each last did its work, and what flows through the stream."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from dashboard.look.formats import duration

Metrics = Mapping[str, float]
"""The values of one part by name; those with different labels are added up."""

LAST_WORK = {
    "source": ("producer", "bitcoin_producer_source_last_success_timestamp_seconds", "answered"),
    "producer": ("producer", "bitcoin_producer_last_published_timestamp_seconds", "published"),
    "stream": ("stream", "bitcoin_stream_last_batch_timestamp_seconds", "committed"),
    "trainer": ("trainer", "bitcoin_trainer_last_training_timestamp_seconds", "trained"),
    "casework": (
        *("casework", "bitcoin_casework_loop_last_turn_timestamp_seconds"),
        "looked for flags",
    ),
}
"""Who says when a part last worked, in Unix seconds, 0 for not yet; and what its work is."""

WORKERS = ("source", "producer", "stream", "casework", "API", "trainer")
"""Every part that the page depends on, in the order in which a transaction passes them."""

_READ, _REPEATS = "bitcoin_stream_records_total", "bitcoin_stream_repeats_total"
_REFUSED, _WAITING = "bitcoin_stream_quarantined_total", "bitcoin_stream_lag_records"
_SCORED = "bitcoin_stream_rows_total"
_MODEL = "bitcoin_api_model_version"
_LINES = (
    *(name for _, name, _ in LAST_WORK.values()),
    *(_READ, _REPEATS, _REFUSED, _WAITING, _MODEL),
    f'{_SCORED}{{table="scored_transactions"}}',
)

_WINDOW = timedelta(minutes=5)


def read_metrics(text: str) -> Metrics:
    """The metrics that are used here, from Prometheus's text format; none from another text."""
    lines = "".join(f"{line}\n" for line in text.splitlines() if line.startswith(_LINES))
    values: dict[str, float] = {}
    try:
        for family in text_string_to_metric_families(lines):
            for sample in family.samples:
                values[sample.name] = values.get(sample.name, 0.0) + sample.value
    except ValueError:
        return {}
    return values


@dataclass(frozen=True)
class Work:
    """What a part last did, and when; None for not yet. `also` is a word on how it stands."""

    part: str
    done: str
    at: datetime | None
    also: str = ""

    def sentence(self, now: datetime) -> str:
        """All of it in a few words.

        >>> at = datetime(2026, 11, 28, 14, 2, 10, tzinfo=UTC)
        >>> Work("stream", "committed", at, "0 records wait").sentence(at + timedelta(seconds=3))
        'committed 3 s ago; 0 records wait'
        """
        said = self.done
        if self.at is not None:
            said = f"{self.done} {duration(max((now - self.at).total_seconds(), 0))} ago"
        return f"{said}; {self.also}" if self.also else said


def works(metrics: Mapping[str, Metrics]) -> tuple[Work, ...]:
    """What each part says of itself; a part that did not answer says nothing."""
    said = [_work(part, metrics) for part in WORKERS]
    return tuple(work for work in said if work is not None)


def _work(part: str, metrics: Mapping[str, Metrics]) -> Work | None:
    if part == "API":
        version = metrics.get(part, {}).get(_MODEL)
        if version is None:
            return None
        judge = f"scores by version {version:.0f}" if version else "judges by rules alone"
        return Work(part, judge, None)
    teller, name, done = LAST_WORK[part]
    at = metrics.get(teller, {}).get(name)
    if at is None:
        return None
    also = f"{metrics[part].get(_WAITING, 0):,.0f} records wait" if part == "stream" else ""
    if not at:
        return Work(part, f"has not {done} since its start", None, also)
    return Work(part, done, datetime.fromtimestamp(at, UTC), also)


@dataclass(frozen=True)
class Rates:
    """Transactions a second that arrive and that are scored, and how many records wait."""

    arrived: float
    scored: float
    waiting: int


class _Counts(NamedTuple):
    """What had arrived and what had been scored at a time, and the records that waited."""

    at: datetime
    arrived: float
    scored: float
    waiting: float


class Flow:
    """What flows through the stream, as its counters say at each look, over five minutes."""

    def __init__(self) -> None:
        self._looks: deque[_Counts] = deque()

    def add(self, now: datetime, stream: Metrics) -> None:
        """Note the stream's counters; a counter that has fallen is that of another process.

        What waits for a stream that has read nothing yet did not arrive just now.
        """
        if not stream.get(_READ):
            self._looks.clear()
            return
        scored, waiting = stream.get(_SCORED, 0.0), stream.get(_WAITING, 0.0)
        arrived = stream[_READ] + waiting - stream.get(_REPEATS, 0.0) - stream.get(_REFUSED, 0.0)
        if self._looks and self._looks[-1].scored > scored:
            self._looks.clear()
        self._looks.append(_Counts(now, arrived, scored, waiting))
        while now - self._looks[0].at > _WINDOW:
            self._looks.popleft()

    def rates(self) -> Rates | None:
        """The rates between the first look of five minutes and the last; None before the second."""
        if len(self._looks) < 2:
            return None
        first, last = self._looks[0], self._looks[-1]
        seconds = max((last.at - first.at).total_seconds(), 1.0)
        return Rates(
            max(last.arrived - first.arrived, 0.0) / seconds,
            max(last.scored - first.scored, 0.0) / seconds,
            int(last.waiting),
        )
