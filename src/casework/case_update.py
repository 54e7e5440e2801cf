"""What a commit of the case builder changed about one case: what its listeners, alerts, are told.

A listener is called after the rows are committed, with the updates in the order of the topic. A
crash between the commit and the call loses the call, never the rows: a listener that must miss
nothing asks the table `case_members`, whose `joined_at` and `position` say what is newer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.severity import Severity


@dataclass(frozen=True, slots=True)
class CaseUpdate:
    """The messages that joined one case in one commit, and what the case is now.

    `number` is the case's for good. `new` says that this commit opened it, `reopened` that it was
    closed until now. `severity` is the highest of all its members, `previous_severity` the highest
    before this commit, None for a new case. `size` counts all its members. `joined` are the
    messages of `bitcoin-anomalies` that joined now, in order; none where another case was merged
    into this one and nothing else. `merged` are the numbers of the cases that became part of this
    one. `at` is the time of the commit, UTC. `sequence` is that of the newest of the case's rows.
    """

    number: int
    new: bool
    reopened: bool
    severity: Severity
    previous_severity: Severity | None
    size: int
    joined: tuple[Mapping[str, Any], ...]
    at: datetime
    merged: tuple[int, ...] = ()
    sequence: int = 0


Listener = Callable[[CaseUpdate], None]
"""Called after a commit; what it raises is logged and counted, and the case builder goes on."""
