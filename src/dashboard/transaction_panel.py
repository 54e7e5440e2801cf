"""The drawer: one transaction of the lake, what became of it, and why it has its score."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dash import html

from dashboard.explained import raw_fields, verdict_view
from dashboard.formats import aria, duration, share, utc


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
