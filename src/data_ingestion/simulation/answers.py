"""What the simulator answers over HTTP, before it becomes bytes on a wire."""

import json
from dataclasses import dataclass
from enum import Enum

from pydantic import ValidationError

JSON_TYPE = "application/json; charset=utf-8"


class Manner(Enum):
    """How an answer is delivered."""

    PLAIN = "plain"
    SLOW = "slow"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; `seconds` is how long a slow one or a timeout takes."""

    status: int
    body: bytes
    content_type: str = JSON_TYPE
    manner: Manner = Manner.PLAIN
    seconds: float = 0
    retry_after: int | None = None


def json_answer(value: object, status: int = 200) -> Answer:
    """An answer with this value as JSON."""
    return Answer(status, json.dumps(value, separators=(",", ":")).encode())


NOT_FOUND = json_answer(
    {"error": "not-found-or-invalid-arg", "message": "Item not found or argument invalid"}, 404
)
"""The source's own words for a transaction or block that it does not know."""


def words(wrong: ValueError) -> str:
    """What is wrong with an argument, in one line: pydantic's findings by field, or the message."""
    if isinstance(wrong, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong.errors())
    return str(wrong)
