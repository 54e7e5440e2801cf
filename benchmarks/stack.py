"""The whole local stack: what it takes on disk, until the first score, and of memory.

python -m benchmarks.stack             an installed checkout, on ports of its own
python -m benchmarks.stack --install   also installs afresh into a temporary folder
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from local.ports import free_port, ports

from core.settings import ROOT

SETTLED_SECONDS = 60
MIB = 2**20


def main() -> None:
    """Print one table."""
    print("| what | measured | aim |\n|---|---:|---:|")
    if "--install" in sys.argv[1:]:
        print(f"| install from the package indexes | {install_seconds():.0f} s | |")
    print(f"| .venv | {folder_mib(ROOT / '.venv'):.0f} MiB | |")
    print(f"| jars | {folder_mib(ROOT / '.jars'):.0f} MiB | |")
    with tempfile.TemporaryDirectory() as data, running(Path(data)) as (process, log):
        print(f"| `make demo` to all services ready | {seconds_to(log, 'dashboard'):.0f} s | |")
        print(f"| `make demo` to first score | {seconds_to(log, 'first score'):.0f} s | 90 s |")
        time.sleep(SETTLED_SECONDS)
        parts = memory(process)
        print(f"| memory, all services (PSS) | {sum(parts.values()):.0f} MiB | 4,096 MiB |")
        for name, mib in parts.items():
            print(f"| … {name} | {mib:.0f} MiB | |")


def install_seconds() -> float:
    """Seconds of `make install` in a copy of the checkout, without pip's cache."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
        begun = time.monotonic()
        subprocess.run(
            ["make", "--silent", "install"],
            cwd=copy,
            env=os.environ | {"PIP_NO_CACHE_DIR": "1", "HOME": folder},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.monotonic() - begun


@contextmanager
def running(data: Path) -> Iterator[tuple[psutil.Process, Path]]:
    """A demo with a data folder and ports of its own; its process and what it prints."""
    log = data / "terminal.log"
    environment = os.environ | {name: str(free_port()) for name in ports()}
    with log.open("wb") as output:
        started = subprocess.Popen(
            [sys.executable, "-m", "local.stack", "demo"],
            cwd=ROOT,
            env=environment | {"DATA_DIR": str(data)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield psutil.Process(started.pid), log
    finally:
        started.send_signal(signal.SIGINT)
        started.wait(90)


def seconds_to(log: Path, name: str, limit: float = 300) -> float:
    """What the stack's own progress line says of a step."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        found = re.search(rf"^  {name} +after +([0-9.]+) s", log.read_text(), re.MULTILINE)
        if found:
            return float(found.group(1))
        time.sleep(0.5)
    raise TimeoutError(f"no {name} after {limit} s:\n{log.read_text()}")


def memory(stack: psutil.Process) -> dict[str, float]:
    """Proportional set size in MiB of each service with its children, by the service's name."""
    parts = {"launcher": pss(stack)}
    for service in stack.children():
        tree = [service, *service.children(recursive=True)]
        parts[_name(service)] = sum(pss(process) for process in tree)
    return parts


def pss(process: psutil.Process) -> float:
    """Proportional set size in MiB: shared pages are divided among those that share them."""
    return float(process.memory_full_info().pss / MIB)


def _name(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    known = {
        "kafka.Kafka": "kafka",
        "mlflow": "mlflow",
        "simulator.py": "simulator",
        "spark_streaming.py": "stream",
        "kafka_producer.py": "producer",
        "train_model.py": "trainer",
        "api/app.py": "api",
        "dashboard/app.py": "dashboard",
        "prometheus": "prometheus",
    }
    return next((name for mark, name in known.items() if mark in words), words[:30])


def folder_mib(folder: Path) -> float:
    """Size on disk in MiB."""
    done = subprocess.run(["du", "-sm", str(folder)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[0])


if __name__ == "__main__":
    main()
