"""The watch list as a file: CSV with a header, or one entry a line as the public lists have them.

A list of sanctioned addresses has one address a line. A CSV file has the columns `entry`, `name`,
`reason`, `severity` and `kind` in the order of its first line, of which the first may be called
`address`; further columns are not read. Empty lines and lines that begin with # are passed over.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
from pydantic import ValidationError

from core.watch_list import WatchedEntry

MAX_LINES = 100_000
"""Entries in one file."""

MOST_BAD = 1_000
"""Bad lines that are named; after them a file is read no further."""

COLUMNS = ("entry", "kind", "name", "reason", "severity", "author", "changed_at")
"""The columns of an exported file."""

_READ = ("entry", "name", "reason", "severity", "kind")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What begins a formula in a spreadsheet (OWASP, CSV injection)."""


class BadLine(NamedTuple):
    """A line that cannot be read; lines are counted from 1."""

    number: int
    value: str
    reason: str


class ReadFile(NamedTuple):
    """The entries of a file, and its first bad lines."""

    entries: list[WatchedEntry]
    bad: list[BadLine]


def read_file(text: str, defaults: Mapping[str, str]) -> ReadFile:
    """Read a file; `defaults` is the name, reason and severity where a line has none.

    >>> read_file("entry,name\\n1BoatSLRHtKNngkdXEeobR76b53LETtpyT,Boat", {"reason": "x"}).bad
    []
    >>> read_file("not an address!", {"name": "n", "reason": "x"}).bad[0].number
    1
    """
    result, header = ReadFile([], []), list(_READ[:1])
    lines = _lines(text)
    for number, cells, fault in lines:
        if len(result.bad) == MOST_BAD:
            break
        if fault:
            result.bad.append(BadLine(number, "", fault))
        elif not result.entries and not result.bad and header == ["entry"] and _is_header(cells):
            header = _header(cells)
        elif len(result.entries) == MAX_LINES:
            result.bad.append(BadLine(number, "", f"the file has more than {MAX_LINES:,} entries"))
            break
        else:
            _read_line(number, dict(zip(header, cells, strict=False)), defaults, result)
    return result


def _lines(text: str) -> Iterator[tuple[int, list[str], str]]:
    """Number and cells of each line, or what is wrong with it."""
    for number, ended in enumerate(io.StringIO(text.removeprefix("\ufeff"), newline=None), 1):
        line = ended.removesuffix("\n")
        if not line.strip() or line.startswith("#"):
            continue
        try:
            rows = list(csv.reader([line], strict=True))
        except csv.Error as error:
            yield number, [], f"it is no line of CSV: {error}"
        else:
            yield number, rows[0], ""


def _is_header(cells: list[str]) -> bool:
    return "entry" in _header(cells)


def _header(cells: list[str]) -> list[str]:
    """The names of columns; public lists call the entry an address."""
    names = [cell.strip().lower() for cell in cells]
    return ["entry" if name == "address" else name for name in names]


def _read_line(
    number: int, cells: Mapping[str, str], defaults: Mapping[str, str], result: ReadFile
) -> None:
    given = {name: _unguarded(cells.get(name, "").strip()) for name in _READ}
    values = {name: value or defaults.get(name, "") for name, value in given.items()}
    values = {name: value for name, value in values.items() if value}
    try:
        result.entries.append(WatchedEntry.model_validate(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "entry"
        reason = "it is missing" if first["type"] == "missing" else first["msg"]
        result.bad.append(BadLine(number, given["entry"], f"{where}: {reason}"))


def csv_text(rows: pa.Table) -> str:
    """Rows of the list as a CSV file, which `read_file` reads again.

    A cell that a spreadsheet would take for a formula is guarded by an apostrophe.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    columns = [rows[name].to_pylist() for name in COLUMNS]
    for cells in zip(*columns, strict=True):
        writer.writerow([guarded(cell) for cell in cells])
    return text.getvalue()


def guarded(cell: Any) -> str:
    """A cell that no spreadsheet computes.

    >>> guarded("=1+1"), guarded("'=1"), guarded("bc1q")
    ("'=1+1", "''=1", 'bc1q')
    """
    text = cell.isoformat() if hasattr(cell, "isoformat") else str(cell)
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA) else text


def _unguarded(text: str) -> str:
    return text[1:] if text[:1] == "'" and text.lstrip("'").startswith(_FORMULA) else text
