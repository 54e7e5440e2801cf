from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from tests.support.store_server import StoreServer

from core.lake import open_or_create_table, open_table
from data_processing import lake_claim
from data_processing.lake_claim import CLAIM, LakeClaim
from data_processing.writer_lock import SecondWriterError

ON_ONE = "another stream writes to this lake: that of host one, since .* UTC; stop one of them"
ON_TWO = "another stream has taken over this lake: that of host two, since .* UTC"


@pytest.fixture
def lake(store: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A lake of the test's own on a store."""
    monkeypatch.setattr(lake_claim, "_LOOK_SECONDS", 0.05)
    return store.uri(tmp_path.name)


@pytest.fixture
def stream(
    lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], LakeClaim]:
    """Makes the claim of a stream that has just started on a host."""

    def start(host: str) -> LakeClaim:
        monkeypatch.setattr("socket.gethostname", lambda: host)
        return LakeClaim(lake, "simulated", tmp_path / host)

    return start


@pytest.fixture
def commit(lake: str) -> Callable[[], None]:
    """Commits a row to the lake."""
    rows = pa.table({"hash": ["00"]})
    table = open_or_create_table(lake, "raw_transactions", rows.schema, "simulated")
    return lambda: write_deltalake(table, rows, mode="append")


def versions(lake: str) -> int:
    """The commits of the claim since its table was made."""
    table = open_table(lake, CLAIM, "simulated")
    assert table is not None
    return table.version()


@pytest.mark.slow
def test_a_second_stream_ends_while_the_first_commits_and_the_first_goes_on(
    stream: Callable[[str], LakeClaim], commit: Callable[[], None]
) -> None:
    first = stream("one")
    first.acquire(0)
    done = Event()

    def work() -> None:
        while not done.is_set():
            first.check()
            commit()

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            with pytest.raises(SecondWriterError, match=ON_ONE):
                stream("two").acquire(30)
        finally:
            done.set()
        working.result()
    first.check()


@pytest.mark.slow
def test_the_lake_of_a_stream_that_commits_no_more_is_taken_over_and_that_one_then_ends(
    stream: Callable[[str], LakeClaim], commit: Callable[[], None]
) -> None:
    commit()
    first = stream("one")
    first.acquire(0)
    second = stream("two")
    second.acquire(0.2)
    second.check()
    with pytest.raises(SecondWriterError, match=ON_TWO):
        first.check()


@pytest.mark.slow
def test_a_stream_that_starts_again_keeps_its_claim_without_a_commit(
    lake: str, stream: Callable[[str], LakeClaim]
) -> None:
    stream("one").acquire(0)
    again = stream("one")
    again.acquire(30)
    again.check()
    assert versions(lake) == 1


def goes_on(step: Callable[[], None]) -> bool:
    try:
        step()
    except SecondWriterError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("_", range(5))
def test_of_streams_that_start_at_one_moment_at_most_one_goes_on(
    stream: Callable[[str], LakeClaim], _: int
) -> None:
    """And where none does, the first that Docker starts again."""
    claims = [stream(f"host-{number}") for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        started = list(pool.map(lambda claim: goes_on(lambda: claim.acquire(0)), claims))
    left = [claim for claim, ok in zip(claims, started, strict=True) if ok and goes_on(claim.check)]
    assert len(left) <= 1
    claims[0].acquire(0)
    assert [goes_on(claim.check) for claim in claims] == [True, False, False, False]


def test_a_lake_on_a_disk_is_not_claimed(tmp_path: Path) -> None:
    claim = LakeClaim(str(tmp_path / "lake"), "simulated", tmp_path)
    claim.acquire(0)
    claim.check()
    assert list(tmp_path.iterdir()) == []
