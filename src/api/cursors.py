"""Cursors: where the next page of a list begins, as an opaque text of bounded length.

A cursor holds the position of the last item of a page, and a check over that and the question that
was asked. Pages that begin after a position, in a total order, show no item twice and skip none,
whatever is added in the meantime. The check finds what was mistyped, cut, or taken from another
question; it is no secret, since a position gives away nothing that the list does not show.

>>> text = write_cursor((1_700_000_000_000_000, "a1b2"), "anomalies")
>>> read_cursor(text, "anomalies", (int, str))
(1700000000000000, 'a1b2')
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import blake2b
from typing import Annotated, Any

from fastapi import Query

from api.errors import FieldProblem, InvalidFieldsError

MAX_CURSOR = 512
"""Characters of the longest cursor."""

MAX_NUMBER = 2**63 - 1
"""Numbers of a position lie between its negative and this."""

_CHECK_BYTES = 8
_ALLOWED = "a cursor of this list, with the same filters as the page before"

Position = tuple[Any, ...]
"""Integers, finite numbers and texts, in the order of the list."""

Cursor = Annotated[
    str | None,
    Query(
        max_length=MAX_CURSOR,
        pattern=r"^[A-Za-z0-9_-]+$",
        description="Where the page begins: `next` of the page before, with the same filters",
    ),
]


class InvalidCursorError(InvalidFieldsError):
    """A cursor that this list did not give, or not for this question: 422."""

    def __init__(self) -> None:
        fault = "it is not valid"
        problem = FieldProblem(field="cursor", value=None, allowed=_ALLOWED, message=fault)
        super().__init__(422, f"cursor: {fault}; allowed is {_ALLOWED}.", [problem])


def write_cursor(position: Sequence[int | float | str], question: str) -> str:
    """Write a position of the list that `question` names, its filters included.

    Raises `ValueError` for a position that makes it longer than `MAX_CURSOR`.
    """
    content = json.dumps(list(position), separators=(",", ":"), allow_nan=False).encode()
    text = urlsafe_b64encode(_check(content, question) + content).rstrip(b"=").decode()
    if len(text) > MAX_CURSOR:
        raise ValueError(f"the cursor has {len(text)} characters")
    return text


def read_cursor(
    text: str, question: str, kinds: Sequence[type], earlier: str | None = None
) -> Position:
    """Read the position back; raises `InvalidCursorError` unless its parts are of these kinds.

    `earlier` is the form of the cursors that a list gave before it gave these, which callers may
    still hold: a regular expression whose groups are the parts.

    >>> read_cursor("high-12", "cases", (str, int), "(low|high)-([0-9]{1,15})")
    ('high', 12)
    """
    if earlier is not None and (match := re.fullmatch(earlier, text, re.ASCII)):
        return tuple(kind(part) for kind, part in zip(kinds, match.groups(), strict=True))
    try:
        content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        check, content = content[:_CHECK_BYTES], content[_CHECK_BYTES:]
        if check != _check(content, question):
            raise InvalidCursorError
        position = json.loads(content)
    except ValueError:
        raise InvalidCursorError from None
    if not isinstance(position, list) or list(map(type, position)) != list(kinds):
        raise InvalidCursorError
    if not all(abs(part) <= MAX_NUMBER for part in position if not isinstance(part, str)):
        raise InvalidCursorError
    return tuple(position)


def _check(content: bytes, question: str) -> bytes:
    key = blake2b(question.encode()).digest()
    return blake2b(content, digest_size=_CHECK_BYTES, key=key).digest()
