"""Prometheus on this machine, with the same jobs and rules as in Docker.

    python -m local.scraper

`prometheus.yml` names the services as Docker does (`api:5000`); here the same jobs scrape ports of
localhost.
"""

import os
from collections.abc import Mapping
from typing import Any

import yaml

from core.settings import ROOT, DataSettings, PrometheusSettings
from local.ports import targets

RETENTION = "15d"


def local_config(config: Mapping[str, Any], ports: Mapping[str, int]) -> dict[str, Any]:
    """The configuration with every target on localhost; jobs without a port are left out.

    Paths of rule files become absolute, because the result is written to another folder.
    """
    jobs = []
    for job in config["scrape_configs"]:
        if job["job_name"] in ports:
            target = f"localhost:{ports[job['job_name']]}"
            options = {key: value for key, value in job.items() if not key.endswith("_sd_configs")}
            jobs.append(options | {"static_configs": [{"targets": [target]}]})
    rules = [str(ROOT / path) for path in config.get("rule_files", [])]
    return {**config, "scrape_configs": jobs, "rule_files": rules}


def main() -> None:
    """Write the configuration into the data folder, then replace this process by Prometheus."""
    data = DataSettings()
    folder = data.data_dir / "prometheus"
    folder.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load((ROOT / "prometheus.yml").read_text())
    ports = targets()
    if data.data_origin == "live":
        del ports["simulator"]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(local_config(config, ports)))
    os.execvp(
        "prometheus",
        [
            "prometheus",
            f"--config.file={path}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--storage.tsdb.retention.time={RETENTION}",
            f"--web.listen-address=127.0.0.1:{PrometheusSettings().prometheus_port}",
        ],
    )


if __name__ == "__main__":
    main()
