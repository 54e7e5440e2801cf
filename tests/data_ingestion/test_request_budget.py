"""The pauses between requests."""

import pytest
from tests.support.blockchain_samples import NOW
from tests.support.ingestion_fakes import FakeClock

from data_ingestion.clock import StoppedError
from data_ingestion.request_budget import RequestBudget


class Store:
    def __init__(self, next_request: float = 0) -> None:
        self.next_request = next_request


def budget(clock: FakeClock, store: Store | None = None, jitter: float = 1) -> RequestBudget:
    return RequestBudget(10, 300, clock, store or Store(), lambda: jitter)


def test_the_first_request_needs_no_wait() -> None:
    clock = FakeClock()
    budget(clock).wait()
    assert clock.now == NOW


def test_the_interval_counts_from_the_answer() -> None:
    clock = FakeClock()
    requests = budget(clock)
    requests.wait()
    clock.now += 3
    requests.answered()
    requests.wait()
    assert clock.now == NOW + 13


def test_pauses_double_up_to_their_limit() -> None:
    requests = budget(FakeClock())
    assert [requests.failed(None) for _ in range(7)] == [20, 40, 80, 160, 300, 300, 300]


def test_jitter_halves_a_pause_at_most_and_never_breaks_the_interval() -> None:
    requests = budget(FakeClock(), jitter=0)
    assert [requests.failed(None) for _ in range(3)] == [10, 20, 40]


def test_an_answer_ends_the_doubling() -> None:
    requests = budget(FakeClock())
    requests.failed(None)
    requests.answered()
    assert requests.failed(None) == 20


@pytest.mark.parametrize(("asked", "pause"), [(3_600, 3_600), (1, 20), (10**9, 86_400)])
def test_what_the_source_asks_for_is_honoured_up_to_a_day(asked: float, pause: float) -> None:
    assert budget(FakeClock()).failed(asked) == pause


def test_a_restart_waits_for_the_rest_of_the_pause() -> None:
    clock, store = FakeClock(), Store()
    budget(clock, store).failed(50)
    clock.now += 20
    budget(clock, store).wait()
    assert clock.now == NOW + 50


def test_killed_before_the_answer_the_next_process_waits_longer() -> None:
    clock, store = FakeClock(), Store()
    budget(clock, store).wait()
    budget(clock, store).wait()
    assert clock.now == NOW + 20


def test_a_clock_that_was_wrong_costs_a_day_at_most() -> None:
    clock = FakeClock()
    budget(clock, Store(NOW + 10**8)).wait()
    assert clock.now == NOW + 86_400


def test_a_stop_ends_the_wait_without_a_request() -> None:
    with pytest.raises(StoppedError):
        budget(FakeClock(stop_after=0)).wait()
