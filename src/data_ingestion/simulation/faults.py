"""The faults of the source that can be switched on, and which requests have them.

The bodies of 429, 403, 502 and 503 are those that users of Blockchain.com have reported.
"""

from collections.abc import Mapping
from random import Random
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_ingestion.simulation.http_server import Answer

_HTML = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"

CANNED: Mapping[str, Answer] = MappingProxyType(
    {
        "too-many-requests-html": Answer(
            429,
            b"<html>\r\n<head><title>429 Too Many Requests</title></head>\r\n"
            b"<body><center><h1>429 Too Many Requests</h1></center>"
            b"<hr><center>nginx</center></body>\r\n</html>\r\n",
            _HTML,
        ),
        "too-many-requests-text": Answer(
            429,
            b"Maximum concurrent requests for this endpoint reached. Please try again shortly.",
            _TEXT,
        ),
        "blocked": Answer(
            403,
            b"<!DOCTYPE html><title>Access denied</title><h1>Error 1006</h1><p>The owner of this "
            b"website (blockchain.info) has banned your IP address.</p>",
            _HTML,
        ),
        "server-error": Answer(500, b'{"error":"server-error","message":"Server error"}'),
        "bad-gateway": Answer(
            502,
            b"<!DOCTYPE html><title>blockchain.info | 502: Bad gateway</title>"
            b"<p>The web server reported a bad gateway error.</p>",
            _HTML,
        ),
        "unavailable": Answer(503, b"<!DOCTYPE html><h1>Looks like our site is down</h1>", _HTML),
        "html": Answer(200, b"<!DOCTYPE html><title>Blockchain.com</title>", _HTML),
    }
)
"""Faults that replace the right answer by a fixed one."""

PAGE = "/unconfirmed-transactions"
FAULTS: Mapping[str, str] = MappingProxyType(
    {
        **{name: f"{answer.status} {answer.content_type}" for name, answer in CANNED.items()},
        "timeout": "no answer for `seconds`, then the connection closes",
        "slow": "the right answer, in small pieces over `seconds`",
        "truncated": "half of the right answer, then the connection closes",
        "empty-page": "a page without transactions",
        "repeated-page": "the page that was served before",
        "changed-schema": "the list of transactions has another name",
        "changed-items": "each transaction of the page lacks its size, and its hash is named txid",
        "burst": "`size` transactions arrive just before the right answer",
        "reorganisation": "the newest `size` blocks are replaced just before the right answer",
    }
)
"""Every fault and what a client sees of it."""

PAGE_ONLY = frozenset({"empty-page", "repeated-page", "changed-items"})
"""Faults of the page of unconfirmed transactions only."""


class Fault(BaseModel):
    """A fault that is switched on: for which requests, how often and how severe."""

    model_config = ConfigDict(frozen=True)

    name: str
    probability: float = Field(1.0, gt=0, le=1)
    count: int | None = Field(None, ge=1, description="How many times; None: until switched off")
    path: str = Field("/", description="Only for requests whose path begins with this")
    seconds: float = Field(15.0, ge=0, description="Duration of timeout and slow")
    size: int = Field(0, ge=0, description="Of a burst (0: 400) or reorganisation (0: 2)")
    retry_after: int | None = Field(None, ge=0, description="Seconds in a Retry-After header")

    def matches(self, path: str) -> bool:
        """Whether a request for this path can have this fault."""
        return path.startswith(PAGE if self.name in PAGE_ONLY else self.path)


class Faults:
    """The faults that are switched on; draws the fault of each request. Not thread-safe."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._active: dict[str, Fault] = {}

    def switch_on(self, fault: Fault) -> None:
        """Switch a fault on, or change it; raises `KeyError` for a name that is no fault."""
        if fault.name not in FAULTS:
            raise KeyError(fault.name)
        self._active[fault.name] = fault

    def switch_off(self, name: str | None = None) -> None:
        """Switch one fault off, or all of them."""
        for each in [name] if name else list(self._active):
            self._active.pop(each, None)

    def active(self) -> list[Fault]:
        """What is switched on, with the remaining counts."""
        return list(self._active.values())

    def draw(self, path: str) -> Fault | None:
        """The fault of a request for this path, if any; they are tried in their order."""
        for fault in self._active.values():
            if fault.matches(path) and self._rng.random() < fault.probability:
                self._use_up(fault)
                return fault
        return None

    def _use_up(self, fault: Fault) -> None:
        if fault.count == 1:
            self.switch_off(fault.name)
        elif fault.count is not None:
            self._active[fault.name] = fault.model_copy(update={"count": fault.count - 1})


def parse_fault(text: str) -> Fault:
    """Read a fault of the command line: `name` or `name:probability[:count]`.

    Raises `ValueError`, which pydantic's `ValidationError` is, for anything else.

    >>> parse_fault("bad-gateway:0.2:5").count
    5
    """
    name, *rest = text.split(":")
    if name not in FAULTS or len(rest) > 2:
        raise ValueError(f"{text} is not a fault: choose one of {', '.join(FAULTS)}")
    return Fault.model_validate(
        {"name": name, **dict(zip(("probability", "count"), rest, strict=False))}
    )


def error_message(error: ValueError) -> str:
    """What is wrong with an argument in one line: pydantic's errors by field, or the message."""
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return str(error)
