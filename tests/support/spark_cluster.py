"""A Spark master and two workers as in docker-compose.cluster.yml, as processes on this machine."""

import json
import sys
import urllib.request
from pathlib import Path

import pyspark
from local.ports import free_port
from tests.support.processes import Part
from tests.support.stream_processes import QUICK_JAVA, wait_for

WORKERS = 2
_COMMAND = str(Path(pyspark.__file__).parent / "bin" / "spark-class")
_ENVIRONMENT = QUICK_JAVA | {
    "PYSPARK_PYTHON": sys.executable,
    "SPARK_DAEMON_MEMORY": "256m",
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}


class SparkCluster:
    """Workers of one core each, every one of which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        port, self._pages = free_port(), free_port()
        self.master = f"spark://127.0.0.1:{port}"
        own = ("--host", "127.0.0.1")
        master = ("Master", *own, "--port", str(port), "--webui-port", str(self._pages))
        self.parts = [_part(folder / "master.log", *master)]
        for number in range(1, WORKERS + 1):
            work = ("--cores", "1", "--memory", "1g", "--work-dir", str(folder / f"work-{number}"))
            worker = ("Worker", *own, "--webui-port", str(free_port()), *work, self.master)
            self.parts.append(_part(folder / f"worker-{number}.log", *worker))

    def start(self) -> None:
        """Start all; each worker has registered when it returns."""
        self.parts[0].start()
        wait_for(lambda: self._workers() is not None, "the Spark master")
        for part in self.parts[1:]:
            part.start()
        wait_for(lambda: self._workers() == WORKERS, "the Spark workers")

    def _workers(self) -> int | None:
        """How many workers the master knows; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._pages}/json/", timeout=5) as page:
                return int(json.load(page)["aliveworkers"])
        except OSError:
            return None

    def close(self) -> None:
        for part in self.parts:
            part.kill()


def _part(log: Path, kind: str, *arguments: str) -> Part:
    daemon = f"org.apache.spark.deploy.{kind.lower()}.{kind}"
    return Part([_COMMAND, daemon, *arguments], log, _ENVIRONMENT)
