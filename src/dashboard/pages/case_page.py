"""A case: what it is, its transactions over time and one by one, and what people did with it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from dash import html

from core.case_index import CaseSummary
from core.case_rows import WHY_WORDS
from core.detector.explanation import NOT_ILLICIT, most_telling
from core.detector.rules import RULES_VERSION
from dashboard.look.formats import attribute, btc, duration, sat, short_number, spaced, utc
from dashboard.pages.case_form import case_form
from dashboard.pages.queue_page import ago, severity_word, state_mark

BARS = 24
"""Bars of the chart of members over time."""

SHOWN_DIGITS = 12
"""Digits of a hash in the list; the whole one is in its link."""


def case_page(viewer: str | None) -> list[Any]:
    """The page, empty; the form stays while the rest is renewed. `viewer` as in `case_form`."""
    return [
        html.Div(id="case-head"),
        html.Div(
            [
                html.Div(id="case-body", className="case-main"),
                html.Div(
                    [
                        html.Div(
                            case_form("case", viewer), id="case-work", className="panel pad work"
                        ),
                        html.Div(id="case-history", className="panel pad"),
                    ],
                    className="case-side",
                ),
            ],
            className="case-columns",
        ),
        html.Footer(NOT_ILLICIT),
    ]


def missing_case(number: str, prefix: str) -> list[Any]:
    """The head of a page whose case there is not."""
    return [
        _back(prefix),
        html.H2(f"There is no case {number}", className="page-title"),
        html.P("It may not be built yet; this page fills itself when it is.", className="note"),
    ]


def case_head(case: CaseSummary, asked: int, reason: str, now: datetime, prefix: str) -> list[Any]:
    """What the case is: number, state, severity, shapes, sums and times."""
    done = case.handling
    part_of = f"Case {asked:,} became part of this one, case {case.number:,}."
    merged = ", ".join(f"{number:,}" for number in case.merged)
    lines = [
        part_of if asked != case.number else "",
        f"Parts of it were case {merged}." if merged else "",
        f"Closed as {spaced(done.label)} by {done.last_author}."
        if case.state == "closed" and done.label and done.last_action == "closed"
        else "",
        f"It was closed as {spaced(done.label)}; something new has joined since."
        if case.reopened and done.label
        else "",
        f"Assigned to {done.owner}." if done.owner else "",
    ]
    shapes = [html.Span(spaced(name), className="shape") for name in case.patterns]
    title = html.H2(f"Case {case.number:,}", className="page-title")
    return [
        _back(prefix),
        html.Div(
            [title, severity_word(case.severity), state_mark(case), *shapes], className="case-title"
        ),
        html.P(most_telling(reason), className="case-reason"),
        *(html.P(line, className="note") for line in lines if line),
        html.Div(
            [
                _figure("Transactions", f"{case.size:,}"),
                _figure("Sum of outputs", btc(case.value)),
                _figure("Opened", ago(case.opened_at, now), utc(case.opened_at)),
                _figure("Newest", ago(case.joined_at, now), utc(case.joined_at)),
                _figure("From first to last", _span(case)),
            ],
            className="case-figures",
        ),
    ]


def _back(prefix: str) -> html.A:
    return html.A("← Cases", href=f"{prefix}queue", className="back")


def _figure(title: str, number: str, hover: str = "") -> html.Div:
    words = html.Div(number, className="number", title=hover or None)
    return html.Div([html.H3(title), words], className="panel figure")


def _span(case: CaseSummary) -> str:
    return duration(max(0.0, (case.last_at - case.first_at).total_seconds()))


def case_body(case: CaseSummary, members: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> list[Any]:
    """The members over time, unless all are of one moment, and each with why it belongs here.

    A transaction may have several messages, of which the first counts.
    """
    times = [row["event_time"] for row in members if row["first"]]
    shown = f"The newest {len(members)} messages are shown." if len(times) < case.size else ""
    bars = timeline(times, zone) if len(set(times)) > 1 else None
    return [
        html.Div([html.H2("Over time"), bars], className="panel pad over-time") if bars else None,
        html.Div(
            [
                html.H2("Transactions"),
                html.P(shown, className="note") if shown else None,
                html.Ol([_member(row, zone) for row in members], className="members"),
            ],
            className="panel pad",
        ),
    ]


def timeline(times: Sequence[datetime], zone: ZoneInfo) -> html.Div:
    """How many members there are in each of equal spans of time, as bars; at least one member."""
    first, last = min(times), max(times)
    step = max(1.0, (last - first).total_seconds() / BARS)
    counts = [0] * BARS
    for time in times:
        counts[min(BARS - 1, int((time - first).total_seconds() / step))] += 1
    most = max(counts)
    ends = [f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S}" for time in (first, last)]
    words = f"{len(times)} transactions from {ends[0]} to {ends[1]}, at most {most} in a bar of"
    bars = [
        html.Span(style={"height": f"{100 * count / most:.1f}%"}, className="bar" if count else "")
        for count in counts
    ]
    drawn = html.Div(
        bars,
        className="spark",
        role="img",
        **attribute("aria-label", f"{words} {duration(step)}"),
    )
    return html.Div([drawn, html.Div([html.Span(end) for end in ends], className="ends")])


def _member(row: Mapping[str, Any], zone: ZoneInfo) -> html.Li:
    time = f"{row['event_time'].astimezone(zone):%Y-%m-%d %H:%M:%S}"
    link = html.A(
        f"{row['hash'][:SHOWN_DIGITS]}…",
        href=f"#{row['hash']}",
        className="hash",
        **attribute("aria-label", f"Transaction {row['hash'][:SHOWN_DIGITS]}, why it is flagged"),
    )
    facts = [
        btc(row["output_value"]) if row["output_value"] is not None else "",
        f"fee {sat(row['fee'])}" if row["fee"] is not None else "",
        f"{short_number(row['fee_rate'])} sat/vB" if row["fee_rate"] is not None else "",
        _margin(row),
    ]
    shapes = [html.Span(spaced(name), className="shape") for name in row["patterns"] or ()]
    hits = [html.P(_hit(hit), className="hit") for hit in row["watched"] or ()]
    head = [link, html.Span(time, className="note"), severity_word(row["severity"]), *shapes]
    return html.Li(
        [
            html.Div(head, className="member-head"),
            html.P(" · ".join(filter(None, facts)), className="member-facts"),
            *hits,
            html.P(why_sentence(row), className="note"),
        ]
    )


def _margin(row: Mapping[str, Any]) -> str:
    if row["anomaly_score"] is None or row["threshold"] is None:
        return ""
    if row["model_version"] == RULES_VERSION:
        return "by a rule alone: there was no model yet"
    return f"score {row['anomaly_score']:.3f}, threshold {row['threshold']:.3f}"


def _hit(hit: Mapping[str, Any]) -> str:
    return f"Watch list: {hit['name'] or hit['entry']}, {spaced(hit['what'] or '')}"


def why_sentence(row: Mapping[str, Any]) -> str:
    """Why a member belongs to its case.

    >>> why_sentence({"why": ["first"], "linked_to": None})
    'It opened the case.'
    """
    if not row["linked_to"]:
        return "It opened the case."
    words = [WHY_WORDS[why] for why in row["why"] or () if why in WHY_WORDS]
    listed = ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else "".join(words)
    return f"Linked to {row['linked_to'][:SHOWN_DIGITS]}… by {listed}."


def history(events: Sequence[Mapping[str, Any]], zone: ZoneInfo) -> list[Any]:
    """What people did with the case, the newest first, by day."""
    days = groupby(events, lambda event: f"{event['at'].astimezone(zone):%Y-%m-%d}")
    items: list[Any] = [
        item
        for day, group in days
        for item in (html.H3(day), html.Ul([_event(each, zone) for each in group]))
    ]
    return [html.H2("History"), *(items or [html.P("Nobody has done anything yet.")])]


def _event(event: Mapping[str, Any], zone: ZoneInfo) -> html.Li:
    what = spaced(event["action"])
    if event["label"]:
        what += f" ({spaced(event['label'])})"
    if event["action"] == "assigned":
        what += f" to {event['assignee'] or 'nobody'}"
    line = f"{event['at'].astimezone(zone):%H:%M:%S} {event['author']}: {what}"
    note = html.P(event["note"], className="event-note") if event["note"] else None
    return html.Li([html.Span(line), note])
