import shutil
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from deltalake import DeltaTable
from tests.support.dashboard_backend import Backend, make_services
from tests.support.delta_tables import empty_newest_commit, scored, write

from core.lake import query
from dashboard.activity.filters import Filters
from dashboard.activity.pipeline_state import pipeline_state
from dashboard.lake.recent import start_of_newest
from dashboard.services import Services


def hashes(backend: Backend) -> list[str]:
    table = DeltaTable(str(backend.lake / "scored_transactions"))
    return sorted(query("SELECT hash FROM t", t=table).column("hash").to_pylist())


def test_every_row_is_read_once_and_then_only_what_is_new(backend: Backend) -> None:
    services = backend.services()
    assert sorted(services.recent.refresh().rows.hashes()) == hashes(backend)
    write(backend.lake, "scored_transactions", scored(40, datetime.now(UTC), 5, seed=2))
    assert sorted(services.recent.refresh().rows.hashes()) == hashes(backend)
    assert len(services.recent.refresh().rows) == 6_040


def test_rows_that_were_scored_late_are_read_too(backend: Backend, services: Services) -> None:
    late = scored(30, datetime.now(UTC) - timedelta(seconds=60), 20, seed=3)
    write(backend.lake, "scored_transactions", late)
    assert sorted(services.recent.refresh().rows.hashes()) == hashes(backend)


def test_compacting_and_vacuuming_underneath_change_nothing(backend: Backend) -> None:
    services = backend.services()
    for i in range(5):
        write(backend.lake, "scored_transactions", scored(10, datetime.now(UTC), 2, seed=10 + i))
    services.recent.refresh()
    table = DeltaTable(str(backend.lake / "scored_transactions"))
    table.optimize.compact()
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    write(backend.lake, "scored_transactions", scored(10, datetime.now(UTC), 2, seed=20))
    snapshot = services.recent.refresh()
    assert snapshot.problem is None
    assert sorted(snapshot.rows.hashes()) == hashes(backend)


def test_a_lake_that_is_moved_away_and_back_is_reported_and_recovered_from(
    backend: Backend, services: Services
) -> None:
    away = backend.lake.with_name("away")
    shutil.move(backend.lake, away)
    gone = services.recent.refresh()
    assert gone.problem and len(gone.rows) == 6_000
    assert pipeline_state(gone, 5).kind == "bad"
    shutil.move(away, backend.lake)
    write(backend.lake, "scored_transactions", scored(40, datetime.now(UTC), 5, seed=2))
    back = services.recent.refresh()
    assert back.problem is None and len(back.rows) == 6_040


def test_a_damaged_log_is_reported_with_the_remedy(backend: Backend) -> None:
    empty_newest_commit(backend.lake / "scored_transactions")
    problem = backend.services().recent.refresh().problem
    assert problem and "restart the stream, which repairs it" in problem


def test_a_table_created_again_replaces_the_old_rows(backend: Backend, services: Services) -> None:
    shutil.rmtree(backend.lake / "scored_transactions")
    services.recent.refresh()
    write(backend.lake, "scored_transactions", scored(25, datetime.now(UTC), 5, seed=5))
    assert len(services.recent.refresh().rows) == 25


def test_rows_of_the_other_origin_are_never_shown(backend: Backend) -> None:
    services = make_services(backend.lake, backend.api.url, origin="live")
    snapshot = services.recent.refresh()
    assert len(snapshot.rows) == 0
    assert snapshot.problem and "DATA_ORIGIN=simulated" in snapshot.problem


def test_rows_older_than_the_kept_hours_are_dropped(backend: Backend) -> None:
    now = datetime.now(UTC)
    services = backend.services(clock=lambda: now)
    services.recent.refresh()
    now = now + timedelta(hours=30)
    assert len(services.recent.refresh().rows) == 0


def test_without_a_table_it_says_what_it_waits_for(backend: Backend) -> None:
    services = make_services(backend.lake.with_name("nothing"), backend.api.url)
    snapshot = services.recent.refresh()
    assert snapshot.problem is None
    state = pipeline_state(snapshot, 5)
    assert state.kind == "waiting" and "producer" in state.sentence


@pytest.mark.parametrize(("age", "kind"), [(0, "good"), (300, "bad")])
def test_the_state_says_how_stale_the_newest_row_is(backend: Backend, age: int, kind: str) -> None:
    write(backend.lake, "scored_transactions", scored(9, datetime.now(UTC), 2, seed=4))
    services = backend.services(clock=lambda: datetime.now(UTC) + timedelta(seconds=age))
    state = pipeline_state(services.recent.refresh(), 5)
    assert state.kind == kind
    assert (" min" in state.word) is bool(age)


def test_a_missing_api_is_reported_and_its_return_noticed(backend: Backend) -> None:
    services = backend.services()
    assert services.recent.refresh().model
    backend.api.stop()
    assert services.recent.refresh().api_problem == "The API does not answer."
    backend.api.start()
    assert services.recent.refresh().api_problem is None


def test_failures_are_counted(backend: Backend) -> None:
    services = make_services(backend.lake, "http://127.0.0.1:9", origin="live")
    services.recent.refresh()
    read = services.metrics.registry.get_sample_value
    assert read("bitcoin_dashboard_errors_total", {"source": "lake"}) == 1
    assert read("bitcoin_dashboard_errors_total", {"source": "api"}) == 1
    assert read("bitcoin_dashboard_last_refresh_timestamp_seconds") == 0


def test_the_thread_follows_until_it_is_stopped(backend: Backend) -> None:
    services = backend.services(refresh_seconds=0.05)
    first = services.recent.snapshot.serial
    services.start()
    try:
        for _ in range(200):
            if services.recent.snapshot.serial >= first + 2:
                break
            time.sleep(0.05)
        assert len(services.recent.snapshot.rows) == 6_000
    finally:
        services.stop()
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"recent-rows", "parts", "past-days"}


def test_of_more_rows_than_are_kept_the_older_are_counted_in_the_lake(backend: Backend) -> None:
    services = backend.services(cache_rows=2_000)
    first = services.recent.refresh()
    oldest = backend.rows.column("event_time").to_pylist()[len(backend.rows) - len(first.rows)]
    assert 1_000 < len(first.rows) <= 2_000
    assert first.complete_since <= oldest
    write(backend.lake, "scored_transactions", scored(1_000, datetime.now(UTC), 5, seed=2))
    later = services.recent.refresh()
    assert len(later.rows) == 2_000
    shown, problem = services.views.aggregates(Filters(range="24h"), later)
    assert shown.summary.transactions == 7_000 and problem is None


def test_the_newest_intervals_within_the_limit_are_read() -> None:
    hours = [(datetime(2026, 1, 1, hour, tzinfo=UTC), 90) for hour in range(9, -1, -1)]
    assert start_of_newest(hours, 900) is None
    assert start_of_newest(hours, 899) == hours[-2][0]
    assert start_of_newest(hours, 500) == datetime(2026, 1, 1, 5, tzinfo=UTC)
    assert start_of_newest(hours, 1) == hours[0][0]
    assert start_of_newest([], 10) is None
