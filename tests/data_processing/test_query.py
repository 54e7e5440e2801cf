"""What happens in a micro-batch and what between two, without Spark."""

import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest
from pyspark.errors import StreamingQueryException

from data_processing.parsed_records import FEW_RECORDS, NO_VERDICTS
from data_processing.query import StopRequestedError, StreamQuery
from data_processing.writer_lock import SecondWriterError
from monitoring.stream_metrics import StreamMetrics


class FakeWriter:
    """Writes nothing; `few` has what it was told of each micro-batch."""

    def __init__(self) -> None:
        self.few: list[bool] = []

    def write(self, _: Any, few: bool) -> Any:
        self.few.append(few)
        return SimpleNamespace(
            new=pa.table({"append_time": [], "first_seen": []}),
            rejects=pa.table({"kind": []}),
            records=0,
            repeats=0,
            watched=0,
            confirmed=0,
            scored=False,
            seconds={},
            verdicts=NO_VERDICTS,
        )


class FakeChore:
    """Is due once for each micro-batch."""

    def __init__(self, name: str) -> None:
        self.name, self.open, self.runs = name, 0, 0

    def on_batch(self, _: Any) -> None:
        self.open += 1

    def due(self) -> bool:
        return self.open > 0

    def run(self) -> None:
        self.open, self.runs = self.open - 1, self.runs + 1


class Rig:
    """A query with fakes around it."""

    def __init__(self, metrics: StreamMetrics) -> None:
        self.writer, self.stop = FakeWriter(), threading.Event()
        self.announcements, self.other = FakeChore("announcements"), FakeChore("statistics")
        self.taken_over = False
        self.query = StreamQuery(
            cast(Any, None),
            cast(Any, self.writer),
            self.announcements,
            [self.other],
            metrics,
            self.stop,
            cast(Any, SimpleNamespace(check=lambda: None)),
            cast(Any, SimpleNamespace(check=self.look_at_claim)),
        )

    def look_at_claim(self) -> None:
        if self.taken_over:
            raise SecondWriterError


@pytest.fixture
def rig(metrics: StreamMetrics) -> Rig:
    return Rig(metrics)


def plans(checkpoint: Path, *ends: int) -> None:
    (checkpoint / "offsets").mkdir()
    for number, end in enumerate(ends):
        text = f"v1\n{{}}\n{json.dumps({'topic': {'0': end}})}"
        (checkpoint / "offsets" / str(number)).write_text(text)


class EndedQuery:
    """A query that has failed, or has ended by itself."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def awaitTermination(self, _: float) -> bool:  # noqa: N802
        if self._error is not None:
            raise self._error
        return True


def test_what_is_flagged_is_announced_by_the_micro_batch_and_other_chores_wait(
    rig: Rig, tmp_path: Path
) -> None:
    rig.query._write_batch(tmp_path, cast(Any, None), 0)
    assert (rig.announcements.runs, rig.other.runs) == (1, 0)
    rig.query._do_chores()
    assert (rig.announcements.runs, rig.other.runs) == (1, 1)


def test_a_micro_batch_that_is_planned_with_few_records_is_written_as_few(
    rig: Rig, tmp_path: Path
) -> None:
    plans(tmp_path, 10, 10 + FEW_RECORDS, 11 + 2 * FEW_RECORDS)
    for number in range(3):
        rig.query._write_batch(tmp_path, cast(Any, None), number)
    assert rig.writer.few == [False, True, False], "of the first one nothing says how many"


def test_no_micro_batch_begins_after_a_request_to_stop(rig: Rig, tmp_path: Path) -> None:
    rig.stop.set()
    with pytest.raises(StopRequestedError):
        rig.query._write_batch(tmp_path, cast(Any, None), 0)
    assert rig.writer.few == []


def test_nothing_is_written_once_another_stream_has_taken_over(rig: Rig, tmp_path: Path) -> None:
    rig.query._write_batch(tmp_path, cast(Any, None), 0)
    rig.taken_over = True
    with pytest.raises(SecondWriterError):
        rig.query._write_batch(tmp_path, cast(Any, None), 1)
    with pytest.raises(SecondWriterError):
        rig.query._do_chores()
    assert (len(rig.writer.few), rig.other.runs) == (1, 0)


@pytest.mark.parametrize(
    ("error", "failures"), [(StreamingQueryException("disk full"), 1), (None, 0)]
)
def test_a_query_that_fails_is_counted_and_none_ends_unnoticed(
    rig: Rig, metrics: StreamMetrics, error: Exception | None, failures: int
) -> None:
    with pytest.raises(type(error) if error else RuntimeError):
        rig.query._wait(cast(Any, EndedQuery(error)))
    assert metrics.failures._value.get() == failures
