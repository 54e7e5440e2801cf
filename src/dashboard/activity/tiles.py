"""The state of the pipeline in a word and a sentence, from what a snapshot knows.

The activity page's words: tiles, notices, the threshold's read-out, from one `Activity`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from dash import html

from core.transaction import COIN
from dashboard.activity import queries
from dashboard.activity.filters import Filters
from dashboard.activity.view import TABLE_ROWS, Activity, current_threshold
from dashboard.lake.recent import Snapshot
from dashboard.lake.rows import Rows, moment
from dashboard.look.formats import duration, sat, share, short_number

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


RANGE_WORDS = {
    "15m": "last 15 min", "1h": "last hour", "6h": "last 6 h", "24h": "last 24 h",
    "7d": "last 7 days", "custom": "chosen range",
}  # fmt: skip


def tiles(shown: Activity, view: Filters, state: State) -> dict[str, tuple[Any, str]]:
    """Number and note of each tile, by its name; each says its unit and its range."""
    numbers, span = shown.summary, RANGE_WORDS[view.range]
    tps = short_number(numbers.per_second)
    return {
        "pipeline": (state.word, state.sentence),
        "rate": (_unit(tps, "per second"), f"{numbers.transactions:,} in the {span}"),
        "flagged": (_unit(f"{numbers.flagged:,}", f"in the {span}"), _against_budget(shown)),
        "fee": (_unit(short_number(numbers.median_fee_rate), "sat/vB"), f"in the {span}"),
        "volume": (_volume(numbers.volume), f"moved in the {span}"),
        "model": model_tile(shown.snapshot),
    }


def _unit(number: str, unit: str) -> list[Any]:
    return [number, html.Span(f" {unit}", className="unit")]


def _volume(satoshi: int) -> html.Span:
    """An amount in BTC, with satoshi on hover."""
    return html.Span(_unit(short_number(satoshi / COIN), "BTC"), title=sat(satoshi))


def _against_budget(shown: Activity) -> str:
    told = f"{share(shown.summary.flagged_share)} of transactions"
    budget = (shown.snapshot.model or {}).get("budget")
    return f"{told}; budget {share(budget)}" if isinstance(budget, int | float) else told


def model_tile(snapshot: Snapshot) -> tuple[Any, str]:
    """The champion's version and age, as the API says, else as the newest row does."""
    if snapshot.model is not None:
        trained = str(snapshot.model.get("trained_at", ""))
        return _unit(f"v{snapshot.model.get('version')}", "champion"), _age(trained, snapshot)
    rows = snapshot.rows
    if len(rows):
        newest = int(rows["scored"].argmax())
        return (
            _unit(f"v{rows.names[rows.version[newest]]}", "champion"),
            "as the newest row says; the API does not answer",
        )
    return "–", snapshot.api_problem or "no model yet"


def _age(trained: str, snapshot: Snapshot) -> str:
    try:
        seconds = (snapshot.taken - datetime.fromisoformat(trained)).total_seconds()
    except (ValueError, TypeError):
        return "trained at an unknown time"
    return f"trained {duration(max(seconds, 0))} ago"


def notices(shown: Activity) -> list[Any]:
    """What is wrong just now, each a sentence; the rest goes on working."""
    snapshot = shown.snapshot
    said = [snapshot.problem and f"{snapshot.problem} What was read before is shown.",
            snapshot.api_problem and f"{snapshot.api_problem} Scoring by hand has to wait.",
            shown.problem]  # fmt: skip
    return [html.P(each) for each in said if each]


def nothing(shown: Activity, state: State) -> str:
    """The sentence in place of an empty view, or no words where there is something."""
    if shown.table:
        return ""
    if not len(shown.snapshot.rows):
        return state.sentence
    return "No transaction in this range passes the filters."


def table_note(shown: Activity, view: Filters) -> str:
    """How many of how many the table shows."""
    total = shown.summary.flagged if view.flagged else shown.summary.transactions
    least = min(TABLE_ROWS, total)
    words = {"score": "most unusual", "newest": "newest", "value": "largest",
             "fee_rate": "best paying"}[view.order]  # fmt: skip
    return f"the {least:,} {words} of {total:,}" if total else ""


def readout(count: int, total: int, threshold: float | None, custom: bool) -> list[Any]:
    """What a threshold would flag, beside whose threshold it is."""
    if threshold is None:
        return ["no model yet"]
    part = share(count / total) if total else "0 %"
    whose = "your threshold" if custom else "the model's"
    return [
        html.Strong(f"{threshold:.3f}"),
        f" {whose} · flags ",
        html.Strong(f"{count:,}", id="readout-count"),
        f" of {total:,} ({part})",
    ]


def flags(
    shown: Snapshot, passing: Rows, view: Filters, dragged: float | None
) -> tuple[int, int, float | None, bool]:
    """Count what a threshold flags: the dragged one, else the view's, else the model's."""
    model = current_threshold(shown)
    custom = view.threshold
    if dragged is not None and model is not None and abs(dragged - (custom or model)) > 0.0006:
        custom = dragged
    chosen = queries.flagged(passing, custom)
    threshold = custom if custom is not None else model
    return int(chosen.sum()), len(passing), threshold, custom is not None
