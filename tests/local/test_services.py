"""The ports, the environment and the URLs of the local stack."""

from pathlib import Path

import pytest
from local.ports import free_ports, ports, targets
from local.services import environment, market_sentence, url_table


@pytest.mark.parametrize(
    ("name", "port"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_PORT"),
        ("MLFLOW_TRACKING_URI", "MLFLOW_PORT"),
        ("API_URL", "API_PORT"),
    ],
)
def test_the_services_find_each_other_whatever_server_the_environment_names(
    name: str, port: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, "http://elsewhere:1")
    settings = environment("demo", tmp_path)
    assert settings[name].removeprefix("http://") == f"localhost:{ports()[port]}"


def test_what_a_mode_sets_yields_to_the_environment_and_to_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("REQUEST_INTERVAL_SECONDS", raising=False)
    monkeypatch.setattr("core.settings.ROOT", tmp_path)
    assert environment("demo", tmp_path)["REQUEST_INTERVAL_SECONDS"] == "1"
    (tmp_path / ".env").write_text("REQUEST_INTERVAL_SECONDS=5\n")
    assert environment("demo", tmp_path)["REQUEST_INTERVAL_SECONDS"] == "5"
    monkeypatch.setenv("REQUEST_INTERVAL_SECONDS", "3")
    assert environment("demo", tmp_path)["REQUEST_INTERVAL_SECONDS"] == "3"


@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_what_is_reached_without_a_proxy_stays_so_and_this_machine_is_added(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for each in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, ".corp")
    settings = environment("live", tmp_path)
    assert settings["no_proxy"] == settings["NO_PROXY"] == ".corp,localhost,127.0.0.1"


def test_the_offset_moves_every_port_every_target_and_every_url(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PORT_OFFSET", raising=False)
    before, targets_before, urls_before = ports(), targets(), url_table()
    monkeypatch.setenv("PORT_OFFSET", "10000")
    assert ports() == {name: port + 10_000 for name, port in before.items()}
    assert targets() == {service: port + 10_000 for service, port in targets_before.items()}
    for port in before.values():
        urls_before = urls_before.replace(f":{port}", f":{port + 10_000}")
    assert url_table() == urls_before
    settings = environment("demo", tmp_path)
    assert settings["BLOCKCHAIN_API_URL"] == f"http://localhost:{ports()['SIMULATOR_PORT']}"


def test_a_service_reads_the_same_ports_from_its_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No port is shifted twice: once here and once in the service."""
    monkeypatch.setenv("PORT_OFFSET", "10000")
    monkeypatch.setenv("API_PORT", "5005")
    here = ports()
    for name, value in environment("demo", tmp_path).items():
        monkeypatch.setenv(name, value)
    assert ports() == here
    assert here["API_PORT"] == 15_005


def test_every_port_of_the_stack_has_its_setting_and_those_of_docker_are_not_among_them() -> None:
    assert len(set(ports().values())) == len(ports()) == 13
    assert not {"GRAFANA_PORT", "HTTPS_PORT"} & ports().keys()
    assert set(targets().values()) <= set(ports().values())


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20


def test_a_demo_says_which_market_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIMULATOR_MARKET", "SIMULATOR_REPLAY"):
        monkeypatch.setenv(name, "")
    assert market_sentence("live") is None
    assert "path day of the market" in (market_sentence("demo") or "")
    monkeypatch.setenv("SIMULATOR_REPLAY", "recorded.jsonl")
    replayed = market_sentence("demo") or ""
    assert "recorded.jsonl is replayed" in replayed
    assert "nothing generated" in replayed
    assert "as recorded" in replayed
    monkeypatch.setenv("SIMULATOR_MARKET", "ramp")
    assert "multiplied by the path ramp" in (market_sentence("demo") or "")
