"""Prometheus without Docker asks the same services, on this machine's ports."""

from local.scraper import local_config

DOCKER = {
    "global": {"scrape_interval": "15s"},
    "rule_files": ["prometheus/alerts.yml"],
    "scrape_configs": [
        {"job_name": "api", "static_configs": [{"targets": ["api:5000"]}]},
        {"job_name": "grafana", "static_configs": [{"targets": ["grafana:3000"]}]},
        {"job_name": "simulator", "dns_sd_configs": [{"names": ["simulator"]}]},
    ],
}


def test_targets_become_ports_of_localhost_and_what_has_none_is_left_out() -> None:
    jobs = local_config(DOCKER, {"api": 5001, "simulator": 8070})["scrape_configs"]
    assert jobs == [
        {"job_name": "api", "static_configs": [{"targets": ["localhost:5001"]}]},
        {"job_name": "simulator", "static_configs": [{"targets": ["localhost:8070"]}]},
    ]


def test_rules_are_found_from_another_folder_and_the_rest_stays() -> None:
    config = local_config(DOCKER, {})
    assert config["global"] == {"scrape_interval": "15s"}
    (rules,) = config["rule_files"]
    assert rules.startswith("/")
    assert rules.endswith("/prometheus/alerts.yml")
