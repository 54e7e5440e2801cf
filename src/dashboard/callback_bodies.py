"""The body that Dash takes for a callback: any other is refused before Dash reads it.

Dash finds the callback by its name in the body and takes the values by their position, so that a
body which no page of this dashboard sends would end in an error of the server.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

PATH = "/_dash-update-component"
MAX_BYTES = 8 << 20
"""Holds a transaction pasted into "Try a transaction" that `/predict/raw` takes: 4 MiB, quoted."""


class _Property(BaseModel):
    id: str
    property: str


class _Body(BaseModel):
    output: str
    outputs: _Property | list[_Property]
    inputs: list[_Property]
    state: list[_Property] = []
    changedPropIds: list[str] = []  # noqa: N815 - the name that Dash gives it


def body_fault(callbacks: Mapping[str, Mapping[str, Any]], content: bytes) -> str | None:
    """Why a body asks for none of the app's callbacks, as a sentence; None if it asks for one.

    `callbacks` is the app's `callback_map`.
    """
    try:
        body = _Body.model_validate_json(content)
    except ValidationError:
        return "This address takes the JSON object by which a page asks for a callback."
    callback = callbacks.get(body.output, {})
    if "callback" not in callback:
        return "This dashboard has no callback of this name; reload the page."
    outputs = callback["output"]
    declared = {
        "outputs": [each.to_dict() for each in outputs]
        if isinstance(outputs, list)
        else outputs.to_dict(),
        "inputs": callback["inputs"],
        "state": callback["state"],
    }
    if body.model_dump(include=set(declared)) != declared:
        return "This callback has other inputs or outputs; reload the page."
    return None
