"""The whole local stack: what it takes on disk, until the first score, of memory and processor.

python -m benchmarks.stack              an installed checkout, on free ports
python -m benchmarks.stack --install    also installs afresh into a temporary folder
python -m benchmarks.stack --minutes N  memory and processor after N minutes at 7/s, by default 1
"""

import os
import re
import statistics
import subprocess
import tempfile
import time
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path

import psutil
from benchmarks.stream_pace import tree_seconds
from tests.support.dashboard_browser import WatchedPage, chromium
from tests.support.demo_stack import Demo, ask

from core.settings import ROOT

PROCESSOR_SECONDS = 60
INJECTED = 5
MIB = 2**20


def main() -> None:
    """Print one table."""
    asked = ArgumentParser()
    asked.add_argument("--install", action="store_true")
    asked.add_argument("--minutes", type=float, default=1)
    given = asked.parse_args()
    print("| what | measured | aim |\n|---|---:|---:|")
    if given.install:
        print(f"| install from the package indexes | {install_seconds():.0f} s | |")
    print(f"| .venv | {folder_mib(ROOT / '.venv'):.0f} MiB | |")
    print(f"| jars | {folder_mib(ROOT / '.jars'):.0f} MiB | |")
    with tempfile.TemporaryDirectory() as data:
        stack = Demo(Path(data))
        try:
            show(stack, given.minutes)
        finally:
            stack.stop()


def show(stack: Demo, minutes: float) -> None:
    """Print the rows of a stack that has just been started."""
    ready, scored = seconds_to(stack, "dashboard"), seconds_to(stack, "first score")
    print(f"| `make demo` to all services ready | {ready:.0f} s | |")
    print(f"| `make demo` to first score | {scored:.0f} s | 90 s |")
    seen = statistics.median(seconds_to_dashboard(stack))
    print(f"| anomaly in Kafka to flag on the dashboard, median | {seen:.1f} s | 30 s |")
    time.sleep(minutes * 60)
    cores = processor(psutil.Process(stack.process.pid))
    print(
        f"| processor after {minutes:g} minutes, all services | {sum(cores.values()):.2f} | 0.80 |"
    )
    parts = memory(psutil.Process(stack.process.pid))
    print(f"| memory, all services (PSS) | {sum(parts.values()):.0f} MiB | 3,072 MiB |")
    for name, mib in parts.items():
        print(f"| … {name} | {mib:.0f} MiB, {cores.get(name, 0):.2f} of a core | |")


def seconds_to_dashboard(stack: Demo) -> list[float]:
    """Seconds from an anomaly's place in Kafka until an open dashboard shows its flag."""
    stack.wait_for_champion()
    inject = f"{stack.url('SIMULATOR_PORT')}/simulator/inject?kind=fee_and_amount_swapped"
    seconds = []
    with chromium() as browser:
        page = WatchedPage(browser.new_page(), stack.url("DASHBOARD_PORT"))
        shown = page.open("/?range=15m&flagged=1&order=newest")
        for _ in range(INJECTED):
            hash = ask(inject, method="POST")["hash"]
            shown.wait_for_selector(f"#grid .ag-row[row-id='{hash}']")
            now = datetime.now(UTC)
            rows = stack.rows("raw_transactions", "hash, append_time") or []
            published = next(row["append_time"] for row in rows if row["hash"] == hash)
            seconds.append((now - published).total_seconds())
    return seconds


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


def seconds_to(stack: Demo, step: str) -> float:
    """The seconds that the stack's progress line gives for a step."""
    line = re.compile(rf"^  {step} +after +([0-9.]+) s", re.MULTILINE)
    progress = stack.wait_for(step, lambda: line.search(stack.log.read_text()), seconds=300)
    return float(progress.group(1))


def processor(stack: psutil.Process) -> dict[str, float]:
    """Cores of each service with its children, by the service's name, over a minute."""
    before, begun = processor_seconds(stack), time.monotonic()
    time.sleep(PROCESSOR_SECONDS)
    after, took = processor_seconds(stack), time.monotonic() - begun
    return {name: (after[name] - before.get(name, 0)) / took for name in after}


def processor_seconds(stack: psutil.Process) -> dict[str, float]:
    """Processor time of each service with its children so far, by the service's name."""
    return {name_of(service): tree_seconds(service) for service in stack.children()}


def memory(stack: psutil.Process) -> dict[str, float]:
    """Proportional set size in MiB of each service with its children, by the service's name."""
    parts = {"launcher": pss(stack)}
    for service in stack.children():
        tree = [service, *service.children(recursive=True)]
        parts[name_of(service)] = sum(pss(process) for process in tree)
    return parts


def pss(process: psutil.Process) -> float:
    """Proportional set size in MiB: shared pages are divided among those that share them."""
    return float(process.memory_full_info().pss / MIB)


def name_of(process: psutil.Process) -> str:
    """The service's name, by what its command line contains."""
    words = " ".join(process.cmdline())
    marks = {
        "kafka.Kafka": "kafka",
        "mlflow": "mlflow",
        "simulator.py": "simulator",
        "spark_streaming.py": "stream",
        "kafka_producer.py": "producer",
        "train_model.py": "trainer",
        "case_builder.py": "casework",
        "api/app.py": "api",
        "dashboard/app.py": "dashboard",
        "local.watcher": "watcher",
        "prometheus": "prometheus",
    }
    return next((name for mark, name in marks.items() if mark in words), words[:30])


def folder_mib(folder: Path) -> float:
    """Size on disk in MiB."""
    done = subprocess.run(["du", "-sm", str(folder)], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[0])


if __name__ == "__main__":
    main()
