"""How the pipeline is, in words: the state of the whole, and what each part says of itself."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dashboard.activity.pace import STALE_SECONDS, newest_scored, scoring_lag
from dashboard.lake.part_metrics import WORKERS, Rates
from dashboard.lake.parts import BASIC_PARTS, Silence
from dashboard.lake.recent import Snapshot
from dashboard.look.formats import duration, short_number


@dataclass(frozen=True)
class State:
    """The state of the pipeline: how to colour it, a word, and a sentence that says why.

    `note` is shorter, for a tile whose sentence stands elsewhere on the page.
    """

    kind: Literal["good", "waiting", "bad"]
    word: str
    sentence: str
    note: str = ""


@dataclass(frozen=True)
class PartLine:
    """One part of the stack: its name, what it says of itself, and whether it is silent."""

    part: str
    words: str
    silent: bool


def pipeline_state(snapshot: Snapshot, refresh_seconds: float) -> State:
    """The state of the pipeline; the most basic problem is named first.

    `refresh_seconds` is the time from one reading of the lake to the next.
    """
    if snapshot.problem:
        return State("bad", "Lake unreadable", snapshot.problem)
    scored = newest_scored(snapshot.rows)
    silences = {silence.part: silence for silence in snapshot.health.silences}
    if scored is not None:
        age = (snapshot.taken_at - scored).total_seconds()
        if age <= STALE_SECONDS:
            return _arriving_state(snapshot, age, silences, refresh_seconds)
    for part in BASIC_PARTS:
        if part in silences:
            return _silent_state(silences[part], snapshot.taken_at)
    if scored is None:
        return _waiting_state(snapshot)
    return State("bad", f"Stale for {duration(age)}", _reason_for_staleness(snapshot, scored))


def _arriving_state(
    snapshot: Snapshot, age: float, silences: dict[str, Silence], refresh_seconds: float
) -> State:
    """Transactions are scored as they arrive; a part that is silent nevertheless is named."""
    newest = f"Scored as they arrive; the newest {duration(max(age, 0))} ago."
    for part in WORKERS:
        if part in silences:
            note = f"{silences[part].age(snapshot.taken_at)}; transactions are scored all the same"
            return State("waiting", _silent_word(part), newest, note)
    lag = scoring_lag(snapshot.rows, snapshot.taken_at) + refresh_seconds
    within = "" if math.isnan(lag) else f"95 % shown within {_lag_words(lag)}"
    note = "; ".join(filter(None, [within, _rates_note(snapshot.health.rates)]))
    return State("good", "Healthy", newest, note)


def _rates_note(rates: Rates | None) -> str:
    if rates is None:
        return ""
    arrived, scored = short_number(rates.arrived), short_number(rates.scored)
    return f"{arrived}/s arrive, {scored}/s are scored"


def _silent_word(part: str) -> str:
    return f"{part if part.isupper() else part.capitalize()} silent"


def _silent_state(silence: Silence, now: datetime) -> State:
    """Nothing new arrives, since a part that everything comes through is silent."""
    note = f"{silence.age(now)}; the reason is above"
    return State("bad", _silent_word(silence.part), silence.sentence(now), note)


def _waiting_state(snapshot: Snapshot) -> State:
    if snapshot.newest_arrival is None:
        reason = "No transaction has arrived yet: waiting for the producer and the stream."
        return State("waiting", "Waiting for data", reason)
    if snapshot.api_problem:
        reason = f"Transactions arrive; waiting for a model to score them. {snapshot.api_problem}"
        return State("waiting", "Waiting for a model", reason)
    reason = "Transactions arrive, but none was scored within the hours that are kept."
    return State("waiting", "Waiting for scores", reason)


def _reason_for_staleness(snapshot: Snapshot, scored: datetime) -> str:
    arrival = snapshot.newest_arrival
    if arrival is not None and (arrival - scored).total_seconds() > STALE_SECONDS:
        age = duration((snapshot.taken_at - arrival).total_seconds())
        return f"Transactions still arrive (newest {age} ago), but the stream does not score them."
    return "No new transaction arrives: look at the producer, its source and the stream."


def part_lines(snapshot: Snapshot) -> list[PartLine]:
    """What each part says of itself, in the order in which a transaction passes them."""
    health, now = snapshot.health, snapshot.taken_at
    said = {work.part: PartLine(work.part, work.sentence(now), False) for work in health.works}
    for silence in health.silences:
        reason = f"silent {silence.age(now)}: {silence.reason}"
        said[silence.part] = PartLine(silence.part, reason, True)
    return [said[part] for part in WORKERS if part in said]


def _lag_words(seconds: float) -> str:
    """Tenths of a second matter up to a minute or two.

    >>> _lag_words(11.62), _lag_words(3_610)
    ('11.6 s', '1 h')
    """
    return f"{short_number(seconds)} s" if seconds < 120 else duration(seconds)
