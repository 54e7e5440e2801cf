"""A set of 16-byte keys by date, larger than memory: a repeat is found however old it is.

Recent keys are in memory as sorted arrays. Saved ones are in one file a date, as a sorted array
that is mapped into memory. A file's name has the number of its keys, so that one that does not
agree with the table is recognised without reading it. A Bloom filter answers for most keys that are
new, without a search in any array. A lookup of 50,000 new keys among 18 million takes milliseconds.
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

log = logging.getLogger(__name__)

Keys = NDArray[np.uint64]
"""Keys of 16 bytes as two big-endian numbers each; shape (n, 2)."""

Mask = NDArray[np.bool_]
Days = NDArray[np.datetime64]

_BITS_A_KEY = 12
"""Bits of the filter for each key when it is full: it then lets pass 1 in 40 new keys."""

_LEAST_BITS = 2**20


def as_keys(values: Sequence[bytes]) -> Keys:
    """Values of 16 bytes each as keys.

    >>> as_keys([bytes(15) + bytes([5])]).tolist()
    [[0, 5]]
    """
    return np.frombuffer(b"".join(values), ">u8").reshape(-1, 2).astype(np.uint64)


def are_first(keys: Keys) -> Mask:
    """Whether each key occurs for the first time in the array; shape (n,)."""
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    first = np.ones(len(keys), bool)
    first[order[1:][(keys[order[1:]] == keys[order[:-1]]).all(axis=1)]] = False
    return first


@dataclass(frozen=True)
class SortedKeys:
    """Keys sorted by their first half; `halves` has shape (2, n)."""

    halves: NDArray[np.uint64]

    @classmethod
    def of(cls, keys: Keys) -> "SortedKeys":
        """Sort keys; repeated ones stay."""
        return cls(np.ascontiguousarray(keys[np.argsort(keys[:, 0], kind="stable")].T))

    @classmethod
    def merged(cls, parts: "Iterable[SortedKeys]") -> "SortedKeys":
        """All keys of several sorted arrays."""
        return cls.of(np.concatenate([part.halves.T for part in parts]))

    def __len__(self) -> int:
        return len(self.halves[0])

    def contains(self, keys: Keys) -> Mask:
        """Whether each key is among these; fastest for sorted keys; shape (n,)."""
        first, second = self.halves
        at = np.searchsorted(first, keys[:, 0])
        found = np.zeros(len(keys), bool)
        left = np.flatnonzero(at < len(first))
        while len(left):  # again only for keys that share a first half
            left = left[first[at[left]] == keys[left, 0]]
            equal = second[at[left]] == keys[left, 1]
            found[left[equal]] = True
            left = left[~equal]
            at[left] += 1
            left = left[at[left] < len(first)]
        return found


class BloomFilter:
    """Says of most keys that were not added that they were not, and of no other key.

    A key sets two bits, one by each of its halves, which are as good as random.
    """

    def __init__(self, capacity: int) -> None:
        wanted = max(capacity * _BITS_A_KEY, _LEAST_BITS)
        self._exponent = (wanted - 1).bit_length()
        self._bytes = np.zeros(2**self._exponent // 8, np.uint8)
        self._room: int = 2**self._exponent // _BITS_A_KEY

    @property
    def full(self) -> bool:
        """Whether more keys were added than it has bits for."""
        return self._room < 0

    def add(self, halves: NDArray[np.uint64]) -> None:
        """Add keys, given by their first and second halves; shape (2, n)."""
        self._room -= halves.shape[1]
        for half in halves:
            at, bit = self._place(half)
            np.bitwise_or.at(self._bytes, at, bit)

    def may_contain(self, keys: Keys) -> Mask:
        """False for a key that was never added; shape (n,)."""
        present = np.ones(len(keys), bool)
        for half in keys.T:
            at, bit = self._place(half)
            present &= (self._bytes[at] & bit) != 0
        return present

    def _place(self, half: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
        """The byte and the bit in it: by the leading bits, so that sorted keys are added fast."""
        bits = (half >> np.uint64(64 - self._exponent)).astype(np.intp)
        return bits >> 3, np.uint8(1) << (bits & 7).astype(np.uint8)


class KnownKeys:
    """The keys of one table's rows, by the date of their partition; files are kept in `folder`.

    Used by one thread. Raises `OSError` when a file cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._saved: dict[date, SortedKeys] = {}
        self._recent: dict[date, list[SortedKeys]] = {}
        self._filter = BloomFilter(0)

    def __len__(self) -> int:
        return sum(map(len, self._saved.values())) + self.unsaved

    @property
    def unsaved(self) -> int:
        """The number of keys that are in memory only."""
        return sum(len(part) for parts in self._recent.values() for part in parts)

    def contains(self, keys: Keys) -> Mask:
        """Whether each key has been added; shape (n,)."""
        found = np.zeros(len(keys), bool)
        left = np.flatnonzero(self._filter.may_contain(keys))
        left = left[np.argsort(keys[left, 0])]
        for part in self._parts():
            if not len(left):
                break
            found[left] = part.contains(keys[left])
            left = left[~found[left]]
        return found

    def _parts(self) -> list[SortedKeys]:
        """All arrays, those in memory and then the newest dates first."""
        recent = [part for parts in self._recent.values() for part in reversed(parts)]
        return recent + [self._saved[day] for day in sorted(self._saved, reverse=True)]

    def add(self, keys: Keys, days: Days) -> None:
        """Add new keys with the dates of their rows, `datetime64[D]` of shape (n,)."""
        for day in np.unique(days):
            part = SortedKeys.of(keys[days == day])
            self._note(part)
            parts = self._recent.setdefault(day.item(), [])
            # Each array is at least twice as long as the next: there are few, and each key moves
            # only a few times.
            while parts and len(parts[-1]) < 2 * len(part):
                part = SortedKeys.merged([parts.pop(), part])
            parts.append(part)

    def save(self) -> None:
        """Write the keys that are in memory only to the files of their dates."""
        for day, parts in sorted(self._recent.items()):
            saved = [self._saved[day]] if day in self._saved else []
            self._write(day, SortedKeys.merged([*saved, *parts]))
            del self._recent[day]

    def agree(self, rows: dict[date, int], read: Callable[[date], Keys]) -> list[date]:
        """Make the keys agree with a table that has so many rows of each date.

        A date's file is used when it has as many keys. Otherwise `read` returns the date's keys,
        and they are saved. Returns the dates that were read.
        """
        for day in set(self._saved) | set(self._recent) | set(self._files()):
            if day not in rows:
                self._forget(day)
        unequal = [day for day, count in sorted(rows.items()) if self._count(day) != count]
        wrong = [day for day in unequal if not self._open(day, rows[day])]
        for day in wrong:
            self._recent.pop(day, None)
            self._write(day, keys := SortedKeys.of(read(day)))
            self._note(keys)
        return wrong

    def _count(self, day: date) -> int:
        parts = [*self._recent.get(day, []), *filter(None, [self._saved.get(day)])]
        return sum(map(len, parts))

    def _note(self, keys: SortedKeys) -> None:
        """Add keys to the filter; a full one is replaced by one with room for half as many more."""
        self._filter.add(keys.halves)
        if self._filter.full:
            self._filter = BloomFilter(len(self) + len(self) // 2 + len(keys))
            for part in [*self._parts(), keys]:
                self._filter.add(part.halves)

    def _forget(self, day: date) -> None:
        self._saved.pop(day, None)
        self._recent.pop(day, None)
        for path in self._files().get(day, []):
            path.unlink()

    def _open(self, day: date, count: int) -> bool:
        """Use the file of a date, if there is one with so many keys."""
        path = self._path(day, count)
        if not path.exists():
            return False
        try:
            halves = open_memmap(path, mode="r")
        except (ValueError, OSError) as error:
            log.warning("event=known_keys_unreadable path=%s reason=%s", path, error)
            return False
        if halves.shape != (2, count) or halves.dtype != np.uint64:
            log.warning("event=known_keys_unreadable path=%s reason=shape", path)
            return False
        self._recent.pop(day, None)
        self._saved[day] = SortedKeys(halves)
        self._note(self._saved[day])
        return True

    def _write(self, day: date, keys: SortedKeys) -> None:
        """Write the file of a date, whole or not at all, and delete its earlier ones."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(day, len(keys))
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            np.save(file, keys.halves)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        self._saved[day] = SortedKeys(open_memmap(path, mode="r"))
        for other in self._files()[day]:
            if other != path:
                other.unlink()

    def _path(self, day: date, count: int) -> Path:
        return self._folder / f"{day}.{count}.npy"

    def _files(self) -> dict[date, list[Path]]:
        """The files of each date, unfinished ones too."""
        files: dict[date, list[Path]] = {}
        for path in self._folder.glob("????-??-??.*"):
            files.setdefault(date.fromisoformat(path.name[:10]), []).append(path)
        return files
