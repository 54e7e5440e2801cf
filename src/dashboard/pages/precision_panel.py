"""How many of the flags were of use, as people marked them: a panel of the model's page."""

from collections.abc import Iterable, Sequence
from typing import Any

from dash import html

from core.marks import MarkRow, Precision, precisions
from dashboard.look.formats import share, spaced

MOST_GROUPS = 8
"""Most patterns, versions and weeks that are listed."""

NOTE = (
    "Share of the marked flags that were useful, with its 95 % interval (Wilson). What was known"
    " counts as no use, and is counted apart."
)


def precision_panel(marks: Sequence[MarkRow]) -> list[Any]:
    """The precision of all flags, and by pattern, model version and week."""
    heading, found = html.H2("Precision of the flags"), precisions(marks)
    if not found["all"]:
        sentence = "Nobody has marked a flag yet: mark some in the table or beside a transaction."
        return [heading, html.P(sentence, className="note")]
    versions = sorted(found["version"], key=_newest)
    patterns = sorted(found["pattern"], key=lambda group: -group.marked)
    return [
        heading,
        html.P(NOTE, className="note"),
        _bars(found["all"], "all marked flags"),
        html.H3("By pattern"),
        _bars(patterns[:MOST_GROUPS]),
        html.H3("By model version"),
        _bars(versions[:MOST_GROUPS]),
        html.H3("By week"),
        _bars(found["week"][::-1][:MOST_GROUPS]),
    ]


def _newest(group: Precision) -> tuple[bool, int]:
    number = group.group.isdecimal()
    return not number, -int(group.group) if number else 0


def _bars(groups: Iterable[Precision], name: str = "") -> html.Ul:
    return html.Ul([_bar(group, name) for group in groups], className="bars precision")


def _bar(group: Precision, name: str) -> html.Li:
    """A bar of the precision, with its interval drawn over it, and in words."""
    low, high = (f"{end * 100:.1f}%" for end in (group.low, group.high))
    width = f"{group.precision * 100:.1f}%"
    parts = [
        html.Div(className="fill", style={"width": width}),
        html.Div(className="whisker", style={"left": low, "right": f"calc(100% - {high})"}),
    ]
    counts = (
        f"{group.useful:,} useful, {group.not_useful:,} not, {group.known:,} known;"
        f" {share(group.low)} to {share(group.high)}"
    )
    words = name or ("no known pattern" if group.group == "none" else spaced(group.group))
    return html.Li(
        [
            html.Span(words),
            html.Div(parts, className="part"),
            html.Span(share(group.precision), className="value"),
            html.Span(counts, className="note counts"),
        ]
    )
