"""Run every benchmark, each in a process of its own, and print its table: `make bench`.

python -m benchmarks [NAME ...]
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def names() -> list[str]:
    """Every benchmark: the modules of this folder that have a `main`."""
    return sorted(
        path.stem
        for path in HERE.glob("*.py")
        if not path.stem.startswith("_") and "def main() -> None" in path.read_text()
    )


def run(chosen: list[str]) -> int:
    """Run the chosen ones, or all; the number of those that failed."""
    failed = 0
    for name in chosen or names():
        print(f"\n## {name}\n", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
