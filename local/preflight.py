"""What must hold before anything starts; each problem is one sentence with its remedy.

python3 local/preflight.py        (by `make install`: any Python 3, no package installed)
"""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec

PYTHON = (3, 11)
JAVA = 17


def python_problem(version: tuple[int, int] = sys.version_info[:2]) -> str | None:
    """What is wrong with this Python; it must be 3.11 and able to make an environment."""
    if version != PYTHON:
        return (
            f"Python {version[0]}.{version[1]} runs this, but 3.11 is needed: install it "
            "(Debian: apt-get install python3.11 python3.11-venv) or run make PYTHON=/path/to/it."
        )
    if find_spec("ensurepip") is None:
        return "Python 3.11 lacks its venv module: apt-get install python3.11-venv."
    return None


def java_version() -> str | None:
    """What `java -version` prints, or None where there is no Java."""
    if shutil.which("java") is None:
        return None
    run = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False)
    return run.stderr


def java_problem(printed: str | None) -> str | None:
    """What is wrong with the Java that printed this; Spark and Kafka need 17."""
    remedy = "install it (Debian: apt-get install openjdk-17-jre-headless) and put it on the PATH."
    if printed is None:
        return f"Java is not installed, but {JAVA} is needed: {remedy}"
    match = re.search(r'version "(?:1\.)?(\d+)', printed)
    major = match.group(1) if match else "of an unknown version"
    return None if major == str(JAVA) else f"Java {major} is found, but {JAVA} is needed: {remedy}"


def port_problems(
    ports: Mapping[str, int], second_stack: str, listeners: Mapping[int, tuple[int, str]]
) -> list[str]:
    """Which ports cannot be used, each with the name of its setting.

    `second_stack` is the command that starts the same stack on other ports. `listeners` are the
    known owners of ports: process number and command.
    """
    problems, any_taken = [], False
    for setting, port in ports.items():
        others = [name for name, number in ports.items() if number == port and name < setting]
        if others:
            problems.append(f"{setting} and {others[0]} are both {port}: set one to another port.")
        elif _taken(port):
            any_taken = True
            if port in listeners:
                process, command = listeners[port]
                way = f" by process {process} ({command}): end it with kill {process}"
            else:
                way = ": stop what listens there"
            problems.append(f"Port {port} is taken{way} or set {setting} to a free port.")
    if any_taken:
        problems.append(f"If another stack runs, start this one beside it: {second_stack}")
    return problems


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def exit_if(problems: Iterable[str | None]) -> None:
    """Print the problems and exit with 1, or return when there are none."""
    sentences = [problem for problem in problems if problem]
    if sentences:
        sys.exit("\n".join(sentences))


if __name__ == "__main__":
    exit_if([python_problem(), java_problem(java_version())])
