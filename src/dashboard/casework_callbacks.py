"""The callbacks of the queue and of a case's page; what a person does goes through the API."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import requests
from dash import ClientsideFunction, Dash, Input, Output, State, ctx, no_update
from dash.exceptions import PreventUpdate

from core.case_rows import Action
from dashboard.lake.sources import LAKE_ERRORS, WRITE_SECONDS
from dashboard.pages import case_page, queue_page
from dashboard.pages.case_form import ASSIGNMENTS, BUTTONS, WHERE, answer_words, event_body
from dashboard.pages.queue_page import QueueQuery
from dashboard.services import Services, Viewer

Json = dict[str, Any]

UNREACHABLE = "The API does not answer, so nothing was written."
UNREADABLE = "The cases cannot be read just now; the page tries again by itself."
_LONGEST_NUMBER = 15


def register_casework(app: Dash, services: Services) -> None:
    """Bind the callbacks of both pages."""
    _register_queue(app, services)
    _register_case(app, services)
    for where in WHERE:
        _register_form(app, services, where)
    clientside_callback: Any = app.clientside_callback
    authors = [f"{where}-author" for where in WHERE]
    clientside_callback(
        ClientsideFunction("queue", "author"),
        [Output(name, "value") for name in authors],
        [Input(name, "value") for name in authors],
    )


def case_number(path: str | None, prefix: str) -> int | None:
    """The number in the path of a case's page, None for another page.

    >>> case_number("/case/12", "/"), case_number("/queue", "/")
    (12, None)
    """
    text = (path or "").removeprefix(prefix).removeprefix("case/").rstrip("/")
    is_case = (path or "").startswith(f"{prefix}case/")
    is_number = text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER
    return int(text) if is_case and is_number else None


def _register_queue(app: Dash, services: Services) -> None:
    path = f"{services.path_prefix}queue"

    @app.callback(
        output={
            "list": Output("queue-list", "children"),
            "tabs": Output("queue-tabs", "children"),
            "filters": Output("queue-filters", "children"),
            "new": [Output("queue-new", name) for name in ("children", "hidden")],
            "more": Output("queue-more", "children"),
            "problem": Output("queue-problem", "children"),
            "shown": Output("queue-shown", "data"),
        },
        inputs=[
            Input("queue-tick", "data"),
            Input("url", "pathname"),
            Input("url", "search"),
            Input("queue-new", "n_clicks"),
            Input("queue-acted", "data"),
            Input("queue-author", "value"),
            State("queue-shown", "data"),
        ],
    )
    def show_queue(
        _tick: int,
        here: str | None,
        search: str | None,
        _new: int,
        _acted: Any,
        author: Any,
        shown: Any,
    ) -> Json:
        if (here or "").rstrip("/") != path:
            raise PreventUpdate
        query = QueueQuery.from_query(search)
        stays = ctx.triggered_id in ("queue-tick", "queue-acted", "queue-author")
        numbers = shown_numbers(shown, query) if stays else []
        with services.metrics.callback_seconds.labels("queue").time():
            return queue_outputs(services, query, numbers, services.author(author))


def shown_numbers(shown: Any, query: QueueQuery) -> list[int]:
    """The cases that the page says it shows for this query; none where it says something else."""
    match shown:
        case {"query": said, "numbers": list(numbers)} if said == query.query:
            return [number for number in numbers if isinstance(number, int)][: queue_page.ROWS]
    return []


def queue_outputs(
    services: Services, query: QueueQuery, shown: Sequence[int], viewer: str | None = None
) -> Json:
    """Every output of the queue; what was shown before stays where it was."""
    path = f"{services.path_prefix}queue"
    try:
        index = services.cases.index()
        rows = queue_page.queue_rows(index, query, shown)
        reasons = services.cases.explanations([case.head for case in rows.cases])
    except LAKE_ERRORS:
        services.metrics.errors.labels("lake").inc()
        names = ("list", "tabs", "filters", "more", "shown")
        kept: Json = dict.fromkeys(names, no_update)
        return kept | {"new": [no_update, no_update], "problem": UNREADABLE}
    now, prefix = services.recent.clock(), services.path_prefix
    return {
        "list": queue_page.queue_list(rows.cases, reasons, now, prefix, query),
        "tabs": queue_page.tabs(query, index.counts(query.wanted), path),
        "filters": queue_page.filters(query, path, viewer),
        "new": [f"{rows.waiting} new", not rows.waiting],
        "more": queue_page.more_link(query, rows.next_place, path),
        "problem": "",
        "shown": {"query": query.query, "numbers": [case.number for case in rows.cases]},
    }


def _register_case(app: Dash, services: Services) -> None:
    @app.callback(
        output={
            "head": Output("case-head", "children"),
            "body": Output("case-body", "children"),
            "history": Output("case-history", "children"),
            "work": Output("case-work", "hidden"),
            "buttons": {n: Output(f"case-do-{n}", "hidden") for n in (*BUTTONS, "assign")},
            "shown": Output("case-shown", "data"),
        },
        inputs=[
            Input("case-tick", "data"),
            Input("url", "pathname"),
            Input("case-acted", "data"),
            Input("client", "data"),
            State("case-shown", "data"),
        ],
    )
    def show_case(
        _tick: int, here: str | None, _acted: Any, client: Json | None, shown: Any
    ) -> Json:
        if client is None or not (here or "").startswith(f"{services.path_prefix}case/"):
            raise PreventUpdate
        number = case_number(here, services.path_prefix)
        zone = ZoneInfo(Viewer.from_client(client).zone)
        with services.metrics.callback_seconds.labels("case").time():
            return case_outputs(services, number, zone, shown)


def case_outputs(services: Services, number: int | None, zone: ZoneInfo, shown: Any) -> Json:
    """Every output of a case's page; lists only where the case is another than was `shown`."""
    prefix = services.path_prefix
    try:
        case = None if number is None else services.cases.find(number)
        if case is None:
            return _missing("" if number is None else str(number), prefix)
        key = [number, case.sequence, str(case.handling.last_at), str(zone)]
        reasons = services.cases.explanations([case.head])
        is_shown = shown == key
        members = [] if is_shown else services.cases.members(case)
        events = [] if is_shown else services.cases.events(case)
    except LAKE_ERRORS:
        services.metrics.errors.labels("lake").inc()
        raise PreventUpdate from None
    now, closed = services.recent.clock(), case.state == "closed"
    assert number is not None, "found before"
    reason = reasons.get(case.head, "")
    return {
        "head": case_page.case_head(case, number, reason, now, prefix),
        "body": no_update if is_shown else case_page.case_body(case, members, zone),
        "history": no_update if is_shown else case_page.history(events, zone),
        "work": False,
        "buttons": {
            "seen": closed,
            "note": False,
            "closed": closed,
            "reopened": not closed,
            "assign": closed,
        },
        "shown": key,
    }


def _missing(number: str, prefix: str) -> Json:
    return {
        "head": case_page.missing_case(number, prefix),
        "body": [],
        "history": [],
        "work": True,
        "buttons": dict.fromkeys((*BUTTONS, "assign"), True),
        "shown": None,
    }


def _register_form(app: Dash, services: Services, where: str) -> None:
    names = (*BUTTONS, *ASSIGNMENTS)

    @app.callback(
        output={
            "answer": Output(f"{where}-answer", "children"),
            "note": Output(f"{where}-note", "value"),
            "label": Output(f"{where}-label", "value"),
            "assignee": Output(f"{where}-assignee", "value"),
            "acted": Output(f"{where}-acted", "data"),
        },
        inputs={
            "clicks": {name: Input(f"{where}-do-{name}", "n_clicks") for name in names},
            "path": State("url", "pathname"),
            "target": State("queue-target", "data"),
            "given": {
                name: State(f"{where}-{name}", "value")
                for name in ("note", "label", "author", "assignee")
            },
            "acted": State(f"{where}-acted", "data"),
        },
        prevent_initial_call=True,
    )
    def send(clicks: Json, path: str | None, target: Any, given: Json, acted: Any) -> Json:
        pressed = next((name for name in names if ctx.triggered_id == f"{where}-do-{name}"), None)
        number = case_number(path, services.path_prefix) if where == "case" else target
        if pressed is None or not isinstance(number, int) or not clicks.get(pressed):
            raise PreventUpdate
        body = pressed_body(pressed, given, services.author(given["author"]))
        status, words = send_event(services, number, body)
        if status != 201:
            kept = dict.fromkeys(("note", "label", "assignee", "acted"), no_update)
            return {"answer": words, **kept}
        done = acted + 1 if isinstance(acted, int) else 1
        return {"answer": words, "note": "", "label": None, "assignee": "", "acted": done}


def pressed_body(pressed: str, given: Json, author: str | None) -> Json:
    """What a button of the form sends to the API."""
    action: Action = next((action for action in BUTTONS if action == pressed), "assigned")
    named = {"mine": author or "", "named": str(given["assignee"] or "").strip(), "nobody": None}
    return event_body(action, given["note"], given["label"], author, named.get(pressed))


def send_event(services: Services, number: int, body: Json) -> tuple[int, str]:
    """Send what a person does with a case to the API; the status, and a sentence about it."""
    if body["action"] == "closed" and "label" not in body:
        return 422, "Say why you close it: choose one of the four."
    if body.get("assignee") == "":
        return 422, "Say who works on it: type a name."
    try:
        status, answer = services.api.send(
            "POST", f"/cases/{number}/events", WRITE_SECONDS, json=body
        )
    except requests.RequestException:
        services.metrics.errors.labels("api").inc()
        return 0, UNREACHABLE
    return status, answer_words(status, answer)
