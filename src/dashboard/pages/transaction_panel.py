"""The drawer: one transaction of the lake, what became of it, and why it has its score.

Finds one transaction and what became of it, and hands it to the panel.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dash import html

from dashboard.activity import queries
from dashboard.activity.filters import Filters
from dashboard.activity.view import event_time
from dashboard.lake.recent import Snapshot
from dashboard.lake.sources import LAKE_ERRORS
from dashboard.look.formats import aria, duration, share, utc
from dashboard.pages import transaction_panel
from dashboard.pages.verdict_panel import raw_fields, verdict_view
from dashboard.services import Desk


def panel(
    row: Mapping[str, Any],
    fate: list[Any],
    place: str,
    explorer: str,
    zone: ZoneInfo,
    simulated: bool,
) -> list[Any]:
    """All of one scored transaction; `fate` and `place` as this module words them."""
    link = html.A(
        "block explorer ↗", href=f"{explorer}{row['hash']}", target="_blank",
        rel="noopener noreferrer",
        title="Simulated transactions are not found there" if simulated else "Opens a new tab",
    )  # fmt: skip
    when = row["event_time"]
    return [
        header("Why this score?"),
        html.Button(
            row["hash"], className="hash copy", **_copies(row["hash"]), title="Copy the hash"
        ),
        html.P([_clock(when, zone), " · ", link], className="note"),
        html.P(fate, className="fate"),
        *verdict_view(row, place),
        html.H3("Transaction"),
        raw_fields(row),
        html.P(f"Scored by model version {row['model_version']}.", className="note"),
    ]


def _copies(hash: str) -> dict[str, Any]:
    return {"data-copy": hash}


def header(title: str) -> html.Div:
    """The drawer's head, with the button that closes it."""
    close = html.Button("✕", className="quiet icon close", **aria("Close"), title="Esc")
    return html.Div([html.H2(title), close], className="drawer-head")


def missing(hash: str, why: str) -> list[Any]:
    """The drawer for a transaction that cannot be shown."""
    return [header("Why this score?"), html.Code(hash, className="hash"), html.P(why)]


def fate(
    row: Mapping[str, Any],
    confirmation: Mapping[str, Any] | None,
    replacement: Mapping[str, Any] | None,
    now: datetime,
) -> list[Any]:
    """Whether it is confirmed, replaced or pending, as a badge and words."""
    if confirmation is not None or row.get("block_height") is not None:
        height = confirmation["block_height"] if confirmation else row["block_height"]
        return [html.Span("confirmed", className="badge fine"), f" in block {height:,}"]
    if replacement is not None and replacement["replaced_hash"] == row["hash"]:
        by = replacement["hash"]
        return [
            html.Span("replaced", className="badge hot"),
            " by ",
            _other(by),
            _raise(replacement),
        ]
    age = duration(max((now - row["event_time"]).total_seconds(), 0))
    said: list[Any] = [html.Span("pending", className="badge"), f" for {age}"]
    if replacement is not None:
        return [*said, "; replaces ", _other(replacement["replaced_hash"]), _raise(replacement)]
    return said


def _other(hash: str) -> html.A:
    return html.A(f"{hash[:12]}…", href=f"#{hash}", title=hash)


def _raise(replacement: Mapping[str, Any]) -> str:
    return f" (fee {replacement['fee_change']:+,} sat)"


def place_in_range(higher: int, count: int) -> str:
    """Where its score lies among the transactions of the chosen range.

    >>> place_in_range(2, 25_114)
    'In the chosen range 2 of 25,114 transactions score higher (0.00796\xa0%).'
    """
    if not count:
        return ""
    part = share(higher / count)
    return f"In the chosen range {higher:,} of {count:,} transactions score higher ({part})."


def _clock(when: datetime, zone: ZoneInfo) -> html.Time:
    shown = f"{when.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    return html.Time(shown, title=utc(when), dateTime=when.isoformat())


def drawer(desk: Desk, wanted: str, view: Filters, zone: ZoneInfo) -> list[Any]:
    """The drawer of a transaction named by its hash or at least 16 digits of it."""
    if not 16 <= len(wanted) <= 64 or set(wanted) - set("0123456789abcdef"):
        return transaction_panel.missing(wanted[:64], "This is not the hash of a transaction.")
    snapshot = desk.recent.snapshot
    whole = _whole(desk, wanted, view, snapshot)
    try:
        return _found(desk, whole, view, snapshot, zone)
    except LAKE_ERRORS:
        desk.lake.close()
        desk.metrics.errors.labels("lake").inc()
        why = "The lake cannot be read just now; this panel fills itself when it can."
        return transaction_panel.missing(whole, why)


def _whole(desk: Desk, wanted: str, view: Filters, snapshot: Snapshot) -> str:
    if len(wanted) == 64:
        return wanted
    rows, _ = desk.views.rows(view, snapshot)
    found = rows.take(rows.find(wanted)).hashes()
    return found[0] if found else wanted


def _found(desk: Desk, whole: str, view: Filters, snapshot: Snapshot, zone: ZoneInfo) -> list[Any]:
    near: datetime | None = event_time(snapshot.rows, whole)
    row = desk.lake.transaction(whole, near)
    if row is None:
        why = "No scored transaction has this hash: it may not have been scored yet."
        return transaction_panel.missing(whole, why)
    fate = transaction_panel.fate(
        row, desk.lake.confirmation(whole), desk.lake.replacement(whole), snapshot.taken
    )
    place = _place(desk, row["anomaly_score"], view, snapshot)
    simulated = desk.origin == "simulated"
    return transaction_panel.panel(row, fate, place, desk.explorer, zone, simulated)


def _place(desk: Desk, score: float, view: Filters, snapshot: Snapshot) -> str:
    rows, _ = desk.views.rows(view, snapshot)
    passing = queries.narrowed(rows, view)
    higher = int((passing["anomaly_score"] > score).sum())
    return transaction_panel.place_in_range(higher, len(passing))
