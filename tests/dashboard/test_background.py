from threading import Event

import pytest

from dashboard.background import Loop


def test_a_loop_outlives_what_its_action_raises_and_counts_it() -> None:
    again = Event()
    failures: list[int] = []

    def fail() -> None:
        if failures:
            again.set()
        raise OSError("the disk is full")

    loop = Loop("test", fail, 0.01, lambda: failures.append(1))
    loop.start()
    assert again.wait(30)
    loop.stop()
    assert failures


@pytest.mark.parametrize(("passed", "stuck"), [(64, False), (66, True)])
def test_a_loop_that_does_not_come_round_is_stuck(passed: float, stuck: bool) -> None:
    now = [0.0]
    loop = Loop("test", lambda: None, 5, lambda: None, clock=lambda: now[0])
    now[0] = passed
    assert loop.stuck is stuck
