"""The activity page in words: the tiles, the notices, the threshold's effect.

Plain text without components, since both the first view's template and the callbacks show it.
"""

from dataclasses import dataclass
from datetime import datetime

from core.detector.rules import RULES_VERSION
from core.transaction import COIN
from dashboard.activity.chart_words import chart_words
from dashboard.activity.filter_inputs import SAME_THRESHOLD
from dashboard.activity.filters import Filters, problems
from dashboard.activity.pace import present_rate
from dashboard.activity.pipeline_state import PartLine, State, part_lines, pipeline_state
from dashboard.activity.queries import TABLE_ROWS, Aggregates
from dashboard.activity.view import ActivityView, model_threshold
from dashboard.lake.recent import STATISTICS_KEPT, Snapshot
from dashboard.lake.rows import from_micros
from dashboard.look.formats import duration, sat, share, short_number

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
    """All of the page's text that depends on data.

    `empty` is the text in place of each figure without data, and `charts` what each one shows.
    """

    state: State
    parts: list[PartLine]
    notices: list[str]
    tiles: dict[str, Tile]
    empty: dict[str, str]
    charts: dict[str, str]
    table_note: str
    muted_note: str


def page_text(view: ActivityView, filters: Filters, refresh_seconds: float) -> PageText:
    """The text for one view of a page that is renewed every `refresh_seconds`."""
    state = pipeline_state(view.snapshot, refresh_seconds)
    return PageText(
        state=state,
        parts=part_lines(view.snapshot),
        notices=_notices(view),
        tiles=_tiles(view, filters, state),
        empty=_words_for_empty(view, _empty(view, filters, state)),
        charts=chart_words(view, filters.threshold),
        table_note=_table_note(view, filters),
        muted_note=_muted_note(view, filters),
    )


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
    """Since when there are transactions, where they do not fill the range.

    No words where the flagged alone are shown: the counts by time are then of those.
    """
    if filters.only_flagged:
        return ""
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
    part, muted = share(view.summary.flagged_share), view.aggregates.muted
    rest = f"; {muted:,} muted" if muted else ""
    if filters.row_filters:
        return f"{part} of what passes the filters{rest}"
    budget = (view.snapshot.model or {}).get("budget")
    note = f"{part} of transactions"
    note += f"; budget {share(budget)}" if isinstance(budget, int | float) else ""
    return note + rest


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
    silent = [silence.part for silence in snapshot.health.silences]
    api_problem = None if "API" in silent else snapshot.api_problem
    notices = [
        *(silence.sentence(snapshot.taken_at) for silence in snapshot.health.silences),
        snapshot.problem and f"{snapshot.problem} What was read before is shown.",
        api_problem and f"{api_problem} Scoring by hand has to wait.",
        view.problem,
    ]
    return [notice for notice in notices if notice]


def _empty(view: ActivityView, filters: Filters, state: State) -> str:
    """The sentence in place of an empty view, no words where there is something to show.

    A table whose rows are all muted is empty, and the charts count them nevertheless.
    """
    if _in_view(view, filters):
        return ""
    if not len(view.snapshot.rows):
        return state.sentence
    nothing = "No transaction in this range passes the filters."
    if view.problem:  # only what is in memory has been looked through
        nothing = "What this range holds cannot be read just now."
    return next(iter(problems(filters, view.snapshot.taken_at).values()), nothing)


def _words_for_empty(view: ActivityView, nothing: str) -> dict[str, str]:
    """The text in place of each figure without data; `nothing` where no transaction is in view."""
    numbers = view.aggregates
    drawn = {
        "scores": (numbers.score_counts.any(), "None of these transactions has a score."),
        "patterns": (numbers.pattern_counts, "None of these transactions is flagged."),
        "market": (view.figures["market"]["data"], "No going rate and no flagged transaction."),
    }
    empty = {name: "" if data else nothing or words for name, (data, words) in drawn.items()}
    return dict.fromkeys(view.figures, nothing) | empty | {"windows": _no_windows(view)}


def _no_windows(view: ActivityView) -> str:
    """Why no ten-minute statistics are drawn, no words where there are some."""
    if view.statistics is not None:
        return ""
    if view.snapshot.statistics is None or not len(view.snapshot.statistics):
        return "Waiting for the stream's first ten minutes."
    return f"No ten minutes of this range are among those of the last {STATISTICS_KEPT.days} days."


def _in_view(view: ActivityView, filters: Filters) -> int:
    """How many transactions the charts draw."""
    return view.summary.flagged if filters.only_flagged else view.summary.transactions


def _table_note(view: ActivityView, filters: Filters) -> str:
    total = _in_view(view, filters) - (0 if filters.muted else view.aggregates.muted)
    shown = min(TABLE_ROWS, total)
    return f"the {shown:,} {ORDER_WORDS[filters.order]} of {total:,}" if total else ""


def _muted_note(view: ActivityView, filters: Filters) -> str:
    """How many the table leaves out, or shows, because of a mute; no words where there is none."""
    muted = view.aggregates.muted
    if not muted:
        return ""
    return f"{muted:,} muted: {'hide' if filters.muted else 'show'}"


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
