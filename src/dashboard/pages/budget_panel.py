"""What other thresholds would flag a day and find, and how to propose one.

The trainer says which budget leads to which threshold and what it finds there (`budgets` among the
model's facts); the rows in memory say how much traffic there is and what of it a threshold flags.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dash import dcc, html

from core.detector.rules import RULES_VERSION
from dashboard.activity.filters import Filters
from dashboard.activity.queries import flagged
from dashboard.lake.rows import Rows
from dashboard.look.formats import attribute, duration, share, short_number, spaced
from dashboard.look.theme import PALETTES, Theme, axis, layout
from dashboard.pages.layout import GRAPH_CONFIG

DAY_SECONDS = 86_400
LEAST_SECONDS = 600
"""What less than ten minutes flag says nothing about a day."""

HEADINGS = ("budget", "threshold", "flags a day", "injected", "real", "choose")

NOTE = (
    "At the thresholds of other budgets: how many transactions the model alone would flag a day,"
    " and the share that it would find of injected anomalies and of real ones, coinjoins among"
    " them. A threshold of your own on the activity page changes only what you see. The model's own"
    " follows from ALERT_BUDGET: set it for the trainer, which then sets a new threshold within"
    " minutes unless its gate refuses."
)

FEW_DECADES = 30
"""Beyond this ratio an axis has ticks at powers of ten alone."""

WAITING = "Flags a day: —, until this version has scored ten minutes of traffic."
SEEN = "Flags a day: as in the last {}, by this version's scores."
SEEN_BEFORE = (
    "Flags a day: as in {}, by the scores of version {}, until this version has scored ten minutes"
    " of traffic; they show the order of size, since each version has scores of its own."
)


@dataclass(frozen=True)
class BudgetRow:
    """A budget: its threshold, the flags a day, the recalls in 0..1, and whether it is in force.

    `flags` is None while too little of the traffic was scored by this version.
    """

    budget: float
    threshold: float
    flags: float | None
    recall: float
    weakest_kind: str
    weakest_recall: float
    real_recall: float
    current: bool


def budget_rows(model: Mapping[str, Any], rows: Rows) -> list[BudgetRow]:
    """A row for each budget that the champion's training tells of; `rows` are those it scored."""
    points = (model.get("facts") or {}).get("budgets") or ()
    seconds = _seconds(rows)
    flags = [_model_flags(rows, point["threshold"]) for point in points]
    daily = [count * DAY_SECONDS / seconds if seconds >= LEAST_SECONDS else None for count in flags]
    return [
        BudgetRow(flags=count, current=point["budget"] == model.get("budget"), **point)
        for point, count in zip(points, daily, strict=True)
    ]


def _scorer(rows: Rows, version: str) -> str:
    """The version by whose scores flags are counted: this one, or while it has too few, another.

    That is the last before it that has scored ten minutes of the traffic.
    """
    scored = {name: rows["time"][rows.scored_by(name)] for name in (version, *rows.versions)}
    enough = {
        name: int(times.max())
        for name, times in scored.items()
        if name != RULES_VERSION and len(times) and np.ptp(times) >= LEAST_SECONDS * 1e6
    }
    return version if version in enough or not enough else max(enough, key=enough.__getitem__)


def _seconds(rows: Rows) -> float:
    return float(np.ptp(rows["time"])) / 1e6 if len(rows) else 0.0


def _model_flags(rows: Rows, threshold: float) -> int:
    """How many the model flags at a threshold, whether or not a rule flags them too."""
    return int(flagged(rows, threshold, ("model", "both")).sum())


def budget_panel(
    model: Mapping[str, Any], rows: Rows, theme: Theme, prefix: str
) -> list[Any] | None:
    """The curve, its table and the note; None where the version tells of no other budget."""
    version = str(model.get("version"))
    scorer = _scorer(rows, version)
    scored = rows.take(rows.scored_by(scorer))  # scores of one version are comparable
    found = budget_rows(model, scored)
    if not found:
        return None
    figure = dcc.Graph(
        id="budget-curve",
        figure=budget_figure(found, theme),
        config=GRAPH_CONFIG,
        className="graph",
        responsive=True,
    )
    head = html.Thead(html.Tr([html.Th(each) for each in HEADINGS]))
    table = html.Table([head, html.Tbody([_table_row(row, prefix) for row in found])])
    seen = SEEN.format(duration(_seconds(scored)))
    if scorer != version:
        seen = SEEN_BEFORE.format(duration(_seconds(scored)), scorer)
    return [
        html.H2("Threshold"),
        html.P(NOTE, className="note"),
        html.Div(figure, className="curve"),
        html.Div(table, className="budgets"),
        html.P(seen if found[0].flags is not None else WAITING, className="note"),
    ]


def _table_row(row: BudgetRow, prefix: str) -> html.Tr:
    setting = f"ALERT_BUDGET={row.budget:g}"
    query = Filters(range="24h", threshold=round(row.threshold, 3)).query
    copy = html.Button(
        "propose",
        className="button",
        title=f"Copy {setting}",
        **attribute("data-copy", setting),
    )
    weakest = f"{spaced(row.weakest_kind)} {share(row.weakest_recall)}"
    see = html.A("see", href=prefix + query, title="The activity with this threshold")
    action = html.Span("in force", className="badge") if row.current else copy
    cells: list[Any] = [
        share(row.budget),
        f"{row.threshold:.3f}",
        "—" if row.flags is None else short_number(row.flags),
        html.Span(share(row.recall), title=f"weakest kind: {weakest}"),
        share(row.real_recall),
        html.Span([see, action], className="actions"),
    ]
    return html.Tr([html.Td(cell) for cell in cells], className="current" if row.current else "")


def budget_figure(rows: Sequence[BudgetRow], theme: Theme) -> dict[str, Any]:
    """Flags a day and recall by threshold, one above the other; the one in force is marked.

    Without flags a day there is the recall alone.
    """
    colours, flags = PALETTES[theme], [row.flags for row in rows if row.flags]
    recalls = {"y": [row.recall for row in rows]}, {"y": [row.real_recall for row in rows]}
    hover = "{}: %{{y:.1%}} found at %{{x:.3f}}, %{{text}}<extra></extra>".format
    drawn = [
        _line(rows, colour) | each | {"yaxis": "y2", "name": name, "hovertemplate": hover(name)}
        for each, name, colour in zip(
            recalls, ("injected", "real"), (colours["accent"], colours["muted"]), strict=True
        )
    ]
    if flags:
        above = {"y": [row.flags for row in rows], "name": "flags a day", "showlegend": False}
        hovered = "%{y:,.0f} flags a day at %{x:.3f}, %{text}<extra></extra>"
        drawn.append(_line(rows, colours["anomaly"]) | above | {"hovertemplate": hovered})
    ticks = {"dtick": 1 if flags and max(flags) > FEW_DECADES * min(flags) else "D2"}
    still = {"fixedrange": True}
    return {
        "data": drawn,
        "layout": layout(
            theme,
            "budgets",
            xaxis=axis(theme, "threshold", anchor="y2", **still),
            yaxis=axis(
                theme,
                "flags a day",
                domain=[0.56, 1],
                type="log",
                tickformat="~s",
                visible=bool(flags),
                **ticks,
                **still,
            ),
            yaxis2=axis(
                theme,
                "found",
                domain=[0, 0.46 if flags else 1],
                range=[0, 1.05],
                tickformat=".0%",
                nticks=4,
                **still,
            ),
        ),
    }


def _line(rows: Sequence[BudgetRow], colour: str) -> dict[str, Any]:
    """A line over the thresholds, with a larger dot for the one in force."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [row.threshold for row in rows],
        "text": [f"budget {share(row.budget)}" for row in rows],
        "marker": {"size": [11 if row.current else 6 for row in rows], "color": colour},
    }
