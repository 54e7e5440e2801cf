"""What Spark is told of an object store."""

from pathlib import Path

import pyspark
import pytest
from local import jars

from core.settings import StoreSettings, StreamSettings
from data_processing.session import _options_of, store_options


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


def test_only_a_lake_on_a_store_takes_the_jars_for_it(tmp_path: Path) -> None:
    for name in ("spark", "s3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.jar").touch()
    settings = StreamSettings(_env_file=None, spark_jars_dir=tmp_path / "spark")
    on_disk = _options_of(settings, "127.0.0.1", "/data/lake")["spark.jars"]
    on_store = _options_of(settings, "127.0.0.1", "s3://bucket/lake")["spark.jars"]
    assert on_disk == str(tmp_path / "spark" / "spark.jar")
    assert set(on_store.split(",")) == {on_disk, str(tmp_path / "s3" / "s3.jar")}


def test_the_jars_for_a_store_are_those_of_pyspark_s_hadoop(java: None) -> None:
    (ours,) = (jars.JARS / "s3").glob("hadoop-aws-*.jar")
    version = ours.stem.removeprefix("hadoop-aws-")
    theirs = Path(str(pyspark.__file__)).parent / "jars" / f"hadoop-client-api-{version}.jar"
    assert theirs.exists(), "change hadoop-aws in local/ivy.xml with pyspark"
