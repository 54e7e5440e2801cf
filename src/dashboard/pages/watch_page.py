"""The page of the watch list: search, change, import, the history of an entry, what was seen."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from dash import dcc, html

from core.proxy_names import MAX_AUTHOR
from core.severity import SEVERITIES
from core.watch_list import MAX_NAME, MAX_REASON
from dashboard.look.formats import attribute, btc, refusal, utc
from dashboard.services import Services

Json = Mapping[str, Any]

PAGE_ENTRIES = 50
DAYS = (1, 7, 30)
MOST_NAMED = 20
"""Bad lines of a file, or other faults, that are named."""

_NOTHING = "The list is empty. What is on it is announced whatever its score."
_NO_MATCH = "No entry on the list has this in its address, name or reason."
_NO_FURTHER = "There are no further entries: go back to the previous ones."
_FILE_NOTE = (
    "CSV with the columns entry, name, reason and severity, or one address a line, as the public"
    " list of sanctioned addresses has them. What a line lacks is taken from the form above."
)
_SEEN_WORDS = {"paid": "paid", "was paid": "was paid", "seen": "was seen, paying"}


def watch_page(services: Services) -> html.Div:
    """The page, empty; who looks at it gives a name unless a proxy does."""
    left = html.Div([_list_panel(services.path_prefix), _seen_panel()])
    right = html.Div([_form_panel(services.viewer_name()), _file_panel()])
    stores = [dcc.Store(id="watch-chosen"), dcc.Store(id="watch-changed"), dcc.Store(id="watch-at")]
    return html.Div([left, right, *stores], className="two stacked watch")


def _list_panel(prefix: str) -> html.Div:
    export = html.A("Export CSV", href=f"{prefix}watch-list.csv", className="button", download="")
    search = dcc.Input(
        id="watch-search",
        type="search",
        debounce=0.3,
        placeholder="entry, name or reason",
        value="",
    )
    return html.Div(
        [
            html.Div(
                [html.H2("Watch list"), html.Span(id="watch-count", className="note"), export]
            ),
            html.Div(
                [html.Label("Search", htmlFor="watch-search", className="caption"), search],
                className="control",
            ),
            html.Ul(id="watch-list", className="entries"),
            html.Div(
                [
                    html.Button("Previous", id="watch-previous", disabled=True),
                    html.Button("Next", id="watch-next", disabled=True),
                ],
                className="actions",
            ),
        ],
        className="panel pad",
    )


def _form_panel(known: str | None) -> html.Div:
    levels = [{"label": level, "value": level} for level in SEVERITIES]
    severity = dcc.RadioItems(
        levels, "medium", id="watch-severity", inline=True, className="segments small"
    )
    author = dcc.Input(
        id="watch-author",
        value=known or "",
        disabled=known is not None,
        maxLength=MAX_AUTHOR,
        autoComplete="name",
        persistence=known is None,
        placeholder="your name",
    )
    return html.Div(
        [
            html.H2("Add or change an entry"),
            html.P("A change holds within 30 seconds, for what comes then.", className="note"),
            html.Div(
                [
                    _field("watch-entry", "Address, script in hex, or transaction hash", 20_000),
                    _field("watch-name", "Name", MAX_NAME),
                    _field("watch-reason", "Reason", MAX_REASON),
                    html.Div(
                        [html.Span("Severity", className="caption"), severity], className="control"
                    ),
                    html.Div(
                        [html.Label("Who", htmlFor="watch-author", className="caption"), author],
                        className="control",
                    ),
                ],
                className="form",
            ),
            html.Div(
                [
                    html.Button("Put on the list", id="watch-save", className="button primary"),
                    html.Button("Take off the list", id="watch-remove", className="button"),
                    html.Button("Clear", id="watch-clear", className="button quiet"),
                ],
                className="actions",
            ),
            html.Div(id="watch-answer", role="status", **attribute("aria-live", "polite")),
            html.Div(id="watch-details"),
        ],
        className="panel pad",
    )


def _field(id: str, caption: str, longest: int) -> html.Div:
    box = dcc.Input(id=id, type="text", value="", maxLength=longest, autoComplete="off")
    label = html.Label(caption, htmlFor=id, className="caption")
    return html.Div([label, box], className="control")


def _file_panel() -> html.Div:
    upload = dcc.Upload(
        html.Button("Choose a file …", className="button"),
        id="watch-file",
        accept=".csv,.txt,text/csv,text/plain",
        className="upload",
        multiple=False,
    )
    return html.Div(
        [
            html.H2("Import a file"),
            html.P(_FILE_NOTE, className="note"),
            upload,
            html.Div(id="watch-file-answer", role="status", **attribute("aria-live", "polite")),
        ],
        className="panel pad",
    )


def _seen_panel() -> html.Div:
    options = [{"label": f"{n} day" + "s" * (n > 1), "value": n} for n in DAYS]
    days = dcc.RadioItems(options, 7, id="watch-days", inline=True, className="segments small")
    return html.Div(
        [
            html.H2("What was seen of the list"),
            html.P(
                "Also before an entry was on the list, as far as the lake goes.", className="note"
            ),
            html.Div(
                [days, html.Button("Look", id="watch-look", className="button")],
                className="bar-row",
            ),
            html.Div(id="watch-seen", role="status", **attribute("aria-live", "polite")),
        ],
        className="panel pad",
    )


def entry_items(page: Json, zone: ZoneInfo) -> list[html.Li]:
    """The entries of a page of the list, or why there are none; a name opens its entry."""
    if page["entries"]:
        return [html.Li(_entry(each, zone)) for each in page["entries"]]
    why = (_NO_FURTHER if page["matching"] else _NO_MATCH) if page["total"] else _NOTHING
    return [html.Li(why, className="empty-words")]


def _entry(entry: Json, zone: ZoneInfo) -> list[Any]:
    form = {name: entry[name] for name in ("entry", "name", "reason", "severity")}
    name = html.Button(
        entry["name"],
        className="quiet name",
        title="Open",
        **attribute("data-watch", json.dumps(form)),
    )
    badge = html.Span(entry["severity"], className=f"badge severity {entry['severity']}")
    at = _time(entry["changed_at"], zone)
    return [
        html.Div([name, badge], className="entry-head"),
        html.Code(entry["entry"], className="entry-text"),
        html.P([entry["reason"]]),
        html.P([f"{entry['kind']}, by {entry['author']}, ", at], className="note"),
    ]


def count_words(page: Json, offset: int) -> str:
    """Which entries are shown, of how many."""
    matching, total, here = page["matching"], page["total"], len(page["entries"])
    shown = f"{offset + 1:,}–{offset + here:,} of " if matching > here > 0 else ""
    found = f"{matching:,} of {total:,}" if matching < total else f"{total:,}"
    return f"{shown}{found} {'entry' if total == 1 else 'entries'}"


def changed_view(answer: Json) -> list[Any]:
    """What a change has done."""
    parts = [
        f"{answer[name]:,} {name}" for name in ("added", "changed", "unchanged") if answer[name]
    ]
    warnings = [html.Li(text) for text in answer["warnings"]]
    return [
        html.P(f"Done: {', '.join(parts)}; {answer['total']:,} on the list.", className="done"),
        *([html.Ul(warnings, className="warnings")] if warnings else []),
    ]


def removed_view(answer: Json) -> list[Any]:
    """That an entry is off the list."""
    return [html.P(f"Taken off; {answer['total']:,} on the list.", className="done")]


def refused_view(status: int, problem: Json) -> list[Any]:
    """Why the API refuses a change, as sentences, line by line for a file."""
    view: list[Any] = [html.P(refusal(status, problem), className="problem")]
    if status in (401, 403):
        words = "The dashboard's key decides: DASHBOARD_API_KEY, with the permission “watch”."
        view.append(html.P(words, className="note"))
    errors = problem.get("errors")
    if isinstance(errors, list) and len(errors) > 1:
        items = [html.Li(f"{e['field']}: {e['message']}") for e in errors[:MOST_NAMED]]
        view.append(html.Ul(items))
    return view


def unreachable_view() -> list[Any]:
    """What stands where the API's answer would be."""
    return [html.P("The API does not answer just now. Try again in a moment.", className="problem")]


def details_view(changes: Sequence[Json], seen: Json | None, zone: ZoneInfo) -> list[Any]:
    """The history of an entry and what was seen of it in the last week."""
    if not changes and not (seen and seen["seen"]):
        return []
    steps = [
        html.Li(
            [
                html.Strong(each["action"]),
                f" by {each['author']}, ",
                _time(each["changed_at"], zone),
                html.P(f"{each['name']}; {each['severity']}; {each['reason']}", className="note"),
            ]
        )
        for each in changes
    ]
    return [
        *([html.H3("History"), html.Ol(steps, className="steps")] if steps else []),
        html.H3("Seen in the last 7 days"),
        *(unreachable_view() if seen is None else seen_view(seen, zone, named=False)),
    ]


def seen_view(answer: Json, zone: ZoneInfo, named: bool = True) -> list[Any]:
    """What entries did, the newest first, each with the way to its transaction."""
    rows = [html.Li(_seen(each, zone, named)) for each in answer["seen"]]
    if not rows:
        return [html.P("Nothing was seen.", className="note")]
    more = [html.P("There is more; the API gives up to 1,000.", className="note")]
    return [html.Ol(rows, className="steps"), *(more if answer["more"] else [])]


def _seen(deed: Json, zone: ZoneInfo, named: bool) -> list[Any]:
    hash = deed["transaction_hash"]
    link = html.A(f"{hash[:12]}…", href=f"#{hash}", title=hash)
    who: list[Any] = [html.Strong(deed["name"] or deed["entry"]), " "] if named else []
    words = f"{_SEEN_WORDS[deed['what']]} {btc(deed['value'])} in "
    return [*who, words, link, ", ", _time(deed["event_time"], zone)]


def _time(text: str, zone: ZoneInfo) -> html.Time:
    time = datetime.fromisoformat(text)
    local = f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    return html.Time(local, title=utc(time), dateTime=text)
