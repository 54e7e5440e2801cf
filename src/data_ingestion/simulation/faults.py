"""The source's bad days: every fault that can be switched on, and when it strikes.

The bodies of 429, 403, 502 and 503 are those that users of Blockchain.com have reported.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict, Field

_HTML = "text/html; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json; charset=utf-8"


@dataclass(frozen=True)
class CannedAnswer:
    """An answer that a fault gives instead of the right one."""

    status: int
    content_type: str
    body: bytes


CANNED: Mapping[str, CannedAnswer] = MappingProxyType(
    {
        "too-many-requests-html": CannedAnswer(
            429,
            _HTML,
            b"<html>\r\n<head><title>429 Too Many Requests</title></head>\r\n"
            b"<body><center><h1>429 Too Many Requests</h1></center>"
            b"<hr><center>nginx</center></body>\r\n</html>\r\n",
        ),
        "too-many-requests-text": CannedAnswer(
            429,
            _TEXT,
            b"Maximum concurrent requests for this endpoint reached. Please try again shortly.",
        ),
        "blocked": CannedAnswer(
            403,
            _HTML,
            b"<!DOCTYPE html><title>Access denied</title><h1>Error 1006</h1><p>The owner of this "
            b"website (blockchain.info) has banned your IP address.</p>",
        ),
        "server-error": CannedAnswer(
            500, _JSON, b'{"error":"server-error","message":"Server error"}'
        ),
        "bad-gateway": CannedAnswer(
            502,
            _HTML,
            b"<!DOCTYPE html><title>blockchain.info | 502: Bad gateway</title>"
            b"<p>The web server reported a bad gateway error.</p>",
        ),
        "unavailable": CannedAnswer(
            503, _HTML, b"<!DOCTYPE html><h1>Looks like our site is down</h1>"
        ),
        "html": CannedAnswer(200, _HTML, b"<!DOCTYPE html><title>Blockchain.com</title>"),
    }
)
"""Faults that are an answer of their own."""

PAGE = "/unconfirmed-transactions"
FAULTS: Mapping[str, str] = MappingProxyType(
    {
        **{name: f"{answer.status} {answer.content_type}" for name, answer in CANNED.items()},
        "timeout": "no answer for `seconds`, then the connection closes",
        "slow": "the right answer, dribbling in over `seconds`",
        "truncated": "half of the right answer, then the connection closes",
        "empty-page": "a page without transactions",
        "repeated-page": "the page that was served before",
        "changed-schema": "the list of transactions bears another name",
        "changed-items": "each transaction of the page lost its size and calls its hash txid",
        "burst": "`size` transactions arrive just before the right answer",
        "reorganisation": "the newest `size` blocks are replaced just before the right answer",
    }
)
"""Every fault and what it does."""

PAGE_ONLY = frozenset({"empty-page", "repeated-page", "changed-items"})
"""Faults that only the page of unconfirmed transactions can have."""


class Fault(BaseModel):
    """A fault that is switched on: for which requests, how often, how badly."""

    model_config = ConfigDict(frozen=True)

    name: str
    probability: float = Field(1.0, gt=0, le=1)
    count: int | None = Field(None, ge=1, description="So many times; None: until switched off")
    path: str = Field("/", description="Only for requests whose path begins so")
    seconds: float = Field(15.0, ge=0, description="Duration of timeout and slow")
    size: int = Field(0, ge=0, description="Of a burst (default 400) or reorganisation (2)")
    retry_after: int | None = Field(None, ge=0, description="Seconds in a Retry-After header")

    def matches(self, path: str) -> bool:
        """Whether a request for this path can have this fault."""
        return path.startswith(PAGE if self.name in PAGE_ONLY else self.path)


class Faults:
    """What is switched on; draws which fault strikes a request. Not for several threads."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._active: dict[str, Fault] = {}

    def switch_on(self, fault: Fault) -> None:
        """Switch it on, or change it; raises `KeyError` for a name that is no fault."""
        if fault.name not in FAULTS:
            raise KeyError(fault.name)
        self._active[fault.name] = fault

    def switch_off(self, name: str | None = None) -> None:
        """Switch one fault off, or all; one that is not on stays off."""
        for off in [name] if name else list(self._active):
            self._active.pop(off, None)

    def active(self) -> list[Fault]:
        """What is switched on, with the counts that are left."""
        return list(self._active.values())

    def strike(self, path: str) -> Fault | None:
        """The fault that this request has, if any; the first one switched on is drawn first."""
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
    """Read a fault as the command line writes it: `name`, `name:probability[:count]`.

    Raises `ValueError` (pydantic's too) for what is none.

    >>> parse_fault("bad-gateway:0.2:5").count
    5
    """
    name, *rest = text.split(":")
    if name not in FAULTS or len(rest) > 2:
        raise ValueError(f"{text} is no fault; known are {', '.join(FAULTS)}")
    return Fault.model_validate(
        {"name": name, **dict(zip(("probability", "count"), rest, strict=False))}
    )
