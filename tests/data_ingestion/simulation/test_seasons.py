import numpy as np
from numpy.typing import NDArray

from data_ingestion.simulation.seasons import (
    QUARTER,
    SPIKE_FACTOR,
    SPIKE_SHARE,
    day_cycle,
    fee_level,
)

MIDNIGHT = 20_000 * 86_400


def every(seconds: int, times: int) -> NDArray[np.float64]:
    return (MIDNIGHT + seconds * np.arange(times)).astype(np.float64)


def test_the_day_has_its_peak_in_the_afternoon_and_its_trough_at_night() -> None:
    hours = day_cycle(every(3_600, 24))
    assert hours.argmax() == 15
    assert hours.argmin() == 3
    assert abs(hours.mean() - 1) < 1e-9


def test_a_spike_multiplies_the_fee_level_of_its_quarter_hour() -> None:
    times = every(QUARTER, 4_000)
    spikes = fee_level(times, seed=1) / day_cycle(times)
    raised = spikes[spikes > 1]
    assert abs(len(raised) / len(times) - SPIKE_SHARE) < 0.02
    assert raised.min() >= SPIKE_FACTOR[0]
    assert raised.max() <= SPIKE_FACTOR[1]


def test_a_seed_has_its_spikes_at_the_same_times_however_it_is_asked() -> None:
    times = every(600, 500)
    one_by_one = [fee_level(times[n : n + 1], seed=4)[0] for n in range(500)]
    assert fee_level(times, seed=4).tolist() == one_by_one
