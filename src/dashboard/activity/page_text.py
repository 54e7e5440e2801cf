"""The activity page in words: the pipeline's state, the tiles, the notices, the threshold's effect.

Plain text without components, since both the first view's template and the callbacks show it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from core.detector.rules import RULES_VERSION
from core.transaction import COIN
from dashboard.activity.filter_inputs import SAME_THRESHOLD
from dashboard.activity.filters import Filters, problems
from dashboard.activity.queries import TABLE_ROWS, Aggregates, present_rate
from dashboard.activity.view import ActivityView, model_threshold
from dashboard.lake.parts import BASIC_PARTS, Silence
from dashboard.lake.recent import Snapshot
from dashboard.lake.rows import from_micros
from dashboard.look.formats import duration, sat, share, short_number

STALE_SECONDS = 60
"""Without a newly scored transaction for this long the page says so: ten micro-batches and more."""

RATE_HOVER = "All transactions of the last five minutes, whatever the filters"

RANGE_WORDS = {
    "15m": "last 15 min",
    "1h": "last hour",
    "6h": "last 6 h",
    "24h": "last 24 h",
    "7d": "last 7 days",
    "custom": "chosen range",
}
ORDER_WORDS = {
    "score": "most unusual",
    "newest": "newest",
    "value": "largest",
    "fee_rate": "best paying",
    "times": "highest beside the market",
}


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
class Tile:
    """A number with its unit, a note below, and a text on hover."""

    number: str
    note: str
    unit: str = ""
    hover: str = ""


@dataclass(frozen=True)
class Readout:
    """How many transactions are flagged, and by what threshold; all as words."""

    lead: str
    flagged: str
    total: str
    rest: str


@dataclass(frozen=True)
class PageText:
    """All of the page's text that depends on data; `empty` is the text in place of a figure."""

    state: State
    notices: list[str]
    tiles: dict[str, Tile]
    empty: dict[str, str]
    table_note: str


def page_text(view: ActivityView, filters: Filters, origin: str) -> PageText:
    """The text for one view; `origin` is the data's, `live` or `simulated`."""
    state = pipeline_state(view.snapshot, origin)
    nothing = _empty(view, filters, state)
    empty = dict.fromkeys(view.figures, nothing)
    waiting = "" if view.figures["windows"] else "Waiting for the stream's first ten minutes."
    lines = view.figures["market"]["data"]
    no_market = "" if lines else nothing or "No going rate and no flagged transaction."
    return PageText(
        state=state,
        notices=_notices(view),
        tiles=_tiles(view, filters, state),
        empty=empty | {"windows": waiting, "market": no_market},
        table_note=_table_note(view, filters),
    )


def pipeline_state(snapshot: Snapshot, origin: str) -> State:
    """The state of the pipeline; the most basic problem is named first."""
    if snapshot.problem:
        return State("bad", "Lake unreadable", snapshot.problem)
    rows = snapshot.rows
    scored = from_micros(int(rows["scored"].max())) if len(rows) else None
    if scored is not None:
        age = (snapshot.taken_at - scored).total_seconds()
        if age <= STALE_SECONDS:
            newest = f"Scored as they arrive; the newest {duration(max(age, 0))} ago."
            return State("good", "Simulated" if origin == "simulated" else "Live", newest)
    silences = {silence.part: silence for silence in snapshot.silences}
    for part in BASIC_PARTS:
        if part in silences:
            return _silent_state(silences[part], snapshot.taken_at)
    if scored is None:
        return _waiting_state(snapshot)
    return State("bad", f"Stale for {duration(age)}", _reason_for_staleness(snapshot, scored))


def _silent_state(silence: Silence, now: datetime) -> State:
    """Nothing new arrives, since a part that everything comes through is silent."""
    word = f"{silence.part.capitalize()} silent"
    return State("bad", word, silence.sentence(now), f"{silence.age(now)}; the reason is above")


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


def _tiles(view: ActivityView, filters: Filters, state: State) -> dict[str, Tile]:
    summary, range_words = view.summary, RANGE_WORDS[filters.range]
    snapshot, volume = view.snapshot, short_number(summary.volume / COIN)
    rate = short_number(present_rate(snapshot.rows, snapshot.taken_at))
    passing = "pass the filters in the" if filters.row_filters else "in the"
    passed = f"{summary.transactions:,} {passing} {range_words}{_since(view, filters)}"
    return {
        "pipeline": Tile(state.word, state.note or state.sentence),
        "rate": Tile(rate, passed, "/s now", RATE_HOVER),
        "flagged": Tile(
            f"{summary.flagged:,}", _flagged_note(view, filters), f"in the {range_words}"
        ),
        "fee": market_tile(snapshot, summary.median_fee_rate, range_words),
        "volume": Tile(volume, _volume_note(view, range_words), "BTC", sat(summary.volume)),
        "model": model_tile(snapshot),
    }


def _since(view: ActivityView, filters: Filters) -> str:
    """Since when there are transactions, where they do not fill the range."""
    start, end = filters.interval(view.snapshot.taken_at)
    end = min(end, view.snapshot.taken_at)
    edges, counts = view.aggregates.edges, view.aggregates.counts
    if not counts.any():
        return ""
    first = from_micros(int(edges[(counts > 0).argmax()]))
    if first - start < (end - start) / 10:
        return ""
    return f"; the first {duration((view.snapshot.taken_at - first).total_seconds())} ago"


def _volume_note(view: ActivityView, range_words: str) -> str:
    """Where the volume has moved, and what a single transaction has of it if that is most."""
    most = int(view.aggregates.rows["output_value"].max(initial=0))
    note = f"sum of outputs in the {range_words}"
    if most * 2 <= view.summary.volume:
        return note
    return f"{note}; {short_number(most / COIN)} of it by one transaction"


def _flagged_note(view: ActivityView, filters: Filters) -> str:
    """The share of the flagged, beside the budget where it is that of the whole traffic."""
    part = share(view.summary.flagged_share)
    if filters.row_filters:
        return f"{part} of what passes the filters"
    budget = (view.snapshot.model or {}).get("budget")
    note = f"{part} of transactions"
    return f"{note}; budget {share(budget)}" if isinstance(budget, int | float) else note


def market_tile(snapshot: Snapshot, median_fee_rate: float, range_words: str) -> Tile:
    """What others pay now, the range that most of them pay, and its age.

    `median_fee_rate` is that of the chosen range, in sat/vB; NaN where there is no transaction.
    """
    market, median = snapshot.market, short_number(median_fee_rate)
    in_range = f"median {median} in the {range_words}"
    if market is None:
        return Tile("–", f"no market yet; {in_range}")
    age = duration(max((snapshot.taken_at - market.minute).total_seconds(), 0))
    low, high = short_number(market.low), short_number(market.high)
    hover = (
        f"Median fee rate of the {market.rows:,} transactions before {market.minute:%H:%M} UTC;"
        f" 80 % of them pay {low} to {high} sat/vB"
    )
    number = short_number(market.fee_rate)
    return Tile(number, f"most pay {low}–{high}; {age} ago; {in_range}", "sat/vB", hover)


def model_tile(snapshot: Snapshot) -> Tile:
    """The champion's version and age from the API, without it from the newest row."""
    if snapshot.model is not None:
        trained = str(snapshot.model.get("trained_at", ""))
        return Tile(f"v{snapshot.model.get('version')}", _age(trained, snapshot), "champion")
    rows = snapshot.rows
    if not len(rows):
        return Tile("–", snapshot.api_problem or "no model yet")
    version = rows.versions[rows.version[int(rows["scored"].argmax())]]
    if version == RULES_VERSION:
        return Tile("–", "no model yet: rules alone")
    return Tile(f"v{version}", "as the newest row says; the API does not answer", "champion")


def _age(trained: str, snapshot: Snapshot) -> str:
    try:
        seconds = (snapshot.taken_at - datetime.fromisoformat(trained)).total_seconds()
    except (ValueError, TypeError):
        return "trained at an unknown time"
    return f"trained {duration(max(seconds, 0))} ago"


def _notices(view: ActivityView) -> list[str]:
    snapshot = view.snapshot
    silent = [silence.part for silence in snapshot.silences]
    api_problem = None if "API" in silent else snapshot.api_problem
    notices = [
        *(silence.sentence(snapshot.taken_at) for silence in snapshot.silences),
        snapshot.problem and f"{snapshot.problem} What was read before is shown.",
        api_problem and f"{api_problem} Scoring by hand has to wait.",
        view.problem,
    ]
    return [notice for notice in notices if notice]


def _empty(view: ActivityView, filters: Filters, state: State) -> str:
    """The sentence in place of an empty view, no words where there is something to show."""
    if view.table:
        return ""
    if not len(view.snapshot.rows):
        return state.sentence
    wrong = problems(filters, view.snapshot.taken_at)
    return next(iter(wrong.values()), "No transaction in this range passes the filters.")


def _table_note(view: ActivityView, filters: Filters) -> str:
    total = view.summary.flagged if filters.only_flagged else view.summary.transactions
    shown = min(TABLE_ROWS, total)
    return f"the {shown:,} {ORDER_WORDS[filters.order]} of {total:,}" if total else ""


def threshold_readout(
    snapshot: Snapshot, aggregates: Aggregates, filters: Filters, dragged: float | None = None
) -> Readout | None:
    """What is flagged in the range; None while there is no model.

    As it was flagged then, or as if one threshold had applied to all: that of the slider while it
    is `dragged`, else that of the filters.
    """
    model, applied = model_threshold(snapshot), filters.threshold
    shown = model if applied is None else applied
    if shown is None:
        return None
    total, flagged = aggregates.summary.transactions, aggregates.summary.flagged
    if dragged is not None and abs(dragged - shown) > SAME_THRESHOLD:
        applied = dragged
        flagged = aggregates.count_above(applied, filters.flagged_by)
    of_total = f"{total:,} ({share(flagged / total) if total else '0 %'})"
    if applied is None:
        rest = f"each by its version's threshold, now {shown:.3f}"
        return Readout("As flagged then:", f"{flagged:,}", of_total, rest)
    more, fewer = aggregates.changes(applied)
    rest = "" if filters.flagged_by else f"{more:,} more and {fewer:,} fewer than as flagged then"
    return Readout(f"{applied:.3f} for all:", f"{flagged:,}", of_total, rest)
