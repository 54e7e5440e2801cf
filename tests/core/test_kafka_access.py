"""Every client gives the broker a name and a password where the settings say so."""

import re
from pathlib import Path

import pytest
from kafka import KafkaConsumer
from kafka.errors import KafkaError
from local.broker import Broker
from local.ports import accepts, free_port
from tests.support.door import prepare
from tests.support.processes import process, wait_until

from core.kafka_access import client_options, spark_options
from core.settings import ROOT, KafkaSettings
from core.topics import TRANSACTIONS, ensure_topics

CLIENTS = ("KafkaConsumer(", "KafkaProducer(", "KafkaAdminClient(")
PROPERTIES = ROOT / "broker" / "server.properties"
SECURE = ROOT / "broker" / "server.secure.properties"


def settings(
    file: Path, protocol: str = "SASL_PLAINTEXT", mechanism: str = "PLAIN"
) -> KafkaSettings:
    return KafkaSettings.model_validate(
        {
            "kafka_security_protocol": protocol,
            "kafka_sasl_mechanism": mechanism,
            "kafka_sasl_username": "stack",
            "kafka_sasl_password_file": file,
        }
    )


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text('a "quoted" \\ one\n')
    return file


def test_by_default_no_client_gives_a_password() -> None:
    plain = KafkaSettings(_env_file=None)
    assert client_options("b:1", plain) == {
        "bootstrap_servers": "b:1",
        "security_protocol": "PLAINTEXT",
    }
    assert spark_options("b:1", plain) == {
        "kafka.bootstrap.servers": "b:1",
        "kafka.security.protocol": "PLAINTEXT",
    }
    assert "sasl_mechanism" not in client_options("b:1", settings(Path("absent"), "SSL"))


def test_a_client_gives_the_name_and_the_password_of_the_file(password: Path) -> None:
    options = client_options("b:1", settings(password))
    assert options["sasl_plain_username"] == "stack"
    assert options["sasl_plain_password"] == 'a "quoted" \\ one'


@pytest.mark.parametrize(
    ("mechanism", "module"), [("PLAIN", "plain.Plain"), ("SCRAM-SHA-512", "scram.Scram")]
)
def test_spark_gives_them_in_the_words_of_java(password: Path, mechanism: str, module: str) -> None:
    options = spark_options("b:1", settings(password, "SASL_SSL", mechanism))
    assert options["kafka.sasl.mechanism"] == mechanism
    assert options["kafka.sasl.jaas.config"] == (
        f"org.apache.kafka.common.security.{module}LoginModule required "
        'username="stack" password="a \\"quoted\\" \\\\ one";'
    )


def test_a_password_that_cannot_be_read_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        client_options("b:1", settings(tmp_path / "absent"))
    without = KafkaSettings(_env_file=None, kafka_security_protocol="SASL_SSL")
    with pytest.raises(FileNotFoundError, match="KAFKA_SASL_PASSWORD_FILE"):
        client_options("b:1", without)


def test_no_client_is_made_without_these_options() -> None:
    """Whoever adds a client that connects in another way is found here, not in a secured stack."""
    made = {
        path.name: re.findall(
            rf"(?:{'|'.join(map(re.escape, CLIENTS))})\s*([^,)]*)", path.read_text()
        )
        for path in (ROOT / "src").rglob("*.py")
    }
    first = [argument for arguments in made.values() for argument in arguments]
    assert len(first) >= 12
    assert {argument.split("(")[0] for argument in first} == {"**client_options"}


def test_the_secured_broker_is_the_other_one_with_a_password() -> None:
    plain, secure = (
        dict(line.split("=", 1) for line in path.read_text().splitlines() if line[0] != "#")
        for path in (PROPERTIES, SECURE)
    )
    assert {
        name: value.replace("SASL_PLAINTEXT", "PLAINTEXT")
        for name, value in secure.items()
        if name in plain
    } == plain
    assert all(
        "sasl" in name or "providers" in name or name == "inter.broker.listener.name"
        for name in secure.keys() - plain.keys()
    )


class SecuredBroker(Broker):
    """The broker of docker-compose.secure.yml, on this machine's ports and folders."""

    def properties(self) -> str:
        text = SECURE.read_text().replace("/run/kafka/", f"{self.folder.parent}/kafka/")
        text = text.replace("/var/lib/kafka/data", str(self.folder / "log"))
        text = text.replace("://:9092", f"://127.0.0.1:{self.port}")
        text = text.replace("kafka:9092", f"127.0.0.1:{self.port}")
        return text.replace("localhost:9093", f"127.0.0.1:{self.controller_port}")


@pytest.mark.stack
def test_the_secured_broker_serves_who_has_the_password_and_nobody_else(
    java: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prepare(tmp_path).returncode == 0
    kafka = SecuredBroker(tmp_path / "broker", free_port(), free_port())
    kafka.prepare()
    servers, log = f"127.0.0.1:{kafka.port}", tmp_path / "broker.log"
    with process(kafka.command(), log) as running:
        wait_until(lambda: accepts(kafka.port), running, log)
        for name, value in {
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_USERNAME": "stack",
            "KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "kafka" / "password"),
        }.items():
            monkeypatch.setenv(name, value)
        ensure_topics(servers, partitions=2)
        consumer = KafkaConsumer(**client_options(servers))
        assert consumer.partitions_for_topic(TRANSACTIONS) == {0, 1}
        consumer.close()
        (tmp_path / "other").write_text("a guess")
        monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(tmp_path / "other"))
        with pytest.raises(KafkaError):
            ensure_topics(servers, partitions=2)
        monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "PLAINTEXT")
        with pytest.raises(KafkaError):
            ensure_topics(servers, partitions=2)
