"""What Spark is told of an object store."""

from pathlib import Path

import psutil
import pyspark
import pytest
from local import class_archives, jars
from pyspark.sql import SparkSession

from core.settings import StoreSettings, StreamSettings
from data_processing.session import CLASS_ARCHIVE, _options_of, store_options


@pytest.mark.parametrize(
    ("endpoint", "ssl"), [("http://store:7070", "false"), ("https://s", "true")]
)
def test_spark_reads_the_keys_from_their_file_and_shows_none(
    endpoint: str, ssl: str, tmp_path: Path
) -> None:
    file = tmp_path / "keys"
    file.write_text("[default]\naws_access_key_id = a-key\naws_secret_access_key = a-secret\n")
    options = store_options(
        StoreSettings(_env_file=None, s3_endpoint_url=endpoint, s3_credentials_file=file)
    )
    assert options["spark.hadoop.fs.s3a.auth.profile.file"] == str(file)
    assert options["spark.hadoop.fs.s3a.endpoint"] == endpoint
    assert options["spark.hadoop.fs.s3a.connection.ssl.enabled"] == ssl
    assert not [value for value in options.values() if "a-secret" in value or "a-key" in value]


def test_without_keys_the_role_of_the_machine_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "none"
    file.write_text("")
    options = store_options(StoreSettings(_env_file=None, s3_credentials_file=file))
    assert not [name for name in options if "profile" in name or "provider" in name]
    assert "spark.hadoop.fs.s3a.endpoint" not in options, "Amazon's"


@pytest.fixture
def settings(tmp_path: Path) -> StreamSettings:
    """With a jar for every lake, and one for a lake on a store."""
    for name in ("spark", "s3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.jar").touch()
    return StreamSettings(_env_file=None, spark_jars_dir=tmp_path / "spark")


def test_only_a_lake_on_a_store_takes_the_jars_for_it(
    settings: StreamSettings, tmp_path: Path
) -> None:
    ours, stores = (str(tmp_path / name / f"{name}.jar") for name in ("spark", "s3"))
    on_disk = _options_of(settings, "127.0.0.1", "/data/lake")
    on_store = _options_of(settings, "127.0.0.1", "s3://bucket/lake")
    assert on_disk["spark.driver.extraClassPath"] == ours
    assert on_store["spark.driver.extraClassPath"] == f"{stores}:{ours}"


def test_workers_on_other_machines_are_given_the_jars(
    settings: StreamSettings, tmp_path: Path
) -> None:
    remote = settings.model_copy(update={"spark_master": "spark://master:7077"})
    options = _options_of(remote, "0.0.0.0", "/data/lake")
    assert options["spark.jars"] == str(tmp_path / "spark" / "spark.jar")
    assert "spark.driver.extraClassPath" not in options


def test_an_archive_of_the_classes_is_used_where_there_is_one(
    settings: StreamSettings, tmp_path: Path
) -> None:
    before = _options_of(settings, "127.0.0.1", "/data/lake")["spark.driver.extraJavaOptions"]
    (tmp_path / CLASS_ARCHIVE).touch()
    after = _options_of(settings, "127.0.0.1", "/data/lake")["spark.driver.extraJavaOptions"]
    assert after == f"{before} -XX:SharedArchiveFile={tmp_path / CLASS_ARCHIVE}"


def test_the_jars_for_a_store_are_those_of_pyspark_s_hadoop(java: None) -> None:
    (ours,) = (jars.JARS / "s3").glob("hadoop-aws-*.jar")
    version = ours.stem.removeprefix("hadoop-aws-")
    theirs = Path(str(pyspark.__file__)).parent / "jars" / f"hadoop-client-api-{version}.jar"
    assert theirs.exists(), "change hadoop-aws in local/ivy.xml with pyspark"


@pytest.mark.stack
def test_spark_starts_from_the_archive_of_its_classes(spark: SparkSession) -> None:
    if class_archives.make():
        pytest.skip("the archive was made just now, after Spark had started: run make archives")
    java = [child for child in psutil.Process().children(True) if child.name() == "java"]
    assert any(CLASS_ARCHIVE in Path(f"/proc/{each.pid}/maps").read_text() for each in java)
