"""Metrics of the casework service, which makes cases of flags.

No label has a case's number: it would be another series for each case.
"""

from prometheus_client import CollectorRegistry

from core.severity import SEVERITIES
from monitoring.prometheus_metrics import ServiceMetrics

RESULTS = ("joined", "repeated", "muted", "unreadable")
"""What becomes of a record of the topic: it joins a case, its case has it, a mute says that it is
known, or it is no message."""

LOOPS = ("cases",)
"""The loops of the service; they run in its main thread."""


class CaseworkMetrics(ServiceMetrics):
    """Every metric of the casework service."""

    service = "casework"

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self.messages = self.counter(
            "messages", "Records of bitcoin-anomalies that were read, by result", result=RESULTS
        )
        self.merges = self.counter("merges", "Cases that became part of an older one")
        self.listener_failures = self.counter(
            "listener_failures", "Listeners that failed after a commit of cases"
        )
        self.lag = self.gauge("lag_records", "Records of bitcoin-anomalies that are not read yet")
        self.open_cases = self.gauge(
            "open_cases", "Cases that are not closed, by severity", severity=SEVERITIES
        )
        self.members = self.gauge("members", "Rows of case_members: every member and every merge")
        self.commit_seconds = self.histogram(
            "commit_seconds",
            "Time to write one read of the topic to case_members",
            (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
        )
        self.declare_loops(*LOOPS)
