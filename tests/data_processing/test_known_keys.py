import random
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_processing.known_keys import BloomFilter, Keys, KnownKeys, SortedKeys, are_first, as_keys

DAY = date(2026, 1, 2)


def keys(*numbers: int) -> Keys:
    return as_keys([number.to_bytes(16, "big") for number in numbers])


def random_keys(count: int, seed: int = 0) -> Keys:
    return as_keys([random.Random(seed).randbytes(16 * count)])


def days_of(rows: Keys, day: date = DAY) -> np.ndarray:
    return np.full(len(rows), np.datetime64(day))


def unread(day: date) -> Keys:
    raise AssertionError(f"the table's rows of {day} are read")


def test_nothing_is_known_at_first(tmp_path: Path) -> None:
    known = KnownKeys(tmp_path)
    assert not known.contains(random_keys(100)).any()
    assert not known.contains(keys()).size
    assert SortedKeys.of(keys()).contains(keys(1)).tolist() == [False]


def test_of_equal_keys_only_the_first_is_first() -> None:
    shared_half = 5 + 2**64
    assert are_first(keys(7, 5, 7, shared_half, 5)).tolist() == [True, True, False, True, False]
    assert are_first(keys()).tolist() == []


def test_keys_that_share_their_first_half_are_told_apart(tmp_path: Path) -> None:
    known, made = KnownKeys(tmp_path), keys(*range(3, 300, 3))
    known.add(made, days_of(made))
    asked = keys(*range(300), 2**64 + 3)
    assert np.flatnonzero(known.contains(asked)).tolist() == list(range(3, 300, 3))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3), st.sets(st.integers(0, 60)), st.sampled_from(["", "save", "restart"])
        ),
        max_size=12,
    )
)
def test_known_keys_agree_with_a_set_through_saves_and_restarts(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, set[int], str]]
) -> None:
    folder = tmp_path_factory.mktemp("keys")
    known, rows = KnownKeys(folder), dict[date, set[int]]()
    for offset, numbers, then in steps:
        day, present = DAY + timedelta(days=offset), set().union(*rows.values())
        asked = sorted(numbers)
        assert known.contains(keys(*asked)).tolist() == [number in present for number in asked]
        new = keys(*sorted(numbers - present))
        known.add(new, days_of(new, day))
        rows[day] = rows.get(day, set()) | (numbers - present)
        rows = {day: present for day, present in rows.items() if present}
        if then == "save":
            known.save()
        if then == "restart":
            known = KnownKeys(folder)
            counts = {day: len(numbers) for day, numbers in rows.items()}
            known.agree(counts, lambda day: keys(*rows[day]))  # noqa: B023
        assert len(known) == sum(map(len, rows.values()))


def test_what_agrees_with_the_table_is_not_read_from_it(tmp_path: Path) -> None:
    made, before = random_keys(1_000), KnownKeys(tmp_path)
    before.add(made, days_of(made))
    before.save()
    known = KnownKeys(tmp_path)
    assert known.agree({DAY: 1_000}, unread) == []
    assert known.contains(made).all()
    assert known.unsaved == 0


@pytest.mark.parametrize("fault", ["deleted", "truncated", "empty", "other", "one more row"])
def test_a_file_that_does_not_agree_is_made_again(tmp_path: Path, fault: str) -> None:
    made, before = random_keys(1_000), KnownKeys(tmp_path)
    before.add(made, days_of(made))
    before.save()
    (file,) = tmp_path.iterdir()
    if fault == "deleted":
        file.unlink()
    elif fault == "other":
        np.save(file, np.zeros((2, 7), np.uint64))
    elif fault != "one more row":
        file.write_bytes(file.read_bytes()[: 900 if fault == "truncated" else 0])
    rows = random_keys(1_001) if fault == "one more row" else made
    known = KnownKeys(tmp_path)
    assert known.agree({DAY: len(rows)}, lambda _: rows) == [DAY]
    assert known.contains(rows).all()
    assert len(list(tmp_path.iterdir())) == 1
    assert KnownKeys(tmp_path).agree({DAY: len(rows)}, unread) == []


def test_dates_that_the_table_has_no_more_are_forgotten_with_their_files(tmp_path: Path) -> None:
    old, new = random_keys(10, 1), random_keys(10, 2)
    known = KnownKeys(tmp_path)
    known.add(old, days_of(old))
    known.save()
    known.add(new, days_of(new, DAY + timedelta(days=30)))
    (tmp_path / f"{DAY}.10.unfinished").touch()
    assert known.agree({DAY + timedelta(days=30): 10}, unread) == []
    assert not known.contains(old).any()
    assert known.contains(new).all()
    assert list(tmp_path.iterdir()) == []


def test_two_million_keys_are_in_few_arrays_and_take_no_more_than_their_bytes(
    tmp_path: Path,
) -> None:
    known, all_keys = KnownKeys(tmp_path), random_keys(2_000_000)
    for part in np.split(all_keys, 40):
        known.add(part, days_of(part))
    parts = known._parts()
    assert len(parts) < 8
    assert sum(part.halves.nbytes for part in parts) == 32_000_000
    assert known.contains(all_keys[::100]).all()
    known.save()
    assert known.unsaved == 0
    assert len(known) == 2_000_000


def test_the_filter_forgets_no_key_and_lets_few_others_pass() -> None:
    bloom, added = BloomFilter(100_000), random_keys(100_000, 1)
    bloom.add(added.T)
    assert bloom.may_contain(added).all()
    assert bloom.may_contain(random_keys(100_000, 2)).mean() < 1 / 40
    assert not bloom.full
    bloom.add(random_keys(300_000, 3).T)
    assert bloom.full
