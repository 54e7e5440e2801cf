"""The settings: `.env.example` shows them all, and one offset moves every port."""

import re

import pytest
from pydantic import ValidationError

from core.settings import (
    ROOT,
    ApiSettings,
    DashboardSettings,
    KafkaSettings,
    MlflowSettings,
    ProducerSettings,
    Settings,
    SimulatorSettings,
    StreamSettings,
    classes,
    render,
)

PORTS = {
    (settings, name)
    for settings in classes()
    for name in settings.model_fields
    if name.endswith("_port")
}


def test_the_example_shows_the_classes() -> None:
    assert (ROOT / ".env.example").read_text() == render(), (
        "run: python -m core.settings > .env.example"
    )


def test_every_setting_is_there_once_with_its_meaning() -> None:
    names = re.findall(r"^#([A-Z0-9_]+)=", render(), re.MULTILINE)
    assert len(names) == len(set(names))
    assert set(names) == {name.upper() for c in classes() for name in c.model_fields}
    undescribed = [n for c in classes() for n, f in c.model_fields.items() if not f.description]
    assert not undescribed


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [(StreamSettings, "RETENTION_DAYS", "999999"), (ProducerSettings, "MEMORY_DAYS", "inf")],
)
def test_a_time_that_no_calendar_has_is_refused_by_its_name(
    settings: type[Settings], name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.lower()):
        settings()


@pytest.mark.parametrize("explicit", [None, 7_000])
def test_the_offset_is_added_to_every_port(
    explicit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT_OFFSET", "10000")
    assert len(PORTS) > 10
    for settings, name in PORTS:
        if explicit is not None:
            monkeypatch.setenv(name.upper(), str(explicit))
        before = settings.model_fields[name].default if explicit is None else explicit
        assert getattr(settings(), name) == before + 10_000, name


def test_the_urls_made_of_ports_follow_the_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # MLflow sets it for its children
    assert KafkaSettings(port_offset=100).bootstrap_servers == "localhost:9192"
    assert MlflowSettings(port_offset=100).tracking_uri == "http://localhost:5100"
    assert ApiSettings(port_offset=100, api_port=6_000).url == "http://localhost:6100"


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (ApiSettings, "API_KEY"),
        (DashboardSettings, "DASHBOARD_PASSWORD"),
        (DashboardSettings, "DASHBOARD_API_KEY"),
    ],
)
def test_a_secret_that_is_refused_is_not_shown(
    settings: type[Settings], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("PORT_OFFSET", "many")
    with pytest.raises(ValidationError) as refused:
        settings(_env_file=None)
    said = f"{refused.value} {refused.value.errors()}"
    assert "hunter2" not in said
    assert name.lower() in said and "at least" in said
    assert "input_value='many'" in said, "what is no secret helps to find the fault"


def test_any_free_port_stays_any_free_port() -> None:
    assert SimulatorSettings(port_offset=100, simulator_port=0).simulator_port == 0


def test_a_port_out_of_its_range_is_refused() -> None:
    with pytest.raises(ValidationError, match="at most 65535"):
        ApiSettings(port_offset=61_000)
