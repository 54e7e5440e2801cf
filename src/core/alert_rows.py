"""What is written of alerts: the outbox as two casework tables, both by the service of cases alone.

An alert is what a route is to be told of one case; a delivery is a message that a route's receiver
has accepted. What waits follows from both: the alerts of a route and case with a higher `sequence`
than its newest delivery's `through`. Nothing else is kept, so a restart knows what it must.
"""

from typing import Literal

import pyarrow as pa

from core.tables import TIMESTAMP

MessageKind = Literal["alert", "summary", "digest"]

ALERTS = pa.schema(
    [
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("route", pa.string(), nullable=False),
        pa.field("case", pa.int64(), nullable=False),
        pa.field("severity", pa.string(), nullable=False),
        pa.field("created_at", TIMESTAMP, nullable=False),
        pa.field("joined", pa.int64(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("headline", pa.string(), nullable=False),
        pa.field("payload", pa.string(), nullable=False),
    ]
)
"""One row an alert: what joined a case in one step and fits one route.

`sequence` is that of the newest of these members in `case_members`. `severity` is the highest of
them, `joined` their number, `size` how many members the case had then. `headline` and `payload`
(JSON) are of the most telling one.
"""

DELIVERIES = pa.schema(
    [
        pa.field("route", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("case", pa.int64()),
        pa.field("severity", pa.string()),
        pa.field("through", pa.int64()),
        pa.field("delivered_at", TIMESTAMP, nullable=False),
    ]
)
"""One row a case that an accepted message told of; a digest has one row without a case.

`message` names the message, `kind` is one of `MessageKind`. `through` is the `sequence` of the
newest alert that it told.
"""
