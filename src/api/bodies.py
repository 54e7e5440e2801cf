"""Request bodies: how much of them is in memory, and reading JSON within bounds.

A body costs its reader more than its bytes: JSON of a few megabytes can hold a million objects or
a million faults. So every part is bounded before it is read as a whole, and reading ends at the
first faults.
"""

import json
import re
from collections.abc import Callable, Collection
from typing import Any, Literal

import msgspec
from fastapi import HTTPException
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from api.errors import MAX_FIELD_PROBLEMS, UNSHOWN, InvalidBodyError
from api.schemas import Batch, SubmittedTransaction, batch_model

MAX_TRANSACTION_BYTES = 64 * 1024
"""One transaction as /predict takes it; with every fact and 1,000 outpoints it has half of it."""

_OBJECTS_PER_TRANSACTION = 10
"""JSON objects within one transaction of a batch: itself, and those in fields that are ignored."""


class HeldBytes:
    """The bytes of all bodies in memory; `limit` is the most.

    Only a body that arrives in several parts is refused over the limit: one that has arrived is
    answered sooner than refused.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.count = limit, 0


class Body:
    """The body of one request; `release` it at the end of the request."""

    def __init__(self, held: HeldBytes, max_bytes: int) -> None:
        self._held, self._max_bytes, self._size = held, max_bytes, 0

    async def read(self, receive: Receive) -> bytes:
        """Read the whole body, but no further than the limits; raises `ClientDisconnect`."""
        parts: list[bytes] = []
        has_more = True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part = message.get("body", b"")
            parts.append(part)
            self._size += len(part)
            self._held.count += len(part)
            if self._size > self._max_bytes:
                raise too_large(self._max_bytes)
            has_more = message.get("more_body", False)
            if has_more and self._held.count > self._held.limit:
                detail = "Too many bytes of other requests are being read: try again shortly."
                raise HTTPException(503, detail)
        return b"".join(parts)

    def release(self) -> None:
        """Count its bytes as free."""
        self._held.count -= self._size


def check_headers(
    headers: list[tuple[bytes, bytes]], max_bytes: int, other_types: Collection[bytes] = ()
) -> None:
    """Refuse a body that is announced as too large, as compressed, or as anything but JSON.

    A route that takes `other_types` takes those instead of JSON.
    """
    content_type = b""
    for name, value in headers:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length" and value.isdigit() and int(value) > max_bytes:
            raise too_large(max_bytes)
        elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            detail = "Send the body as it is: a compressed one (Content-Encoding) is not read."
            raise HTTPException(415, detail, {"Accept-Encoding": "identity"})
    media_type = content_type.partition(b";")[0].strip().lower()
    if other_types:
        if media_type not in other_types:
            named = " or ".join(each.decode() for each in other_types)
            raise HTTPException(415, f"Send the body as Content-Type: {named}.")
        return
    if media_type != b"application/json" and not (
        media_type.startswith(b"application/") and media_type.endswith(b"+json")
    ):
        raise HTTPException(415, "Send the body as Content-Type: application/json.")


def too_large(max_bytes: int, what: str = "body") -> HTTPException:
    """The answer to a body, or a part of one, that is larger than the limit."""
    return HTTPException(413, f"The {what} is larger than the limit of {max_bytes:,} bytes.")


def check_objects(content: bytes, most: int) -> None:
    """Refuse a body of more JSON objects than `most`: each takes far more memory than its text."""
    if content.count(b"{") > most:
        raise HTTPException(413, f"The body has more JSON objects than the limit of {most:,}.")


_TRANSACTION: TypeAdapter[SubmittedTransaction] = TypeAdapter(SubmittedTransaction)
_validate = _TRANSACTION.validator.validate_json
_SCHEMA = _TRANSACTION.json_schema()


def read_transaction(content: bytes) -> SubmittedTransaction:
    """Read one transaction; raises `HTTPException` where it is not JSON or does not fit."""
    try:
        transaction = _validated(content)
    except ValidationError as error:
        raise InvalidBodyError(_details(error), _SCHEMA) from error
    if b"NaN" in content or b"Infinity" in content:
        _check_numbers(content)
    return transaction


def _validated(content: bytes) -> SubmittedTransaction:
    try:
        result: SubmittedTransaction = _validate(content)
        return result
    except ValidationError as error:
        if not any(_is_whole(each["input"]) for each in _details(error)):
            raise
        try:
            decoded = with_whole_numbers(content)
        except (ValueError, RecursionError):  # Python's limits are narrower than pydantic's
            raise error from None
    return _TRANSACTION.validate_python(decoded)


def _details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False)


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def with_whole_numbers(content: bytes) -> Any:
    """Decode JSON with 5000.0 and 5e3 as the integer that they are: JSON knows one kind of number.

    Raises `ValueError` or `RecursionError` where Python cannot decode it.
    """

    def number(text: str) -> int | float:
        value = float(text)
        return int(value) if value.is_integer() else value

    return json.loads(content, parse_float=number)


def _check_numbers(content: bytes) -> None:
    """Refuse NaN and Infinity in fields that no model validates: they are not JSON (RFC 8259)."""

    def refuse(name: str) -> None:
        raise HTTPException(400, f"The body is not JSON: {name} is no number there.")

    try:
        json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError):
        return  # Python limits long integers and deep nesting, where pydantic does not


class _Item(msgspec.Struct, gc=False):
    """Any JSON object; its fields are skipped."""


class _Outline(msgspec.Struct):
    """A batch whose transactions are skipped: it has few bytes for each of them."""

    transactions: list[_Item]
    reasons: Literal["flagged", "all", "none"] = "flagged"


class _Parts(msgspec.Struct):
    """A batch whose transactions are kept as they came, each to be read by itself."""

    transactions: list[msgspec.Raw]


_OUTLINE, _PARTS = msgspec.json.Decoder(_Outline), msgspec.json.Decoder(_Parts)
_PLACE = re.compile(r"(?: - at `\$(?P<path>.*)`|missing required field `(?P<missing>\w+)`)$")


def batch_reader(max_transactions: int) -> Callable[[bytes], Batch]:
    """Make what reads a batch of at most so many transactions, one after another.

    It raises `HTTPException` at the first faults. It is run on a thread: between two transactions
    the event loop goes on.
    """
    schema = batch_model(max_transactions).model_json_schema()

    def read(content: bytes) -> Batch:
        check_objects(content, _OBJECTS_PER_TRANSACTION * (max_transactions + 1))
        try:
            outline = _OUTLINE.decode(content)
        except msgspec.ValidationError as error:
            raise InvalidBodyError([_wrong_shape(str(error))], schema) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise HTTPException(400, f"The body is not JSON: {error}.") from error
        if (count := len(outline.transactions)) > max_transactions:
            message = f"It has {count:,} transactions"
            raise InvalidBodyError([_fault(("transactions",), message)], schema)
        transactions = _transactions(_PARTS.decode(content).transactions, schema)
        return Batch.model_construct(transactions=transactions, reasons=outline.reasons)

    return read


def _wrong_shape(message: str) -> ErrorDetails:
    """From the message of msgspec, which ends with the path of the fault, to pydantic's form."""
    place = _PLACE.search(message)
    if place is None:
        return _fault((), message)
    if missing := place["missing"]:
        return _fault((missing,), message, "missing")
    steps = re.findall(r"\w+", place["path"])
    path = tuple(int(step) if step.isdecimal() else step for step in steps)
    return _fault(path, message[: place.start()])


def _fault(location: tuple[int | str, ...], message: str, kind: str = "shape") -> ErrorDetails:
    return {"type": kind, "loc": location, "msg": message, "input": UNSHOWN}


def _transactions(parts: list[msgspec.Raw], schema: Any) -> list[SubmittedTransaction]:
    transactions, details = [], list[ErrorDetails]()
    for position, part in enumerate(parts):
        content = bytes(part)
        if len(content) > MAX_TRANSACTION_BYTES:
            raise too_large(MAX_TRANSACTION_BYTES, f"transaction at position {position:,}")
        try:
            transactions.append(_validated(content))
        except ValidationError as error:
            for each in _details(error):
                each["loc"] = ("transactions", position, *each["loc"])
                details.append(each)
            if len(details) >= MAX_FIELD_PROBLEMS:
                break
    if details:
        raise InvalidBodyError(details, schema)
    return transactions
