"""How every client reaches the broker: the servers, and who it says it is where the broker asks.

kafka-python and Spark name the same things differently; both get them from the same settings.
"""

from core.settings import KafkaSettings

_LOGIN_MODULES = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


def client_options(bootstrap_servers: str, settings: KafkaSettings | None = None) -> dict[str, str]:
    """What a consumer, producer or admin client of kafka-python is given to connect.

    >>> client_options("localhost:9092", KafkaSettings(_env_file=None))
    {'bootstrap_servers': 'localhost:9092', 'security_protocol': 'PLAINTEXT'}
    """
    kafka = settings or KafkaSettings()
    options = {
        "bootstrap_servers": bootstrap_servers,
        "security_protocol": kafka.kafka_security_protocol,
    }
    if kafka.asks_for_a_password:
        options |= {
            "sasl_mechanism": kafka.kafka_sasl_mechanism,
            "sasl_plain_username": kafka.kafka_sasl_username,
            "sasl_plain_password": kafka.sasl_password(),
        }
    return options


def spark_options(bootstrap_servers: str, settings: KafkaSettings | None = None) -> dict[str, str]:
    """The same for a Kafka source of Spark, in the names of Java's client."""
    kafka = settings or KafkaSettings()
    options = {
        "kafka.bootstrap.servers": bootstrap_servers,
        "kafka.security.protocol": kafka.kafka_security_protocol,
    }
    if kafka.asks_for_a_password:
        module = _LOGIN_MODULES[kafka.kafka_sasl_mechanism]
        name, password = (
            text.replace("\\", "\\\\").replace('"', '\\"')
            for text in (kafka.kafka_sasl_username, kafka.sasl_password())
        )
        options |= {
            "kafka.sasl.mechanism": kafka.kafka_sasl_mechanism,
            "kafka.sasl.jaas.config": f'{module} required username="{name}" password="{password}";',
        }
    return options
