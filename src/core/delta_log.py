"""Finds damage in the log of a Delta table, and repairs what can be repaired without losing rows.

The log has a JSON file for each commit and, for some commits, a checkpoint: all of the log up to
there. A power failure or a faulty disk can leave one of them empty, cut off or missing.

- A damaged checkpoint is not needed where an older one, or the first commit, is followed by every
  later commit. It is set aside.
- Damaged commits at the end of the log cannot be read any more. Each is replaced by an empty
  commit, so that the versions stay in order. Their rows are missing: the writer must write them
  again.
- Anything else cannot be repaired here.

Only the writer of a table may repair it. The damaged files stay beside the log as `*.damaged`.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from deltalake.fs import DeltaStorageHandler

from core.object_store import storage_options

_LOG, _HINT, _ASIDE = "_delta_log", "_last_checkpoint", ".damaged"
_COMMIT = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.\d{10}\.\d{10})?\.parquet")
_READ_ERRORS = (OSError, ValueError, LookupError, TypeError, pa.ArrowException)


class LogDamagedError(DeltaError):
    """The log of a table is damaged; the message says which file and what to do."""


@dataclass(frozen=True)
class Damage:
    """What is wrong with the log of the table at `uri`.

    `unneeded` are the names of damaged checkpoints, and of the hint to one; `lost_commits` the
    versions at the end of the log that cannot be read; `fatal` what cannot be repaired.
    """

    uri: str
    unneeded: tuple[str, ...] = ()
    lost_commits: tuple[int, ...] = ()
    fatal: str | None = None

    def __bool__(self) -> bool:
        return bool(self.unneeded or self.lost_commits or self.fatal)

    def error(self) -> LogDamagedError:
        """The error with the sentence for an operator."""
        if self.fatal:
            return LogDamagedError(
                f"the Delta log of {self.uri} is damaged ({self.fatal}): restore the lake from a "
                "backup, or move the whole lake away, and the stream fills a new one with the "
                "records that Kafka still has"
            )
        files = [*self.unneeded, *map(_commit_name, self.lost_commits)]
        return LogDamagedError(
            f"the Delta log of {self.uri} is damaged ({', '.join(files)}): restart the stream, "
            "which repairs it"
        )


def inspect(uri: str) -> Damage:
    """Look for damage in the log of a table; a table that does not exist has none.

    Reads the newest intact checkpoint and the commits after it. Raises `OSError` or `DeltaError`
    when the store does not answer.
    """
    try:
        files = _files(uri)
    except TableNotFoundError:
        return Damage(uri)
    if not files and _has_data(uri):
        return Damage(uri, fatal="it is empty, and data files are there")
    return find_damage(uri, files, partial(_is_intact, _filesystem(uri), files))


def find_damage(uri: str, files: Mapping[str, int], is_intact: Callable[[str], bool]) -> Damage:
    """The damage among the files of a log, given the sizes by name and whether one can be read."""
    commits = {int(m[1]) for name in files if (m := _COMMIT.fullmatch(name))}
    base, unneeded = _newest_checkpoint(files, is_intact)
    if not commits and base is None and not unneeded:
        return Damage(uri)
    first = 0 if base is None else base + 1
    needed = range(first, max(commits | {first - 1}) + 1)
    if missing := [version for version in needed if version not in commits]:
        what = f"{_commit_name(missing[0])} is missing"
        return Damage(uri, fatal=", ".join([*(f"{name} is damaged" for name in unneeded), what]))
    if not needed and base is None:
        return Damage(uri, fatal=f"{unneeded[0]} is damaged, and no commit is there")
    lost = tuple(version for version in needed if not is_intact(_commit_name(version)))
    if lost and lost != tuple(needed)[-len(lost) :]:
        return Damage(uri, fatal=f"{_commit_name(lost[0])} is damaged, and later commits are there")
    return Damage(uri, unneeded, lost)


def _newest_checkpoint(
    files: Mapping[str, int], is_intact: Callable[[str], bool]
) -> tuple[int | None, tuple[str, ...]]:
    """The version of the newest intact checkpoint, and the newer files that are none."""
    parts: dict[int, list[str]] = {}
    for name in files:
        if match := _CHECKPOINT.fullmatch(name):
            parts.setdefault(int(match[1]), []).append(name)
    unneeded: list[str] = []
    newest = None
    for version, names in sorted(parts.items(), reverse=True):
        if damaged := [name for name in names if not is_intact(name)]:
            unneeded += damaged
            continue
        newest = version
        break
    if _HINT in files and (unneeded or not is_intact(_HINT)):
        unneeded.append(_HINT)
    return newest, tuple(unneeded)


def newest_commit_is_empty(uri: str, version: int) -> bool:
    """Whether the commit of this version has no content, which delta-rs reads without an error."""
    info = _filesystem(uri).get_file_info(f"{_LOG}/{_commit_name(version)}")
    return bool(info.type == pa.fs.FileType.File and info.size == 0)


def repair(damage: Damage) -> None:
    """Set the damaged files aside; raises `LogDamagedError` where that is not enough."""
    if damage.fatal:
        raise damage.error()
    filesystem = _filesystem(damage.uri)
    for name in damage.unneeded:
        filesystem.move(f"{_LOG}/{name}", f"{_LOG}/{name}{_ASIDE}")
    for version in reversed(damage.lost_commits):
        path = f"{_LOG}/{_commit_name(version)}"
        filesystem.move(path, path + _ASIDE)
    if 0 not in damage.lost_commits:  # else the table is created again
        for _ in damage.lost_commits:
            table = DeltaTable(damage.uri, storage_options=storage_options(damage.uri))
            table.create_write_transaction([], "append", table.schema(), [])


def files_up_to(names: Iterable[str], version: int) -> list[str]:
    """The files of a log that are needed to read a version, and those that were set aside.

    These are the newest checkpoint up to it, the commits after that, and its own, without which
    Spark opens no table whose newest version has a checkpoint. Files set aside say that commits
    were lost (`has_lost_commits`).

    >>> checkpoint = "00000000000000000002.checkpoint.parquet"
    >>> files_up_to([*map(_commit_name, range(1, 6)), checkpoint], 4)
    ['00000000000000000002.checkpoint.parquet', '00000000000000000002.json', \
'00000000000000000003.json', '00000000000000000004.json']
    """
    names = set(names)
    checkpoints: dict[int, list[str]] = {}
    aside = []
    for name in sorted(names):
        if name.endswith(_ASIDE):
            aside.append(name)
        elif (match := _CHECKPOINT.fullmatch(name)) and int(match[1]) <= version:
            checkpoints.setdefault(int(match[1]), []).append(name)
    base = max(checkpoints, default=-1)
    commits = [_commit_name(number) for number in range(max(base, 0), version + 1)]
    if base >= 0 and commits[0] not in names:  # delta-rs may clear it away, and reads the table
        del commits[0]
    return [*checkpoints.get(base, ()), *commits, *aside]


def commits_since_checkpoint(uri: str) -> int:
    """How many commits a reader of the newest version reads after the newest checkpoint."""
    commits, checkpoints = _versions(uri)
    return max(commits.values(), default=0) - max(checkpoints.values(), default=0)


def clear(uri: str, kept: int) -> int:
    """Delete the log before the newest checkpoint that `kept` commits follow; return the files.

    The newer checkpoints stay, should one of them be damaged.
    """
    versions, checkpoints = _versions(uri)
    newest = max(versions.values(), default=0)
    base = max((at for at in checkpoints.values() if at <= newest - kept), default=0)
    old = [name for name, version in (versions | checkpoints).items() if version < base]
    filesystem = _filesystem(uri)
    for name in old:
        filesystem.delete_file(f"{_LOG}/{name}")
    return len(old)


def _versions(uri: str) -> tuple[dict[str, int], dict[str, int]]:
    """The versions of the commits and of the checkpoints of a log, by the names of their files."""
    names = _files(uri)
    commits = {name: int(m[1]) for name in names if (m := _COMMIT.fullmatch(name))}
    return commits, {name: int(m[1]) for name in names if (m := _CHECKPOINT.fullmatch(name))}


def has_lost_commits(uri: str) -> bool:
    """Whether a commit of the table was ever replaced by `repair`."""
    return any(_COMMIT.fullmatch(name.removesuffix(_ASIDE)) for name in _files(uri, _ASIDE))


def _filesystem(uri: str) -> pa.fs.PyFileSystem:
    return pa.fs.PyFileSystem(DeltaStorageHandler(uri, storage_options(uri)))


def _files(uri: str, suffix: str = "") -> dict[str, int]:
    """The sizes of the log's files by name; a store has no folder without files."""
    selector = pa.fs.FileSelector(_LOG, allow_not_found=True)
    files = _filesystem(uri).get_file_info(selector)
    return {file.base_name: file.size for file in files if file.base_name.endswith(suffix)}


def _has_data(uri: str) -> bool:
    folders = _filesystem(uri).get_file_info(pa.fs.FileSelector(""))
    return any(folder.base_name != _LOG for folder in folders)


def _is_intact(filesystem: pa.fs.PyFileSystem, files: Mapping[str, int], name: str) -> bool:
    """Whether a file of the log can be read to its end."""
    try:
        content = _content(filesystem, f"{_LOG}/{name}")
        if name.endswith(".parquet"):
            return bool(pq.read_table(pa.BufferReader(content), use_threads=False).num_rows)
        actions = [json.loads(line) for line in content.decode().splitlines()]
        if name == _HINT:
            checkpoint = f"{actions[0]['version']:020}.checkpoint."
            return any(file.startswith(checkpoint) for file in files)
        return bool(actions) and all(isinstance(action, dict) for action in actions)
    except _READ_ERRORS:
        return False


def _content(filesystem: pa.fs.PyFileSystem, path: str) -> bytes:
    with filesystem.open_input_file(path) as file:
        return bytes(file.read())


def _commit_name(version: int) -> str:
    return f"{version:020}.json"
