import shutil
from datetime import UTC, datetime, timedelta

import pytest
from deltalake import DeltaTable
from tests.dashboard.conftest import World, desk
from tests.dashboard.lake_maker import scored, write

from core.lake import query
from dashboard.activity.filters import Filters
from dashboard.activity.tiles import pipeline_state
from dashboard.lake.recent import beginning


def hashes(world: World) -> list[str]:
    table = DeltaTable(str(world.lake / "scored_transactions"))
    return sorted(query("SELECT hash FROM t", t=table).column("hash").to_pylist())


def test_every_row_is_read_once_and_then_only_what_is_new(world: World) -> None:
    parts = world.desk()
    assert sorted(parts.recent.refresh().rows.hashes()) == hashes(world)
    write(world.lake, "scored_transactions", scored(40, datetime.now(UTC), 5, seed=2))
    assert sorted(parts.recent.refresh().rows.hashes()) == hashes(world)
    assert len(parts.recent.refresh().rows) == 6_040


def test_rows_that_were_scored_late_are_seen_too(world: World) -> None:
    parts = world.desk()
    parts.recent.refresh()
    late = scored(30, datetime.now(UTC) - timedelta(seconds=60), 20, seed=3)
    write(world.lake, "scored_transactions", late)
    assert sorted(parts.recent.refresh().rows.hashes()) == hashes(world)


def test_compacting_and_vacuuming_underneath_change_nothing(world: World) -> None:
    parts = world.desk()
    for i in range(5):
        write(world.lake, "scored_transactions", scored(10, datetime.now(UTC), 2, seed=10 + i))
    parts.recent.refresh()
    table = DeltaTable(str(world.lake / "scored_transactions"))
    table.optimize.compact()
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    write(world.lake, "scored_transactions", scored(10, datetime.now(UTC), 2, seed=20))
    snapshot = parts.recent.refresh()
    assert snapshot.problem is None
    assert sorted(snapshot.rows.hashes()) == hashes(world)


def test_a_lake_that_is_moved_away_and_back_is_said_and_recovered_from(world: World) -> None:
    parts = world.desk()
    parts.recent.refresh()
    away = world.lake.with_name("away")
    shutil.move(world.lake, away)
    gone = parts.recent.refresh()
    assert gone.problem and len(gone.rows) == 6_000
    assert pipeline_state(gone, "simulated").kind == "bad"
    shutil.move(away, world.lake)
    write(world.lake, "scored_transactions", scored(40, datetime.now(UTC), 5, seed=2))
    back = parts.recent.refresh()
    assert back.problem is None and len(back.rows) == 6_040


def test_a_table_made_anew_takes_the_place_of_the_old_rows(world: World) -> None:
    parts = world.desk()
    parts.recent.refresh()
    shutil.rmtree(world.lake / "scored_transactions")
    parts.recent.refresh()
    write(world.lake, "scored_transactions", scored(25, datetime.now(UTC), 5, seed=5))
    assert len(parts.recent.refresh().rows) == 25


def test_rows_of_the_other_origin_are_never_shown(world: World) -> None:
    parts = desk(world.lake, world.api.url, origin="live")
    snapshot = parts.recent.refresh()
    assert len(snapshot.rows) == 0
    assert snapshot.problem and "DATA_ORIGIN=simulated" in snapshot.problem


def test_rows_older_than_what_is_kept_are_let_go(world: World) -> None:
    now = datetime.now(UTC)
    parts = world.desk(clock=lambda: now)
    parts.recent.refresh()
    now = now + timedelta(hours=30)
    assert len(parts.recent.refresh().rows) == 0


def test_without_a_table_it_says_what_it_waits_for(world: World) -> None:
    parts = desk(world.lake.with_name("nothing"), world.api.url)
    snapshot = parts.recent.refresh()
    assert snapshot.problem is None
    state = pipeline_state(snapshot, "simulated")
    assert state.kind == "waiting" and "producer" in state.sentence


@pytest.mark.parametrize(("age", "kind"), [(0, "good"), (300, "bad")])
def test_the_state_says_how_stale_the_newest_row_is(world: World, age: int, kind: str) -> None:
    write(world.lake, "scored_transactions", scored(9, datetime.now(UTC), 2, seed=4))
    parts = world.desk(clock=lambda: datetime.now(UTC) + timedelta(seconds=age))
    state = pipeline_state(parts.recent.refresh(), "simulated")
    assert state.kind == kind
    assert (" min" in state.word) is bool(age)


def test_the_apis_absence_is_said_and_its_return_noticed(world: World) -> None:
    parts = world.desk()
    assert parts.recent.refresh().model
    world.api.stop()
    assert parts.recent.refresh().api_problem == "The API does not answer."
    world.api.start()
    assert parts.recent.refresh().api_problem is None


def test_failures_are_counted(world: World) -> None:
    parts = desk(world.lake, "http://127.0.0.1:9", origin="live")
    parts.recent.refresh()
    read = parts.metrics.registry.get_sample_value
    assert read("bitcoin_dashboard_errors_total", {"source": "lake"}) == 1
    assert read("bitcoin_dashboard_errors_total", {"source": "api"}) == 1
    assert read("bitcoin_dashboard_last_refresh_timestamp_seconds") == 0


def test_the_thread_follows_until_it_is_stopped(world: World) -> None:
    parts = world.desk(every=0.05)
    parts.recent.start()
    try:
        for _ in range(200):
            if parts.recent.snapshot.serial >= 2:
                break
            parts.recent._stopped.wait(0.05)
        assert len(parts.recent.snapshot.rows) == 6_000
    finally:
        parts.recent.stop()
    assert not parts.recent._thread.is_alive()


def test_more_rows_than_are_kept_at_hand_show_the_newest_and_say_so(world: World) -> None:
    held = world.desk(cache_rows=2_000)
    first = held.recent.refresh()
    oldest = world.rows.column("event_time").to_pylist()[len(world.rows) - len(first.rows)]
    assert 1_000 < len(first.rows) <= 2_000
    assert first.since <= oldest
    write(world.lake, "scored_transactions", scored(1_000, datetime.now(UTC), 5, seed=2))
    later = held.recent.refresh()
    assert len(later.rows) == 2_000
    shown, problem = held.views.rows(Filters(range="24h"), later)
    assert problem == "This range holds more: its newest 2,000 are shown."
    assert len(shown) == 2_000
    assert held.views.rows(Filters(range="15m"), later)[1] is None


def test_the_newest_windows_that_are_not_too_many_are_read() -> None:
    hours = [(datetime(2026, 1, 1, hour, tzinfo=UTC), 90) for hour in range(9, -1, -1)]
    assert beginning(hours, 900) is None
    assert beginning(hours, 899) == hours[-2][0]
    assert beginning(hours, 500) == datetime(2026, 1, 1, 5, tzinfo=UTC)
    assert beginning(hours, 1) == hours[0][0]
    assert beginning([], 10) is None
