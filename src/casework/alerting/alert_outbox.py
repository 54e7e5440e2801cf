"""The outbox: what waits for each route, kept in tables, and read a bounded number of rows at once.

New members of cases are taken from the table `case_members`, in one commit with the position up to
which they are taken: whatever stops the service, each becomes an alert of a route exactly once. The
alerts wait until a delivery says that they were told.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa

from casework.alerting.alert_text import CaseFacts, Message
from casework.alerting.matching import alert_rows, severity_of
from casework.alerting.pacing import HOUR, WaitingCase
from casework.alerting.routes_file import Route
from core.alert_rows import ALERTS, DELIVERIES
from core.case_rows import handling
from core.casework import CaseworkStore
from core.lake import sql_time
from core.severity import SEVERITIES, highest

_READER = "alerts-of-case-members"
"""Under this name the position is kept; a commit of `alerts` has it."""

_MEMBERS_AT_ONCE = 2_000
_CASES_AT_ONCE = 500
_RANK = "CASE severity " + " ".join(f"WHEN '{s}' THEN {n}" for n, s in enumerate(SEVERITIES))
_RANK += " END"

_WAITING = f"""
WITH of_route AS (SELECT *, {_RANK} AS rank FROM alerts WHERE route = '{{route}}'),
told AS (
    SELECT "case", MAX(through) AS through, MAX(delivered_at) AS told_at,
        MAX(CASE WHEN delivered_at > {{since}} THEN {_RANK} END) AS told_rank
    FROM deliveries WHERE route = '{{route}}' AND "case" IS NOT NULL GROUP BY "case"
),
waiting AS (
    SELECT a."case", MAX(a.rank) AS rank, MIN(a.sequence) AS first_sequence,
        MAX(a.sequence) AS through, SUM(a.joined) AS joined, MAX(a.size) AS size,
        MIN(a.created_at) AS first_at, MAX(told.told_at) AS told_at,
        MAX(told.told_rank) AS told_rank,
        FIRST_VALUE(a.headline ORDER BY a.rank DESC, a.sequence DESC) AS headline,
        FIRST_VALUE(a.payload ORDER BY a.rank DESC, a.sequence DESC) AS payload
    FROM of_route a LEFT JOIN told ON a."case" = told."case"
    WHERE told.through IS NULL OR a.sequence > told.through
    GROUP BY a."case"
)
SELECT *, COUNT(*) OVER () AS total FROM waiting
ORDER BY COALESCE(told_at > {{since}} AND NOT ({{escalate}} AND rank > told_rank), FALSE),
    CASE WHEN told_at > {{since}} THEN told_at END, rank DESC, first_at, "case"
LIMIT {_CASES_AT_ONCE}
"""
"""What waits for a route by case, those first that its cool-down does not hold back."""


class Backlog(NamedTuple):
    """What waits for a route: its first cases, how many there are, and what was sent lately.

    `sent` are the times of the route's messages of the last hour.
    """

    cases: list[WaitingCase]
    total: int
    sent: list[datetime]


class AlertOutbox:
    """The tables `alerts` and `deliveries`; any thread may call, since each call is whole."""

    def __init__(self, store: CaseworkStore) -> None:
        self._store, self.origin = store, store.origin

    def open(self) -> None:
        """Make the tables where they are missing; raises as `CaseworkStore.append`."""
        for name, schema in (("alerts", ALERTS), ("deliveries", DELIVERIES)):
            if self._store.table(name) is None:
                self._store.append(name, schema.empty_table())

    def take(self, routes: Sequence[Route], now: datetime) -> list[dict[str, Any]] | None:
        """Make alerts of the next new members of cases, and note that they are taken.

        Returns the alerts that were written; None where there are no new members. Raises as
        `CaseworkStore.append`.
        """
        position = self._store.position("alerts", _READER) or 0
        members = self._rows(
            f"SELECT * FROM case_members WHERE sequence > {position}"
            f" ORDER BY sequence LIMIT {_MEMBERS_AT_ONCE}",
            "case_members",
        )
        if not members:
            return None
        alerts = self._alerts(routes, members, now) if routes else []
        self._store.append(
            "alerts",
            pa.Table.from_pylist(alerts, ALERTS),
            (_READER, members[-1]["sequence"]),
        )
        return alerts

    def waiting(self, route: Route, now: datetime) -> Backlog:
        """What waits for a route; raises as `core.casework.CaseworkStore.query`."""
        escalate = "TRUE" if route.escalate else "FALSE"
        since = sql_time(now - route.cool_down)
        sql = _WAITING.format(route=route.name, since=since, escalate=escalate)
        rows = self._rows(sql, "alerts", "deliveries")
        sent = self._rows(
            f"SELECT MAX(delivered_at) AS at FROM deliveries WHERE route = '{route.name}'"
            f" AND kind <> 'digest' AND delivered_at > {sql_time(now - HOUR)} GROUP BY message",
            "deliveries",
        )
        total = rows[0]["total"] if rows else 0
        return Backlog([_waiting_case(row) for row in rows], total, [row["at"] for row in sent])

    def note_delivery(
        self, route: str, message: Message, cases: Sequence[WaitingCase], now: datetime
    ) -> None:
        """Note that a receiver has accepted a message; raises as `CaseworkStore.append`."""
        common = {"route": route, "message": message.id, "kind": message.kind, "delivered_at": now}
        rows = [
            common | {"case": c.case, "severity": c.severity, "through": c.through} for c in cases
        ]
        self._store.append("deliveries", pa.Table.from_pylist(rows or [common], DELIVERIES))

    def is_delivered(self, route: str, message: str) -> bool:
        """Whether a route has had a digest; `message` is its id."""
        sql = f"SELECT 1 FROM deliveries WHERE route = '{route}' AND message = '{message}' LIMIT 1"
        return bool(self._rows(sql, "deliveries"))

    def _alerts(
        self, routes: Sequence[Route], members: Sequence[dict[str, Any]], now: datetime
    ) -> list[dict[str, Any]]:
        """The alerts of new members, which belong to the cases that theirs are part of by now."""
        parents = {
            row["number"]: row["merged_into"]
            for row in self._rows(
                "SELECT number, merged_into FROM case_members WHERE merged_into IS NOT NULL"
                f" AND sequence <= {members[-1]['sequence']} ORDER BY sequence",
                "case_members",
            )
        }
        joined: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for member in members:
            if member["merged_into"] is None:
                joined[_root(parents, member["number"])].append(member)
        alerts = []
        for case, news in joined.items():
            parts = [case, *(n for n in parents if _root(parents, n) == case)]
            facts = self._facts(parts, news)
            alerts += alert_rows(routes, case, news, facts, now)
        return sorted(alerts, key=lambda alert: alert["sequence"])

    def _facts(self, parts: Sequence[int], news: Sequence[Mapping[str, Any]]) -> CaseFacts:
        numbers = ", ".join(map(str, sorted(parts)))
        sizes = self._rows(
            "SELECT COUNT(*) AS size, MIN(sequence) AS first,"
            f" MAX({_RANK}) AS rank FROM case_members"
            f" WHERE number IN ({numbers}) AND merged_into IS NULL"
            f" AND sequence <= {news[-1]['sequence']}",
            "case_members",
        )[0]
        events = self._rows(f"SELECT * FROM case_events WHERE number IN ({numbers})", "case_events")
        severity = highest([severity_of(member) for member in news])
        if sizes["rank"] is not None:
            severity = SEVERITIES[sizes["rank"]]
        first = news[0]["sequence"]
        return CaseFacts(
            size=sizes["size"],
            severity=severity,
            new=sizes["first"] == first,
            reopened=handling(events).is_reopened(first),
        )

    def _rows(self, sql: str, *tables: str) -> list[dict[str, Any]]:
        result = self._store.query(sql, *tables)
        rows: list[dict[str, Any]] = [] if result is None else result.to_pylist()
        return rows


def _root(parents: Mapping[int, int], number: int) -> int:
    """The case that a case has become part of, itself where it has not."""
    while number in parents:
        number = parents[number]
    return number


def _waiting_case(row: dict[str, Any]) -> WaitingCase:
    told_rank = row["told_rank"]
    return WaitingCase(
        case=row["case"],
        severity=SEVERITIES[row["rank"]],
        first_sequence=row["first_sequence"],
        through=row["through"],
        joined=row["joined"],
        size=row["size"],
        first_at=row["first_at"],
        headline=row["headline"],
        payload=row["payload"],
        told_at=row["told_at"],
        told_severity=None if told_rank is None else SEVERITIES[told_rank],
    )
