"""Dash's components as plain HTML, for what is shown before any script has run."""

from collections.abc import Mapping
from html import escape
from typing import Any

ATTRIBUTES = {"className": "class", "href": "href", "src": "src", "alt": "alt", "width": "width",
              "height": "height", "title": "title"}  # fmt: skip
TAGS = {"Link": "a", "Graph": "div", "AgGrid": "div"}
"""What stands for a component of Dash's own; the others only scripts can fill."""

Props = Mapping[str, Any]


class Raw(str):
    """Text that is HTML already."""


def markup(part: Any, known: Mapping[str, Props]) -> str:
    """HTML of Dash components. Ids are left out: the page itself bears them."""
    if isinstance(part, list | tuple):
        return "".join(markup(each, known) for each in part)
    if not hasattr(part, "to_plotly_json"):
        return part if isinstance(part, Raw) else escape(str(part or ""))
    json = part.to_plotly_json()
    name, props = json["type"], json["props"] | known.get(json["props"].get("id"), {})
    if name == "RadioItems":
        return _choice(props)
    own = json["namespace"] != "dash_html_components" and name not in TAGS
    if own or props.get("hidden") or props.get("className") == "skip" or name == "Aside":
        return ""
    return _element(TAGS.get(name, name.lower()), props, markup(props.get("children"), known))


def _element(tag: str, props: Props, inner: str) -> str:
    words = {html: props[key] for key, html in ATTRIBUTES.items() if key in props}
    text = "".join(f' {key}="{escape(str(value))}"' for key, value in words.items())
    return f"<{tag}{text}>" if tag == "img" else f"<{tag}{text}>{inner}</{tag}>"


def _choice(props: Props) -> str:
    labels = (
        f"<label><input type=radio disabled{' checked' * (each['value'] == props['value'])}>"
        f"{escape(each['label'])}</label>"
        for each in props["options"]
    )
    return f'<div class="{props["className"]}">{"".join(labels)}</div>'
