"""The state of the pipeline in a word and a sentence, from what a snapshot knows."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dashboard.columns import moment
from dashboard.formats import duration
from dashboard.recent import Snapshot

STALE_SECONDS = 60
"""Without a newly scored transaction for this long the page says so: ten micro-batches and more."""

Kind = Literal["good", "waiting", "bad"]


@dataclass(frozen=True)
class State:
    """A word for the pill, a sentence that says why, and how to colour it."""

    kind: Kind
    word: str
    sentence: str


def last_scored(snapshot: Snapshot) -> datetime | None:
    """When the newest of the rows at hand was scored."""
    rows = snapshot.rows
    return moment(int(rows["scored"].max())) if len(rows) else None


def pipeline_state(snapshot: Snapshot, origin: str) -> State:
    """How the pipeline does, in the order in which a person would ask."""
    scored = last_scored(snapshot)
    if snapshot.problem:
        return State("bad", "Lake unreadable", snapshot.problem)
    if scored is None:
        return _waiting(snapshot)
    age = (snapshot.taken - scored).total_seconds()
    if age <= STALE_SECONDS:
        newest = f"Scored as they arrive; the newest {duration(max(age, 0))} ago."
        return State("good", "Simulated" if origin == "simulated" else "Live", newest)
    return State("bad", f"Stale for {duration(age)}", _why_stale(snapshot, scored))


def _waiting(snapshot: Snapshot) -> State:
    if snapshot.arrived is None:
        why = "No transaction has arrived yet: waiting for the producer and the stream."
        return State("waiting", "Waiting for data", why)
    if snapshot.api_problem:
        why = f"Transactions arrive; waiting for a model to score them. {snapshot.api_problem}"
        return State("waiting", "Waiting for a model", why)
    hours = "Transactions arrive, but none was scored within the hours kept at hand."
    return State("waiting", "Waiting for scores", hours)


def _why_stale(snapshot: Snapshot, scored: datetime) -> str:
    arrived = snapshot.arrived
    if arrived is not None and (arrived - scored).total_seconds() > STALE_SECONDS:
        ago = duration((snapshot.taken - arrived).total_seconds())
        return f"Transactions still arrive (newest {ago} ago), but the stream does not score them."
    return "No new transaction arrives: look at the producer, its source and the stream."
