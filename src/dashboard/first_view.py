"""The activity page as the server knows it already: numbers and the first chart, in plain HTML.

A browser shows it before any script has run; the page takes its place when it has drawn its own.
"""

from typing import Any

from dashboard.activity import queries, tiles
from dashboard.activity.filters import Filters
from dashboard.callbacks import shown
from dashboard.markup import Raw, markup
from dashboard.pages.layout import page
from dashboard.services import Desk, Viewer
from dashboard.sketch import sketch

NOBODY = Viewer("dark", "UTC")
"""Whose figures are asked for: the first view has its colours and its clock from the browser."""


def first_view(desk: Desk, search: str) -> str:
    """The page for a browser that has not asked for anything yet; `search` is the URL's query."""
    view = Filters.from_query(search)
    answer = shown(desk, view, NOBODY)
    found = desk.views.activity(view, NOBODY.theme, NOBODY.zone)
    words = _words(answer) | {"readout": _readout(desk, view), "timeline": Raw(sketch(found.bins))}
    known: dict[str, Any] = {name: {"children": each} for name, each in words.items()}
    known["pill"] = dict(zip(("children", "className", "title"), answer["pill"], strict=True))
    known["nav-activity"] = {"className": "here"}
    known["range"] = {"value": view.range}
    return f'<div id="first" aria-busy="true">{markup(page(1), known)}</div>'


def _words(answer: dict[str, Any]) -> dict[str, Any]:
    """What stands inside each id."""
    words = {"notices": answer["notices"], "table-note": answer["note"]}
    for name, (number, note) in answer["tiles"].items():
        words |= {f"{name}-number": number, f"{name}-note": note}
    return words | {f"{name}-empty": said for name, said in answer["empty"].items()}


def _readout(desk: Desk, view: Filters) -> list[Any]:
    snapshot = desk.recent.snapshot
    rows, _ = desk.views.rows(view, snapshot)
    return tiles.readout(*tiles.flags(snapshot, queries.narrowed(rows, view), view, None))
