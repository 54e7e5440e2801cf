"""How the whole suite runs in several processes, and how its coverage is shown."""

import io
from pathlib import Path

import pytest
from coverage import Coverage
from coverage.exceptions import CoverageException

SHARING = ("tests/e2e/", "tests/data_processing/")
"""Folders whose files share a costly session fixture: a whole stack, a Spark session."""

APART = ("faults.py", "test_stream_on_a_store.py", "test_three_brokers.py")
"""Files of these folders that use none of it, and take long."""

BESIDE_A_BROKER = "java"
"""The fixture of every test on a real broker; also of those on Spark alone."""

LEFT_SOCKETS = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
"""kafka-python 3.0.12 leaves a socket to the garbage collector where its client is closed while it
connects, where the connection is refused, and where the broker dies as it greets."""

FEW = 70
"""Files of which a smaller percentage of lines is executed are named."""


def unit(nodeid: str) -> str:
    """What one process runs as a whole: a file, or a folder whose files share a fixture."""
    file = nodeid.split("::")[0]
    folders = [folder for folder in SHARING if file.startswith(folder)]
    return folders[0] if folders and not file.endswith(APART) else file


def longest_first(items: list[pytest.Item]) -> None:
    """Sort the units: folders, then files on the real parts, then the rest, which are short.

    So no process is left alone at the end with a file that takes minutes.
    """
    real = {unit(item.nodeid) for item in items if {"stack", "browser"} & item.keywords.keys()}

    def rank(item: pytest.Item) -> tuple[bool, bool]:
        name = unit(item.nodeid)
        return name not in SHARING, name not in real

    items.sort(key=rank)


def allow_left_sockets(items: list[pytest.Item]) -> None:
    """Let tests beside a broker leave kafka-python's sockets; a fixture collects them there."""
    for item in items:
        if BESIDE_A_BROKER in getattr(item, "fixturenames", ()):
            item.add_marker(LEFT_SOCKETS)


def coverage_lines(data_file: str) -> list[str]:
    """The percentage of lines that the tests executed, and the files with few of them."""
    coverage = Coverage(data_file=data_file)
    try:
        coverage.load()
        total = coverage.report(file=io.StringIO())
    except CoverageException as error:
        return [f"not measured: {error}"]
    shares = {}
    for file in coverage.get_data().measured_files():
        _, statements, _, missing, _ = coverage.analysis2(file)
        shares[Path(file)] = 100 * (1 - len(missing) / max(len(statements), 1))
    few = sorted((share, file) for file, share in shares.items() if share < FEW)
    return [
        f"{total:.0f} % of the lines of src were executed in the processes of the tests",
        *(f"{share:3.0f} % {file.relative_to(Path.cwd())}" for share, file in few),
    ]
