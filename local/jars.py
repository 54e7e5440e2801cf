"""Download the jars of `ivy.xml` into `.jars/{spark,s3,kafka,agent}`, with the Ivy in pyspark.

    python local/jars.py [FOLDER]

Does nothing when the folder already has every jar of the list.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
JARS = HERE.parent / ".jars"
"""Where the local stack and the tests look for the jars."""

_LISTS = (HERE / "ivy.xml", HERE / "ivysettings.xml")


class JarsError(RuntimeError):
    """The jars could not be resolved."""


def complete(folder: Path = JARS) -> bool:
    """Whether the folder holds every jar of the current list."""
    stamp = folder / "complete"
    return stamp.is_file() and stamp.read_text() == _digest()


def resolve(folder: Path = JARS) -> None:
    """Fill the folder unless it is complete; two processes may call this at once.

    Raises `JarsError` with Ivy's last lines when Maven Central does not answer or an artifact is
    missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if complete(folder):
            return
        _retrieve(folder)
        (folder / "complete").write_text(_digest())


def classpath(conf: str, folder: Path = JARS) -> str:
    """The Java class path of one configuration of `ivy.xml`: `kafka`, `spark` or `s3`."""
    return f"{folder / conf}/*"


def class_archive(name: str, folder: Path = JARS) -> Path:
    """Where the archive of the classes of `kafka` or `spark` is, if `local.class_archives` ran."""
    return folder / f"{name}.jsa"


def of_pyspark() -> Path:
    """The folder of the jars that pyspark brings."""
    spec = find_spec("pyspark")
    assert spec is not None and spec.origin is not None, "pyspark is in constraints.txt"
    return Path(spec.origin).parent / "jars"


def agent(folder: Path = JARS) -> Path:
    """The jar of Kafka's metrics agent; raises `FileNotFoundError` before `resolve`."""
    for jar in (folder / "agent").glob("*.jar"):
        return jar
    raise FileNotFoundError(f"no metrics agent in {folder}: run python local/jars.py")


def _digest() -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in _LISTS)).hexdigest()


def _retrieve(folder: Path) -> None:
    for conf in ("spark", "s3", "kafka", "agent"):
        shutil.rmtree(folder / conf, ignore_errors=True)
    cache = folder / "cache"
    run = subprocess.run(_ivy(folder, cache), capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise JarsError("the jars did not resolve:\n" + "\n".join(_last_lines(run.stdout)))
    shutil.rmtree(cache, ignore_errors=True)


def _ivy(folder: Path, cache: Path) -> list[str]:
    return [
        *("java", f"-Divy.cache={cache}", "-cp", f"{of_pyspark()}/*", "org.apache.ivy.Main"),
        *("-settings", str(HERE / "ivysettings.xml"), "-ivy", str(HERE / "ivy.xml")),
        *("-retrieve", f"{folder}/[conf]/[artifact]-[revision].[ext]"),
    ]


def _last_lines(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.strip(" \t:.")][-15:]


if __name__ == "__main__":
    resolve(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else JARS)
