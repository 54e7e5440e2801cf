"""The queue: one row a case, the most severe first; what is new waits until the reader asks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from dash import dcc, html

from core.case_index import CaseFilter, CaseIndex, CaseSummary, Place
from core.case_rows import STATES, State
from core.detector.explanation import NOT_ILLICIT, most_telling
from core.detector.patterns import PATTERNS
from core.severity import SEVERITIES, Severity
from dashboard.look.formats import attribute, btc, duration, spaced
from dashboard.pages.case_form import MAX_NAME, case_form

ROWS = 50
"""Cases on one page of the queue."""

MOST_CHIPS = 4
"""Patterns that a row names; a number says how many more there are."""

TABS = (*STATES, "all")
TAB_WORDS = {"new": "New", "open": "Open", "closed": "Closed", "all": "All"}
EMPTY_WORDS = {
    "new": "No new case: nothing waits for you.",
    "open": "Nobody works on a case just now.",
    "closed": "No case was closed yet.",
    "all": "There is no case yet. A case begins with the first flag.",
}
KEYS = "j and k walk, Enter opens, s seen, a assign to me, n note, e close"


@dataclass(frozen=True)
class QueueQuery:
    """What the page's address asks for; an unknown value is as if it were not there."""

    tab: str = "new"
    severity: Severity | None = None
    pattern: str | None = None
    assignee: str | None = None
    after: Place | None = None

    @classmethod
    def from_query(cls, query: str | None) -> "QueueQuery":
        """Read the query of a URL.

        >>> QueueQuery.from_query("?state=closed&severity=high&after=low-7").query
        '?state=closed&severity=high&after=low-7'
        """
        given = dict(parse_qsl((query or "").lstrip("?")))
        severity = next((s for s in SEVERITIES if s == given.get("severity")), None)
        pattern = next((p.name for p in PATTERNS if p.name == given.get("pattern")), None)
        tab = given.get("state", "")
        assignee = given.get("assignee", "")[:MAX_NAME].strip() or None
        if assignee is not None and not assignee.isprintable():
            assignee = None
        tab = tab if tab in TABS else "new"
        return cls(tab, severity, pattern, assignee, _place(given.get("after")))

    @property
    def query(self) -> str:
        """The query that asks for it."""
        after = self.after and f"{SEVERITIES[self.after.rank]}-{self.after.number}"
        values = {
            "state": None if self.tab == "new" else self.tab,
            "severity": self.severity,
            "pattern": self.pattern,
            "assignee": self.assignee,
            "after": after,
        }
        given = {name: value for name, value in values.items() if value}
        return "?" + urlencode(given) if given else ""

    @property
    def wanted(self) -> CaseFilter:
        """The filter of the cases."""
        state: State | None = next((s for s in STATES if s == self.tab), None)
        return CaseFilter(state, self.severity, self.pattern, assignee=self.assignee)


def _place(text: str | None) -> Place | None:
    severity, _, number = (text or "").partition("-")
    ranks = {name: rank for rank, name in enumerate(SEVERITIES)}
    if severity not in ranks or not (number.isascii() and number.isdigit() and len(number) < 16):
        return None
    return Place(ranks[severity], int(number))


class QueueRows(NamedTuple):
    """The rows to show, how many new ones wait, and where the next page begins."""

    cases: list[CaseSummary]
    waiting: int
    next_place: Place | None


def queue_rows(index: CaseIndex, query: QueueQuery, shown: Collection[int]) -> QueueRows:
    """The rows of a page; where some are shown already, these stay in their places.

    What is new then waits, so that no row moves under the reader's hand. A shown case that the
    filter no longer lets through leaves.
    """
    found = index.page(query.wanted, query.after, ROWS + 1)
    page, more = found[:ROWS], len(found) > ROWS
    next_place = page[-1].place if more else None
    kept = index.kept(shown, query.wanted)
    if not kept:
        return QueueRows(page, 0, next_place)
    numbers = {case.number for case in kept}
    last = min(case.place for case in kept)
    waiting = [c for c in page if c.number not in numbers and (c.place > last or not more)]
    return QueueRows(kept, len(waiting), next_place)


def queue_page(viewer: str | None, prefix: str) -> list[Any]:
    """The page, empty; the callbacks fill it. `viewer` as in `case_form`."""
    named = attribute("aria-label", "States")
    return [
        html.Div(
            [
                html.H2("Cases", className="page-title"),
                html.Nav(id="queue-tabs", className="tabs", **named),
                html.Div(id="queue-filters", className="chips inline"),
                html.Button("", id="queue-new", className="primary", hidden=True),
                html.A("Daily report", href=f"{prefix}report"),
                html.Span(KEYS, className="note keys"),
            ],
            className="queue-head",
        ),
        html.P("", id="queue-problem", className="problem", role="status"),
        html.Ol(id="queue-list", className="queue panel"),
        html.P("", id="queue-more", className="more-cases"),
        html.Div(case_form("queue", viewer), id="queue-work", className="panel work", hidden=True),
        html.Footer(NOT_ILLICIT),
    ]


def tabs(query: QueueQuery, counts: Mapping[State, int], path: str) -> list[Any]:
    """The tabs with the number of cases behind each."""
    numbers = dict[str, int](counts.items()) | {"all": sum(counts.values())}
    return [
        dcc.Link(
            [TAB_WORDS[tab], html.Span(f" {numbers[tab]:,}", className="tab-count")],
            href=path + replace(query, tab=tab, after=None).query,
            className="state-tab here" if tab == query.tab else "state-tab",
        )
        for tab in TABS
    ]


def filters(query: QueueQuery, path: str, viewer: str | None) -> list[Any]:
    """What the queue is narrowed to, each to be taken away by a click; and what to choose.

    Without the viewer's name there is no choice of the viewer's own cases.
    """
    first = replace(query, after=None)
    chips = []
    if query.assignee is not None:
        words = "mine" if query.assignee == viewer else f"assigned to {query.assignee}"
        chips.append(_chip(words, path + replace(first, assignee=None).query))
    elif viewer is not None:
        href = path + replace(first, assignee=viewer).query
        chips.append(dcc.Link("mine only", href=href, className="chip plain"))
    if query.pattern is not None:
        chips.append(_chip(spaced(query.pattern), path + replace(first, pattern=None).query))
    if query.severity is not None:
        words = f"{query.severity} or more"
        chips.append(_chip(words, path + replace(first, severity=None).query))
    else:
        narrower = path + replace(first, severity="high").query
        chips.append(dcc.Link("high and critical only", href=narrower, className="chip plain"))
    return chips


def _chip(words: str, href: str) -> dcc.Link:
    content: Any = [words, html.Span("✕", className="cross")]
    return dcc.Link(content, href=href, className="chip", title="Remove this filter")


def more_link(query: QueueQuery, place: Place | None, path: str) -> list[Any]:
    """The way to the next page, and back to the first."""
    back = dcc.Link("First cases", href=path + replace(query, after=None).query)
    onward = dcc.Link("Further cases", href=path + replace(query, after=place).query)
    return [*([back] if query.after else []), *([onward] if place else [])]


def queue_list(
    cases: Sequence[CaseSummary],
    reasons: Mapping[int, str],
    now: datetime,
    prefix: str,
    query: QueueQuery,
) -> list[Any]:
    """The rows of the queue, or a sentence where there is none."""
    if not cases:
        is_filtered = query.severity or query.pattern or query.assignee
        words = "No case here passes the filter." if is_filtered else EMPTY_WORDS[query.tab]
        return [html.Li(words, className="empty-words")]
    return [_row(case, reasons.get(case.head, ""), now, prefix) for case in cases]


def _row(case: CaseSummary, reason: str, now: datetime, prefix: str) -> html.Li:
    chips = [html.Span(spaced(name), className="shape") for name in case.patterns[:MOST_CHIPS]]
    if (more := len(case.patterns) - MOST_CHIPS) > 0:
        chips.append(html.Span(f"+{more}", className="shape"))
    done = case.handling
    by = f"{spaced(done.last_action)} by {done.last_author}" if done.last_action else ""
    cells = [
        html.Span([state_mark(case), html.Span(f"{case.number:,}", className="unseen")]),
        severity_word(case.severity),
        html.Span([html.Span(most_telling(reason), className="reason"), *chips], className="what"),
        html.Span(_count(case.size), className="size"),
        html.Span(btc(case.value), className="amount"),
        html.Span(
            [html.Span(ago(case.opened_at, now)), html.Span(_newest(case, now), className="note")],
            className="age",
        ),
        html.Span(
            [html.Span(done.owner or "", className="owner"), html.Span(by, className="note")],
            className="by",
        ),
    ]
    link: Any = dcc.Link(cells, href=f"{prefix}case/{case.number}", className="case-link")
    named = attribute("data-case", str(case.number)) | attribute("data-state", case.state)
    return html.Li(link, **named)


def _newest(case: CaseSummary, now: datetime) -> str:
    return "" if case.joined_at == case.opened_at else f"newest {ago(case.joined_at, now)}"


def _count(size: int) -> str:
    return "1 transaction" if size == 1 else f"{size:,} transactions"


def state_mark(case: CaseSummary) -> html.Span:
    """The state of a case: a dot and its word."""
    word = "reopened" if case.reopened and case.state == "new" else case.state
    return html.Span(word, className=f"state {case.state}")


def severity_word(severity: Severity) -> html.Span:
    """The severity as a word, the heavier the more it is."""
    return html.Span(severity, className=f"severity {severity}")


def ago(time: datetime, now: datetime) -> str:
    """How long ago a time is, in words."""
    return f"{duration(max(0.0, (now - time).total_seconds()))} ago"
