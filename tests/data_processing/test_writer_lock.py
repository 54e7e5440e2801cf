import fcntl
from pathlib import Path
from typing import Any

import pytest
import yaml
from pyspark.sql import SparkSession

from core.settings import ROOT
from data_processing.writer_lock import SecondWriterError, acquire, lock_path


def is_held(path: Path) -> bool:
    """Whether another process than this one, which is not Java, has the lock."""
    with path.open("r+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@pytest.mark.stack
def test_java_holds_the_lock_through_every_garbage_collection(
    spark: SparkSession, tmp_path: Path
) -> None:
    jvm: Any = spark.sparkContext._jvm
    path = tmp_path / "lake" / ".stream.lock"
    acquire(spark, path, timeout_seconds=20)
    for _ in range(5):
        jvm.java.lang.System.gc()
        spark.range(10).count()  # gives Java's cleaner its time
        assert is_held(path)
    assert path.read_text().strip() == str(jvm.java.lang.ProcessHandle.current().pid())


@pytest.mark.stack
def test_a_second_writer_learns_who_holds_the_lake(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with path.open("w") as file:
        file.write("4711")
        file.flush()
        fcntl.lockf(file, fcntl.LOCK_EX)
        with pytest.raises(SecondWriterError, match="process 4711 holds .*; stop it first"):
            acquire(spark, path, timeout_seconds=0)


def test_the_lock_of_a_lake_on_a_disk_is_in_it_and_of_another_by_the_checkpoints() -> None:
    assert lock_path("/data/lake", Path("/data")) == Path("/data/lake/.stream.lock")
    assert lock_path("s3://bucket/lake", Path("/data")) == Path("/data/checkpoints/.stream.lock")


@pytest.mark.parametrize("lake", ["/data/lake", "s3://bucket/lake"])
def test_in_a_container_the_lock_is_on_a_volume(lake: str) -> None:
    service = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["spark"]
    mounts = {Path(volume.split(":")[1]) for volume in service["volumes"]}
    assert "DATA_DIR=/data" in (ROOT / "Dockerfile.spark").read_text()
    assert mounts & set(lock_path(lake, Path("/data")).parents)
