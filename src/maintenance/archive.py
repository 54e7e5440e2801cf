"""The file that a backup is: a tar archive that says what it holds, and can be read from a pipe.

Its first member is `backup.json`: the format, the project's version, the origin of the data and the
time. Its last is `manifest.json`: size and SHA-256 of every file between the two. An archive that
was cut off has no manifest. Nothing is compressed: Parquet already is.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO

FORMAT = 1
"""The format that is written; a later one is refused."""

ORIGINS = ("live", "simulated")
HEADER, MANIFEST = "backup.json", "manifest.json"

_CHUNK = 1 << 20


class ArchiveError(RuntimeError):
    """An archive cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Header:
    """What an archive says of itself; `created_at` is an ISO time in UTC."""

    format: int
    version: str
    origin: str
    created_at: str


@dataclass(frozen=True)
class FileSum:
    """The size of a file in bytes, and its SHA-256 in hexadecimal digits."""

    size: int
    sha256: str


class ArchiveWriter:
    """Writes an archive to `out`, which need not be seekable; `close` makes it whole.

    Of a file that is added twice the last one counts.
    """

    def __init__(self, out: BinaryIO, header: Header) -> None:
        self._tar = tarfile.open(  # noqa: SIM115  `close` closes it, and nothing else makes it whole
            fileobj=out, mode="w|", format=tarfile.GNU_FORMAT
        )
        self._sums: dict[str, FileSum] = {}
        self._write(HEADER, io.BytesIO(content := _json(asdict(header))), len(content))

    def has(self, name: str, size: int) -> bool:
        """Whether a file of this size is in the archive."""
        return name in self._sums and self._sums[name].size == size

    @property
    def size(self) -> int:
        """The bytes of these files."""
        return sum(each.size for each in self._sums.values())

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a file with this content."""
        self._sums[name] = self._write(name, io.BytesIO(content), len(content))

    def add_file(self, name: str, path: Path) -> None:
        """Add a file of the disk; `FileNotFoundError`, and nothing added, where there is none."""
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            self._sums[name] = self._write(name, file, size)

    def close(self) -> None:
        """Write the manifest and the end."""
        content = _json({name: asdict(each) for name, each in self._sums.items()})
        self._write(MANIFEST, io.BytesIO(content), len(content))
        self._tar.close()

    def _write(self, name: str, file: BinaryIO, size: int) -> FileSum:
        """Add a member of `size` bytes; raises `OSError` for a file that ends before."""
        member = tarfile.TarInfo(name)
        member.size = size
        summed = _Summed(file)
        self._tar.addfile(member, summed)
        return FileSum(size, summed.hexdigest())


def read_header(archive: BinaryIO) -> Header:
    """What the archive at the beginning of this stream says; raises `ArchiveError`."""
    with _readable(), tarfile.open(fileobj=archive, mode="r|") as tar:
        return _header(tar, tar.next())


def unpack(archive: BinaryIO, check: Callable[[Header], None], place: Callable[[str], Path]) -> int:
    """Write every file of an archive to its `place`, and return how many bytes that were.

    `check` may refuse the header before anything is written. Raises `ArchiveError`, after some or
    all files are written, for an archive that is damaged or cut off.
    """
    sums: dict[str, FileSum] = {}
    with _readable(), tarfile.open(fileobj=archive, mode="r|") as tar:
        check(_header(tar, tar.next()))
        while (member := tar.next()) is not None:
            if member.name == MANIFEST:
                _compare(sums, json.loads(_content(tar, member)))
                return sum(each.size for each in sums.values())
            if not member.isfile() or not _is_inside(member.name):
                raise _damaged(f"{member.name!r} is not a file of a backup")
            sums[member.name] = _unpack_file(tar, member, place(member.name))
    raise _damaged("its end is missing")


def version_problem(header: Header, installed: str) -> str | None:
    """Why this version cannot read an archive; None where it can.

    >>> version_problem(Header(1, "0.9.1", "live", ""), "0.10.0")
    >>> version_problem(Header(1, "0.10.0", "live", ""), "0.9.1")[:60]
    'The backup was made by version 0.10.0 and this is 0.9.1: res'
    """
    if header.format <= FORMAT and _numbers(header.version) <= _numbers(installed):
        return None
    return (
        f"The backup was made by version {header.version} and this is {installed}: "
        "restore it with that version or later."
    )


def installed_version() -> str:
    """This project's version."""
    return version("bitcoin-anomaly-detection")


class _Summed:
    """A file that sums up what is read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._sha256 = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(size)
        self._sha256.update(chunk)
        return chunk

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError, LookupError, TypeError) as error:
        raise _damaged(str(error)) from error


def _damaged(reason: str) -> ArchiveError:
    return ArchiveError(f"The backup is damaged or cut off ({reason}): use another one.")


def _header(tar: tarfile.TarFile, first: tarfile.TarInfo | None) -> Header:
    if first is None or first.name != HEADER:
        raise ArchiveError("This is no backup of this project: name a file of make backup.")
    content = json.loads(_content(tar, first))
    header = Header(**{each.name: content[each.name] for each in fields(Header)})
    if header.origin not in ORIGINS:
        raise _damaged(f"it is of {header.origin!r} data")
    return header


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    return _file(tar, member).read()


def _file(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(member)
    if file is None:
        raise _damaged(f"{member.name!r} is no file")
    return file


def _unpack_file(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> FileSum:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = _file(tar, member)
    sha256, size = hashlib.sha256(), 0
    with path.open("wb") as out:
        for chunk in iter(lambda: source.read(_CHUNK), b""):
            sha256.update(chunk)
            size += out.write(chunk)
    return FileSum(size, sha256.hexdigest())


def _compare(found: dict[str, FileSum], manifest: dict[str, Any]) -> None:
    expected = {name: FileSum(**each) for name, each in manifest.items()}
    if wrong := _first(n for n in expected | found if expected.get(n) != found.get(n)):
        raise _damaged(f"{wrong} is not as it was")


def _first(names: Iterable[str]) -> str | None:
    return next(iter(names), None)


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and len(path.parts) > 1


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(".")]


def _json(content: object) -> bytes:
    return json.dumps(content, indent=1).encode()
